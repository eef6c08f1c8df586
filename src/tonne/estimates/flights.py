"""Emissions of flights: great circle times the factor of the haul and the cabin.

Factors: DESNZ, business travel by air, per passenger-kilometre of the great circle: their allowance for detours is in them.
They distinguish flights within the UK, to and from it (short-haul below 3,700 km), and elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from tonne.domain.estimates import (
    Calculation,
    Step,
    factor_grams,
    factor_step,
    grams_from,
    shown,
)
from tonne.domain.factors import Factor, FactorBook
from tonne.estimates.routes import Route, Way, travelled
from tonne.estimates.units import conversion

# Source: DESNZ, Greenhouse gas reporting: conversion factors, methodology paper, aviation.
SHORT_HAUL_KM_MAX = 3_700
_HOME = "GB"


class CabinClass(StrEnum):
    """Where a passenger sits; `average` is the mean of all seats."""

    ECONOMY = "economy"
    PREMIUM_ECONOMY = "premium_economy"
    BUSINESS = "business"
    FIRST = "first"
    AVERAGE = "average"


class Haul(StrEnum):
    """The kinds of flights that have factors of their own."""

    DOMESTIC = "domestic"
    SHORT = "short-haul"
    LONG = "long-haul"
    INTERNATIONAL = "international"


# Where a haul has no such class, the one that is used instead.
_INSTEAD = {
    CabinClass.FIRST: CabinClass.BUSINESS,
    CabinClass.PREMIUM_ECONOMY: CabinClass.ECONOMY,
    CabinClass.ECONOMY: CabinClass.AVERAGE,
    CabinClass.BUSINESS: CabinClass.AVERAGE,
}


@dataclass(frozen=True, slots=True)
class Flight:
    """A flight for a number of passengers."""

    route: Route
    cabin_class: CabinClass = CabinClass.ECONOMY
    passengers: int = 1
    is_return: bool = False
    radiative_forcing: bool = True


def estimate_flight(wanted: Flight, book: FactorBook, pointer: str = "") -> Calculation:
    """Estimate the emissions of a flight.

    Raises:
        DistanceInvalid: there is no distance between the airports, or none that can be flown.
        ValidationFailed: the mass is beyond 10^9 tonnes.
    """
    one_way_km, steps = travelled(wanted.route, Way.AIR, f"{pointer}/route")
    km = one_way_km * (2 if wanted.is_return else 1)
    haul = haul_of(wanted.route, one_way_km)
    factor, cabin = _factor(haul, wanted.cabin_class, book, radiative_forcing=wanted.radiative_forcing)
    passenger_km = Fraction(km) * wanted.passengers
    exact = factor_grams(factor, passenger_km * conversion("person*km", factor.unit))
    inputs = {
        "distance": f"{shown(km)} km" + (" (there and back)" if wanted.is_return else ""),
        "passengers": str(wanted.passengers),
        "passenger_distance": f"{shown(passenger_km)} person*km",
    }
    step = factor_step(factor, inputs, exact, description=_told(factor, wanted, cabin))
    other, _ = _factor(haul, wanted.cabin_class, book, radiative_forcing=not wanted.radiative_forcing)
    compared = _for_comparison(other, passenger_km, has_forcing=not wanted.radiative_forcing)
    grams = grams_from(exact, pointer or "/passengers")
    return Calculation(grams, (*steps, step, compared), distance_km=km, factor=factor)


def haul_of(route: Route, km: Decimal) -> Haul:
    """Which kind of flight it is; one to or from the UK where it is not known between which countries."""
    source = None if route.source is None else route.source.country
    destination = None if route.destination is None else route.destination.country
    if source is not None and destination is not None:
        ends_at_home = [source, destination].count(_HOME)
        if ends_at_home != 1:
            return Haul.DOMESTIC if ends_at_home else Haul.INTERNATIONAL
    return Haul.SHORT if km < SHORT_HAUL_KM_MAX else Haul.LONG


def taken_as(route: Route) -> list[str]:
    """What to say of a flight whose kind is an assumption."""
    ends = (route.source, route.destination)
    if all(end is not None and end.country is not None for end in ends):
        return []
    return ["taken as a flight to or from the UK: it is not known between which countries it is"]


def _factor(
    haul: Haul, cabin: CabinClass, book: FactorBook, *, radiative_forcing: bool
) -> tuple[Factor, CabinClass]:
    """The factor of a haul and a class, or of the next class that has one."""
    forcing = "rf" if radiative_forcing else "no-rf"
    while True:
        factor = book.find(f"flight/{haul}/{cabin.replace('_', '-')}/{forcing}")
        if factor is not None:
            return factor, cabin
        cabin = _INSTEAD[cabin]


def _told(factor: Factor, wanted: Flight, cabin: CabinClass) -> str:
    notes = taken_as(wanted.route)
    if wanted.cabin_class is not cabin:
        notes.append(f"the source has no {wanted.cabin_class.replace('_', ' ')} class for such flights")
    return f"{factor.name} ({'; '.join(notes)})" if notes else factor.name


def _for_comparison(factor: Factor, passenger_km: Fraction, *, has_forcing: bool) -> Step:
    """The same with or without radiative forcing: told, and not part of the mass."""
    having = "with" if has_forcing else "without"
    return factor_step(
        factor,
        {"passenger_distance": f"{shown(passenger_km)} person*km"},
        factor_grams(factor, passenger_km * conversion("person*km", factor.unit)),
        description=f"For comparison, {having} radiative forcing; not counted",
    )

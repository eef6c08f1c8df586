"""Emissions of freight: tonnes times kilometres times the factor of the means of transport.

Factors: DESNZ, freighting goods; for North American trucks and inland waterways US EPA, scope 3 categories 4 and 9.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cache
from importlib.resources import files

from tonne.domain.errors import ValidationFailed
from tonne.domain.estimates import Calculation, Step, factor_grams, factor_step, grams_from, shown
from tonne.domain.factors import Factor, FactorBook
from tonne.estimates.flights import haul_of, taken_as
from tonne.estimates.legs import added_up
from tonne.estimates.near import hint, near_names
from tonne.estimates.routes import Route, Way, refuse_many_sea_routes, travelled
from tonne.estimates.units import conversion

_SIMPLE = "truck, van, rail, container_ship, bulk, tanker, air, inland_waterway"
_FUELS = ("hfo", "vlsfo", "mdo")


class CargoType(StrEnum):
    """How heavy the cargo of a container is."""

    LIGHTWEIGHT = "lightweight"
    AVERAGE = "average"
    HEAVYWEIGHT = "heavyweight"
    CONTAINER_ONLY = "container_only"


# Tonnes a TEU. 10 loaded and 2 empty: IMO, MEPC.1/Circ.684; 6 and 14.5 for light and heavy cargo: EN 16258.
TONNES_PER_TEU = {
    CargoType.LIGHTWEIGHT: Decimal(6),
    CargoType.AVERAGE: Decimal(10),
    CargoType.HEAVYWEIGHT: Decimal("14.5"),
    CargoType.CONTAINER_ONLY: Decimal(2),
}
_TEU_SOURCE = "IMO MEPC.1/Circ.684 (10 t loaded, 2 t empty); EN 16258 (6 t light, 14.5 t heavy)"


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is shipped: a mass in tonnes, or a number of TEU and how heavy they are."""

    tonnes: Decimal | None = None
    containers: Decimal | None = None
    cargo_type: CargoType = CargoType.AVERAGE


@dataclass(frozen=True, slots=True)
class ShippingLeg:
    """A way that a shipment goes, and by what. `radiative_forcing` is for flights.

    `not_told_apart` is what was said of the means of transport and makes no difference to its factor.
    """

    route: Route
    method: str
    radiative_forcing: bool = True
    not_told_apart: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShippingMethod:
    """A means of transport; `key` names its factor, `note` what is approximate about it."""

    name: str
    way: Way
    key: str
    note: str


def estimate_shipping(shipment: Shipment, leg: ShippingLeg, book: FactorBook) -> Calculation:
    """Estimate the emissions of a shipment on one way.

    Raises:
        TonneError: the route can't be found, or there is no such method.
    """
    tonnes, steps = _mass(shipment)
    found = _leg(tonnes, leg, book, "")
    return Calculation(
        found.grams, (*steps, *found.steps), distance_km=found.distance_km, factor=found.factor
    )


def estimate_multi_leg_shipping(
    shipment: Shipment, legs: Sequence[ShippingLeg], book: FactorBook
) -> Calculation:
    """Estimate the emissions of a shipment over several legs: of each, and of all.

    Raises:
        TonneError: a leg can't be estimated; then nothing is.
    """
    tonnes, steps = _mass(shipment)
    ways = ((find_method(leg.method, f"/legs/{n}/method").way, leg.route) for n, leg in enumerate(legs))
    refuse_many_sea_routes(ways, "/legs")
    total = added_up([_leg(tonnes, leg, book, f"/legs/{position}") for position, leg in enumerate(legs)])
    return Calculation(total.grams, (*steps, *total.steps), legs=total.legs, distance_km=total.distance_km)


def find_method(name: str, pointer: str) -> ShippingMethod:
    """Find a means of transport by its name.

    Raises:
        ValidationFailed: there is none; the message names near matches.
    """
    methods = shipping_methods()
    found = methods.get(name)
    if found is None:
        near = near_names(name.replace("_", " "), {key: key.replace("_", " ") for key in methods})
        raise ValidationFailed.at(
            pointer, f"there is no shipping method {name[:80]!r}; simple ones are {_SIMPLE}" + hint(near)
        )
    return found


@cache
def shipping_methods() -> Mapping[str, ShippingMethod]:
    """Every means of transport by its name."""
    table = files("tonne.estimates").joinpath("shipping_methods.csv").read_text(encoding="utf-8")
    methods: dict[str, ShippingMethod] = {}
    for row in csv.DictReader(table.splitlines()):
        # One row for all fuels of a ship: the source doesn't tell them apart.
        for fuel in _FUELS if row["method"].endswith("_*") else ("",):
            name = row["method"].removesuffix("*") + fuel
            methods[name] = ShippingMethod(name, Way(row["mode"]), row["key"], row["note"])
    return methods


def _mass(shipment: Shipment) -> tuple[Fraction, tuple[Step, ...]]:
    if shipment.containers is None:
        assert shipment.tonnes is not None, "a shipment has a mass or containers"
        return Fraction(shipment.tonnes), ()
    each = TONNES_PER_TEU[shipment.cargo_type]
    tonnes = Fraction(shipment.containers) * Fraction(each)
    step = Step(
        description=f"Mass of the containers, {shipment.cargo_type.replace('_', ' ')} cargo",
        inputs={"containers": f"{shown(shipment.containers)} TEU", "mass": f"{shown(each)} t/TEU"},
        result=f"{shown(tonnes)} t",
        source=_TEU_SOURCE,
    )
    return tonnes, (step,)


def _leg(tonnes: Fraction, leg: ShippingLeg, book: FactorBook, pointer: str) -> Calculation:
    method = find_method(leg.method, f"{pointer}/method")
    km, steps = travelled(leg.route, method.way, f"{pointer}/route")
    factor = _factor(method, leg, km, book)
    tonne_km = tonnes * Fraction(km)
    quantity = tonne_km * conversion("t*km", factor.unit)
    exact = factor_grams(factor, quantity)
    inputs = {
        "mass": f"{shown(tonnes)} t",
        "distance": f"{shown(km)} km",
        "freight": f"{shown(tonne_km)} t*km",
    }
    if factor.unit != "t*km":
        inputs["freight_converted"] = f"{shown(quantity)} {factor.unit}"
    step = factor_step(factor, inputs, exact, description=_told(factor, method, leg))
    grams = grams_from(exact, "/shipment")
    return Calculation(grams, (*steps, step), distance_km=km, factor=factor)


def _told(factor: Factor, method: ShippingMethod, leg: ShippingLeg) -> str:
    notes = [method.note] if method.note else []
    if method.way is Way.AIR:
        notes += taken_as(leg.route)
    if leg.not_told_apart:
        notes.append(f"the source does not tell {' or '.join(leg.not_told_apart)} apart")
    return f"{factor.name} ({'; '.join(notes)})" if notes else factor.name


def _factor(method: ShippingMethod, leg: ShippingLeg, km: Decimal, book: FactorBook) -> Factor:
    if method.way is not Way.AIR:
        return book[method.key]
    forcing = "rf" if leg.radiative_forcing else "no-rf"
    return book[f"{method.key}/{haul_of(leg.route, km)}/{forcing}"]

"""Emissions of journeys by several means of transport, leg by leg.

Factors: DESNZ, business travel by land, sea and air. Trains, buses, taxis and ferries count by passenger, cars and
motorcycles by vehicle: how many people sit in one changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from tonne.domain.errors import ValidationFailed
from tonne.domain.estimates import Calculation, factor_grams, factor_step, grams_from, shown
from tonne.domain.factors import Factor, FactorBook
from tonne.estimates.flights import CabinClass, Flight, estimate_flight
from tonne.estimates.legs import added_up
from tonne.estimates.routes import Route, Way, refuse_many_sea_routes, travelled
from tonne.estimates.units import conversion


class RailType(StrEnum):
    NATIONAL_RAIL = "national_rail"
    INTERNATIONAL_RAIL = "international_rail"
    LIGHT_RAIL_OR_TRAM = "light_rail_or_tram"
    UNDERGROUND = "underground"


class VehicleType(StrEnum):
    """Cars by market segment or by size, motorcycles by engine, and what carries passengers by road."""

    CAR_MINI = "car_mini"
    CAR_SUPERMINI = "car_supermini"
    CAR_LOWER_MEDIUM = "car_lower_medium"
    CAR_UPPER_MEDIUM = "car_upper_medium"
    CAR_EXECUTIVE = "car_executive"
    CAR_LUXURY = "car_luxury"
    CAR_SPORTS = "car_sports"
    CAR_DUAL_PURPOSE_4X4 = "car_dual_purpose_4x4"
    CAR_MPV = "car_mpv"
    CAR_SMALL = "car_small"
    CAR_MEDIUM = "car_medium"
    CAR_LARGE = "car_large"
    CAR_AVERAGE = "car_average"
    MOTORCYCLE_SMALL = "motorcycle_small"
    MOTORCYCLE_MEDIUM = "motorcycle_medium"
    MOTORCYCLE_LARGE = "motorcycle_large"
    MOTORCYCLE_AVERAGE = "motorcycle_average"
    TAXI = "taxi"
    TAXI_BLACK_CAB = "taxi_black_cab"
    BUS = "bus"
    BUS_LONDON = "bus_london"
    BUS_NOT_LONDON = "bus_not_london"
    COACH = "coach"


class FerryType(StrEnum):
    FOOT_PASSENGER = "foot_passenger"
    CAR_PASSENGER = "car_passenger"
    AVERAGE = "average"


class Fuel(StrEnum):
    """What drives a car."""

    PETROL = "petrol"
    DIESEL = "diesel"
    HYBRID = "hybrid"
    PLUG_IN_HYBRID = "plug_in_hybrid"
    BATTERY_ELECTRIC = "battery_electric"
    CNG = "cng"
    LPG = "lpg"
    UNKNOWN = "unknown"


_RAIL = {
    RailType.NATIONAL_RAIL: "rail/national",
    RailType.INTERNATIONAL_RAIL: "rail/international",
    RailType.LIGHT_RAIL_OR_TRAM: "rail/light-rail-and-tram",
    RailType.UNDERGROUND: "rail/london-underground",
}
_FERRY = {
    FerryType.FOOT_PASSENGER: "ferry/foot",
    FerryType.CAR_PASSENGER: "ferry/car",
    FerryType.AVERAGE: "ferry/average",
}
_BY_PASSENGER = {
    VehicleType.TAXI: "taxi/regular",
    VehicleType.TAXI_BLACK_CAB: "taxi/black-cab",
    VehicleType.BUS: "bus/local-average",
    VehicleType.BUS_LONDON: "bus/local-london",
    VehicleType.BUS_NOT_LONDON: "bus/local-not-london",
    VehicleType.COACH: "bus/coach",
}


@dataclass(frozen=True, slots=True)
class FlightLeg:
    route: Route
    cabin_class: CabinClass = CabinClass.ECONOMY
    radiative_forcing: bool = True


@dataclass(frozen=True, slots=True)
class RailLeg:
    route: Route
    rail_type: RailType


@dataclass(frozen=True, slots=True)
class RoadLeg:
    """`fuel` is for cars; `vehicles` is how many cars or motorcycles go."""

    route: Route
    vehicle_type: VehicleType
    fuel: Fuel | None = None
    vehicles: int = 1


@dataclass(frozen=True, slots=True)
class FerryLeg:
    route: Route
    ferry_type: FerryType


JourneyLeg = FlightLeg | RailLeg | RoadLeg | FerryLeg


@dataclass(frozen=True, slots=True)
class Journey:
    """The legs of a journey, each travelled by all passengers."""

    legs: Sequence[JourneyLeg]
    passengers: int = 1


def estimate_journey(wanted: Journey, book: FactorBook) -> Calculation:
    """Estimate the emissions of a journey: of each leg, and of all.

    Raises:
        TonneError: a leg can't be estimated; then nothing is.
    """
    ferries = ((Way.SEA, leg.route) for leg in wanted.legs if isinstance(leg, FerryLeg))
    refuse_many_sea_routes(ferries, "/legs")
    found = [
        _leg(leg, wanted.passengers, book, f"/legs/{position}") for position, leg in enumerate(wanted.legs)
    ]
    return added_up(found)


def _leg(leg: JourneyLeg, passengers: int, book: FactorBook, pointer: str) -> Calculation:
    match leg:
        case FlightLeg():
            flight = Flight(leg.route, leg.cabin_class, passengers, radiative_forcing=leg.radiative_forcing)
            return estimate_flight(flight, book, pointer)
        case RailLeg():
            return _by_passenger(leg.route, Way.RAIL, book[_RAIL[leg.rail_type]], passengers, pointer)
        case FerryLeg():
            return _by_passenger(leg.route, Way.SEA, book[_FERRY[leg.ferry_type]], passengers, pointer)
        case RoadLeg():
            return _by_road(leg, passengers, book, pointer)


def _by_road(leg: RoadLeg, passengers: int, book: FactorBook, pointer: str) -> Calculation:
    key = _BY_PASSENGER.get(leg.vehicle_type)
    is_car = leg.vehicle_type.startswith("car_")
    if leg.fuel is not None and not is_car:
        raise ValidationFailed.at(f"{pointer}/fuel", "only cars are told apart by their fuel: leave it out")
    if key is not None:
        if leg.vehicles != 1:
            raise ValidationFailed.at(
                f"{pointer}/vehicles", "taxis, buses and coaches count by passenger: leave it out"
            )
        return _by_passenger(leg.route, Way.ROAD, book[key], passengers, pointer)
    factor = _car(leg, book, pointer) if is_car else book[leg.vehicle_type.replace("_", "/")]
    km, steps = travelled(leg.route, Way.ROAD, f"{pointer}/route")
    vehicle_km = Fraction(km) * leg.vehicles
    exact = factor_grams(factor, vehicle_km * conversion("km", factor.unit))
    step = factor_step(factor, {"distance": f"{shown(km)} km", "vehicles": str(leg.vehicles)}, exact)
    return Calculation(grams_from(exact, pointer), (*steps, step), distance_km=km, factor=factor)


def _car(leg: RoadLeg, book: FactorBook, pointer: str) -> Factor:
    segment = leg.vehicle_type.removeprefix("car_").replace("_", "-")
    fuel = leg.fuel or Fuel.UNKNOWN
    factor = book.find(f"car/{segment}/{fuel.replace('_', '-')}")
    if factor is None:
        known = [each.value for each in Fuel if book.find(f"car/{segment}/{each.replace('_', '-')}")]
        raise ValidationFailed.at(
            f"{pointer}/fuel",
            f"there is no {leg.vehicle_type} with {fuel.value}; there are {', '.join(known)}",
        )
    return factor


def _by_passenger(route: Route, way: Way, factor: Factor, passengers: int, pointer: str) -> Calculation:
    km, steps = travelled(route, way, f"{pointer}/route")
    passenger_km = Fraction(km) * passengers
    exact = factor_grams(factor, passenger_km * conversion("person*km", factor.unit))
    inputs = {
        "distance": f"{shown(km)} km",
        "passengers": str(passengers),
        "passenger_distance": f"{shown(passenger_km)} person*km",
    }
    step = factor_step(factor, inputs, exact)
    return Calculation(grams_from(exact, pointer), (*steps, step), distance_km=km, factor=factor)

"""Journeys and shipments on the wire: what is sent to have their emissions estimated."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.application.calculate import MultiLegShipping, Shipping
from tonne.domain.errors import ValidationFailed
from tonne.domain.money import VALUE_MAX
from tonne.estimates.flights import CabinClass, Flight
from tonne.estimates.passengers import (
    FerryLeg,
    FerryType,
    FlightLeg,
    Fuel,
    Journey,
    JourneyLeg,
    RailLeg,
    RailType,
    RoadLeg,
    VehicleType,
)
from tonne.estimates.routes import Way
from tonne.estimates.shipping import CargoType, Shipment, ShippingLeg, find_method
from tonne.storage.countries import is_country
from tonne.wire.common import NO_NUL, Amount, MassBody
from tonne.wire.estimate_requests import (
    CountryCode,
    EstimateRequest,
    Moment,
    Word,
    read_day,
    read_positive,
)
from tonne.wire.routes import RouteRequest

PASSENGERS_MAX = 1_000_000
LEGS_MAX = 100
Count = Annotated[int, Meta(ge=1, le=PASSENGERS_MAX)]
Passengers = Annotated[Count, Meta(description="How many travel; one unless said otherwise.")]
Forcing = Annotated[
    bool,
    Meta(
        description="Whether the effects of flying beyond CO2, CH4 and N2O count. They do unless said otherwise; the "
        "calculation tells both figures."
    ),
]
Within = Annotated[
    CountryCode,
    Meta(description="Where it goes, if within a country; for your own records.", examples=["GBR"]),
]


class Trip(StrEnum):
    ONE_WAY = "one_way"
    RETURN = "return"


class CreateFlightEstimate(EstimateRequest, frozen=True, kw_only=True):
    """A flight to estimate the emissions of."""

    route: RouteRequest
    cabin_class: CabinClass | None = None
    passengers: Passengers | None = None
    trip: Annotated[Trip | None, Meta(description="One way unless said otherwise.")] = None
    radiative_forcing: Forcing | None = None

    def to_estimated(self) -> Flight:
        return Flight(
            self.route.to_route("/route"),
            self.cabin_class or CabinClass.ECONOMY,
            1 if self.passengers is None else self.passengers,
            self.trip is Trip.RETURN,
            self.radiative_forcing is not False,
        )


class JourneyLegRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A leg of a journey: by air with `cabin_class`, by rail with `rail_type`, by road with `vehicle_type`, or by ferry."""

    route: RouteRequest
    cabin_class: CabinClass | None = None
    radiative_forcing: Forcing | None = None
    rail_type: RailType | None = None
    vehicle_type: VehicleType | None = None
    fuel: Annotated[Fuel | None, Meta(description="What drives a car; unknown unless said otherwise.")] = None
    vehicles: Annotated[
        Count | None, Meta(description="How many cars or motorcycles go; one unless said otherwise.")
    ] = None
    ferry_type: FerryType | None = None

    def to_leg(self, pointer: str) -> JourneyLeg:
        """Read the leg.

        Raises:
            ValidationFailed: it goes by no means of transport, or by more than one.
        """
        means = {
            "cabin_class": self.cabin_class,
            "rail_type": self.rail_type,
            "vehicle_type": self.vehicle_type,
            "ferry_type": self.ferry_type,
        }
        if sum(value is not None for value in means.values()) != 1:
            raise ValidationFailed.at(pointer, f"a leg has exactly one of {', '.join(means)}")
        if self.vehicle_type is None:
            for name in ("fuel", "vehicles"):
                if getattr(self, name) is not None:
                    raise ValidationFailed.at(f"{pointer}/{name}", "is for legs with a vehicle_type")
        if self.cabin_class is None and self.radiative_forcing is not None:
            raise ValidationFailed.at(f"{pointer}/radiative_forcing", "is for legs with a cabin_class")
        route = self.route.to_route(f"{pointer}/route")
        if self.rail_type is not None:
            return RailLeg(route, self.rail_type)
        if self.vehicle_type is not None:
            return RoadLeg(route, self.vehicle_type, self.fuel, 1 if self.vehicles is None else self.vehicles)
        if self.ferry_type is not None:
            return FerryLeg(route, self.ferry_type)
        assert self.cabin_class is not None, "it is one of four"
        return FlightLeg(route, self.cabin_class, self.radiative_forcing is not False)


class CreatePassengerTransportationEstimate(EstimateRequest, frozen=True, kw_only=True):
    """A journey to estimate the emissions of, leg by leg."""

    legs: Annotated[list[JourneyLegRequest], Meta(min_length=1, max_length=LEGS_MAX)]
    passengers: Passengers | None = None
    is_passenger_transportation: bool | None = None
    passenger_transportation_travelled_at: Moment | None = None

    def to_estimated(self) -> Journey:
        read_day(self.passenger_transportation_travelled_at, "/passenger_transportation_travelled_at")
        return Journey(
            [leg.to_leg(f"/legs/{position}") for position, leg in enumerate(self.legs)],
            1 if self.passengers is None else self.passengers,
        )


class ShipmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is shipped: a `mass`, or a number of twenty-foot `containers` (TEU) and how heavy their cargo is."""

    mass: MassBody | None = None
    containers: Annotated[Amount | None, Meta(description="In twenty-foot equivalent units.")] = None
    cargo_type: Annotated[
        CargoType | None,
        Meta(
            description="Of containers: 6, 10 or 14.5 t a TEU, or 2 t for empty ones; average unless said otherwise."
        ),
    ] = None

    def to_shipment(self) -> Shipment:
        """Read the shipment.

        Raises:
            ValidationFailed: it has neither a mass nor containers, or both, or nothing at all.
        """
        if (self.mass is None) == (self.containers is None):
            raise ValidationFailed.at("/shipment", "give either a mass or containers")
        if self.mass is not None:
            if self.cargo_type is not None:
                raise ValidationFailed.at("/shipment/cargo_type", "is for containers")
            read_positive(self.mass.amount, "/shipment/mass/amount")
            return Shipment(tonnes=self.mass.to_mass("/shipment/mass").tonnes)
        assert self.containers is not None, "it has one of both"
        containers = read_positive(self.containers, "/shipment/containers")
        if containers > VALUE_MAX:
            raise ValidationFailed.at("/shipment/containers", f"must be at most {VALUE_MAX}")
        return Shipment(containers=containers, cargo_type=self.cargo_type or CargoType.AVERAGE)


class VesselRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ship. Neither fuels nor trade lanes are told apart by the factors there are; the calculation says so."""

    vessel_type: Annotated[str, Meta(max_length=100, extra_json_schema=NO_NUL, examples=["container_ship"])]
    fuel: Word | None = None
    load: Word | None = None
    trade_lane: Word | None = None
    refrigerated: bool | None = None

    def not_told_apart(self, pointer: str) -> tuple[str, ...]:
        """What is said of the ship and makes no difference to the factor.

        Raises:
            ValidationFailed: it is refrigerated, which would make one.
        """
        if self.refrigerated:
            raise ValidationFailed.at(
                f"{pointer}/refrigerated", "there is no factor for refrigerated containers: leave it out"
            )
        told = {"fuels": self.fuel, "loads": self.load, "trade lanes": self.trade_lane}
        return tuple(name for name, value in told.items() if value is not None)


Method = Annotated[
    VesselRequest | Annotated[str, Meta(max_length=100, extra_json_schema=NO_NUL)],
    Meta(
        description="truck, van, rail, container_ship, bulk, tanker, general_cargo, air, inland_waterway, or a more "
        "precise name: docs/estimates.md lists them.",
        examples=["truck"],
    ),
]


class ShippingLegRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way that a shipment goes, and by what."""

    route: RouteRequest
    method: Method
    radiative_forcing: Forcing | None = None
    country_code: Within | None = None

    def to_leg(self, pointer: str) -> ShippingLeg:
        """Read the leg.

        Raises:
            TonneError: its route can't be found, or there is no such method.
        """
        return _shipping_leg(self, pointer)


class CreateShippingEstimate(EstimateRequest, frozen=True, kw_only=True):
    """A shipment on one way to estimate the emissions of."""

    shipment: ShipmentRequest
    route: RouteRequest
    method: Method
    radiative_forcing: Forcing | None = None
    country_code: Within | None = None
    is_shipment: bool | None = None
    shipped_at: Moment | None = None

    def to_estimated(self) -> Shipping:
        read_day(self.shipped_at, "/shipped_at")
        leg = _shipping_leg(self, "")
        return Shipping(self.shipment.to_shipment(), leg)


class CreateMultiLegShippingEstimate(EstimateRequest, frozen=True, kw_only=True):
    """A shipment over several legs to estimate the emissions of."""

    shipment: ShipmentRequest
    legs: Annotated[list[ShippingLegRequest], Meta(min_length=1, max_length=LEGS_MAX)]
    is_shipment: bool | None = None
    shipped_at: Moment | None = None

    def to_estimated(self) -> MultiLegShipping:
        read_day(self.shipped_at, "/shipped_at")
        legs = [leg.to_leg(f"/legs/{position}") for position, leg in enumerate(self.legs)]
        return MultiLegShipping(self.shipment.to_shipment(), legs)


def _shipping_leg(told: ShippingLegRequest | CreateShippingEstimate, pointer: str) -> ShippingLeg:
    if told.country_code is not None and not is_country(told.country_code):
        raise ValidationFailed.at(
            f"{pointer}/country_code", "must be an ISO 3166-1 alpha-3 code, such as USA"
        )
    method = told.method
    name = method if isinstance(method, str) else method.vessel_type
    way = find_method(name, f"{pointer}/method").way
    if not isinstance(method, str) and way is not Way.SEA:
        raise ValidationFailed.at(
            f"{pointer}/method/vessel_type", f"{name} is no ship: give it as the method itself"
        )
    if told.radiative_forcing is not None and way is not Way.AIR:
        raise ValidationFailed.at(f"{pointer}/radiative_forcing", "is for flights")
    return ShippingLeg(
        told.route.to_route(f"{pointer}/route"),
        name,
        told.radiative_forcing is not False,
        () if isinstance(method, str) else method.not_told_apart(f"{pointer}/method"),
    )

"""Routes on the wire: two places, or a distance."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.decimals import EXACT
from tonne.domain.errors import AddressNotFound, ValidationFailed
from tonne.estimates.distances import TransitCorridor
from tonne.estimates.places import Place, find_airport, find_port, place_at
from tonne.estimates.routes import Route
from tonne.estimates.units import conversion
from tonne.wire.common import NO_NUL, Amount, read_decimal


class DistanceUnit(StrEnum):
    KM = "km"
    MI = "mi"
    NM = "nm"


Code = Annotated[str, Meta(min_length=1, max_length=60, extra_json_schema=NO_NUL)]
AddressLine = Annotated[str, Meta(max_length=200, extra_json_schema=NO_NUL)]
# Airports have codes of three and four letters, ports of five.
_LOCODE_LENGTH = 5


class PlaceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place: an airport by its `code`, a sea port by its `locode`, or `lat` and `lon`. Addresses are not looked up."""

    code: Annotated[Code | None, Meta(description="IATA or ICAO code of an airport.", examples=["LHR"])] = (
        None
    )
    locode: Annotated[Code | None, Meta(description="UN/LOCODE of a sea port.", examples=["NLRTM"])] = None
    lat: Annotated[
        float | None,
        Meta(description="Latitude in decimal degrees.", extra_json_schema={"minimum": -90, "maximum": 90}),
    ] = None
    lon: Annotated[
        float | None,
        Meta(
            description="Longitude in decimal degrees.", extra_json_schema={"minimum": -180, "maximum": 180}
        ),
    ] = None
    street_line1: AddressLine | None = None
    street_line2: AddressLine | None = None
    postcode: AddressLine | None = None
    city: AddressLine | None = None
    country_code: AddressLine | None = None

    def to_place(self, pointer: str) -> Place:
        """Find the place.

        Raises:
            AirportInvalid, LocodeNotFound: there is no such one.
            AddressNotFound: it is an address.
            ValidationFailed: it is told in no way, or in more than one.
        """
        by_coordinates = self.lat is not None or self.lon is not None
        told = [self.code is not None, self.locode is not None, by_coordinates]
        if self._has_address and not any(told):
            raise AddressNotFound.at(
                pointer, "addresses are not looked up: give lat and lon, a code, or the distance of the route"
            )
        if sum(told) != 1 or self._has_address:
            raise ValidationFailed.at(
                pointer, "tell a place in one way: an airport's code, a port's locode, or lat and lon"
            )
        if self.code is not None:
            return find_airport(self.code, f"{pointer}/code")
        if self.locode is not None:
            return find_port(self.locode, f"{pointer}/locode")
        if self.lat is None or self.lon is None:
            raise ValidationFailed.at(pointer, "coordinates are both: lat and lon")
        return place_at(self.lat, self.lon, pointer)

    @property
    def _has_address(self) -> bool:
        lines = (self.street_line1, self.street_line2, self.postcode, self.city, self.country_code)
        return any(line is not None for line in lines)


class RouteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either how far it is (`amount`, `unit`), or from where to where (`source`, `destination`)."""

    amount: Amount | None = None
    unit: Annotated[DistanceUnit | None, Meta(description="Kilometres, miles, or nautical miles (`nm`).")] = (
        None
    )
    source: PlaceRequest | Code | None = None
    destination: PlaceRequest | Code | None = None
    transit_corridor: Annotated[
        TransitCorridor | None,
        Meta(description="The way that a sea route is to take; without it, the shortest."),
    ] = None

    def to_route(self, pointer: str) -> Route:
        """Read the route.

        Raises:
            TonneError: it is told in no way or in two, or as `PlaceRequest.to_place`.
        """
        has_distance = self.amount is not None or self.unit is not None
        has_ends = self.source is not None or self.destination is not None
        if has_distance == has_ends:
            raise ValidationFailed.at(
                pointer, "give either a distance (amount and unit), or source and destination"
            )
        if has_distance:
            return Route(distance_km=self._kilometres(pointer), corridor=self.transit_corridor)
        if self.source is None or self.destination is None:
            missing = "source" if self.source is None else "destination"
            raise ValidationFailed.at(f"{pointer}/{missing}", "is missing: a route has both ends")
        return Route(
            _place(self.source, f"{pointer}/source"),
            _place(self.destination, f"{pointer}/destination"),
            corridor=self.transit_corridor,
        )

    def _kilometres(self, pointer: str) -> Decimal:
        if self.amount is None or self.unit is None:
            missing = "amount" if self.amount is None else "unit"
            raise ValidationFailed.at(
                f"{pointer}/{missing}", "is missing: a distance has an amount and a unit"
            )
        amount = read_decimal(self.amount, f"{pointer}/amount")
        kilometres, units = conversion(self.unit, DistanceUnit.KM).as_integer_ratio()
        return EXACT.divide(EXACT.multiply(amount, Decimal(kilometres)), Decimal(units))


def _place(body: PlaceRequest | str, pointer: str) -> Place:
    if isinstance(body, PlaceRequest):
        return body.to_place(pointer)
    is_locode = len(body.replace(" ", "")) == _LOCODE_LENGTH
    return find_port(body, pointer) if is_locode else find_airport(body, pointer)

"""Routes: a distance that was told, or two places and the way that a means of transport takes between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tonne.domain.errors import DistanceInvalid, PortNotFound, ValidationFailed
from tonne.domain.estimates import Step, shown
from tonne.estimates.distances import (
    LAND_DETOUR,
    LAND_DETOUR_SOURCE,
    TransitCorridor,
    checked_distance,
    great_circle_km,
    land_km,
    sea_route,
)
from tonne.estimates.land import LAND_SOURCE
from tonne.estimates.places import AIRPORTS_SOURCE, Airport, Place

SEA_ROUTES_MAX = 10


class Way(StrEnum):
    """How the way between two places is found."""

    AIR = "air"
    ROAD = "road"
    RAIL = "rail"
    SEA = "sea"
    INLAND_WATERWAY = "inland_waterway"


# How people call what searoute calls otherwise.
_PASSAGES = {
    "babalmandab": "Bab-el-Mandeb",
    "bering": "the Bering Strait",
    "bosporus": "the Bosporus",
    "chili": "Cape Horn",
    "gibraltar": "Gibraltar",
    "malacca": "the Strait of Malacca",
    "northwest": "the Northwest Passage",
    "ormuz": "the Strait of Hormuz",
    "panama": "the Panama Canal",
    "south_africa": "the Cape of Good Hope",
    "suez": "the Suez Canal",
    "sunda": "the Sunda Strait",
}


@dataclass(frozen=True, slots=True)
class Route:
    """Two places, or a distance in kilometres."""

    source: Place | None = None
    destination: Place | None = None
    distance_km: Decimal | None = None
    corridor: TransitCorridor | None = None


def refuse_many_sea_routes(ways: Iterable[tuple[Way, Route]], pointer: str) -> None:
    """Refuse a request that would look for sea routes for seconds.

    Raises:
        ValidationFailed: over ten legs go by sea between two places.
    """
    sea = sum(way is Way.SEA and route.source is not None for way, route in ways)
    if sea > SEA_ROUTES_MAX:
        raise ValidationFailed.at(
            pointer, f"at most {SEA_ROUTES_MAX} legs go by sea between two places: give others' distances"
        )


def travelled(route: Route, way: Way, pointer: str) -> tuple[Decimal, tuple[Step, ...]]:
    """How far a route goes, in kilometres, and the step that finds it, if any.

    Raises:
        DistanceInvalid: both places are the same, or the distance can't be one.
        PortNotFound: a place is far from the sea.
        ValidationFailed: the way takes no such corridor, or is not to be found from two places.
    """
    if route.corridor is not None and (way is not Way.SEA or route.source is None):
        raise ValidationFailed.at(
            f"{pointer}/transit_corridor", "only a sea route between two places takes a corridor"
        )
    if route.source is None or route.destination is None:
        assert route.distance_km is not None, "a route has two ends or a distance"
        return checked_distance(route.distance_km, f"{pointer}/amount"), ()
    km, step = _between(route.source, route.destination, way, route.corridor, pointer)
    if km == 0:
        raise DistanceInvalid.at(
            pointer, f"{route.source.name} is the source and the destination: name two places"
        )
    return checked_distance(km, pointer), (step,)


def _between(
    source: Place, destination: Place, way: Way, corridor: TransitCorridor | None, pointer: str
) -> tuple[Decimal, Step]:
    if way is Way.INLAND_WATERWAY:
        raise ValidationFailed.at(
            pointer, "how far it is on rivers and canals is not known: give the distance"
        )
    ends = {"source": _named(source), "destination": _named(destination)}
    if way is Way.SEA:
        for end, place in (("source", source), ("destination", destination)):
            if isinstance(place, Airport):
                raise PortNotFound.at(
                    f"{pointer}/{end}", f"{place.name} is an airport: name a sea port, or give coordinates"
                )
        found = sea_route(source, destination, corridor, pointer)
        passages = [_PASSAGES.get(name, name) for name in found.passages]
        via = f" by {', '.join(passages)}" if passages else ""
        return found.km, Step(
            description=f"Shortest sea route on the network of shipping lanes, pulled taut at sea{via}",
            inputs=ends,
            result=f"{shown(found.km)} km",
            source=f"Shipping lanes: searoute, Apache 2.0, after Eurostat's maritime network. Coasts: {LAND_SOURCE}",
        )
    if way is Way.AIR:
        km = great_circle_km(source, destination)
        return km, Step(
            description="Great circle on the WGS 84 ellipsoid; the factors for flights allow for detours themselves",
            inputs=ends,
            result=f"{shown(km)} km",
            source=AIRPORTS_SOURCE
            if isinstance(source, Airport) or isinstance(destination, Airport)
            else None,
        )
    km = land_km(source, destination, pointer)
    return km, Step(
        description="Great circle on the WGS 84 ellipsoid, times an allowance for detours",
        inputs={
            **ends,
            "great_circle": f"{shown(great_circle_km(source, destination))} km",
            "detour": str(LAND_DETOUR),
        },
        result=f"{shown(km)} km",
        source=LAND_DETOUR_SOURCE,
    )


def _named(place: Place) -> str:
    position = f"{place.latitude}, {place.longitude}"
    return position if place.name == position else f"{place.name} ({position})"

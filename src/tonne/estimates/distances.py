"""How far it is: great circles, sea routes, and an allowance for the detours of roads and rails.

All are rounded half up to the metre, and exact decimals from there on.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache
from threading import Lock

from geographiclib.geodesic import Geodesic

from tonne.domain.errors import DistanceInvalid, PortNotFound, ValidationFailed
from tonne.estimates.land import shortened, widest_water_km
from tonne.estimates.places import Place

# Longer than any journey: once around the world and back to half the way.
DISTANCE_KM_MAX = 60_000
# Roads and railways are longer than the straight line. Newell, "Traffic Flow on Transportation Networks" (1980): about
# 1.2 times; O'Sullivan and Morrall (1996) measured 1.21 to 1.23.
LAND_DETOUR = Decimal("1.2")
LAND_DETOUR_SOURCE = (
    "Newell (1980), Traffic Flow on Transportation Networks: routes are about 1.2 times the straight line"
)
# The straight line beside the Channel Tunnel crosses as much. Where it crosses more, no allowance tells the way around.
WATER_KM_MAX = 100
# Farther from the network of shipping lanes lies no sea port.
TO_SEA_KM_MAX = 100
_METRE = Decimal("0.001")
_ROUTES_KEPT = 20_000


class TransitCorridor(StrEnum):
    """The way a sea route is to take, where it is not the shortest."""

    PANAMA = "panama"
    SUEZ = "suez"
    CAPE_OF_GOOD_HOPE = "cape_of_good_hope"
    CAPE_HORN = "cape_horn"
    NORTHWEST_PASSAGE = "northwest_passage"


# How searoute calls the corridors: all others are closed for a route to take one.
_PASSAGES = {
    TransitCorridor.PANAMA: "panama",
    TransitCorridor.SUEZ: "suez",
    TransitCorridor.CAPE_OF_GOOD_HOPE: "south_africa",
    TransitCorridor.CAPE_HORN: "chili",
    TransitCorridor.NORTHWEST_PASSAGE: "northwest",
}


_ICY = _PASSAGES[TransitCorridor.NORTHWEST_PASSAGE]


@dataclass(frozen=True, slots=True)
class SeaRoute:
    """A route at sea and the canals and straits it passes."""

    km: Decimal
    passages: tuple[str, ...]


def great_circle_km(source: Place, destination: Place) -> Decimal:
    """The shortest way over the ground, on the WGS 84 ellipsoid, in kilometres.

    Source: C. F. F. Karney, Algorithms for geodesics (2013), as in GeographicLib.
    """
    metres = Geodesic.WGS84.Inverse(
        source.latitude, source.longitude, destination.latitude, destination.longitude, Geodesic.DISTANCE
    )["s12"]
    return _rounded(metres / 1000)


def land_km(source: Place, destination: Place, pointer: str) -> Decimal:
    """The way by road or rail in kilometres: the great circle with an allowance for detours.

    Raises:
        ValidationFailed: the great circle crosses over 100 km of sea, where no allowance tells the way around.
    """
    water = widest_water_km(_point(source), _point(destination))
    if water > WATER_KM_MAX:
        raise ValidationFailed.at(
            pointer,
            f"the straight line from {source.name} to {destination.name} crosses some {water} km of sea: "
            "give the distance of the way by land",
        )
    return (great_circle_km(source, destination) * LAND_DETOUR).quantize(_METRE, ROUND_HALF_UP)


def sea_route(source: Place, destination: Place, corridor: TransitCorridor | None, pointer: str) -> SeaRoute:
    """The shortest route on the network of shipping lanes, pulled taut, through a corridor where one is wanted.

    Ice keeps the Northwest Passage closed unless it is asked for.

    Raises:
        PortNotFound: one of the places is far from the sea.
        ValidationFailed: no route between them takes the corridor.
    """
    found = _sea_route(_point(source), _point(destination), corridor)
    if found is None:
        raise _no_way(source, destination, corridor, pointer)
    for end, place, off_km in (
        ("source", source, found.source_off_km),
        ("destination", destination, found.destination_off_km),
    ):
        if off_km > TO_SEA_KM_MAX:
            raise PortNotFound.at(
                f"{pointer}/{end}",
                f"{place.name} is over {TO_SEA_KM_MAX} km from any shipping lane: name a sea port",
            )
    if corridor is not None and _PASSAGES[corridor] not in found.route.passages:
        raise _no_way(source, destination, corridor, pointer)
    return found.route


def _no_way(
    source: Place, destination: Place, corridor: TransitCorridor | None, pointer: str
) -> ValidationFailed:
    if corridor is None:
        return ValidationFailed.at(
            pointer, f"there is no way by sea from {source.name} to {destination.name}: give the distance"
        )
    return ValidationFailed.at(
        f"{pointer}/transit_corridor",
        f"no route from {source.name} to {destination.name} takes {corridor.value}: leave it out",
    )


def checked_distance(km: Decimal, pointer: str) -> Decimal:
    """A distance that a journey can have, in kilometres.

    Raises:
        DistanceInvalid: it is 0, or over 60,000 km.
    """
    if not 0 < km <= DISTANCE_KM_MAX:
        raise DistanceInvalid.at(pointer, f"a distance must be more than 0 and at most {DISTANCE_KM_MAX} km")
    return km


@dataclass(frozen=True, slots=True)
class _Found:
    route: SeaRoute
    source_off_km: Decimal
    destination_off_km: Decimal


# searoute keeps what is closed in the network that all its callers share.
_turn = Lock()


@lru_cache(maxsize=_ROUTES_KEPT)
def _sea_route(
    source: tuple[float, float], destination: tuple[float, float], corridor: TransitCorridor | None
) -> _Found | None:
    closed = {_ICY} if corridor is None else set(_PASSAGES.values()) - {_PASSAGES[corridor]}
    # Imported with the first route that is asked for: the network of shipping lanes takes some 40 MB.
    import searoute  # noqa: PLC0415

    with _turn, warnings.catch_warnings(action="ignore"):
        # It warns where what is closed leaves no way, and finds an empty one.
        found = searoute.searoute(source, destination, restrictions=list(closed), return_passages=True)
    lane = found["geometry"]["coordinates"]
    if not lane:
        return None
    off = [
        great_circle_km(Place("", end[1], end[0]), Place("", node[1], node[0]))
        for end, node in ((source, lane[0]), (destination, lane[-1]))
    ]
    taut = [Place("", point[1], point[0]) for point in shortened([source, *lane, destination])]
    km = sum(map(great_circle_km, taut, taut[1:]), Decimal())
    return _Found(SeaRoute(km, tuple(sorted(found["properties"]["traversed_passages"]))), off[0], off[1])


def _point(place: Place) -> tuple[float, float]:
    return (place.longitude, place.latitude)


def _rounded(km: float) -> Decimal:
    return Decimal(repr(km)).quantize(_METRE, ROUND_HALF_UP)

"""Where there is land: a grid of a tenth of a degree, for keeping routes at sea."""

from __future__ import annotations

import zlib
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import asin, atan2, ceil, cos, degrees, hypot, radians, sin

# Land of Natural Earth 1:10m (public domain), and the cells beside it: ships keep about 10 km off.
LAND_SOURCE = "Natural Earth 1:10m land, public domain"
_CELLS_PER_DEGREE = 10
_COLUMNS = 360 * _CELLS_PER_DEGREE
_ROWS = 180 * _CELLS_PER_DEGREE
_EARTH_KM = 6371.0088
_SAMPLE = 5 / _EARTH_KM
# A port lies beside land.
_HARBOUR = 30 / _EARTH_KM
# Points between which shortcuts are sought, and how often: docs/decisions/0016.
_STEP = 25 / _EARTH_KM
_ROUNDS_MAX = 8
_GAIN_MIN = 0.5 / _EARTH_KM

LonLat = tuple[float, float]
_Point = tuple[float, float, float]


def shortened(line: list[LonLat]) -> list[LonLat]:
    """A route at sea, (longitude, latitude) in degrees, pulled taut: great circles wherever they stay off land.

    The line's own legs are kept where no shortcut is, as in canals. It is the same from either end.
    """
    turned = line[0] > line[-1]
    points = [_point(place) for place in (line[::-1] if turned else line)]
    ends = (points[0], points[-1])
    length = _length(points)
    for turn in range(_ROUNDS_MAX):
        dense = _subdivided(points)
        points = _pulled(dense, ends) if turn % 2 == 0 else _pulled(dense[::-1], ends)[::-1]
        before, length = length, _length(points)
        if turn > 1 and before - length < _GAIN_MIN:
            break
    places = [_place(point) for point in points]
    return places[::-1] if turned else places


@cache
def _land() -> bytes:
    packed = zlib.decompress(files("tonne.estimates").joinpath("land.bin").read_bytes())
    bits = [bytes(byte >> (7 - bit) & 1 for bit in range(8)) for byte in range(256)]
    land = b"".join(bits[byte] for byte in packed)
    assert len(land) == _ROWS * _COLUMNS
    return land


def widest_water_km(source: LonLat, destination: LonLat) -> int:
    """The longest stretch of open water on the great circle between two places, to some 10 km."""
    land = _land()
    start, end = _point(source), _point(destination)
    pieces = max(1, ceil(_angle(start, end) / _SAMPLE))
    dx, dy, dz = ((b - a) / pieces for a, b in zip(start, end, strict=True))
    widest = here = 0
    for piece in range(pieces + 1):
        x, y, z = start[0] + dx * piece, start[1] + dy * piece, start[2] + dz * piece
        here = 0 if land[_cell(x, y, z)] else here + 1
        widest = max(widest, here)
    return round(widest * _angle(start, end) / pieces * _EARTH_KM)


def _pulled(points: list[_Point], ends: tuple[_Point, _Point]) -> list[_Point]:
    """From each point on to the farthest one in sight: doubled steps, then halved ones."""
    last = len(points) - 1
    kept = [points[0]]
    here = 0
    while here < last:
        seen, step = here + 1, 2
        while here + step <= last and _open_water(points[here], points[here + step], ends):
            seen = here + step
            step *= 2
        unseen = min(here + step, last + 1)
        while unseen - seen > 1:
            middle = (seen + unseen) // 2
            if _open_water(points[here], points[middle], ends):
                seen = middle
            else:
                unseen = middle
        here = seen
        kept.append(points[here])
    return kept


def _open_water(start: _Point, end: _Point, ends: tuple[_Point, _Point]) -> bool:
    land = _land()
    pieces = max(2, ceil(_angle(start, end) / _SAMPLE))
    dx, dy, dz = ((b - a) / pieces for a, b in zip(start, end, strict=True))
    for piece in range(1, pieces):
        x, y, z = start[0] + dx * piece, start[1] + dy * piece, start[2] + dz * piece
        if land[_cell(x, y, z)]:
            here = _unit((x, y, z))
            if all(_angle(here, port) > _HARBOUR for port in ends):
                return False
    return True


def _cell(x: float, y: float, z: float) -> int:
    """Where the grid has the place below a point, which need not lie on the surface."""
    row = min(int((90 - degrees(atan2(z, hypot(x, y)))) * _CELLS_PER_DEGREE), _ROWS - 1)
    column = int((degrees(atan2(y, x)) + 180) * _CELLS_PER_DEGREE) % _COLUMNS
    return row * _COLUMNS + column


def _subdivided(points: list[_Point]) -> list[_Point]:
    dense: list[_Point] = []
    for (ax, ay, az), (bx, by, bz) in pairwise(points):
        pieces = max(1, ceil(_angle((ax, ay, az), (bx, by, bz)) / _STEP))
        for piece in range(pieces):
            part = piece / pieces
            dense.append(_unit((ax + (bx - ax) * part, ay + (by - ay) * part, az + (bz - az) * part)))
    return [*dense, points[-1]]


def _length(points: list[_Point]) -> float:
    return sum(_angle(start, end) for start, end in pairwise(points))


def _angle(start: _Point, end: _Point) -> float:
    chord = hypot(start[0] - end[0], start[1] - end[1], start[2] - end[2])
    return 2 * asin(min(1.0, chord / 2))


def _unit(point: _Point) -> _Point:
    size = hypot(*point)
    return (point[0] / size, point[1] / size, point[2] / size)


def _point(place: LonLat) -> _Point:
    longitude, latitude = radians(place[0]), radians(place[1])
    return (cos(latitude) * cos(longitude), cos(latitude) * sin(longitude), sin(latitude))


def _place(point: _Point) -> LonLat:
    return (degrees(atan2(point[1], point[0])), degrees(atan2(point[2], hypot(point[0], point[1]))))

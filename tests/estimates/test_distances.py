"""Distances are those of published tables, and a place without one is refused.

Pub. 151 gives distances in nautical miles between ports and between ports and junctions; where it has no entry for
two ports, those over the junctions between them are added. Its figures are read from the transcription
PUB151_distances.json of github.com/kaklin/sea-routes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import NamedTuple

import pytest

from tonne.domain.errors import AirportInvalid, LocodeNotFound, PortNotFound, ValidationFailed
from tonne.estimates import distances
from tonne.estimates.distances import SeaRoute, TransitCorridor, great_circle_km, sea_route
from tonne.estimates.places import Place, find_airport, find_port, place_at

KM_PER_NAUTICAL_MILE = Decimal("1.852")
KM_PER_MILE = Decimal("1.609344")
OAG = "OAG, The World's 10 Longest Non-Stop Airline Routes (2024), kilometres"
WASHINGTON_POST = "Washington Post, The world's longest non-stop flights, mapped (2015), miles"
TEMPO = "24/7 Tempo, These Are Longest Direct Flights in the World, miles"
SURF4HUB = "surf4hub, Top 10: the world's longest flights (2017), miles"
GREAT_CIRCLE_MAPPER = "Great Circle Mapper, as quoted by P. Bogard, One Hundred Airports: SYD, kilometres"
WIKIPEDIA = "Wikipedia, Longest flights (2023), kilometres"
PUB_151 = "NGA Pub. 151, Distances Between Ports, 11th edition (2001)"
BISHOP = "E. R. Johnson, quoted in Bishop, Panama, Past and Present (1913), page 237"
MERRY = "U.S. Hydrographic Office, quoted in Merry, San Francisco and the Nicaragua Canal"


def _over(junctions: str) -> str:
    return f"{PUB_151}, over the junctions {junctions}"


class Published(NamedTuple):
    """A published distance: in kilometres between airports, in nautical miles between ports."""

    origin: str
    destination: str
    corridor: str | None
    distance: Decimal | int
    source: str


def _miles(miles: int) -> Decimal:
    return miles * KM_PER_MILE


GREAT_CIRCLES = (
    Published("JFK", "SIN", None, 15_332, OAG),
    Published("EWR", "SIN", None, 15_329, OAG),
    Published("AKL", "DOH", None, 14_526, OAG),
    Published("PER", "LHR", None, 14_499, OAG),
    Published("SIN", "JFK", None, 15_349, WIKIPEDIA),
    Published("SYD", "DFW", None, 13_808, GREAT_CIRCLE_MAPPER),
    Published("SYD", "DFW", None, _miles(8_578), WASHINGTON_POST),
    Published("JNB", "ATL", None, _miles(8_439), WASHINGTON_POST),
    Published("SFO", "SIN", None, _miles(8_446), TEMPO),
    Published("MNL", "JFK", None, _miles(8_520), TEMPO),
    Published("IAH", "SYD", None, _miles(8_596), TEMPO),
    Published("DXB", "AKL", None, _miles(8_824), SURF4HUB),
    Published("AUH", "LAX", None, _miles(8_390), SURF4HUB),
    Published("DXB", "LAX", None, _miles(8_339), SURF4HUB),
    Published("DOH", "LAX", None, _miles(8_306), SURF4HUB),
)
SEA_WITHIN_1 = (
    Published("JPYOK", "USLAX", None, 4839, PUB_151),
    Published("JPYOK", "USSFO", None, 4536, f"{PUB_151}; {MERRY}"),
    Published("JPYOK", "AUSYD", None, 4330, PUB_151),
    Published("JPYOK", "USHNL", None, 3397, PUB_151),
    Published("JPYOK", "HKHKG", None, 1585, PUB_151),
    Published("JPYOK", "NZAKL", None, 4789, PUB_151),
    Published("JPYOK", "AUBNE", None, 3925, PUB_151),
    Published("JPYOK", "FJSUV", None, 3967, PUB_151),
    Published("JPYOK", "CAVAN", None, 4262, PUB_151),
    Published("JPYOK", "CLVAP", None, 9280, PUB_151),
    Published("JPYOK", "PABLB", None, 7682, PUB_151),
    Published("JPYOK", "NZWLG", None, 5041, PUB_151),
    Published("JPYOK", "PFPPT", None, 5140, PUB_151),
    Published("JPYOK", "USSAN", None, 4923, PUB_151),
    Published("JPYOK", "GUAPR", None, 1352, PUB_151),
    Published("JPYOK", "VNSGN", None, 2419, PUB_151),
    Published("SGSIN", "CNXMN", None, 1649, PUB_151),
    Published("SGSIN", "KEMBA", None, 3987, PUB_151),
    Published("SGSIN", "SARTA", None, 3701, PUB_151),
    Published("SGSIN", "ZAPLZ", None, 5209, PUB_151),
    Published("SGSIN", "MUPLU", None, 3333, PUB_151),
    Published("SGSIN", "USSFO", None, 7353, PUB_151),
    Published("SGSIN", "USSEA", None, 7062, PUB_151),
    Published("SGSIN", "CAVAN", None, 7078, PUB_151),
    Published("SGSIN", "RUVVO", None, 3004, PUB_151),
    Published("SGSIN", "EGPSD", None, 5035, PUB_151),
    Published("SGSIN", "PABLB", None, 10505, PUB_151),
    Published("SGSIN", "MZMPM", None, 4769, PUB_151),
    Published("SGSIN", "IDSUB", None, 763, PUB_151),
    Published("SGSIN", "AEAUH", None, 3517, PUB_151),
    Published("SGSIN", "ZARCB", None, 4837, PUB_151),
    Published("SGSIN", "KRINC", None, 2560, PUB_151),
    Published("USNYC", "BRRIO", None, 4770, PUB_151),
    Published("USNYC", "BRSSZ", None, 4957, PUB_151),
    Published("USNYC", "BRREC", None, 3698, PUB_151),
    Published("USNYC", "BRSSA", None, 4089, PUB_151),
    Published("USNYC", "PRSJU", None, 1399, PUB_151),
    Published("USNYC", "ESVGO", None, 2914, PUB_151),
    Published("USNYC", "ISREY", None, 2495, PUB_151),
    Published("USNYC", "ZACPT", None, 6786, PUB_151),
    Published("ZACPT", "BRRIO", None, 3273, PUB_151),
    Published("ZACPT", "BRSSZ", None, 3409, PUB_151),
    Published("ZACPT", "PTLIS", None, 5134, PUB_151),
    Published("ZACPT", "SNDKR", None, 3593, PUB_151),
    Published("ZACPT", "CAHAL", None, 6490, PUB_151),
    Published("ZACPT", "USCHS", None, 6830, PUB_151),
    Published("ZACPT", "ESVGO", None, 5322, PUB_151),
    Published("ZACPT", "UYMVD", None, 3608, PUB_151),
    Published("ZACPT", "USORF", None, 6790, PUB_151),
    Published("USCHS", "PTLIS", None, 3397, PUB_151),
    Published("USCHS", "BRSSZ", None, 4908, PUB_151),
    Published("USCHS", "ARBUE", None, 5817, PUB_151),
    Published("USCHS", "CAHAL", None, 1077, PUB_151),
    Published("USCHS", "ESLPA", None, 3341, PUB_151),
    Published("USORF", "PTLIS", None, 3129, PUB_151),
    Published("USORF", "ESCAD", None, 3303, PUB_151),
    Published("YEADE", "LKCMB", None, 2094, PUB_151),
    Published("YEADE", "AUFRE", None, 4921, PUB_151),
    Published("YEADE", "PKKHI", None, 1472, PUB_151),
    Published("YEADE", "EGPSD", None, 1400, PUB_151),
    Published("YEADE", "INBOM", None, 1657, PUB_151),
    Published("ESCEU", "EGALY", None, 1802, PUB_151),
    Published("ESCEU", "ITGOA", None, 849, PUB_151),
    Published("ESCEU", "FRMRS", None, 692, PUB_151),
    Published("ESCEU", "ESBCN", None, 515, PUB_151),
    Published("ESCEU", "TRIST", None, 1802, PUB_151),
    Published("ESCEU", "UAODS", None, 2150, PUB_151),
    Published("ESCEU", "MTMLA", None, 986, PUB_151),
    Published("ESCEU", "DZALG", None, 417, PUB_151),
    Published("BRRIO", "PTLIS", None, 4219, PUB_151),
    Published("BRRIO", "SNDKR", None, 2763, PUB_151),
    Published("BRRIO", "USBAL", None, 4844, PUB_151),
    Published("PFPPT", "USHNL", None, 2381, PUB_151),
    Published("PFPPT", "AUSYD", None, 3308, PUB_151),
    Published("PFPPT", "USSFO", None, 3663, PUB_151),
    Published("PFPPT", "CLVAP", None, 4254, PUB_151),
    Published("PFPPT", "PABLB", None, 4493, PUB_151),
    Published("AUNTL", "USLAX", None, 6456, PUB_151),
    Published("CNXMN", "USHNL", None, 4592, PUB_151),
    Published("MYPEN", "LKCMB", None, 1285, PUB_151),
    Published("MYPEN", "ZADUR", None, 4584, PUB_151),
    Published("MYPEN", "PKKHI", None, 2595, PUB_151),
    Published("MYPEN", "AUMEL", None, 4181, PUB_151),
    Published("MYPEN", "YEADE", None, 3344, PUB_151),
    Published("MXACA", "USLAX", None, 1501, PUB_151),
    Published("MXACA", "USHNL", None, 3289, PUB_151),
    Published("MXACA", "PECLL", None, 2198, PUB_151),
    Published("MXACA", "CLVAP", None, 3406, PUB_151),
    Published("CIABJ", "ZACPT", None, 2679, PUB_151),
    Published("GBABD", "NLRTM", None, 391, PUB_151),
    Published("BEZEE", "NOOSL", None, 586, PUB_151),
    Published("ZARCB", "AUFRE", None, 4210, PUB_151),
    Published("ZARCB", "KEMBA", None, 1644, PUB_151),
    Published("ISREY", "CAHAL", None, 1941, PUB_151),
    Published("KRINC", "HKHKG", None, 1202, PUB_151),
    Published(
        "NLRTM", "SGSIN", "suez", 8340, _over("Ouessant 444, Gibraltar 918, Port Said 1943, Singapore 5035")
    ),
    Published(
        "NLRTM", "EGPSD", None, 3305, _over("Ouessant 444, Gibraltar 918, Port Said 1943, Singapore 5035")
    ),
    Published(
        "NLRTM", "CNSHA", "suez", 10547, _over("Ouessant 444, Gibraltar 918, Port Said 1943, Singapore 5035")
    ),
    Published(
        "NLRTM", "JPYOK", "suez", 11229, _over("Ouessant 444, Gibraltar 918, Port Said 1943, Singapore 5035")
    ),
    Published(
        "NLRTM", "SGSIN", "cape_of_good_hope", 11769, _over("Ouessant 444, Cape of Good Hope 5746, 5579")
    ),
    Published("NLRTM", "ZACPT", None, 6187, _over("Ouessant 444")),
    Published("NLRTM", "BRSSZ", None, 5446, _over("Ouessant 444")),
    Published("NLRTM", "BRRIO", None, 5259, _over("Ouessant 444")),
    Published("NLRTM", "PABLB", None, 4818, _over("Ouessant 444")),
    Published("NLRTM", "BRREC", None, 4187, _over("Ouessant 444")),
    Published("USNYC", "SGSIN", "suez", 10158, _over("Gibraltar 3180, Port Said 1943, 5035")),
    Published("USNYC", "JPYOK", "panama", 9698, _over("Panama 2016")),
    Published("USNYC", "PABLB", "panama", 2016, _over("Panama 2016")),
    Published("USNYC", "USSFO", "cape_horn", 13104, _over("Punta Arenas 6916, 6188")),
    Published("AUSYD", "USHNL", None, 4420, PUB_151),
    Published("AUSYD", "USLAX", None, 6511, PUB_151),
    Published("AUSYD", "NZWLG", None, 1234, PUB_151),
    Published("AUSYD", "FJSUV", None, 1738, PUB_151),
    Published("AUSYD", "NCNOU", None, 1069, PUB_151),
    Published("FJSUV", "USHNL", None, 2776, PUB_151),
    Published("FJSUV", "USLAX", None, 4788, PUB_151),
    Published("FJSUV", "HKHKG", None, 4541, PUB_151),
)
SEA_WITHIN_2 = (
    Published("JPYOK", "KRPUS", None, 665, PUB_151),
    Published("JPYOK", "SGSIN", None, 2889, PUB_151),
    Published("JPYOK", "CNSHA", None, 1040, PUB_151),
    Published("SGSIN", "CNSHA", None, 2207, PUB_151),
    Published("SGSIN", "CNTAO", None, 2466, PUB_151),
    Published("SGSIN", "PHMNL", None, 1330, PUB_151),
    Published("USNYC", "ESSCT", None, 2936, PUB_151),
    Published("ZACPT", "AOLAD", None, 1601, PUB_151),
    Published("YEADE", "SAJED", None, 701, PUB_151),
    Published("YEADE", "MUPLU", None, 2341, PUB_151),
    Published("BRRIO", "ARBUE", None, 1151, PUB_151),
    Published("USSFO", "NZWLG", None, 5900, PUB_151),
    Published("USSFO", "PABLB", None, 3245, PUB_151),
    Published("AUNTL", "USSFO", None, 6467, PUB_151),
    Published("CNXMN", "AUSYD", None, 4437, PUB_151),
    Published("CNXMN", "NZAKL", None, 4990, PUB_151),
    Published("MYPEN", "KEMBA", None, 3699, PUB_151),
    Published("CIABJ", "SNDKR", None, 1166, PUB_151),
    Published("CIABJ", "AOLAD", None, 1345, PUB_151),
    Published("GBABD", "NOBGO", None, 309, PUB_151),
    Published("BEZEE", "DEHAM", None, 342, PUB_151),
    Published("USNYC", "USSFO", "panama", 5261, f"{_over('Panama 2016')}; {BISHOP}: 5,262"),
    Published("AUSYD", "NZAKL", None, 1280, PUB_151),
    Published("AUSYD", "CNSHA", None, 4636, PUB_151),
    Published("AUSYD", "PABLB", None, 7674, PUB_151),
    Published("FJSUV", "NZAKL", None, 1149, PUB_151),
)
SEA_WITHIN_3 = (
    Published("SGSIN", "TZZNZ", None, 4060, PUB_151),
    Published("USNYC", "CASJF", None, 1093, PUB_151),
    Published("ZACPT", "ARBUE", None, 3831, PUB_151),
    Published("YEADE", "KEMBA", None, 1602, PUB_151),
    Published("PFPPT", "USLAX", None, 3671, PUB_151),
    Published("CNXMN", "HKHKG", None, 290, PUB_151),
    Published("GBABD", "DEHAM", None, 481, PUB_151),
    Published("AUSYD", "CLVAP", None, 6294, PUB_151),
)
SEA_WITHIN_4 = (
    Published("JPYOK", "PHMNL", None, 1758, PUB_151),
    Published("ESCEU", "GRPIR", None, 1488, PUB_151),
)
SEA_WITHIN_5 = (Published("FJSUV", "PHMNL", None, 4048, PUB_151),)
SEA_WITHIN_7 = (
    Published("JPYOK", "CNTAO", None, 1160, PUB_151),
    Published("BEZEE", "GBSOU", None, 197, PUB_151),
    Published("KRINC", "CNTAO", None, 333, PUB_151),
    Published("AUSYD", "AUBNE", None, 529, PUB_151),
)
SEA_BEYOND_1 = {2: SEA_WITHIN_2, 3: SEA_WITHIN_3, 4: SEA_WITHIN_4, 5: SEA_WITHIN_5, 7: SEA_WITHIN_7}
SEA_MEAN_PERCENT = Decimal("0.9")
SAME_WITHIN_KM = 0


def _named(row: Published) -> str:
    return f"{row.origin}-{row.destination}-{row.corridor or 'any'}"


def _route(origin: str, destination: str, corridor: str | None = None) -> SeaRoute:
    taken = None if corridor is None else TransitCorridor(corridor)
    return sea_route(find_port(origin, ""), find_port(destination, ""), taken, "/legs/0")


def _off_percent(km: Decimal, published_km: Decimal) -> Decimal:
    return abs(km - published_km) / published_km * 100


def _sea_off_percent(row: Published) -> Decimal:
    km = _route(row.origin, row.destination, row.corridor).km
    return _off_percent(km, row.distance * KM_PER_NAUTICAL_MILE)


@pytest.mark.parametrize("row", GREAT_CIRCLES, ids=_named)
def test_great_circles_are_those_published_within_1_percent(row: Published) -> None:
    km = great_circle_km(find_airport(row.origin, ""), find_airport(row.destination, ""))
    assert _off_percent(km, Decimal(row.distance)) <= 1, row.source


@pytest.mark.parametrize("row", SEA_WITHIN_1, ids=_named)
def test_sea_routes_are_those_published_within_1_percent(row: Published) -> None:
    assert _sea_off_percent(row) <= 1, row.source


@pytest.mark.parametrize(
    ("row", "percent"),
    [(row, percent) for percent, rows in SEA_BEYOND_1.items() for row in rows],
    ids=lambda value: _named(value) if isinstance(value, Published) else f"{value}%",
)
def test_other_sea_routes_are_those_published_within_what_was_measured(row: Published, percent: int) -> None:
    assert _sea_off_percent(row) <= percent, row.source


def test_sea_routes_are_on_average_as_far_from_the_published_ones_as_was_measured() -> None:
    rows = [*SEA_WITHIN_1, *(row for rows in SEA_BEYOND_1.values() for row in rows)]
    assert sum(_sea_off_percent(row) for row in rows) / len(rows) <= SEA_MEAN_PERCENT


def test_an_airport_is_no_distance_from_itself() -> None:
    assert great_circle_km(find_airport("FRA", ""), find_airport("EDDF", "")) == 0


def test_a_distance_is_in_whole_metres() -> None:
    km = great_circle_km(find_airport("FRA", ""), find_airport("JFK", ""))
    assert km == km.quantize(Decimal("0.001"))


@pytest.mark.parametrize("code", ["FRA", " fra ", "EDDF", "eddf"])
def test_an_airport_is_found_by_either_code_in_either_case(code: str) -> None:
    assert find_airport(code, "").country == "DE"


@pytest.mark.parametrize("locode", ["NLRTM", "NL RTM", "nlrtm"])
def test_a_port_is_found_with_or_without_the_space_in_either_case(locode: str) -> None:
    assert find_port(locode, "").name == "Rotterdam"


@pytest.mark.parametrize(("code", "near"), [("FRQ", "FRE ("), ("Frankfurt", "FRA (")])
def test_an_unknown_airport_is_refused_with_near_matches(code: str, near: str) -> None:
    with pytest.raises(AirportInvalid, match="near matches: ") as refused:
        find_airport(code, "/legs/0/source")
    assert refused.value.violations[0].pointer == "/legs/0/source"
    assert near in refused.value.message


@pytest.mark.parametrize(
    ("locode", "near"), [("NLRTX", "NLRTM (Rotterdam)"), ("Rotterdam", "NLRTM (Rotterdam)")]
)
def test_an_unknown_port_is_refused_with_near_matches(locode: str, near: str) -> None:
    with pytest.raises(LocodeNotFound, match="near matches: ") as refused:
        find_port(locode, "/legs/0/source")
    assert refused.value.violations[0].pointer == "/legs/0/source"
    assert near in refused.value.message


def test_codes_like_no_other_are_refused_without_near_matches() -> None:
    with pytest.raises(AirportInvalid) as airport:
        find_airport("#########", "")
    with pytest.raises(LocodeNotFound) as port:
        find_port("#########", "")
    assert "near matches" not in airport.value.message + port.value.message


@pytest.mark.parametrize(("latitude", "longitude"), [(-90.0, -180.0), (90.0, 180.0), (0.0, 0.0)])
def test_coordinates_on_earth_are_places(latitude: float, longitude: float) -> None:
    place = place_at(latitude, longitude, "")
    assert (place.latitude, place.longitude) == (latitude, longitude)


@pytest.mark.parametrize(
    ("latitude", "longitude", "pointer"),
    [
        (90.1, 0.0, "/at/lat"),
        (-90.1, 0.0, "/at/lat"),
        (0.0, 180.1, "/at/lon"),
        (0.0, float("nan"), "/at/lon"),
    ],
)
def test_coordinates_off_the_earth_are_refused(latitude: float, longitude: float, pointer: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        place_at(latitude, longitude, "/at")
    assert refused.value.violations[0].pointer == pointer


@pytest.mark.parametrize("end", ["source", "destination"])
def test_an_inland_place_has_no_sea_route(end: str) -> None:
    places: dict[str, Place] = {"source": find_port("NLRTM", ""), "destination": find_port("SGSIN", "")}
    places[end] = place_at(48.2, 16.37, "")
    with pytest.raises(PortNotFound) as refused:
        sea_route(places["source"], places["destination"], None, "/legs/0")
    assert refused.value.violations[0].pointer == f"/legs/0/{end}"


@pytest.mark.parametrize(
    ("origin", "destination", "corridor", "passage"),
    [
        ("NLRTM", "SGSIN", "suez", "suez"),
        ("NLRTM", "SGSIN", "cape_of_good_hope", "south_africa"),
        ("USNYC", "USSFO", "panama", "panama"),
        ("USNYC", "USSFO", "cape_horn", "chili"),
        ("NLRTM", "JPYOK", "northwest_passage", "northwest"),
    ],
)
def test_a_route_takes_the_corridor_that_is_asked_for(
    origin: str, destination: str, corridor: str, passage: str
) -> None:
    assert passage in _route(origin, destination, corridor).passages


@pytest.mark.parametrize(
    ("origin", "destination", "corridor"),
    [("NLRTM", "GBFXT", "suez"), ("NLRTM", "USNYC", "panama"), ("SGSIN", "JPYOK", "cape_horn")],
)
def test_a_corridor_that_no_route_takes_is_refused(origin: str, destination: str, corridor: str) -> None:
    with pytest.raises(ValidationFailed, match=corridor) as refused:
        _route(origin, destination, corridor)
    assert refused.value.violations[0].pointer == "/legs/0/transit_corridor"


def test_ice_keeps_the_northwest_passage_closed_unless_it_is_asked_for() -> None:
    assert "northwest" not in _route("NLRTM", "JPYOK").passages


@pytest.mark.parametrize(
    ("origin", "destination", "corridor"),
    [
        ("NLRTM", "SGSIN", None),
        ("USNYC", "USSFO", "cape_horn"),
        ("JPYOK", "USLAX", None),
        ("GBABD", "NLRTM", None),
    ],
)
def test_a_route_is_as_long_from_either_end(origin: str, destination: str, corridor: str | None) -> None:
    there, back = _route(origin, destination, corridor), _route(destination, origin, corridor)
    assert there.passages == back.passages
    assert abs(there.km - back.km) <= SAME_WITHIN_KM


def test_threads_that_ask_for_different_corridors_get_their_own() -> None:
    asked = [corridor for corridor in ("suez", "cape_of_good_hope", None) for _ in range(4)]
    expected = [_route("NLRTM", "SGSIN", corridor) for corridor in asked]
    together = Barrier(len(asked))

    def ask(corridor: str | None) -> SeaRoute:
        together.wait(timeout=60)
        return _route("NLRTM", "SGSIN", corridor)

    for _ in range(3):
        distances._sea_route.cache_clear()
        with ThreadPoolExecutor(len(asked)) as threads:
            assert list(threads.map(ask, asked)) == expected
    assert expected[0].km < expected[4].km

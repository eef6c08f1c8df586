"""Nonsense is a clear refusal that names its place, never a number; and nothing of it is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.estimating import (
    BY_NAME,
    Json,
    Refusal,
    buying,
    consuming,
    declaring,
    doing,
    flying,
    leg,
    shipping,
    travelling,
)

BAD = "validation_error"
DISTANCE = "distance_invalid"
AIRPORT = "airport_invalid"
PORT = "port_not_found"
LOCODE = "locode_not_found"

LHR: Json = {"code": "LHR"}
JFK: Json = {"code": "JFK"}
SEA = "container_ship"


def distance(amount: Any, unit: Any = "km", **rest: Any) -> Json:
    return {"route": {"amount": amount, "unit": unit}, **rest}


def between(source: Any, destination: Any, **rest: Any) -> Json:
    return {"source": source, "destination": destination, **rest}


def cargo(shipment: Any) -> Json:
    return shipping(shipment=shipment)


def paid(**merchant: Any) -> Json:
    return buying(merchant={"country_code": "USA", **merchant})


def legs_of(*ways: Json) -> Json:
    return {"shipment": {"containers": "1"}, "legs": list(ways)}


TONNE = {"amount": "1", "unit": "t"}
# What is sent, the pointer of its violation and the code of its refusal.
Case = tuple[Json, str, str]
ELECTRICITY: list[Case] = [
    ({}, "/consumption", BAD),
    (consuming("0"), "/consumption/amount", BAD),
    (consuming("-1"), "/consumption/amount", BAD),
    (consuming("9" * 60), "/consumption/amount", BAD),
    (consuming(10**400), "/consumption/amount", BAD),
    (consuming("1", year=1899), "/year", BAD),
    (consuming("1", year=1950), "/year", BAD),
    (consuming("1", year="2025"), "/year", BAD),
    (consuming("1", country_code="XXX"), "/country_code", BAD),
    (consuming("1", metadata={"a": {"b": [{}]}}), "/metadata", BAD),
]
FLIGHT: list[Case] = [
    ({}, "/route", BAD),
    ({"route": {}}, "/route", BAD),
    ({"route": []}, "/route", BAD),
    (distance("1") | {"passengers": 0}, "/passengers", BAD),
    (distance("1") | {"passengers": -1}, "/passengers", BAD),
    (distance("1") | {"passengers": 1_000_001}, "/passengers", BAD),
    (distance("1") | {"passengers": 1.5}, "/passengers", BAD),
    (distance("1") | {"passengers": "2"}, "/passengers", BAD),
    (distance("1") | {"passengers": True}, "/passengers", BAD),
    (distance("0"), "/route/amount", DISTANCE),
    (distance("0.0000"), "/route/amount", DISTANCE),
    (distance("-1"), "/route/amount", BAD),
    (distance("1e12"), "/route/amount", BAD),
    (distance("1000000000000"), "/route/amount", DISTANCE),
    (distance("9" * 60, "mi"), "/route/amount", DISTANCE),
    (distance("60000.001"), "/route/amount", DISTANCE),
    (distance("37283", "mi"), "/route/amount", DISTANCE),
    (distance("1", "furlong"), "/route/unit", BAD),
    ({"route": {"amount": "1"}}, "/route/unit", BAD),
    ({"route": {"unit": "km"}}, "/route/amount", BAD),
    ({"route": between(LHR, JFK, amount="1", unit="km")}, "/route", BAD),
    ({"route": {"source": LHR}}, "/route/destination", BAD),
    ({"route": {"destination": LHR}}, "/route/source", BAD),
    (flying(LHR, LHR), "/route", DISTANCE),
    (flying("LHR", "EGLL"), "/route", DISTANCE),
    (flying({"lat": 1, "lon": 2}, {"lat": 1, "lon": 2}), "/route", DISTANCE),
    (flying({"lat": 90, "lon": 2}, {"lat": 90, "lon": 77}), "/route", DISTANCE),
    (flying(LHR, "QQQ"), "/route/destination", AIRPORT),
    (flying({"code": ""}, JFK), "/route/source/code", BAD),
    (flying({"code": "L"}, JFK), "/route/source/code", AIRPORT),
    (flying({"lat": 91, "lon": 0}, JFK), "/route/source/lat", BAD),
    (flying({"lat": -90.000001, "lon": 0}, JFK), "/route/source/lat", BAD),
    (flying({"lat": 0, "lon": 180.5}, JFK), "/route/source/lon", BAD),
    (flying({"lat": "51.5", "lon": 0}, JFK), "/route/source/lat", BAD),
    (flying({"lat": 51.5}, JFK), "/route/source", BAD),
    (flying({"code": "LHR", "lat": 51.5, "lon": 0}, JFK), "/route/source", BAD),
    (flying({"code": "LHR", "city": "London"}, JFK), "/route/source", BAD),
    (flying({}, JFK), "/route/source", BAD),
    (flying([], JFK), "/route/source", BAD),
    (flying({"city": "London"}, JFK), "/route/source", "address_not_found"),
    ({"route": between(LHR, JFK, transit_corridor="suez")}, "/route/transit_corridor", BAD),
    (flying(LHR, JFK, cabin_class="steerage"), "/cabin_class", BAD),
    (flying(LHR, JFK, trip="both"), "/trip", BAD),
    (flying(LHR, JFK, radiative_forcing="no"), "/radiative_forcing", BAD),
    (flying(LHR, JFK, pasengers=2), "/pasengers", BAD),
]
JOURNEY: list[Case] = [
    ({}, "/legs", BAD),
    ({"legs": []}, "/legs", BAD),
    ({"legs": {}}, "/legs", BAD),
    (travelling(*[leg(rail_type="underground")] * 101), "/legs", BAD),
    (travelling(leg()), "/legs/0", BAD),
    (travelling(leg(rail_type="underground", vehicle_type="taxi")), "/legs/0", BAD),
    (travelling(leg(rail_type="maglev")), "/legs/0/rail_type", BAD),
    (travelling(leg(rail_type="underground"), leg("0", rail_type="underground")), "/legs/1/route/amount", DISTANCE),
    (travelling(leg(rail_type="underground", fuel="petrol")), "/legs/0/fuel", BAD),
    (travelling(leg(vehicle_type="bus", fuel="diesel")), "/legs/0/fuel", BAD),
    (travelling(leg(vehicle_type="bus", vehicles=2)), "/legs/0/vehicles", BAD),
    (travelling(leg(vehicle_type="car_mini", fuel="lpg")), "/legs/0/fuel", BAD),
    (travelling(leg(vehicle_type="car_mini", vehicles=0)), "/legs/0/vehicles", BAD),
    (travelling(leg(vehicle_type="taxi", radiative_forcing=True)), "/legs/0/radiative_forcing", BAD),
    (travelling(leg(rail_type="underground"), passengers=0), "/passengers", BAD),
    (travelling(leg("60001", cabin_class="first")), "/legs/0/route/amount", DISTANCE),
    (travelling(leg(rail_type="underground"), passenger_transportation_travelled_at="yesterday"),
     "/passenger_transportation_travelled_at", BAD),
    (travelling(leg(rail_type="underground"), passenger_transportation_travelled_at="2026-02-30"),
     "/passenger_transportation_travelled_at", BAD),
    (travelling({"route": between("NLRTM", "GBFXT"), "rail_type": "underground", "extra": {}}), "/legs/0/extra", BAD),
]  # fmt: skip
SHIPPING: list[Case] = [
    (shipping("0"), "/shipment/mass/amount", BAD),
    (shipping("-1"), "/shipment/mass/amount", BAD),
    (shipping("1000000000.1"), "/shipment/mass/amount", BAD),
    (shipping("1000000000", "20000"), "/shipment", BAD),
    (shipping(amount="1000000000000"), "/route/amount", DISTANCE),
    (cargo({}), "/shipment", BAD),
    (cargo(None), "/shipment", BAD),
    (cargo({"mass": TONNE, "containers": "1"}), "/shipment", BAD),
    (cargo({"mass": TONNE, "cargo_type": "average"}), "/shipment/cargo_type", BAD),
    (cargo({"containers": "0"}), "/shipment/containers", BAD),
    (cargo({"containers": 2}), "/shipment/containers", BAD),
    (cargo({"containers": "9" * 60}), "/shipment/containers", BAD),
    (cargo({"containers": "1", "cargo_type": "feathers"}), "/shipment/cargo_type", BAD),
    (shipping(method="lorry"), "/method", BAD),
    (shipping(method=""), "/method", BAD),
    (shipping(method=[]), "/method", BAD),
    (shipping(method={"vessel_type": "raft"}), "/method", BAD),
    (shipping(method={"vessel_type": SEA, "refrigerated": True}), "/method/refrigerated", BAD),
    (shipping(method={"vessel_type": SEA, "speed": "slow"}), "/method/speed", BAD),
    (shipping(radiative_forcing=True), "/radiative_forcing", BAD),
    (shipping(radiative_forcing=False), "/radiative_forcing", BAD),
    (shipping(country_code="UK"), "/country_code", BAD),
    (shipping(shipped_at="2026-13-01"), "/shipped_at", BAD),
    (shipping(shipped_at="2026-W01-1"), "/shipped_at", BAD),
    (shipping(route=between("NLRTM", "NLRTM"), method=SEA), "/route", DISTANCE),
    (shipping(route=between("NLRTM", "QQQQQ"), method=SEA), "/route/destination", LOCODE),
    (shipping(route=between({"lat": 48.2, "lon": 16.4}, "NLRTM"), method=SEA), "/route/source", PORT),
    (shipping(route=between("NLRTM", "DEHAM"), method="inland_waterway"), "/route", BAD),
    (shipping(route=between("NLRTM", "DEHAM", transit_corridor="panama"), method=SEA), "/route/transit_corridor", BAD),
    (shipping(route=between("NLRTM", "DEHAM", transit_corridor="suez")), "/route/transit_corridor", BAD),
]  # fmt: skip
MULTI_LEG: list[Case] = [
    (legs_of(), "/legs", BAD),
    (legs_of(leg()), "/legs/0/method", BAD),
    (legs_of(leg(method="truck"), leg(method="lorry")), "/legs/1/method", BAD),
    (legs_of(leg(method="truck"), leg("0", method="truck")), "/legs/1/route/amount", DISTANCE),
    (legs_of(leg(method="truck", radiative_forcing=True)), "/legs/0/radiative_forcing", BAD),
    (legs_of(leg(method="truck", country_code="XXX")), "/legs/0/country_code", BAD),
    (legs_of(leg(method={"vessel_type": SEA, "refrigerated": True})), "/legs/0/method/refrigerated", BAD),
    (legs_of({"route": between("QQQ", "LHR"), "method": "air"}), "/legs/0/route/source", AIRPORT),
    (legs_of(*[leg(method="truck")] * 101), "/legs", BAD),
    (legs_of(leg(method="truck")) | {"shipment": {}}, "/shipment", BAD),
]
TRANSACTION: list[Case] = [
    (buying("0"), "/value/value", BAD),
    (buying("-5"), "/value/value", BAD),
    (buying(5), "/value/value", BAD),
    (buying("10000000000001"), "/value/value", BAD),
    (buying("10000000000000"), "/value/value", BAD),
    (buying("1", "XXX"), "/value/currency", BAD),
    (buying("1", "usd"), "/value/currency", BAD),
    (buying("1", None), "/value/currency", BAD),
    (paid(), "/merchant", BAD),
    (paid(category_code="0000"), "/merchant/category_code", BAD),
    (paid(category_code="58120"), "/merchant/category_code", BAD),
    (paid(category_code="٥٨١٢"), "/merchant/category_code", BAD),
    (paid(category_code=5812), "/merchant/category_code", BAD),
    (paid(search_term="xqzw vvkj"), "/merchant/search_term", BAD),
    (paid(search_term=""), "/merchant/search_term", BAD),
    (paid(category_code="5812", country_code="US"), "/merchant/country_code", BAD),
    (paid(search_term="hotel", country_code=""), "/merchant/country_code", BAD),
    (buying(transaction_processed_at="1850-01-01"), "/transaction_processed_at", BAD),
    (buying(transaction_processed_at="2026-01-31T09:30:00"), "/transaction_processed_at", BAD),
    (buying(transaction_processed_at="2026-W01-1"), "/transaction_processed_at", BAD),
    (buying(is_transaction="yes"), "/is_transaction", BAD),
]
BY_FACTOR: list[Case] = [
    (doing("0"), "/activity/value", BAD),
    (doing("-1"), "/activity/value", BAD),
    (doing("9" * 60), "/activity/value", BAD),
    (doing("1", "kg"), "/activity/unit", "emission_factor_unit_mismatch"),
    (doing("1", "kWh * 1e9"), "/activity/unit", "emission_factor_unit_mismatch"),
    (doing("1", "x" * 41), "/activity/unit", BAD),
    (doing("1", ""), "/activity/unit", "emission_factor_unit_mismatch"),
    (doing(factor="owid-2026"), "/emission_factor_id", "emission_factor_id_invalid"),
    (doing(factor=""), "/emission_factor_id", "emission_factor_id_invalid"),
    (doing(factor="x" * 301), "/emission_factor_id", BAD),
]
DECLARED: list[Case] = [
    (declaring("0"), "/mass/amount", BAD),
    (declaring("-1"), "/mass/amount", BAD),
    (declaring("1000000000.000001"), "/mass/amount", BAD),
    (declaring(unit="lb"), "/mass/unit", BAD),
    (declaring(methodology=""), "/methodology", BAD),
    (declaring(methodology=None), "/methodology", BAD),
    (declaring(source=""), "/source", BAD),
    (declaring(source="x" * 501), "/source", BAD),
    (declaring(document_hash=""), "/document_hash", BAD),
    (declaring(document_hash="a" * 63), "/document_hash", BAD),
    (declaring(document_hash="a" * 65), "/document_hash", BAD),
    (declaring(document_hash="g" * 64), "/document_hash", BAD),
    (declaring(document_hash="a" * 64 + "\n"), "/document_hash", BAD),
    (declaring(document_hash="١" * 64), "/document_hash", BAD),
]
CASES = {
    "electricity": ELECTRICITY,
    "flight": FLIGHT,
    "passenger_transportation": JOURNEY,
    "shipping": SHIPPING,
    "multi_leg_shipping": MULTI_LEG,
    "transaction": TRANSACTION,
    "emission_factor": BY_FACTOR,
    "declared": DECLARED,
}


@pytest.mark.parametrize(
    ("kind", "body", "pointer", "code"),
    [pytest.param(kind, *case) for kind, cases in CASES.items() for case in cases],
)
def test_nonsense_is_refused_at_its_place_and_nothing_is_stored(
    api: httpx.Client,
    refusal: Refusal,
    run_sql: Callable[..., Any],
    kind: str,
    body: Json,
    pointer: str,
    code: str,
) -> None:
    before = run_sql("SELECT count(*) FROM estimates")
    answer = api.post(f"/estimates/{BY_NAME[kind].path}", json=body)
    assert refusal(answer) == (400, code)
    assert [violation["pointer"] for violation in answer.json()["violations"]] == [pointer]
    assert run_sql("SELECT count(*) FROM estimates") == before


@pytest.mark.parametrize("kind", BY_NAME.values(), ids=str)
@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"[{}]", b"1", b'"x"', b'{"a":NaN}', b'{"a":1e999}', b'{"name":"a","name":"a"}', b"[" * 50_000])  # fmt: skip
def test_a_body_that_is_none_is_refused(
    api: httpx.Client, refusal: Refusal, run_sql: Callable[..., Any], kind: Any, content: bytes
) -> None:
    before = run_sql("SELECT count(*) FROM estimates")
    answer = api.post(
        f"/estimates/{kind.path}", content=content, headers={"Content-Type": "application/json"}
    )
    assert refusal(answer) == (400, BAD)
    assert run_sql("SELECT count(*) FROM estimates") == before


@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 400, b"true", b"null"]
)
def test_coordinates_that_are_no_numbers_are_refused(
    api: httpx.Client, refusal: Refusal, number: bytes
) -> None:
    body = b'{"route":{"source":{"lat":' + number + b',"lon":0},"destination":"JFK"}}'
    answer = api.post("/estimates/flight", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, BAD)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("flight", distance("60000") | {"passengers": 1_000_000}),
        ("flight", distance("0.001", "nm")),
        ("flight", distance("12.070", "mi", cabin_class="first", radiative_forcing=False)),
        ("flight", flying({"lat": -90, "lon": 180}, {"lat": 90.0, "lon": -180})),
        ("flight", flying(" lhr ", "kjfk")),
        ("passenger_transportation", travelling(*[leg(rail_type="underground")] * 100)),
        ("passenger_transportation", travelling(leg(vehicle_type="car_average", vehicles=1000))),
        ("shipping", shipping(method={"vessel_type": SEA, "refrigerated": False})),
        ("shipping", shipping(method="air", radiative_forcing=False)),
        ("shipping", shipping(shipped_at="2026-01-31T23:59:59.999-14:00", country_code="GBR")),
        ("shipping", shipping(route=between("nl rtm", "NLRTM", transit_corridor=None) | {"destination": "DEHAM"}, method=SEA)),
        ("transaction", buying("10000000")),
        ("transaction", paid(search_term="hotel", name="Ritz")),
        ("declared", declaring("1000000000")),
        ("declared", declaring("0.001", "g")),
    ],
)  # fmt: skip
def test_what_is_just_right_is_estimated(api: httpx.Client, kind: str, body: Json) -> None:
    answer = api.post(f"/estimates/{BY_NAME[kind].path}", json=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("kind", "body", "near"),
    [
        ("flight", flying("LH1", "JFK"), r"LH[A-Z] \("),
        ("flight", flying("Heathrow", "JFK"), "LHR"),
        ("shipping", shipping(route=between("NLRTN", "DEHAM"), method=SEA), "NLRTM"),
        ("shipping", shipping(method="container ship"), "container_ship"),
        ("transaction", paid(category_code="5813x"), "5813"),
        ("emission_factor", doing(factor="owid-2026/DEU/2026"), "owid-2026/DEU/2025"),
    ],
)
def test_a_slip_is_met_with_near_matches(api: httpx.Client, kind: str, body: Json, near: str) -> None:
    answer = api.post(f"/estimates/{BY_NAME[kind].path}", json=body)
    assert answer.status_code == 400
    assert re.search(rf"near matches: .*{near}", answer.json()["error"]["message"])

"""Contract, section 10: electricity estimates, and what is ordered from them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support import NOBODY, Service

PROPERTIES = {
    "id", "kind", "mass", "quote", "request", "name", "metadata", "idempotency_key", "created_at", "changed_at",
    "is_shipment", "distance", "legs", "emission_factor", "search_term_match", "calculation",
}  # fmt: skip
GRAMS = {"g": 1, "kg": 1000, "t": 1_000_000}

Refusal = Callable[[httpx.Response], tuple[int, str]]


def consuming(amount: Any = "100", unit: Any = "kWh", **rest: Any) -> dict[str, Any]:
    return {"consumption": {"amount": amount, "unit": unit}, **rest}


def estimate(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/estimates/electricity", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def grams(made: dict[str, Any]) -> Decimal:
    return Decimal(made["mass"]["amount"]) * GRAMS[made["mass"]["unit"]]


def factor(made: dict[str, Any]) -> Decimal:
    return Decimal(made["calculation"][0]["factor_value"])


# Shapes.


def test_an_estimate_has_every_property_and_echoes_its_request(
    api: httpx.Client, bundles: dict[str, str]
) -> None:
    body = consuming(
        "1234.5",
        "kWh",
        country_code="DEU",
        name="Office, 2025",
        bundle_selection=[{"bundle_id": bundles["Durable carbon removal"], "percentage": 100}],
        quantity_trunc="kg",
        metadata={"site": "Kraków"},
        idempotency_key=str(uuid4()),
    )
    made = estimate(api, body)
    assert set(made) == PROPERTIES
    assert made["request"] == body | {"year": None}
    for name in ("name", "metadata", "idempotency_key"):
        assert made[name] == body[name]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["created_at"])


def test_what_is_left_out_is_null(api: httpx.Client) -> None:
    made = estimate(api, consuming())
    assert made["name"] is None
    assert made["idempotency_key"] is None
    assert made["request"]["consumption"] == {"amount": "100", "unit": "kWh"}
    assert made["request"].get("country_code") is None
    nulls = dict.fromkeys(("country_code", "name", "bundle_selection", "quantity_trunc", "metadata"))
    assert estimate(api, consuming(**nulls))["mass"] == made["mass"]


def test_a_fetched_estimate_is_the_made_one(api: httpx.Client, bundles: dict[str, str]) -> None:
    for body in (
        consuming(),
        consuming("55.5", "kWh", country_code="FRA", metadata={"b": "2", "a": "1"}),
        consuming("3", "GWh", bundle_selection=[{"bundle_id": bundle_id} for bundle_id in bundles.values()]),
    ):
        made = estimate(api, body)
        assert api.get(f"/estimates/electricity/{made['id']}").json() == made


@pytest.mark.parametrize("estimate_id", [NOBODY, "x", "%00", "%ff", "a" * 5000])
def test_an_unknown_estimate_is_404(
    send: Callable[..., httpx.Response], refusal: Refusal, estimate_id: str
) -> None:
    assert refusal(send("GET", f"/v1/estimates/electricity/{estimate_id}")) == (404, "not_found")


def test_the_quote_is_a_by_mass_quote_of_the_mass(service: Service, bundles: dict[str, str]) -> None:
    rest: dict[str, Any] = {
        "bundle_selection": [{"bundle_id": bundle_id} for bundle_id in bundles.values()],
        "quantity_trunc": "kg",
    }
    for currency in ("USD", "EUR", "ISK"):
        with service.client(currency) as client:
            for more in ({}, rest):
                made = estimate(client, consuming("12345.6", "kWh", **more))
                quoted = client.post("/orders/by-mass/quote", json={"mass": made["mass"], **more})
                assert made["quote"] == quoted.json()


def test_a_mass_that_buys_nothing_has_an_error_body_for_a_quote(api: httpx.Client) -> None:
    made = estimate(api, consuming("1", "kWh", quantity_trunc="t"))
    assert made["quote"]["error"]["error_code"] == "order_quantity_invalid"
    assert made["quote"]["errors"] == [made["quote"]["error"]]
    assert grams(made) > 0


# The figure.


@pytest.mark.parametrize(
    ("amount", "unit", "kwh"), [("1500", "kWh", 1500), ("1.5", "MWh", 1500), ("0.0015", "GWh", 1500)]
)
def test_the_mass_is_the_energy_times_the_factor(api: httpx.Client, amount: str, unit: str, kwh: int) -> None:
    made = estimate(api, consuming(amount, unit, country_code="DEU"))
    assert grams(made) == (factor(made) * 1000 * kwh).quantize(Decimal(1), rounding=ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("amount", "unit"), [("0.1", "g"), ("3.1", "kg"), ("3100", "t"), ("2.19", "kg"), ("2.18", "g")]
)
def test_the_mass_is_printed_in_the_unit_that_reads_best(api: httpx.Client, amount: str, unit: str) -> None:
    mass = estimate(api, consuming(amount, "kWh"))["mass"]
    assert mass["unit"] == unit
    assert Decimal(mass["amount"]) >= 1
    assert unit == "t" or Decimal(mass["amount"]) < 1000


def test_the_calculation_names_factor_year_and_source(api: httpx.Client) -> None:
    (step,) = estimate(api, consuming(country_code="POL"))["calculation"]
    assert re.search(r"POL/20\d\d", step["factor_id"])
    assert step["factor_unit"] == "kg CO2e/kWh"
    assert "Ember" in step["source"]
    assert step["inputs"] == {"consumption": "100 kWh"}


@pytest.mark.parametrize("country", ["DEU", "POL", "FRA", "ISL", "USA", "ZAF", None])
def test_a_factor_is_the_latest_of_the_published_table(
    api: httpx.Client, shared_data: Path, country: str | None
) -> None:
    with (shared_data / "grid_intensity.csv").open(encoding="utf-8", newline="") as table:
        rows = [
            row
            for row in csv.DictReader(table)
            if (row["iso3"] == country if country else row["entity"] == "World") and row["g_co2e_per_kwh"]
        ]
    latest = max(rows, key=lambda row: int(row["year"]))
    assert factor(estimate(api, consuming(country_code=country))) * 1000 == Decimal(latest["g_co2e_per_kwh"])


# What is refused.


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"consumption": None},
        {"consumption": {"amount": "1"}},
        {"consumption": {"unit": "kWh"}},
        {"consumption": {"amount": "1", "unit": "kWh", "source": "grid"}},
        consuming(1),
        consuming("0"),
        consuming("0.000"),
        consuming("-1"),
        consuming("1e3"),
        consuming("1\n"),
        consuming("١"),
        consuming("9" * 61),
        consuming("2200000000000", "GWh"),
        consuming("1", "TWh"),
        consuming("1", "kwh"),
        consuming(country="DEU"),
        consuming(country_code="DE"),
        consuming(country_code="deu"),
        consuming(country_code="XXX"),
        consuming(country_code="WORLD"),
        consuming(country_code=""),
        consuming(country_code=276),
        consuming(name=""),
        consuming(name="n" * 201),
        consuming(name="a\u0000b"),
        consuming(metadata={"a": 1}),
        consuming(idempotency_key="k" * 101),
        consuming(quantity_trunc="lb"),
        consuming(bundle_selection=[]),
    ],
)
def test_a_request_that_does_not_match_is_refused_and_nothing_is_stored(
    api: httpx.Client, refusal: Refusal, run_sql: Callable[..., Any], body: dict[str, Any]
) -> None:
    before = run_sql("SELECT count(*) FROM estimates")
    assert refusal(api.post("/estimates/electricity", json=body)) == (400, "validation_error")
    assert run_sql("SELECT count(*) FROM estimates") == before


@pytest.mark.parametrize(
    ("percentages", "code"),
    [
        ([100], None),
        ([99], "bundle_selection_ratios_invalid"),
        (["99.999"], "bundle_selection_ratios_invalid_format"),
    ],
)
def test_a_selection_is_checked_as_everywhere(
    api: httpx.Client, refusal: Refusal, bundles: dict[str, str], percentages: list[Any], code: str | None
) -> None:
    chosen = [
        {"bundle_id": bundle_id, "percentage": percentage}
        for bundle_id, percentage in zip(bundles.values(), percentages, strict=False)
    ]
    answer = api.post("/estimates/electricity", json=consuming(bundle_selection=chosen))
    assert answer.status_code == 200 if code is None else refusal(answer) == (400, code)


def test_an_unknown_bundle_is_refused(api: httpx.Client, refusal: Refusal) -> None:
    body = consuming(bundle_selection=[{"bundle_id": str(uuid4())}])
    answer = api.post("/estimates/electricity", json=body)
    assert refusal(answer) == (400, "bundle_selection_bundle_invalid")


def test_a_country_that_was_mistyped_is_met_with_near_matches(api: httpx.Client) -> None:
    answer = api.post("/estimates/electricity", json=consuming(country_code="DEUT"))
    assert re.search(r"near matches: .*[A-Z]{3}", answer.json()["error"]["message"])


def test_a_repeated_idempotency_key_is_409_and_its_location_leads_to_the_estimate(
    api: httpx.Client, refusal: Refusal
) -> None:
    key = str(uuid4())
    made = estimate(api, consuming(idempotency_key=key))
    answer = api.post("/estimates/electricity", json=consuming("7", idempotency_key=key))
    assert refusal(answer) == (409, "estimate_idempotency_already_exists")
    assert api.get(answer.request.url.join(answer.headers["location"])).json() == made


def test_orders_and_estimates_do_not_share_their_idempotency_keys(api: httpx.Client) -> None:
    key = {"idempotency_key": str(uuid4())}
    made = estimate(api, consuming(**key))
    order = api.post("/orders/by-estimate", json={"estimate_id": made["id"]} | key)
    assert order.status_code == 200


# Orders from estimates.


def test_an_order_asks_for_the_exact_mass_of_its_estimate(api: httpx.Client) -> None:
    for body in (consuming("0.1", "kWh"), consuming("77.7", "MWh", country_code="FRA")):
        made = estimate(api, body)
        order = api.post("/orders/by-estimate", json={"estimate_id": made["id"]}).json()
        assert order["type"] == "quantity"
        assert order["estimate_id"] == made["id"]
        assert Decimal(order["requested_quantity"]) * 1_000_000 == grams(made)


def test_an_estimate_of_less_than_a_gram_is_kept_but_buys_nothing(
    api: httpx.Client, refusal: Refusal
) -> None:
    made = estimate(api, consuming("0.001", "kWh"))
    assert 0 < grams(made) < 1
    for path in ("/orders/by-estimate", "/orders/by-estimate/quote"):
        answer = api.post(path, json={"estimate_id": made["id"]})
        assert refusal(answer) == (409, "order_quantity_invalid")

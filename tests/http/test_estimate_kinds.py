"""Contract, section 10: what every kind of estimate has in common, and what is ordered from each."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.estimating import BY_NAME, KINDS, Json, Kind, Refusal, grams, made, within
from tests.paying import broken_rules, open_payer
from tests.support import NOBODY, Service

from tonne.domain.accounts import Mode

PROPERTIES = {
    "id", "kind", "mass", "quote", "request", "name", "metadata", "idempotency_key", "created_at", "changed_at",
    "is_shipment", "distance", "legs", "emission_factor", "search_term_match", "calculation",
}  # fmt: skip
STEP = {"description", "inputs", "result", "factor_id", "factor_value", "factor_unit", "source"}

each_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


# Made and fetched.


@each_kind
def test_an_estimate_has_every_property_and_echoes_its_request(
    api: httpx.Client, bundles: dict[str, str], kind: Kind
) -> None:
    rest: Json = {
        "name": "Zürich, 2025",
        "bundle_selection": [{"bundle_id": bundles["Durable carbon removal"], "percentage": 100}],
        "quantity_trunc": "kg",
        "metadata": {"site": "Kraków"},
        "idempotency_key": str(uuid4()),
    }
    estimate = made(api, kind, **rest)
    assert set(estimate) == PROPERTIES
    assert estimate["kind"] == kind.name
    assert within(kind.body | rest, estimate["request"])
    for name in ("name", "metadata", "idempotency_key"):
        assert estimate[name] == rest[name]
    assert estimate["changed_at"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", estimate["created_at"])
    assert grams(estimate) > 0


@each_kind
def test_what_is_left_out_is_null(api: httpx.Client, kind: Kind) -> None:
    estimate = made(api, kind)
    assert {estimate[name] for name in ("name", "idempotency_key", "changed_at")} == {None}
    assert estimate["metadata"] is None
    nulls = dict.fromkeys(("name", "bundle_selection", "quantity_trunc", "metadata", "idempotency_key"))
    assert made(api, kind, **nulls)["mass"] == estimate["mass"]


@each_kind
def test_a_fetched_estimate_is_the_made_one_by_its_kind_and_without(api: httpx.Client, kind: Kind) -> None:
    estimate = made(api, kind, metadata={"b": "2", "a": "1"})
    for path in (f"/estimates/{kind.path}/{estimate['id']}", f"/estimates/{estimate['id']}"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()) == (200, estimate)


@each_kind
def test_an_estimate_is_not_found_as_one_of_another_kind(
    api: httpx.Client, refusal: Refusal, kind: Kind
) -> None:
    estimate = made(api, kind)
    for other in KINDS:
        answer = api.get(f"/estimates/{other.path}/{estimate['id']}")
        assert (answer.status_code == 200) is (other is kind)
        if other is not kind:
            assert refusal(answer) == (404, "not_found")


@each_kind
def test_a_foreign_estimate_is_answered_exactly_like_one_that_does_not_exist(
    service: Service, kind: Kind
) -> None:
    nothing = str(uuid4())
    with service.client() as own:
        found = made(own, kind)["id"]
        made(own, kind, idempotency_key=f"of {found}")
    for currency, mode in (("USD", Mode.LIVE), ("EUR", Mode.TEST)):
        with service.client(currency, mode) as other:
            for path in (f"/estimates/{kind.path}/", "/estimates/"):
                foreign, missing = other.get(path + found), other.get(path + nothing)
                assert foreign.status_code == missing.status_code == 404
                assert foreign.text.replace(found, nothing) == missing.text
            # Another account's idempotency key is not taken.
            made(other, kind, idempotency_key=f"of {found}")


@pytest.mark.parametrize("estimate_id", [NOBODY, "x", "%00", "%ff", "a" * 5000, NOBODY.upper()])
@pytest.mark.parametrize("path", ["", *(f"{kind.path}/" for kind in KINDS)])
def test_an_unknown_estimate_is_404(
    send: Callable[..., httpx.Response], refusal: Refusal, path: str, estimate_id: str
) -> None:
    assert refusal(send("GET", f"/v1/estimates/{path}{estimate_id}")) == (404, "not_found")


# Idempotency.


@each_kind
def test_a_repeated_idempotency_key_is_409_and_its_location_leads_to_the_estimate(
    api: httpx.Client, refusal: Refusal, kind: Kind
) -> None:
    key = str(uuid4())
    estimate = made(api, kind, idempotency_key=key)
    for body in (kind.body, kind.other):
        answer = api.post(f"/estimates/{kind.path}", json=body | {"idempotency_key": key})
        assert refusal(answer) == (409, "estimate_idempotency_already_exists")
        assert answer.headers["location"] == f"/v1/estimates/{kind.path}/{estimate['id']}"
        assert api.get(answer.request.url.join(answer.headers["location"])).json() == estimate


def test_an_idempotency_key_is_taken_for_all_kinds(api: httpx.Client, refusal: Refusal) -> None:
    key = str(uuid4())
    first = made(api, KINDS[0], idempotency_key=key)
    for kind in KINDS[1:]:
        answer = api.post(f"/estimates/{kind.path}", json=kind.body | {"idempotency_key": key})
        assert refusal(answer) == (409, "estimate_idempotency_already_exists")
        assert answer.headers["location"].endswith(f"/{KINDS[0].path}/{first['id']}")


@each_kind
def test_a_repeat_with_the_header_is_answered_byte_for_byte_and_makes_nothing(
    api: httpx.Client, refusal: Refusal, run_sql: Callable[..., Any], kind: Kind
) -> None:
    header = {"Idempotency-Key": str(uuid4())}
    first = api.post(f"/estimates/{kind.path}", json=kind.body, headers=header)
    assert first.status_code == 200
    assert "idempotent-replayed" not in first.headers
    before = run_sql("SELECT count(*) FROM estimates")
    again = api.post(f"/estimates/{kind.path}", json=kind.body, headers=header)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = api.post(f"/estimates/{kind.path}", json=kind.other, headers=header)
    assert refusal(other) == (422, "idempotency_key_reused")
    assert run_sql("SELECT count(*) FROM estimates") == before


def test_a_purchase_is_found_by_its_idempotency_key(api: httpx.Client, refusal: Refusal) -> None:
    path = "/estimates/transactions/by-idempotency-key"
    for key, encoded in ((str(uuid4()), None), ("a/b", "a%2Fb"), ("ä ?#%/", "%C3%A4%20%3F%23%25%2F")):
        estimate = made(api, BY_NAME["transaction"], idempotency_key=key)
        assert api.get(f"{path}/{encoded or key}").json() == estimate
    made(api, BY_NAME["declared"], idempotency_key="declared")
    for key in ("declared", "unknown", "%00"):
        assert refusal(api.get(f"{path}/{key}")) == (404, "not_found")


# The quote.


@each_kind
def test_the_quote_is_a_by_mass_quote_of_the_mass_and_a_by_estimate_quote(
    service: Service, bundles: dict[str, str], kind: Kind
) -> None:
    chosen: Json = {
        "bundle_selection": [{"bundle_id": bundle_id} for bundle_id in bundles.values()],
        "quantity_trunc": "kg",
    }
    for currency in ("USD", "EUR", "ISK"):
        with service.client(currency) as client:
            for rest in ({}, chosen):
                estimate = made(client, kind, **rest)
                by_mass = client.post("/orders/by-mass/quote", json={"mass": estimate["mass"]} | rest)
                assert estimate["quote"] == by_mass.json()
                wanted = {"estimate_id": estimate["id"]} | rest
                by_estimate = client.post("/orders/by-estimate/quote", json=wanted)
                assert by_estimate.json() == by_mass.json()
                assert by_estimate.status_code == 200
            bought = [bundle["bundle_id"] for bundle in estimate["quote"]["bundles"]]
            assert bought == list(bundles.values())
            assert Decimal(estimate["quote"]["estimated_quantity"]) % Decimal("0.001") == 0


@each_kind
def test_a_mass_that_buys_nothing_has_an_error_body_for_a_quote(api: httpx.Client, kind: Kind) -> None:
    tiny: dict[str, Json] = {
        "electricity": {"consumption": {"amount": "0.001", "unit": "kWh"}},
        "flight": {"route": {"amount": "0.001", "unit": "km"}, "passengers": 1},
        "passenger_transportation": {"legs": [{"route": {"amount": "1", "unit": "km"}, "rail_type": "underground"}]},
        "shipping": {"shipment": {"mass": {"amount": "1", "unit": "g"}}},
        "multi_leg_shipping": {"shipment": {"mass": {"amount": "1", "unit": "g"}}},
        "transaction": {"value": {"value": "0.01", "currency": "USD"}},
        "emission_factor": {"activity": {"value": "0.001", "unit": "kWh"}},
        "declared": {"mass": {"amount": "1", "unit": "kg"}},
    }  # fmt: skip
    estimate = made(api, kind, **tiny[kind.name], quantity_trunc="t")
    assert estimate["quote"]["error"]["error_code"] == "order_quantity_invalid"
    assert estimate["quote"]["errors"] == [estimate["quote"]["error"]]
    assert grams(estimate) > 0


# The calculation.


@each_kind
def test_the_mass_is_what_the_steps_say(api: httpx.Client, kind: Kind) -> None:
    estimate = made(api, kind)
    counted = [step for step in estimate["calculation"] if "not counted" not in step["description"]]
    legs = []
    for step in estimate["calculation"]:
        assert set(step) == STEP
        assert step["description"]
        assert step["result"]
        factors = [step[name] is None for name in ("factor_id", "factor_value", "factor_unit")]
        assert all(factors) or not any(factors)
        if step["factor_id"] is not None:
            assert step["source"]
            # The last input is what the factor is multiplied with.
            if step in counted:
                legs.append((list(step["inputs"].values()), Decimal(step["factor_value"]), step["result"]))
    assert Decimal(counted[-1]["result"].removesuffix(" g CO2e")).quantize(
        Decimal(1), ROUND_HALF_UP
    ) == grams(estimate)
    for inputs, value, result in legs:
        number = Decimal(result.removesuffix(" g CO2e"))
        figures = [Decimal(text.split(" ")[0]) for text in inputs]
        assert any(abs(number - figure * value * 1000) <= Decimal("0.01") * figure for figure in figures)


@each_kind
def test_a_factor_of_a_step_is_found_by_its_id_and_says_the_same(api: httpx.Client, kind: Kind) -> None:
    estimate = made(api, kind)
    for step in estimate["calculation"]:
        if step["factor_id"] is not None:
            factor = api.get(f"/emission-factors/by-id/{step['factor_id']}").json()
            assert (factor["id"], factor["value"]) == (step["factor_id"], step["factor_value"])
            assert step["factor_unit"] == f"kg CO2e/{factor['denominator_unit']}"
            assert factor["attribution"] in step["source"]
    deciding = estimate["emission_factor"]
    assert (deciding is None) is (kind.name in {"passenger_transportation", "multi_leg_shipping", "declared"})
    if deciding is not None:
        assert deciding == api.get(f"/emission-factors/by-id/{deciding['id']}").json()


def test_legs_add_up_to_the_mass_and_to_the_distance(api: httpx.Client) -> None:
    for name in ("passenger_transportation", "multi_leg_shipping"):
        estimate = made(api, BY_NAME[name])
        assert len(estimate["legs"]) == len(BY_NAME[name].body["legs"])
        assert sum(map(grams, estimate["legs"])) == grams(estimate)
        distances = [Decimal(leg["distance"]["amount"]) for leg in estimate["legs"]]
        assert sum(distances) == Decimal(estimate["distance"]["amount"])


def test_a_flight_is_told_with_and_without_radiative_forcing(api: httpx.Client) -> None:
    with_forcing = made(api, BY_NAME["flight"])
    without = made(api, BY_NAME["flight"], radiative_forcing=False)
    assert grams(without) < grams(with_forcing)
    for one, other in ((with_forcing, without), (without, with_forcing)):
        compared = one["calculation"][-1]
        assert "not counted" in compared["description"]
        result = Decimal(compared["result"].removesuffix(" g CO2e"))
        assert result.quantize(Decimal(1), ROUND_HALF_UP) == grams(other)


def test_a_declared_document_hash_is_told_in_lower_case(api: httpx.Client) -> None:
    (step,) = made(api, BY_NAME["declared"])["calculation"]
    assert step["inputs"]["document_hash"] == "ab" * 32
    assert step["source"] == "Example Audit Ltd"
    assert "Declared" in step["description"]


def test_a_search_term_tells_what_it_was_taken_for(api: httpx.Client) -> None:
    merchant = {"country_code": "DEU", "search_term": "florist"}
    estimate = made(api, BY_NAME["transaction"], merchant=merchant)
    assert "florist" in estimate["search_term_match"].lower()
    assert made(api, BY_NAME["transaction"])["search_term_match"] is None


# Orders.


@each_kind
def test_an_estimate_is_ordered_once_and_again_after_cancellation(
    service: Service, refusal: Refusal, kind: Kind
) -> None:
    with open_payer(service).client() as client:
        estimate = made(client, kind)
        wanted = {"estimate_id": estimate["id"]}
        for _ in range(2):
            order = client.post("/orders/by-estimate", json=wanted).json()
            assert (order["type"], order["estimate_id"]) == ("quantity", estimate["id"])
            assert Decimal(order["requested_quantity"]) * 1_000_000 == grams(estimate)
            assert order["total_cost"] == estimate["quote"]["estimated_total_cost"]
            second = client.post("/orders/by-estimate", json=wanted)
            assert refusal(second) == (409, "estimate_order_already_placed")
            client.post(f"/orders/{order['id']}/cancel").raise_for_status()
    assert broken_rules(service.database_url) == {}

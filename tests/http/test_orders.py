"""Contract, section 4: placing orders and reading them back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from tests.support import NOBODY, Service, on_connection

from tonne.application.identifiers import utc_now
from tonne.domain.accounts import Mode
from tonne.storage.accounts import set_suspended

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
CONSUMPTION = {"consumption": {"amount": "100", "unit": "kWh"}}
EXAMPLE = {"mass": {"amount": "12.07", "unit": "kg"}}
LINE_PROPERTIES = {
    "bundle_id", "bundle_name", "primary_image", "quantity", "unit_price", "gross_unit_price", "offset_cost",
    "insufficient_available_quantity",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")

Refusal = Callable[[httpx.Response], tuple[int, str]]
Kind = tuple[str, dict[str, Any]]


def place(client: httpx.Client, body: dict[str, Any], kind: str = "mass") -> dict[str, Any]:
    answer = client.post(f"/orders/by-{kind}", json=body)
    assert answer.status_code == 200, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


@pytest.fixture(params=["mass", "bundle masses", "value", "estimate"])
def kind(request: pytest.FixtureRequest, api: httpx.Client, bundles: dict[str, str]) -> Kind:
    """Each way to order: the path's last word and a fresh body."""
    match request.param:
        case "mass":
            return "mass", dict(KILOGRAM)
        case "bundle masses":
            masses = [
                {"bundle_id": bundle_id, "mass": {"amount": "250", "unit": "g"}}
                for bundle_id in bundles.values()
            ]
            return "mass", {"bundle_masses": masses}
        case "value":
            return "value", {"value": "5"}
    estimate = api.post("/estimates/electricity", json=CONSUMPTION)
    return "estimate", {"estimate_id": estimate.json()["id"]}


# Shapes.


def test_an_order_has_every_property_of_the_contract_with_its_type_and_null(
    service: Service, api: httpx.Client, kind: Kind
) -> None:
    way, body = kind
    order = place(api, body | {"idempotency_key": str(uuid4()), "metadata": {"invoice": "7"}}, way)
    by_value, by_estimate = way == "value", way == "estimate"
    account = service.key().account
    at = order["created_at"]
    fixed = {
        "idempotency_key": order["idempotency_key"],
        "type": "value" if by_value else "quantity",
        "status": "paid",
        "currency": "USD",
        "requested_value": "5.00" if by_value else None,
        "estimate_id": body["estimate_id"] if by_estimate else None,
        "payment_method": None,
        "projects": [],
        "certificate": None,
        "public_certificate_url": None,
        "metadata": {"invoice": "7"},
        "offset_link_id": None,
        "email": None,
        "account_id": str(account.account_id),
        "mode": "test",
        "beneficiary": {"name": account.beneficiary}
        | dict.fromkeys(["email", "country", "registration_number", "hidden_until"]),
        "max_unit_price": None,
        "min_vintage_year": None,
        "excluded_countries": [],
        "excluded_projects": [],
        "status_history": [{"status": status, "at": at} for status in ("received", "placed", "paid")],
        "waiting_for": "tonne",
    }
    assert {name: order[name] for name in fixed} == fixed
    assert TIME.fullmatch(order["retire_by"])
    amounts = {"offset_cost", "commission", "total_cost", "quantity"}
    assert all(DECIMAL.fullmatch(order[name]) for name in amounts)
    assert (order["requested_quantity"] is None) is by_value
    assert by_value or DECIMAL.fullmatch(order["requested_quantity"])
    assert TIME.fullmatch(at)
    assert all(set(line) == LINE_PROPERTIES for line in order["bundles"])
    rest = {"id", "created_at", "bundles", "requested_quantity", "retire_by"}
    assert set(order) == set(fixed) | amounts | rest


def test_what_is_not_given_is_null_and_metadata_an_empty_object(api: httpx.Client) -> None:
    order = place(api, dict(KILOGRAM))
    assert order["idempotency_key"] is None
    assert order["metadata"] == {}
    assert place(api, KILOGRAM | {"metadata": {}})["metadata"] == {}
    assert place(api, KILOGRAM | {"metadata": None, "idempotency_key": None})["metadata"] == {}


def test_a_fetched_or_listed_order_is_the_placed_order(api: httpx.Client, kind: Kind) -> None:
    way, body = kind
    key = str(uuid4())
    order = place(api, body | {"idempotency_key": key, "metadata": {"b": "2", "a": "1"}}, way)
    assert api.get(f"/orders/{order['id']}").json() == order
    assert api.get(f"/orders/by-idempotency-key/{key}").json() == order
    assert api.get("/orders?limit=1").json()["data"] == [order]


def test_the_worked_example_comes_out_digit_for_digit(api: httpx.Client) -> None:
    order = place(api, dict(EXAMPLE))
    numbers = ("requested_quantity", "quantity", "offset_cost", "commission", "total_cost")
    assert [order[name] for name in numbers] == ["0.01207", "0.012069", "0.31", "0.04", "0.35"]
    shown = ("bundle_name", "quantity", "unit_price", "gross_unit_price", "offset_cost")
    assert [[line[name] for name in shown] for line in order["bundles"]] == [
        ["Nature protection", "0.011466", "13.57", "15.08", "0.16"],
        ["Durable carbon removal", "0.000603", "250", "277.78", "0.15"],
    ]


def test_an_order_by_value_costs_at_most_its_value(service: Service) -> None:
    for currency, values in (("USD", ["0.01", "9.99", "1000"]), ("ISK", ["1", "31", "100000"])):
        with service.client(currency) as client:
            for value in values:
                order = place(client, {"value": value}, "value")
                assert float(order["total_cost"]) <= float(value)
                assert float(order["requested_value"]) == float(value)


def test_orders_have_ids_of_their_own(api: httpx.Client) -> None:
    assert len({place(api, dict(KILOGRAM))["id"] for _ in range(20)}) == 20


# Reading.


@pytest.mark.parametrize("order_id", [NOBODY, "x", "0", "%00", "%ff", "a" * 5000])
@pytest.mark.parametrize("path", ["/v1/orders/{}", "/v1/orders/{}/certificate"])
def test_an_id_that_is_none_of_yours_is_404(
    send: Callable[..., httpx.Response], refusal: Refusal, path: str, order_id: str
) -> None:
    assert refusal(send("GET", path.format(order_id))) == (404, "not_found")


def test_there_is_no_certificate_before_an_order_is_complete(api: httpx.Client, refusal: Refusal) -> None:
    order = place(api, dict(KILOGRAM))
    assert refusal(api.get(f"/orders/{order['id']}/certificate")) == (404, "not_found")


# Metadata.


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "" for number in range(50)},
        {"k" * 40: "v" * 500},
        {"🌱" * 40: "🌱" * 500},
        {"": ""},
        {"a\nb\t\u0001": "\u2028\x7f"},
        {"__proto__": "x", "constructor": "y", "$where": "1; DROP TABLE orders"},
    ],
)
def test_metadata_within_its_limits_comes_back_as_it_was(api: httpx.Client, metadata: dict[str, str]) -> None:
    order = place(api, KILOGRAM | {"metadata": metadata})
    assert order["metadata"] == api.get(f"/orders/{order['id']}").json()["metadata"] == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "" for number in range(51)},
        {"k" * 41: "v"},
        {"k": "v" * 501},
        {"🌱" * 41: ""},
        {"k": 1},
        {"k": None},
        {"k": True},
        {"k": ["v"]},
        {"k": {"v": "w"}},
        {"k": "a\u0000b"},
        {"a\u0000b": "v"},
        ["k"],
        "k",
        1,
    ],
)
def test_metadata_beyond_its_limits_is_refused(
    api: httpx.Client, refusal: Refusal, metadata: object, orders_stored: Callable[[], int]
) -> None:
    before = orders_stored()
    answer = api.post("/orders/by-mass", json=KILOGRAM | {"metadata": metadata})
    assert refusal(answer) == (400, "validation_error")
    assert orders_stored() == before


# The idempotency key in the body.


@pytest.mark.parametrize("key", ["a", "k" * 100, "🌱" * 100])
def test_an_idempotency_key_has_1_to_100_characters(api: httpx.Client, key: str) -> None:
    assert place(api, KILOGRAM | {"idempotency_key": key})["idempotency_key"] == key


@pytest.mark.parametrize("key", ["", "k" * 101, "🌱" * 101, 1, True, ["a"], {"a": "b"}, "a\u0000b"])
def test_any_other_idempotency_key_is_refused(api: httpx.Client, refusal: Refusal, key: object) -> None:
    answer = api.post("/orders/by-mass", json=KILOGRAM | {"idempotency_key": key})
    assert refusal(answer) == (400, "validation_error")
    assert (
        "idempotency_key" in answer.json()["error"]["message"] or "NUL" in answer.json()["error"]["message"]
    )


def test_a_repeated_key_is_409_and_its_location_leads_to_the_order(
    api: httpx.Client, refusal: Refusal, kind: Kind, orders_stored: Callable[[], int]
) -> None:
    key = {"idempotency_key": str(uuid4())}
    order = place(api, kind[1] | key, kind[0])
    before = orders_stored()
    for way, body in ((kind[0], kind[1]), ("mass", EXAMPLE), ("value", {"value": "0.5"})):
        answer = api.post(f"/orders/by-{way}", json=body | key)
        assert refusal(answer) == (409, "order_idempotency_already_exists")
        assert (
            httpx.get(
                answer.request.url.join(answer.headers["location"]), headers=api.headers, trust_env=False
            ).json()
            == order
        )
    assert orders_stored() == before


def test_a_repeat_finds_its_order_even_if_it_would_be_refused_today(
    api: httpx.Client, refusal: Refusal
) -> None:
    key = {"idempotency_key": str(uuid4())}
    place(api, KILOGRAM | key)
    unknown = {"bundle_selection": [{"bundle_id": str(uuid4())}]}
    answer = api.post("/orders/by-mass", json=KILOGRAM | key | unknown)
    assert refusal(answer) == (409, "order_idempotency_already_exists")


def test_a_key_is_one_accounts_own(service: Service) -> None:
    ids = set()
    for currency, mode in service.keys:
        with service.client(currency, mode) as client:
            ids.add(place(client, KILOGRAM | {"idempotency_key": "shared"})["id"])
    assert len(ids) == len(service.keys)


ODD_KEYS = [
    "a/b", "/", "//", "/a", "a/", "a//b", "..", ".", "../..", "a/../b", "%", "%2F", "%252F", "100 %", " ", " a ",
    "?", "#", "a?b=c&d#e", "a+b", "a;b,c:d@e=f$g&h", "\\", '"', "'", "~", "|", "{}", "[]", "<>", "^`",
    "certificate", "x/certificate", "by-mass", "quote", "null", "undefined", "\n", "\t", "\x7f", "\x01",
    "ключ", "鍵", "é", "e\u0301", "🌱", "\u202e", "\ufeff", "\uffff", "ß", "İ",
]  # fmt: skip


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_of_any_characters_is_found_percent_encoded(
    api: httpx.Client, send: Callable[..., httpx.Response], key: str
) -> None:
    order = place(api, KILOGRAM | {"idempotency_key": key})
    assert order["idempotency_key"] == key
    everything = "".join(f"%{byte:02X}" for byte in key.encode())
    little = "".join(chr(b) if chr(b).isalnum() and b < 128 else f"%{b:02x}" for b in key.encode())
    for encoded in (everything, little):
        answer = send("GET", f"/v1/orders/by-idempotency-key/{encoded}")
        assert answer.status_code == 200, answer.text
        assert answer.json() == order


def test_keys_that_only_look_alike_are_different(api: httpx.Client) -> None:
    composed = unicodedata.normalize("NFC", "clé")
    keys = [composed, unicodedata.normalize("NFD", composed), "CLÉ", "clé ", " clé", "cle"]
    orders = {key: place(api, KILOGRAM | {"idempotency_key": key}) for key in keys}
    for key in keys:
        assert api.get(f"/orders/by-idempotency-key/{quote(key, safe='')}").json() == orders[key]
    assert len({order["id"] for order in orders.values()}) == len(keys)


@pytest.mark.parametrize(
    "key", ["never-used", "never%20used", "%00", "a%00b", "%ff", "%zz", "never%", "x" * 20_000, ""]
)
def test_a_key_that_was_never_used_is_404(
    send: Callable[..., httpx.Response], refusal: Refusal, key: str
) -> None:
    assert refusal(send("GET", f"/v1/orders/by-idempotency-key/{key}")) == (404, "not_found")


def test_the_path_may_be_percent_encoded_where_it_need_not_be(
    api: httpx.Client, send: Callable[..., httpx.Response]
) -> None:
    order = place(api, KILOGRAM | {"idempotency_key": "plain"})
    # RFC 3986, 6.2.2.2: "%2D" is "-".
    assert send("GET", "/v1/orders/by%2Didempotency%2Dkey/plain").json() == order


# Estimates.


def test_an_estimate_is_ordered_once(
    api: httpx.Client, refusal: Refusal, run_sql: Callable[..., Any]
) -> None:
    estimate = {"estimate_id": api.post("/estimates/electricity", json=CONSUMPTION).json()["id"]}
    order = place(api, estimate, "estimate")
    assert refusal(api.post("/orders/by-estimate", json=estimate)) == (409, "estimate_order_already_placed")
    assert api.post("/orders/by-estimate/quote", json=estimate).status_code == 200
    for status in ("cancelled", "failed"):
        run_sql(
            f"UPDATE orders SET status = $1, {status}_at = now() WHERE order_id = $2::text::uuid",
            status,
            order["id"],
        )
        order = place(api, estimate, "estimate")
        assert order["estimate_id"] == estimate["estimate_id"]
        assert api.post("/orders/by-estimate", json=estimate).status_code == 409


@pytest.mark.parametrize("estimate_id", [NOBODY, "x", "0" * 36, "ü" * 100])
def test_an_unknown_estimate_is_refused(api: httpx.Client, refusal: Refusal, estimate_id: str) -> None:
    for path in ("/orders/by-estimate", "/orders/by-estimate/quote"):
        answer = api.post(path, json={"estimate_id": estimate_id})
        assert refusal(answer) == (400, "estimate_not_found")


# Suspended accounts.


def test_a_suspended_account_places_no_order_from_that_very_moment(
    service: Service, refusal: Refusal, orders_stored: Callable[[], int]
) -> None:
    account = service.key("ISK", Mode.LIVE).account
    with service.client("ISK", Mode.LIVE) as client:
        estimate = client.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
        bodies: dict[str, dict[str, Any]] = {
            "mass": KILOGRAM,
            "value": {"value": "500"},
            "estimate": {"estimate_id": estimate},
        }
        before = orders_stored()
        on_connection(service.database_url, lambda c: set_suspended(c, account, at=utc_now()))
        for way, body in bodies.items():
            answer = client.post(f"/orders/by-{way}", json=body)
            assert refusal(answer) == (409, "account_suspended")
            assert client.post(f"/orders/by-{way}/quote", json=body).status_code == 200
        assert orders_stored() == before
        on_connection(service.database_url, lambda c: set_suspended(c, account, at=None))
        for way, body in bodies.items():
            place(client, dict(body), way)


def test_suspending_an_account_leaves_its_sibling_alone(service: Service) -> None:
    account = service.key("EUR", Mode.LIVE).account
    on_connection(service.database_url, lambda c: set_suspended(c, account, at=utc_now()))
    with service.client("EUR", Mode.TEST) as client:
        place(client, dict(KILOGRAM))

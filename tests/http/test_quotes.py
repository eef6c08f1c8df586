"""Contract, section 4: quotes have the shape and the numbers of orders, and write nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.support import NOBODY, Service, on_connection

from tonne.application.identifiers import utc_now
from tonne.domain.accounts import Mode
from tonne.storage.accounts import set_suspended

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
CONSUMPTION = {"consumption": {"amount": "100", "unit": "kWh"}}
PROPERTIES = {
    "currency", "requested_quantity", "requested_value", "estimated_quantity", "estimated_offset_cost",
    "estimated_commission", "estimated_total_cost", "bundles",
}  # fmt: skip
LINE_PROPERTIES = {
    "bundle_id", "bundle_name", "primary_image", "quantity", "unit_price", "gross_unit_price", "offset_cost",
    "insufficient_available_quantity",
}  # fmt: skip
NATURE, DURABLE, FORESTS = "Nature protection", "Durable carbon removal", "Managed forests of North America"

Refusal = Callable[[httpx.Response], tuple[int, str]]
Bundles = dict[str, str]


def quote(client: httpx.Client, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/orders/by-{kind}/quote", json=body)
    assert answer.status_code == 200, answer.text
    quoted: dict[str, Any] = answer.json()
    return quoted


def selecting(*choices: tuple[str, Any]) -> dict[str, Any]:
    chosen = [{"bundle_id": bundle_id, "percentage": percentage} for bundle_id, percentage in choices]
    return {"bundle_selection": chosen}


def quantities(quoted: dict[str, Any]) -> list[str]:
    return [line["quantity"] for line in quoted["bundles"]]


# Shapes and numbers.


def test_the_worked_example_comes_out_digit_for_digit(api: httpx.Client, bundles: Bundles) -> None:
    quoted = quote(api, "mass", {"mass": {"amount": "12.07", "unit": "kg"}})
    lines = quoted.pop("bundles")
    assert quoted == {
        "currency": "USD",
        "requested_quantity": "0.01207",
        "requested_value": None,
        "estimated_quantity": "0.012069",
        "estimated_offset_cost": "0.31",
        "estimated_commission": "0.04",
        "estimated_total_cost": "0.35",
    }
    shown = ("bundle_id", "quantity", "unit_price", "gross_unit_price", "offset_cost")
    assert [[line[name] for name in shown] for line in lines] == [
        [bundles[NATURE], "0.011466", "13.57", "15.08", "0.16"],
        [bundles[DURABLE], "0.000603", "250", "277.78", "0.15"],
    ]


def test_a_quote_has_every_property_of_the_contract(api: httpx.Client) -> None:
    estimate = api.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
    for kind, body in (
        ("mass", KILOGRAM),
        ("value", {"value": "5"}),
        ("estimate", {"estimate_id": estimate}),
    ):
        quoted = quote(api, kind, body)
        assert set(quoted) == PROPERTIES
        for line in quoted["bundles"]:
            assert set(line) == LINE_PROPERTIES
            assert line["insufficient_available_quantity"] is None
        assert (quoted["requested_quantity"] is None) is (kind == "value")
        assert (quoted["requested_value"] is None) is (kind != "value")


def test_an_optional_property_may_be_left_out_or_null(api: httpx.Client) -> None:
    nulls = {"bundle_masses": None, "bundle_selection": None, "quantity_trunc": None}
    assert quote(api, "mass", KILOGRAM | nulls) == quote(api, "mass", KILOGRAM)
    nulls.pop("bundle_masses")
    assert quote(api, "value", {"value": "5"} | nulls) == quote(api, "value", {"value": "5"})


@pytest.mark.parametrize(
    ("currency", "value", "printed"),
    [("USD", "5", "5.00"), ("EUR", "5.1", "5.10"), ("ISK", "500", "500"), ("USD", "0005.00", "5.00")],
)
def test_money_is_printed_with_exactly_the_minor_digits_of_the_currency(
    service: Service, currency: str, value: str, printed: str
) -> None:
    digits = len(printed.partition(".")[2])
    with service.client(currency) as client:
        quoted = quote(client, "value", {"value": value})
    assert (quoted["currency"], quoted["requested_value"]) == (currency, printed)
    for name in ("estimated_offset_cost", "estimated_commission", "estimated_total_cost"):
        assert len(quoted[name].partition(".")[2]) == digits


@pytest.mark.parametrize(
    ("amount", "unit", "tonnes"),
    [
        ("1040", "t", "1040"),
        ("1040.500", "t", "1040.5"),
        ("1", "g", "0.000001"),
        ("1500", "g", "0.0015"),
        ("20000", "kg", "20"),
        ("1.00000050", "g", "0.0000010000005"),
        ("000000002", "kg", "0.002"),
        ("1000000000", "t", "1000000000"),
    ],
)
def test_the_requested_mass_is_printed_in_tonnes_exactly_and_without_trailing_zeros(
    api: httpx.Client, bundles: Bundles, amount: str, unit: str, tonnes: str
) -> None:
    body = {"mass": {"amount": amount, "unit": unit}} | selecting((bundles[NATURE], 100))
    assert quote(api, "mass", body)["requested_quantity"] == tonnes


def test_a_line_that_stock_does_not_cover_says_so(api: httpx.Client, bundles: Bundles) -> None:
    stock = api.get(f"/bundles/{bundles[DURABLE]}").json()["available_quantity"]
    for grams, short in ((int(stock) * 10**6, None), (int(stock) * 10**6 + 1, True)):
        body = {"mass": {"amount": str(grams), "unit": "g"}} | selecting((bundles[DURABLE], 100))
        assert quote(api, "mass", body)["bundles"][0]["insufficient_available_quantity"] is short


@pytest.mark.parametrize(
    ("trunc", "quantity"), [(None, "2.345678"), ("g", "2.345678"), ("kg", "2.345"), ("t", "2")]
)
def test_quantities_are_cut_towards_zero_at_quantity_trunc(
    api: httpx.Client, bundles: Bundles, trunc: str | None, quantity: str
) -> None:
    body = {"mass": {"amount": "2345678.9", "unit": "g"}, "quantity_trunc": trunc}
    assert quantities(quote(api, "mass", body | selecting((bundles[NATURE], 100)))) == [quantity]
    masses = [{"bundle_id": bundles[NATURE], "mass": body["mass"]}]
    assert quantities(quote(api, "mass", {"bundle_masses": masses, "quantity_trunc": trunc})) == [quantity]


@pytest.mark.parametrize(
    ("amount", "unit", "trunc", "buys"),
    [
        ("1", "g", "g", True),
        ("0.999999", "g", "g", False),
        ("0", "t", "g", False),
        ("1", "kg", "kg", True),
        ("999.999", "g", "kg", False),
        ("1", "t", "t", True),
        ("999999.9", "g", "t", False),
    ],
)
def test_a_quantity_that_comes_out_at_nothing_is_refused(
    api: httpx.Client, refusal: Refusal, bundles: Bundles, amount: str, unit: str, trunc: str, *, buys: bool
) -> None:
    body = {"mass": {"amount": amount, "unit": unit}, "quantity_trunc": trunc}
    answer = api.post("/orders/by-mass/quote", json=body | selecting((bundles[NATURE], 100)))
    if buys:
        assert answer.status_code == 200
    else:
        assert refusal(answer) == (409, "order_quantity_invalid")


def test_a_bundle_whose_own_quantity_is_nothing_stays_listed(api: httpx.Client, bundles: Bundles) -> None:
    shares = selecting((bundles[NATURE], "99.99"), (bundles[DURABLE], "0.01"), (bundles[FORESTS], 0))
    quoted = quote(api, "mass", {"mass": {"amount": "100", "unit": "g"}} | shares)
    assert quantities(quoted) == ["0.000099", "0", "0"]
    assert quoted["bundles"][1]["offset_cost"] == "0.00"


@pytest.mark.parametrize(
    ("currency", "value", "code"),
    [
        ("USD", "0.01", None),
        ("USD", "0.009", "order_value_invalid"),
        ("USD", "0", "order_value_invalid"),
        ("ISK", "1", None),
        ("ISK", "0.99", "order_value_invalid"),
    ],
)
def test_a_value_is_at_least_the_minor_unit(
    service: Service, refusal: Refusal, currency: str, value: str, code: str | None
) -> None:
    with service.client(currency) as client:
        answer = client.post("/orders/by-value/quote", json={"value": value})
    if code is None:
        assert answer.status_code == 200
    else:
        assert refusal(answer) == (400, code)


@pytest.mark.parametrize(
    ("value", "trunc", "enough"),
    [("15.08", "t", True), ("15.07", "t", False), ("0.02", "kg", True), ("0.01", "kg", False)],
)
def test_a_value_that_buys_nothing_is_refused(
    api: httpx.Client, refusal: Refusal, bundles: Bundles, value: str, trunc: str, *, enough: bool
) -> None:
    body = {"value": value, "quantity_trunc": trunc} | selecting((bundles[NATURE], 100))
    answer = api.post("/orders/by-value/quote", json=body)
    if enough:
        assert float(answer.json()["estimated_total_cost"]) <= float(value)
    else:
        assert refusal(answer) == (409, "order_quantity_invalid")


# Which bundles.


def test_masses_may_be_given_bundle_by_bundle(api: httpx.Client, bundles: Bundles) -> None:
    masses = [
        {"bundle_id": bundles[DURABLE], "mass": {"amount": "1.5", "unit": "kg"}},
        {"bundle_id": bundles[NATURE], "mass": {"amount": "2", "unit": "t"}},
        {"bundle_id": bundles[FORESTS], "mass": {"amount": "0.4", "unit": "g"}},
    ]
    quoted = quote(api, "mass", {"bundle_masses": masses})
    assert [line["bundle_id"] for line in quoted["bundles"]] == [mass["bundle_id"] for mass in masses]
    assert quantities(quoted) == ["0.0015", "2", "0"]
    assert quoted["requested_quantity"] == "2.0015004"
    assert quoted["estimated_quantity"] == "2.0015"
    assert quoted["estimated_offset_cost"] == "27.52"


def test_without_a_selection_the_platforms_default_counts(api: httpx.Client, bundles: Bundles) -> None:
    default = selecting((bundles[NATURE], 95), (bundles[DURABLE], 5))
    for kind, body in (("mass", KILOGRAM), ("value", {"value": "7"})):
        assert quote(api, kind, body) == quote(api, kind, body | default)


def test_a_selection_without_percentages_is_split_evenly_the_first_taking_the_rest(
    api: httpx.Client, bundles: Bundles
) -> None:
    ids = list(bundles.values())
    hundred = {"mass": {"amount": "100", "unit": "kg"}}
    for shares in (["0.1"], ["0.05", "0.05"], ["0.034", "0.033", "0.033"], ["0.025"] * 4):
        chosen = [{"bundle_id": bundle_id} for bundle_id in ids[: len(shares)]]
        assert quantities(quote(api, "mass", hundred | {"bundle_selection": chosen})) == shares
        nulls = [choice | {"percentage": None} for choice in chosen]
        assert quantities(quote(api, "mass", hundred | {"bundle_selection": nulls})) == shares


@pytest.mark.parametrize(
    ("percentages", "code"),
    [
        ([95, 5], None),
        (["95", "5"], None),
        ([95, "5.00"], None),
        (["33.33", "66.67"], None),
        ([100, 0], None),
        (["0.01", "99.99"], None),
        ([95, 4], "bundle_selection_ratios_invalid"),
        ([95, 6], "bundle_selection_ratios_invalid"),
        (["99.99", 0], "bundle_selection_ratios_invalid"),
        ([0, 0], "bundle_selection_ratios_invalid"),
        ([100, None], "bundle_selection_ratios_invalid_format"),
        ([None, "50"], "bundle_selection_ratios_invalid_format"),
        (["33.333", "66.667"], "bundle_selection_ratios_invalid_format"),
        (["33.333", "66.66"], "bundle_selection_ratios_invalid_format"),
        ([-5, 105], "validation_error"),
        (["-5", "105"], "validation_error"),
        ([95.5, 4.5], "validation_error"),
        ([True, 99], "validation_error"),
        (["95%", "5%"], "validation_error"),
        (["1e1", "90"], "validation_error"),
        (["", "100"], "validation_error"),
        ([[95], 5], "validation_error"),
    ],
)
def test_percentages_are_for_all_or_none_with_two_decimals_and_add_up_to_100(
    api: httpx.Client, refusal: Refusal, bundles: Bundles, percentages: list[Any], code: str | None
) -> None:
    shares = selecting(*zip((bundles[NATURE], bundles[DURABLE]), percentages, strict=True))
    for kind, body in (("mass", KILOGRAM), ("value", {"value": "7"})):
        answer = api.post(f"/orders/by-{kind}/quote", json=body | shares)
        if code is None:
            assert answer.status_code == 200
        else:
            assert refusal(answer) == (400, code)


@pytest.mark.parametrize("bundle_id", [NOBODY, "x", "0" * 36, "NULL", "../bundles", "ü" * 100])
def test_an_unknown_bundle_is_refused_by_its_name(
    api: httpx.Client, refusal: Refusal, bundles: Bundles, bundle_id: str
) -> None:
    selection = {"bundle_selection": [{"bundle_id": bundles[NATURE]}, {"bundle_id": bundle_id}]}
    masses = {"bundle_masses": [{"bundle_id": bundle_id, "mass": {"amount": "1", "unit": "kg"}}]}
    for body in (KILOGRAM | selection, masses):
        answer = api.post("/orders/by-mass/quote", json=body)
        assert refusal(answer) == (400, "bundle_selection_bundle_invalid")
        assert bundle_id in answer.json()["error"]["message"]


def test_mass_and_bundle_masses_exclude_each_other(
    api: httpx.Client, refusal: Refusal, bundles: Bundles
) -> None:
    masses = {"bundle_masses": [{"bundle_id": bundles[NATURE], "mass": {"amount": "1", "unit": "kg"}}]}
    selection = selecting((bundles[NATURE], 100))
    bodies: list[dict[str, Any]] = [KILOGRAM | masses, masses | selection, selection]
    for body in [*bodies, {}, {"mass": None}, {"bundle_masses": []}]:
        for path in ("/orders/by-mass/quote", "/orders/by-mass"):
            assert refusal(api.post(path, json=body)) == (400, "validation_error")


@pytest.mark.parametrize("name", ["idempotency_key", "metadata"])
def test_a_quote_takes_neither_idempotency_key_nor_metadata(
    api: httpx.Client, refusal: Refusal, name: str
) -> None:
    rest = {name: "a" if name == "idempotency_key" else {"a": "b"}}
    estimate = api.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
    for kind, body in (
        ("mass", KILOGRAM),
        ("value", {"value": "5"}),
        ("estimate", {"estimate_id": estimate}),
    ):
        answer = api.post(f"/orders/by-{kind}/quote", json=body | rest)
        assert refusal(answer) == (400, "validation_error")
        assert name in answer.json()["error"]["message"]


# A quote writes nothing.


def test_a_quote_writes_nothing(api: httpx.Client, run_sql: Callable[..., Any]) -> None:
    estimate = api.post("/estimates/electricity", json=CONSUMPTION).json()["id"]

    def rows() -> dict[str, int]:
        tables = run_sql(
            "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
        )
        return {
            table["name"]: run_sql(f"SELECT count(*) FROM {table['name']}")[0]["count"] for table in tables
        }

    before = rows()
    assert "orders" in before
    quote(api, "mass", KILOGRAM)
    quote(api, "value", {"value": "5"})
    quote(api, "estimate", {"estimate_id": estimate})
    assert api.post("/orders/by-mass/quote", json={"mass": {"amount": "0", "unit": "t"}}).status_code == 409
    assert rows() == before


def test_a_suspended_account_is_still_quoted(service: Service) -> None:
    account = service.key("EUR", Mode.LIVE).account
    on_connection(service.database_url, lambda c: set_suspended(c, account, at=utc_now()))
    with service.client("EUR", Mode.LIVE) as client:
        assert client.post("/orders/by-mass", json=KILOGRAM).status_code == 409
        assert quote(client, "mass", KILOGRAM)["currency"] == "EUR"
        assert quote(client, "value", {"value": "3"})["requested_value"] == "3.00"
        assert client.get("/orders").status_code == 200
    on_connection(service.database_url, lambda c: set_suspended(c, account, at=None))


# An order placed right after a quote.


@pytest.mark.parametrize("currency", ["USD", "EUR", "ISK"])
def test_an_order_right_after_a_quote_has_the_same_numbers(
    service: Service, bundles: Bundles, currency: str
) -> None:
    thirds = {"bundle_selection": [{"bundle_id": bundle_id} for bundle_id in list(bundles.values())[:3]]}
    masses = [
        {"bundle_id": bundle_id, "mass": {"amount": "333.33", "unit": "kg"}} for bundle_id in bundles.values()
    ]
    with service.client(currency) as client:
        estimate = client.post("/estimates/electricity", json=CONSUMPTION).json()["id"]
        for kind, body in (
            ("mass", {"mass": {"amount": "12.07", "unit": "kg"}}),
            ("mass", {"mass": {"amount": "98765.4321", "unit": "kg"}} | thirds),
            ("mass", {"bundle_masses": masses, "quantity_trunc": "kg"}),
            ("value", {"value": "1234"} | thirds),
            ("value", {"value": "777.77", "quantity_trunc": "kg"}),
            ("estimate", {"estimate_id": estimate} | thirds),
        ):
            quoted = quote(client, kind, body)
            placed = client.post(f"/orders/by-{kind}", json=body).json()
            for name in ("quantity", "offset_cost", "commission", "total_cost"):
                assert placed[name] == quoted[f"estimated_{name}"]
            for name in ("currency", "requested_quantity", "requested_value", "bundles"):
                assert placed[name] == quoted[name]

"""Quotes and orders over HTTP have the numbers that anyone can work out from the contract and the price list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import independent_calculator as calculator
from tests.support import Service

MINOR_DIGITS = {"USD": 2, "EUR": 2, "ISK": 0}
COMMISSION_RATE = "0.10"
BUNDLE_COUNT = 4
PURCHASES = 100
QUANTITY_MAX = 10**9

in_each_currency = pytest.mark.parametrize("till", MINOR_DIGITS, indirect=True)


@dataclass(frozen=True)
class Till:
    """What a buyer can know beforehand, all of it fetched over HTTP."""

    http: httpx.Client
    currency: str
    bundles: list[dict[str, Any]]
    default_selection: list[dict[str, Any]]

    @property
    def minor_digits(self) -> int:
        return MINOR_DIGITS[self.currency]

    def body_of(self, purchase: Purchase) -> dict[str, Any]:
        """The body to send."""
        body: dict[str, Any] = {}
        ids = [self.bundles[position]["id"] for position in purchase.positions]
        if purchase.masses:
            body["bundle_masses"] = [
                {"bundle_id": bundle_id, "mass": {"amount": amount, "unit": unit}}
                for bundle_id, (amount, unit) in zip(ids, purchase.masses, strict=True)
            ]
        elif purchase.percentages is None:
            body["bundle_selection"] = [{"bundle_id": bundle_id} for bundle_id in ids] or None
        else:
            body["bundle_selection"] = [
                {"bundle_id": bundle_id, "percentage": percentage}
                for bundle_id, percentage in zip(ids, purchase.percentages, strict=True)
            ]
        if purchase.mass is not None:
            body["mass"] = dict(zip(("amount", "unit"), purchase.mass, strict=True))
        if purchase.value is not None:
            body["value"] = purchase.value
        if purchase.quantity_trunc is not None:
            body["quantity_trunc"] = purchase.quantity_trunc
        return body

    def calculate(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """What a body should come out at, from the body itself; nothing if it should be refused."""
        rest = {"minor_digits": self.minor_digits, "quantity_trunc": body.get("quantity_trunc", "g")}
        chosen = body.get("bundle_selection") or self.default_selection
        selection = [(choice["bundle_id"], choice.get("percentage")) for choice in chosen]
        try:
            if "bundle_masses" in body:
                masses = [(part["bundle_id"], *part["mass"].values()) for part in body["bundle_masses"]]
                calculated = calculator.by_bundle_masses(self.bundles, masses, **rest)
            elif "mass" in body:
                calculated = calculator.by_mass(self.bundles, selection, *body["mass"].values(), **rest)
            else:
                calculated = calculator.by_value(self.bundles, selection, body["value"], **rest)
        except calculator.NothingToBuy:
            return None
        whole = int(calculated["quantity"].partition(".")[0])
        is_too_much = (whole, "." in calculated["quantity"]) > (QUANTITY_MAX, False)
        return None if is_too_much else calculated


@dataclass(frozen=True)
class Purchase:
    """A wish in the order of the price list: no positions mean the default selection."""

    positions: tuple[int, ...] = ()
    percentages: tuple[int | str, ...] | None = None
    mass: tuple[str, str] | None = None
    masses: tuple[tuple[str, str], ...] = ()
    value: str | None = None
    quantity_trunc: str | None = None


# --- What is generated ---


def written(units: int, digits: int) -> str:
    text = str(units).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}" if digits else text


@st.composite
def positions(draw: st.DrawFn) -> tuple[int, ...]:
    every = draw(st.permutations(range(BUNDLE_COUNT)))
    return tuple(every[: draw(st.integers(1, BUNDLE_COUNT))])


@st.composite
def percentages(draw: st.DrawFn, count: int) -> tuple[int | str, ...]:
    """Whole percents or hundredths that add up to 100, as integers and as strings."""
    digits = draw(st.sampled_from([0, 1, 2]))
    whole = 100 * 10**digits
    cuts = sorted(draw(st.lists(st.integers(0, whole), min_size=count - 1, max_size=count - 1)))
    parts = [upper - lower for lower, upper in zip([0, *cuts], [*cuts, whole], strict=True)]
    if digits == 0 and draw(st.booleans()):
        return tuple(parts)
    return tuple(written(part, digits) for part in parts)


@st.composite
def masses(draw: st.DrawFn) -> tuple[str, str]:
    """A microgram to a billion tonnes."""
    unit, digits = draw(st.sampled_from([("g", 6), ("kg", 9), ("t", 12)]))
    # From a kilogram up there is nearly always something to buy.
    units = draw(st.integers(1, 10**21) | st.integers(10**9, 10**18) | st.integers(10**13, 10**21))
    cut = draw(st.integers(0, digits))
    return written(units // 10**cut, digits - cut), unit


@st.composite
def values(draw: st.DrawFn) -> str:
    """From something small, that may be less than can be paid, to more than is for sale."""
    digits = draw(st.sampled_from([0, 2, 2, 3]))
    return written(
        draw(st.integers(10**digits, 10 ** (digits + 13)) | st.integers(10**digits, 10**8)), digits
    )


truncs = st.sampled_from([None, None, "g", "kg", "t"])


@st.composite
def selections(draw: st.DrawFn) -> Purchase:
    """Without a selection, with one that has no percentages, or with both."""
    chosen = draw(st.just(()) | positions() | positions())
    return Purchase(chosen, draw(st.none() | percentages(len(chosen))) if chosen else None)


@st.composite
def purchases(draw: st.DrawFn, kind: str) -> Purchase:
    trunc = draw(truncs)
    if kind == "bundle_masses":
        chosen = draw(positions())
        return Purchase(chosen, masses=tuple(draw(masses()) for _ in chosen), quantity_trunc=trunc)
    selected = replace(draw(selections()), quantity_trunc=trunc)
    if kind == "value":
        return replace(selected, value=draw(values()))
    return replace(selected, mass=draw(masses()))


# --- Reading answers ---


def lines_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("bundle_id", "quantity", "unit_price", "gross_unit_price", "offset_cost")
    return [{name: line[name] for name in names} for line in body["bundles"]]


def numbers_of_quote(body: dict[str, Any]) -> dict[str, Any]:
    numbers = {
        name: body[f"estimated_{name}"] for name in ("quantity", "offset_cost", "commission", "total_cost")
    }
    requested = {name: body[name] for name in ("requested_quantity", "requested_value")}
    return numbers | requested | {"bundles": lines_of(body)}


def numbers_of_order(body: dict[str, Any]) -> dict[str, Any]:
    names = ("quantity", "offset_cost", "commission", "total_cost", "requested_quantity", "requested_value")
    return {name: body[name] for name in names} | {"bundles": lines_of(body)}


# --- The tests ---


@pytest.fixture
def till(request: pytest.FixtureRequest, service: Service) -> Iterator[Till]:
    """A till in the currency that is asked for."""
    with service.client(request.param) as http:
        page = http.get("/bundles").raise_for_status().json()
        assert not page["has_more"]
        assert len(page["data"]) == BUNDLE_COUNT
        selection = http.get("/bundle-selections").raise_for_status().json()
        yield Till(http, request.param, page["data"], selection)


@in_each_currency
@pytest.mark.parametrize("kind", ["mass", "value", "bundle_masses"])
def test_quotes_and_orders_equal_the_independent_calculation_to_the_last_digit(till: Till, kind: str) -> None:
    @settings(max_examples=PURCHASES)
    @given(purchases(kind))
    def holds(purchase: Purchase) -> None:
        body = till.body_of(purchase)
        path = "/orders/by-value" if "value" in body else "/orders/by-mass"
        quote = till.http.post(path + "/quote", json=body)
        order = till.http.post(path, json=body)
        expected = till.calculate(body)
        if expected is None:
            assert [quote.status_code, order.status_code] == [409, 409]
            assert quote.json()["error"] == order.json()["error"]
            assert order.json()["error"]["error_code"] == "order_quantity_invalid"
            return
        assert [quote.status_code, order.status_code] == [200, 200], quote.text + order.text
        assert numbers_of_quote(quote.json()) == expected
        assert numbers_of_order(order.json()) == expected
        assert quote.json()["currency"] == order.json()["currency"] == till.currency
        assert order.json()["type"] == ("value" if "value" in body else "quantity")
        kept = till.http.get(f"/orders/{order.json()['id']}")
        assert numbers_of_order(kept.json()) == expected

    holds()


@in_each_currency
def test_gross_prices_follow_from_unit_prices_and_a_commission_of_ten_percent(till: Till) -> None:
    for bundle in till.bundles:
        assert bundle["currency"] == till.currency
        assert bundle["gross_unit_price"] == calculator.gross_price(
            bundle["unit_price"], COMMISSION_RATE, minor_digits=till.minor_digits
        )


@in_each_currency
def test_unit_prices_follow_from_the_catalogue_and_its_exchange_rate(till: Till) -> None:
    demo = json.loads(files("tonne.application").joinpath("demo_catalogue.json").read_text(encoding="utf-8"))
    rates = {rate["quote_currency"]: rate["rate"] for rate in demo["exchange_rates"]}
    listed = {bundle["name"]: bundle["unit_price"] for bundle in till.bundles}
    assert listed.keys() == {bundle["name"] for bundle in demo["bundles"]}
    for bundle in demo["bundles"]:
        price = bundle["base_price"]
        if till.currency != bundle["currency"]:
            price = calculator.price_in_foreign_currency(
                price, rates[till.currency], minor_digits=till.minor_digits
            )
        assert listed[bundle["name"]] == price


@in_each_currency
def test_the_default_selection_is_the_catalogues(till: Till) -> None:
    demo = json.loads(files("tonne.application").joinpath("demo_catalogue.json").read_text(encoding="utf-8"))
    names = {bundle["key"]: bundle["name"] for bundle in demo["bundles"]}
    ids = {bundle["name"]: bundle["id"] for bundle in till.bundles}
    assert till.default_selection == [
        {"bundle_id": ids[names[choice["bundle"]]], "percentage": int(choice["percentage"])}
        for choice in demo["default_selection"]
    ]


@pytest.mark.parametrize("till", ["USD"], indirect=True)
def test_the_worked_example_of_the_contract_is_what_the_demo_sells(till: Till) -> None:
    quote = till.http.post("/orders/by-mass/quote", json={"mass": {"amount": "12.07", "unit": "kg"}}).json()
    assert [line["quantity"] for line in quote["bundles"]] == ["0.011466", "0.000603"]
    assert [line["gross_unit_price"] for line in quote["bundles"]] == ["15.08", "277.78"]
    assert [line["offset_cost"] for line in quote["bundles"]] == ["0.16", "0.15"]
    assert quote["estimated_quantity"] == "0.012069"
    assert quote["requested_quantity"] == "0.01207"
    assert (quote["estimated_offset_cost"], quote["estimated_commission"]) == ("0.31", "0.04")
    assert quote["estimated_total_cost"] == "0.35"

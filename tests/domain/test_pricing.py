"""What a purchase costs: contract, section 5. Properties over all currencies, and limits computed by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any
from uuid import UUID

import iso4217
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from tests import independent_calculator as calculator

from tonne.domain.accounts import Account, Mode, Organisation
from tonne.domain.catalogue import Bundle, Catalogue
from tonne.domain.decimals import parse_decimal, plain
from tonne.domain.errors import (
    BundleSelectionBundleInvalid,
    EstimateNotFound,
    ExchangeRateNotFound,
    OrderQuantityInvalid,
    OrderValueInvalid,
)
from tonne.domain.mass import Mass, MassUnit, format_tonnes
from tonne.domain.money import Currency
from tonne.domain.pricing import Offer, Priced, price_offer, price_quantities, split_by_largest_remainder
from tonne.domain.purchase import (
    ByBundleMasses,
    ByEstimate,
    ByMass,
    ByValue,
    Purchase,
    Quote,
    Wanted,
    price_purchase,
)
from tonne.domain.selection import Choice, selection_from
from tonne.storage.currencies import find_currency

CURRENCIES = [find_currency(each.code) for each in iso4217.Currency if each.exponent is not None]
MINOR_DIGITS = sorted({currency.minor_digits for currency in CURRENCIES})
NOW = datetime(2026, 11, 26, tzinfo=UTC)
IDS = [UUID(int=number) for number in range(1, 21)]
BILLION_TONNES = Decimal(10**9)
EXAMPLES = 150
EXAMPLES_LONG = 20_000


@dataclass(frozen=True)
class Shop:
    """Bundles on sale, and an account to buy them for. Without a rate the prices are in the account's currency."""

    currency: Currency
    base_prices: tuple[str, ...]
    commission_rate: str = "0.10"
    exchange_rate: str | None = None

    @property
    def bundle_ids(self) -> list[UUID]:
        return IDS[: len(self.base_prices)]

    @property
    def base_currency(self) -> str:
        if self.exchange_rate is None:
            return self.currency.code
        return "EUR" if self.currency.code == "USD" else "USD"

    @cached_property
    def account(self) -> Account:
        organisation = Organisation(UUID(int=101), "Shop", "shipper", Decimal(self.commission_rate))
        return Account(organisation, UUID(int=102), "Shop", Mode.TEST, self.currency)

    @cached_property
    def catalogue(self) -> Catalogue:
        bundles = {
            bundle_id: Bundle(bundle_id, f"Bundle {bundle_id}", Decimal(price), self.base_currency, "")
            for bundle_id, price in zip(self.bundle_ids, self.base_prices, strict=True)
        }
        rate = self.exchange_rate
        rates = {} if rate is None else {(self.base_currency, self.currency.code): Decimal(rate)}
        return Catalogue(bundles=bundles, exchange_rates=rates)

    @cached_property
    def listed(self) -> list[dict[str, str]]:
        """The bundles as the wire lists them, at independently calculated prices."""
        digits = self.currency.minor_digits
        listed = []
        for bundle_id, base_price in zip(self.bundle_ids, self.base_prices, strict=True):
            price = base_price.rstrip("0").rstrip(".") if "." in base_price else base_price
            if self.exchange_rate is not None:
                price = calculator.price_in_foreign_currency(
                    base_price, self.exchange_rate, minor_digits=digits
                )
            gross = calculator.gross_price(price, self.commission_rate, minor_digits=digits)
            listed.append({"id": str(bundle_id), "unit_price": price, "gross_unit_price": gross})
        return listed


@dataclass(frozen=True)
class Wish:
    """A purchase as it is asked for: one of mass, value and masses, in strings."""

    shop: Shop
    percentages: tuple[str | None, ...] = ()
    mass: tuple[str, str] | None = None
    value: str | None = None
    masses: tuple[tuple[str, str], ...] = ()
    quantity_trunc: str = "g"

    @property
    def requested_tonnes(self) -> Fraction:
        asked = self.masses if self.mass is None else (self.mass,)
        return sum((Fraction(amount) * Fraction(TONNES[unit]) for amount, unit in asked), start=Fraction(0))

    @property
    def step_grams(self) -> int:
        return {"g": 1, "kg": 1000, "t": 1_000_000}[self.quantity_trunc]

    def quote(self) -> Quote:
        """Price it."""
        selection = None
        if self.percentages:
            chosen = [None if given is None else parse_decimal(given) for given in self.percentages]
            selection = selection_from(list(zip(self.shop.bundle_ids, chosen, strict=True)))
        purchase = Purchase(self._wanted(), selection, MassUnit(self.quantity_trunc))
        return price_purchase(purchase, account=self.shop.account, catalogue=self.shop.catalogue, at=NOW)

    def quote_or_reject(self) -> Quote:
        """Price it; leave it out of a property if there is no price."""
        try:
            return self.quote()
        except OrderQuantityInvalid:
            reject()

    def calculate(self) -> dict[str, Any]:
        """Price it with the independent calculator."""
        bundles = self.shop.listed
        ids = [bundle["id"] for bundle in bundles]
        selection = list(zip(ids, self.percentages, strict=True)) if self.percentages else []
        digits = self.shop.currency.minor_digits
        trunc = self.quantity_trunc
        if self.mass is not None:
            return calculator.by_mass(
                bundles, selection, *self.mass, minor_digits=digits, quantity_trunc=trunc
            )
        if self.value is not None:
            return calculator.by_value(
                bundles, selection, self.value, minor_digits=digits, quantity_trunc=trunc
            )
        masses = [(bundle_id, *mass) for bundle_id, mass in zip(ids, self.masses, strict=True)]
        return calculator.by_bundle_masses(bundles, masses, minor_digits=digits, quantity_trunc=trunc)

    def _wanted(self) -> Wanted:
        if self.mass is not None:
            return ByMass(mass_of(*self.mass))
        if self.value is not None:
            return ByValue(parse_decimal(self.value))
        masses = [mass_of(*mass) for mass in self.masses]
        return ByBundleMasses(tuple(zip(self.shop.bundle_ids, masses, strict=True)))


TONNES = {"g": "0.000001", "kg": "0.001", "t": "1"}


def mass_of(amount: str, unit: str) -> Mass:
    return Mass(parse_decimal(amount), MassUnit(unit))


def printed(quote: Quote) -> dict[str, Any]:
    """A quote as the wire shows it."""
    money = quote.currency.format
    priced = quote.priced
    tonnes, minor = quote.requested_tonnes, quote.requested_value_minor
    return {
        "requested_quantity": None if tonnes is None else plain(tonnes),
        "requested_value": None if minor is None else money(minor),
        "quantity": format_tonnes(priced.quantity_grams),
        "offset_cost": money(priced.offset_cost_minor),
        "commission": money(priced.commission_minor),
        "total_cost": money(priced.total_cost_minor),
        "bundles": [
            {
                "bundle_id": str(line.bundle_id),
                "quantity": format_tonnes(line.quantity_grams),
                "unit_price": plain(line.unit_price),
                "gross_unit_price": plain(line.gross_unit_price),
                "offset_cost": money(line.offset_cost_minor),
            }
            for line in priced.lines
        ],
    }


def written(units: int, digits: int) -> str:
    """`units` of 10^-digits in plain digits, trailing zeros and all."""
    text = str(units).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}" if digits else text


# --- What is generated ---


@st.composite
def magnitudes(draw: st.DrawFn, largest: int) -> int:
    """Integers from 1 to `largest`, of each length alike."""
    length = draw(st.integers(1, len(str(largest))))
    return draw(st.integers(10 ** (length - 1), min(10**length - 1, largest)))


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    digits = draw(st.sampled_from(MINOR_DIGITS))
    currency = draw(st.sampled_from([each for each in CURRENCIES if each.minor_digits == digits]))
    commission_rate = draw(st.sampled_from(["0.10", "0.1", "0"]) | st.integers(0, 9900).map(in_myriadths))
    bundle_count = draw(st.integers(1, 20))
    foreign = draw(st.booleans())
    # A price in the account's own currency may be finer than the minor unit: it stands as it is.
    price_digits = 4 if foreign else digits + draw(st.sampled_from([0, 0, 1, 2]))
    prices = draw(st.lists(st.integers(1, 10**8), min_size=bundle_count, max_size=bundle_count))
    rate = draw(st.none() if not foreign else magnitudes(10**10).map(in_millionths))
    return Shop(currency, tuple(written(price, price_digits) for price in prices), commission_rate, rate)


def in_myriadths(units: int) -> str:
    return written(units, 4)


def in_millionths(units: int) -> str:
    return written(units, 6)


@st.composite
def percentages(draw: st.DrawFn, count: int) -> tuple[str | None, ...]:
    """Percentages with two decimals that add up to 100, or none."""
    if draw(st.integers(0, 9)) == 0:
        return (None,) * count
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=count - 1, max_size=count - 1)))
    return tuple(written(upper - lower, 2) for lower, upper in zip([0, *cuts], [*cuts, 10_000], strict=True))


@st.composite
def masses(draw: st.DrawFn) -> tuple[str, str]:
    """0.000001 g to 10^9 t, in any unit."""
    unit, digits = draw(st.sampled_from([("g", 6), ("kg", 9), ("t", 12)]))
    # From a tonne up there is nearly always something to buy.
    units = draw(magnitudes(10**21) | st.integers(10**12, 10**21))
    return written(units, digits), unit


@st.composite
def values(draw: st.DrawFn, currency: Currency) -> str:
    """One minor unit to 10^13, sometimes with digits that can't be paid."""
    largest = 10 ** (13 + currency.minor_digits)
    digits = currency.minor_digits
    text = written(draw(magnitudes(largest)), digits)
    if draw(st.integers(0, 4)) == 0:
        text += ("" if digits else ".") + draw(st.sampled_from(["0", "4", "5", "99"]))
    return text


truncs = st.sampled_from(["g", "g", "kg", "t"])


@st.composite
def wishes_by_mass(draw: st.DrawFn) -> Wish:
    shop = draw(shops())
    shares = draw(percentages(len(shop.base_prices)))
    return Wish(shop, shares, mass=draw(masses()), quantity_trunc=draw(truncs))


@st.composite
def wishes_by_value(draw: st.DrawFn) -> Wish:
    shop = draw(shops())
    shares = draw(percentages(len(shop.base_prices)))
    return Wish(shop, shares, value=draw(values(shop.currency)), quantity_trunc=draw(truncs))


@st.composite
def wishes_by_bundle_masses(draw: st.DrawFn) -> Wish:
    shop = draw(shops())
    count = len(shop.base_prices)
    asked = tuple(draw(st.lists(masses(), min_size=count, max_size=count)))
    return Wish(shop, masses=asked, quantity_trunc=draw(truncs))


wishes = st.one_of(wishes_by_mass(), wishes_by_value(), wishes_by_bundle_masses())

# --- Properties ---


@settings(max_examples=EXAMPLES)
@given(wishes)
def test_lines_add_up_to_the_order(wish: Wish) -> None:
    priced = wish.quote_or_reject().priced
    assert sum(line.quantity_grams for line in priced.lines) == priced.quantity_grams
    assert sum(line.offset_cost_minor for line in priced.lines) == priced.offset_cost_minor
    assert min(line.quantity_grams for line in priced.lines) >= 0
    assert min(line.offset_cost_minor for line in priced.lines) >= 0
    assert priced.offset_cost_minor + priced.commission_minor == priced.total_cost_minor
    assert [line.bundle_id for line in priced.lines] == wish.shop.bundle_ids


@settings(max_examples=EXAMPLES)
@given(wishes)
def test_the_commission_is_never_negative(wish: Wish) -> None:
    priced = wish.quote_or_reject().priced
    assert priced.commission_minor >= 0
    for line in priced.lines:
        assert line.gross_unit_price >= line.unit_price


@settings(max_examples=EXAMPLES)
@given(wishes_by_value())
def test_the_total_cost_is_never_more_than_the_value(wish: Wish) -> None:
    assert wish.value is not None
    quote = wish.quote_or_reject()
    scale = 10**wish.shop.currency.minor_digits
    assert quote.requested_value_minor is not None
    assert quote.priced.total_cost_minor <= quote.requested_value_minor
    assert Fraction(wish.value) * scale - 1 < quote.requested_value_minor <= Fraction(wish.value) * scale


@settings(max_examples=EXAMPLES)
@given(wishes_by_value())
def test_what_is_left_of_a_value_is_less_than_one_more_step_of_every_bundle_costs(wish: Wish) -> None:
    quote = wish.quote_or_reject()
    assert quote.requested_value_minor is not None
    spent = sum(
        (Fraction(line.gross_unit_price) * line.quantity_grams for line in quote.priced.lines), Fraction()
    )
    step = sum((Fraction(line.gross_unit_price) * wish.step_grams for line in quote.priced.lines), Fraction())
    value = Fraction(quote.requested_value_minor, 10**wish.shop.currency.minor_digits) * 10**6
    assert value - step < spent <= value


@settings(max_examples=EXAMPLES)
@given(wishes_by_mass() | wishes_by_bundle_masses())
def test_the_quantity_is_never_more_than_requested_and_less_than_a_step_a_line_below_it(wish: Wish) -> None:
    quote = wish.quote_or_reject()
    assert quote.requested_tonnes is not None
    assert Fraction(quote.requested_tonnes) == wish.requested_tonnes
    lost = wish.requested_tonnes * 10**6 - quote.priced.quantity_grams
    assert 0 <= lost < wish.step_grams * len(quote.priced.lines)


@settings(max_examples=EXAMPLES)
@given(wishes)
def test_each_line_is_a_whole_number_of_the_precision(wish: Wish) -> None:
    for line in wish.quote_or_reject().priced.lines:
        assert line.quantity_grams % wish.step_grams == 0


@settings(max_examples=EXAMPLES)
@given(wishes_by_value(), st.data())
def test_paying_more_never_buys_less(wish: Wish, data: st.DataObject) -> None:
    more = replace(wish, value=data.draw(values(wish.shop.currency)))
    assert wish.value is not None
    assert more.value is not None
    less, more = sorted([wish, more], key=lambda each: Fraction(each.value or "0"))
    assert_monotonic(less.quote_or_reject().priced, more.quote_or_reject().priced)


@settings(max_examples=EXAMPLES)
@given(wishes_by_value())
def test_paying_one_unit_more_never_buys_less(wish: Wish) -> None:
    less = wish.quote_or_reject()
    assert less.requested_value_minor is not None
    one_more = written(less.requested_value_minor + 1, wish.shop.currency.minor_digits)
    assert_monotonic(less.priced, replace(wish, value=one_more).quote_or_reject().priced)


@settings(max_examples=EXAMPLES)
@given(wishes_by_mass(), masses())
def test_asking_for_more_never_buys_less_nor_costs_less(wish: Wish, other: tuple[str, str]) -> None:
    less, more = sorted([wish, replace(wish, mass=other)], key=lambda each: each.requested_tonnes)
    assert_monotonic(less.quote_or_reject().priced, more.quote_or_reject().priced)


@settings(max_examples=EXAMPLES)
@given(wishes_by_bundle_masses(), st.data())
def test_asking_for_more_of_a_bundle_never_buys_less_nor_costs_less(wish: Wish, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(wish.masses) - 1))
    asked = list(wish.masses)
    asked[position] = data.draw(masses())
    less, more = sorted([wish, replace(wish, masses=tuple(asked))], key=lambda each: each.requested_tonnes)
    assert_monotonic(less.quote_or_reject().priced, more.quote_or_reject().priced)


def assert_monotonic(less: Priced, more: Priced) -> None:
    assert less.quantity_grams <= more.quantity_grams
    assert less.offset_cost_minor <= more.offset_cost_minor
    assert less.total_cost_minor <= more.total_cost_minor
    for line, at_least in zip(more.lines, less.lines, strict=True):
        assert line.quantity_grams >= at_least.quantity_grams


@settings(max_examples=EXAMPLES)
@given(wishes)
def test_each_share_of_the_cost_is_within_one_unit_of_the_exact_share(wish: Wish) -> None:
    priced = wish.quote_or_reject().priced
    net = [Fraction(line.unit_price) * line.quantity_grams for line in priced.lines]
    for line, weight in zip(priced.lines, net, strict=True):
        # Where all of it is free of charge, so is each line.
        exact = priced.offset_cost_minor * weight / (sum(net) or 1)
        assert abs(line.offset_cost_minor - exact) < 1


@settings(max_examples=EXAMPLES)
@given(wishes)
def test_buying_the_same_quantities_bundle_by_bundle_costs_the_same(wish: Wish) -> None:
    priced = wish.quote_or_reject().priced
    asked = tuple((str(line.quantity_grams), "g") for line in priced.lines)
    assert Wish(wish.shop, masses=asked).quote().priced == priced


@settings(max_examples=EXAMPLES)
@given(wishes)
def test_every_number_equals_the_independent_calculators(wish: Wish) -> None:
    assert outcome_of_service(wish) == outcome_of_calculator(wish)


def outcome_of_service(wish: Wish) -> dict[str, Any] | None:
    try:
        return printed(wish.quote())
    except OrderQuantityInvalid:
        return None


def outcome_of_calculator(wish: Wish) -> dict[str, Any] | None:
    try:
        calculated = wish.calculate()
    except calculator.NothingToBuy:
        return None
    # What is beyond a billion tonnes, or 64 bits of minor units, is refused by the service.
    total_minor = Decimal(calculated["total_cost"]).scaleb(wish.shop.currency.minor_digits)
    within = Decimal(calculated["quantity"]) <= BILLION_TONNES and total_minor < 2**63
    return calculated if within else None


weights_of_shares = st.lists(st.integers(0, 5) | st.integers(0, 10**12), min_size=1, max_size=20).filter(any)


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 30) | st.integers(0, 10**15), weights_of_shares)
def test_shares_lose_nothing_and_the_largest_remainders_win(total: int, weights: list[int]) -> None:
    shares = split_by_largest_remainder(total, weights)
    assert sum(shares) == total
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    wins = [share - part.numerator // part.denominator for share, part in zip(shares, exact, strict=True)]
    assert set(wins) <= {0, 1}
    remainders = [part - part.numerator // part.denominator for part in exact]
    # Sorted by remainder, and by position among equals, all winners come before all losers.
    ranked = sorted(range(len(weights)), key=lambda position: (-remainders[position], position))
    assert [wins[position] for position in ranked] == sorted(wins, reverse=True)


# What holds for every wish, for each kind of wish, and between wishes.
OF_ANY_WISH: list[Any] = [
    test_lines_add_up_to_the_order,
    test_the_commission_is_never_negative,
    test_each_line_is_a_whole_number_of_the_precision,
    test_each_share_of_the_cost_is_within_one_unit_of_the_exact_share,
    test_buying_the_same_quantities_bundle_by_bundle_costs_the_same,
]
OF_MASSES: list[Any] = [test_the_quantity_is_never_more_than_requested_and_less_than_a_step_a_line_below_it]
OF_VALUES: list[Any] = [
    test_the_total_cost_is_never_more_than_the_value,
    test_what_is_left_of_a_value_is_less_than_one_more_step_of_every_bundle_costs,
    test_paying_one_unit_more_never_buys_less,
]
BETWEEN: list[tuple[Any, tuple[st.SearchStrategy[Any], ...]]] = [
    (test_paying_more_never_buys_less, (wishes_by_value(), st.data())),
    (test_asking_for_more_never_buys_less_nor_costs_less, (wishes_by_mass(), masses())),
    (
        test_asking_for_more_of_a_bundle_never_buys_less_nor_costs_less,
        (wishes_by_bundle_masses(), st.data()),
    ),
    (
        test_shares_lose_nothing_and_the_largest_remainders_win,
        (st.integers(0, 30) | st.integers(0, 10**15), weights_of_shares),
    ),
]


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    ("wished", "rules"),
    [
        pytest.param(wishes_by_mass(), OF_ANY_WISH + OF_MASSES, id="by mass"),
        pytest.param(wishes_by_value(), OF_ANY_WISH + OF_VALUES, id="by value"),
        pytest.param(wishes_by_bundle_masses(), OF_ANY_WISH + OF_MASSES, id="by bundle masses"),
    ],
)
def test_all_of_this_holds_for_twenty_thousand_wishes(
    wished: st.SearchStrategy[Wish], rules: list[Any]
) -> None:
    @settings(max_examples=EXAMPLES_LONG)
    @given(wished)
    def holds(wish: Wish) -> None:
        outcome = outcome_of_service(wish)
        assert outcome == outcome_of_calculator(wish)
        if outcome is not None:
            for rule in rules:
                rule.hypothesis.inner_test(wish)

    holds()


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("rule", "given_to"), BETWEEN, ids=lambda value: getattr(value, "__name__", ""))
def test_this_holds_between_twenty_thousand_pairs(
    rule: Any, given_to: tuple[st.SearchStrategy[Any], ...]
) -> None:
    settings(max_examples=EXAMPLES_LONG)(given(*given_to)(rule.hypothesis.inner_test))()


# --- The worked example ---

USD, ISK, KWD, CLF = (find_currency(code) for code in ("USD", "ISK", "KWD", "CLF"))
EXAMPLE = Shop(USD, ("13.57", "250"))


def test_the_worked_example_of_the_contract_comes_out_to_the_last_digit() -> None:
    quote = Wish(EXAMPLE, ("95", "5"), mass=("12.07", "kg")).quote()
    assert printed(quote) == {
        "requested_quantity": "0.01207",
        "requested_value": None,
        "quantity": "0.012069",
        "offset_cost": "0.31",
        "commission": "0.04",
        "total_cost": "0.35",
        "bundles": [
            {
                "bundle_id": str(IDS[0]),
                "quantity": "0.011466",
                "unit_price": "13.57",
                "gross_unit_price": "15.08",
                "offset_cost": "0.16",
            },
            {
                "bundle_id": str(IDS[1]),
                "quantity": "0.000603",
                "unit_price": "250",
                "gross_unit_price": "277.78",
                "offset_cost": "0.15",
            },
        ],
    }


def test_the_worked_example_turned_round_buys_what_its_total_cost_pays_for() -> None:
    # 0.35 / (0.95 x 15.08 + 0.05 x 277.78) = 0.35 / 28.215 = 0.0124047... t; 95 % and 5 % of it are 0.01178451... and
    # 0.00062023... t. Net 0.011784 x 13.57 + 0.00062 x 250 = 0.31490888, gross 0.34992632.
    shown = printed(Wish(EXAMPLE, ("95", "5"), value="0.35").quote())
    assert [line["quantity"] for line in shown["bundles"]] == ["0.011784", "0.00062"]
    assert [line["offset_cost"] for line in shown["bundles"]] == ["0.16", "0.15"]
    assert (shown["quantity"], shown["offset_cost"]) == ("0.012404", "0.31")
    assert (shown["total_cost"], shown["commission"]) == ("0.35", "0.04")
    assert (shown["requested_quantity"], shown["requested_value"]) == (None, "0.35")


# --- Step 1: prices ---


@pytest.mark.parametrize(
    ("currency", "unit_price", "commission_rate", "gross_unit_price"),
    [
        (USD, "13.57", "0.10", "15.08"),  # 15.0777...
        (USD, "250", "0.10", "277.78"),  # 277.777...
        (USD, "9", "0.10", "10"),
        (USD, "0.02", "0.2", "0.03"),  # 0.025: a half rounds up
        (USD, "0.06", "0.2", "0.08"),  # 0.075: also where half to even would not
        (USD, "0.05", "0.09", "0.05"),  # 0.0549...: just below a half
        (USD, "0.86", "0.09", "0.95"),  # 0.9450...: just above
        (USD, "13.57", "0", "13.57"),
        (USD, "0.01", "0.99", "1"),
        (ISK, "2", "0.2", "3"),  # 2.5
        (ISK, "1", "0.2", "1"),  # 1.25
        (ISK, "31125", "0.10", "34583"),  # 34583.3...
        (KWD, "0.002", "0.2", "0.003"),  # 0.0025
        (KWD, "4.171", "0.10", "4.634"),  # 4.6344...
        (CLF, "0.0002", "0.2", "0.0003"),  # 0.00025
        (CLF, "0.0001", "0.2", "0.0001"),  # 0.000125
    ],
)
def test_gross_prices_round_half_up_at_the_minor_unit(
    currency: Currency, unit_price: str, commission_rate: str, gross_unit_price: str
) -> None:
    offer = price_offer(
        IDS[0],
        Decimal(unit_price),
        exchange_rate=None,
        commission_rate=Decimal(commission_rate),
        currency=currency,
    )
    assert (plain(offer.unit_price), plain(offer.gross_unit_price)) == (unit_price, gross_unit_price)


@pytest.mark.parametrize(
    ("currency", "base_price", "exchange_rate", "unit_price"),
    [
        (USD, "13.57", "0.8684", "11.78"),  # 11.784188
        (USD, "17.85", "0.8684", "15.5"),  # 15.50094
        (USD, "250", "0.8684", "217.1"),
        (USD, "0.5", "0.01", "0.01"),  # 0.005: a half rounds up
        (USD, "2.5", "0.01", "0.03"),  # 0.025: also where half to even would not
        (USD, "0.4999", "0.01", "0"),  # 0.004999
        (ISK, "13.57", "124.5", "1689"),  # 1689.465
        (ISK, "1", "160.5", "161"),
        (ISK, "1", "160.4999", "160"),
        (ISK, "250", "124.50", "31125"),
        (KWD, "13.57", "0.3074", "4.171"),  # 4.171418
        (KWD, "0.0005", "1", "0.001"),
        (KWD, "0.000499", "1", "0"),
        (CLF, "13.57", "0.0235", "0.3189"),  # 0.318895
        (CLF, "0.00015", "1", "0.0002"),
        (CLF, "0.000149", "1", "0.0001"),
    ],
)
def test_prices_in_a_foreign_currency_round_half_up_before_the_commission_is_added(
    currency: Currency, base_price: str, exchange_rate: str, unit_price: str
) -> None:
    offer = price_offer(
        IDS[0],
        Decimal(base_price),
        exchange_rate=Decimal(exchange_rate),
        commission_rate=Decimal("0.5"),
        currency=currency,
    )
    assert plain(offer.unit_price) == unit_price
    # Twice the rounded price: rounding only once, at the end, would show here.
    assert offer.gross_unit_price == 2 * offer.unit_price


@pytest.mark.parametrize(
    ("currency", "unit_price", "commission_rate", "gross_unit_price"),
    [
        (USD, "13.571", "0", "13.58"),  # rounded half up it would be 13.57, less than the price
        (USD, "13.57", "0", "13.57"),
        (USD, "13.575", "0", "13.58"),
        (USD, "13.571", "0.0001", "13.58"),  # 13.5723...
        (USD, "13.571", "0.10", "15.08"),  # 15.0788...: far above anyway
        (ISK, "0.4", "0.10", "1"),  # 0.444...
        (ISK, "0.5", "0.10", "1"),
        (ISK, "1.2", "0.10", "2"),  # 1.333...
        (KWD, "0.0001", "0", "0.001"),
    ],
)
def test_a_price_finer_than_the_minor_unit_stands_and_its_gross_price_is_never_below_it(
    currency: Currency, unit_price: str, commission_rate: str, gross_unit_price: str
) -> None:
    offer = price_offer(
        IDS[0],
        Decimal(unit_price),
        exchange_rate=None,
        commission_rate=Decimal(commission_rate),
        currency=currency,
    )
    assert (plain(offer.unit_price), plain(offer.gross_unit_price)) == (unit_price, gross_unit_price)


@pytest.mark.parametrize("unit_price", ["13.57", "250", "21.4", "0.01", "13.571", "0.0001"])
def test_prices_in_the_catalogues_own_currency_keep_the_catalogues_precision(unit_price: str) -> None:
    shown = printed(Wish(Shop(USD, (unit_price,)), ("100",), mass=("1", "t")).quote())
    assert shown["bundles"][0]["unit_price"] == unit_price


# --- Steps 2 to 4: quantities ---


@pytest.mark.parametrize(
    ("mass", "percentages_given", "trunc", "quantities"),
    [
        (("1", "g"), ("100",), "g", ["0.000001"]),
        (("1.999999", "g"), ("100",), "g", ["0.000001"]),
        (("2", "g"), ("100",), "g", ["0.000002"]),
        (("3", "g"), (None, None, None), "g", ["0.000001", "0", "0"]),  # 1.02, 0.99, 0.99
        (("100", "g"), (None, None, None), "g", ["0.000034", "0.000033", "0.000033"]),
        (("12.0707", "kg"), ("33.33", "33.33", "33.34"), "g", ["0.004023", "0.004023", "0.004024"]),
        (("1999.999", "g"), ("100",), "kg", ["0.001"]),
        (("2", "kg"), ("100",), "kg", ["0.002"]),
        (("1.999999999", "t"), ("100",), "t", ["1"]),
        (("1999.999", "kg"), ("50", "50"), "kg", ["0.999", "0.999"]),
        (("2000", "kg"), ("50", "50"), "t", ["1", "1"]),
        (("3999999", "g"), ("50", "50"), "t", ["1", "1"]),
        (("1000000000", "t"), ("100",), "g", ["1000000000"]),
        (("1", "t"), ("100", "0"), "g", ["1", "0"]),
    ],
)
def test_quantities_by_mass_are_cut_towards_zero(
    mass: tuple[str, str], percentages_given: tuple[str | None, ...], trunc: str, quantities: list[str]
) -> None:
    shop = Shop(USD, ("10",) * len(percentages_given))
    shown = printed(Wish(shop, percentages_given, mass=mass, quantity_trunc=trunc).quote())
    assert [line["quantity"] for line in shown["bundles"]] == quantities


@pytest.mark.parametrize(
    ("asked", "trunc", "quantities", "requested"),
    [
        ((("1.9", "g"), ("0.5", "g")), "g", ["0.000001", "0"], "0.0000024"),
        ((("1", "g"), ("1", "kg"), ("1", "t")), "g", ["0.000001", "0.001", "1"], "1.001001"),
        ((("999.999", "g"), ("1", "kg")), "kg", ["0", "0.001"], "0.001999999"),
        ((("0.9", "t"), ("2.9", "t")), "t", ["0", "2"], "3.8"),
    ],
)
def test_quantities_by_bundle_masses_are_cut_one_by_one(
    asked: tuple[tuple[str, str], ...], trunc: str, quantities: list[str], requested: str
) -> None:
    shown = printed(Wish(Shop(USD, ("10",) * len(asked)), masses=asked, quantity_trunc=trunc).quote())
    assert [line["quantity"] for line in shown["bundles"]] == quantities
    assert shown["requested_quantity"] == requested


@pytest.mark.parametrize(
    ("currency", "unit_price", "value", "trunc", "bought"),
    [
        (USD, "9", "10", "g", ("1", "10.00")),
        (USD, "9", "9.99", "g", ("0.999", "9.99")),
        (USD, "9", "9.99", "kg", ("0.999", "9.99")),
        (USD, "9", "9.98", "kg", ("0.998", "9.98")),
        (USD, "9", "19.99", "t", ("1", "10.00")),
        (USD, "9", "20", "t", ("2", "20.00")),
        (USD, "27", "1", "g", ("0.033333", "1.00")),  # 0.99999 rounds up
        (USD, "27", "1.009", "g", ("0.033333", "1.00")),  # what is less than a cent is cut off
        (ISK, "9", "10", "g", ("1", "10")),
        (ISK, "9", "9.999", "g", ("0.9", "9")),
        (KWD, "9", "0.001", "g", ("0.0001", "0.001")),
        (CLF, "9", "0.0001", "g", ("0.00001", "0.0001")),
        (USD, "9", "10000000000", "g", ("1000000000", "10000000000.00")),
    ],
)
def test_a_value_buys_what_it_pays_for_at_gross_prices(
    currency: Currency, unit_price: str, value: str, trunc: str, bought: tuple[str, str]
) -> None:
    shown = printed(Wish(Shop(currency, (unit_price,)), ("100",), value=value, quantity_trunc=trunc).quote())
    assert (shown["quantity"], shown["total_cost"]) == bought


@pytest.mark.parametrize(
    "wish",
    [
        Wish(Shop(USD, ("10",)), ("100",), mass=("0", "t")),
        Wish(Shop(USD, ("10",)), ("100",), mass=("0.999999", "g")),
        Wish(Shop(USD, ("10",)), ("100",), mass=("999.999", "g"), quantity_trunc="kg"),
        Wish(Shop(USD, ("10",)), ("100",), mass=("999.999", "kg"), quantity_trunc="t"),
        Wish(Shop(USD, ("10",) * 2), ("50", "50"), mass=("1.99", "g")),
        Wish(Shop(USD, ("10",) * 2), masses=(("0.9", "g"), ("0.9", "g"))),
        Wish(Shop(USD, ("100000",)), ("100",), value="0.01"),  # 0.09 g
        Wish(Shop(USD, ("9",)), ("100",), value="9.99", quantity_trunc="t"),
    ],
)
def test_an_order_that_comes_out_at_no_quantity_is_refused(wish: Wish) -> None:
    with pytest.raises(OrderQuantityInvalid, match="must be positive"):
        wish.quote()


@pytest.mark.parametrize(("value", "quantity"), [("0.01", "0.000001"), ("0.02", "0.000002")])
def test_the_smallest_value_that_buys_a_gram_is_enough(value: str, quantity: str) -> None:
    shown = printed(Wish(Shop(USD, ("9000",)), ("100",), value=value).quote())
    assert (shown["quantity"], shown["total_cost"]) == (quantity, value)


@pytest.mark.parametrize(
    ("currency", "refused", "smallest"),
    [(USD, "0.009999", "0.01"), (ISK, "0.999", "1"), (KWD, "0.000999", "0.001"), (CLF, "0", "0.0001")],
)
def test_a_value_is_at_least_one_minor_unit(currency: Currency, refused: str, smallest: str) -> None:
    shop = Shop(currency, ("1",), commission_rate="0")
    with pytest.raises(OrderValueInvalid, match=f"at least {smallest} {currency.code}"):
        Wish(shop, ("100",), value=refused).quote()
    assert printed(Wish(shop, ("100",), value=smallest).quote())["total_cost"] == smallest


def test_bundles_that_cost_nothing_in_a_currency_are_not_sold_by_value() -> None:
    shop = Shop(ISK, ("0.01",), exchange_rate="1")
    with pytest.raises(OrderQuantityInvalid, match="cost nothing"):
        Wish(shop, ("100",), value="1").quote()


def test_bundles_that_cost_nothing_in_a_currency_are_given_by_mass() -> None:
    shown = printed(Wish(Shop(ISK, ("0.01",) * 2, exchange_rate="1"), (None, None), mass=("1", "t")).quote())
    assert (shown["quantity"], shown["total_cost"], shown["commission"]) == ("1", "0", "0")
    assert [line["offset_cost"] for line in shown["bundles"]] == ["0", "0"]


@pytest.mark.parametrize("precision", list(MassUnit))
def test_a_billion_tonnes_can_be_bought_and_a_gram_more_can_not(precision: MassUnit) -> None:
    offers = [Offer(IDS[0], Decimal(10), Decimal(10)), Offer(IDS[1], Decimal(10), Decimal(10))]
    assert price_quantities([10**15 - 1, 1], offers, currency=USD).quantity_grams == 10**15
    with pytest.raises(OrderQuantityInvalid, match="at most 1000000000 tonnes"):
        price_quantities([10**15, 1], offers, currency=USD)


# --- Steps 5 and 6: costs ---


@pytest.mark.parametrize(
    ("currency", "unit_price", "grams", "offset_cost", "total_cost"),
    [
        (USD, "10", 499, "0.00", "0.01"),  # 0.00499
        (USD, "10", 500, "0.01", "0.01"),  # 0.005: a half rounds up
        (USD, "10", 2499, "0.02", "0.03"),
        (USD, "10", 2500, "0.03", "0.03"),  # 0.025: also where half to even would not
        (USD, "10", 1, "0.00", "0.01"),  # totals round up from the smallest trace
        (USD, "10", 1000, "0.01", "0.01"),  # and not where there is nothing to round
        (USD, "10", 1001, "0.01", "0.02"),
        (ISK, "10", 49_999, "0", "1"),
        (ISK, "10", 50_000, "1", "1"),
        (ISK, "10", 250_000, "3", "3"),
        (ISK, "10", 100_000, "1", "1"),
        (ISK, "10", 100_001, "1", "2"),
        (KWD, "10", 49, "0.000", "0.001"),
        (KWD, "10", 50, "0.001", "0.001"),
        (KWD, "10", 101, "0.001", "0.002"),
        (CLF, "1", 49, "0.0000", "0.0001"),
        (CLF, "1", 50, "0.0001", "0.0001"),
        (CLF, "1", 101, "0.0001", "0.0002"),
    ],
)
def test_offset_costs_round_half_up_and_total_costs_round_up(
    currency: Currency, unit_price: str, grams: int, offset_cost: str, total_cost: str
) -> None:
    shop = Shop(currency, (unit_price,), commission_rate="0")
    shown = printed(Wish(shop, ("100",), mass=(str(grams), "g")).quote())
    assert (shown["offset_cost"], shown["total_cost"]) == (offset_cost, total_cost)


def test_costs_round_once_over_all_lines_and_not_line_by_line() -> None:
    # Twenty lines of 0.004 each: rounded one by one they would cost nothing net and 0.20 gross.
    shop = Shop(USD, ("10",) * 20, commission_rate="0")
    shown = printed(Wish(shop, masses=(("400", "g"),) * 20).quote())
    assert (shown["offset_cost"], shown["total_cost"]) == ("0.08", "0.08")
    assert [line["offset_cost"] for line in shown["bundles"]] == ["0.01"] * 8 + ["0.00"] * 12


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (0, [1, 2, 3], [0, 0, 0]),
        (0, [0, 0], [0, 0]),
        (1, [1, 1], [1, 0]),
        (1, [0, 1, 1], [0, 1, 0]),
        (2, [1, 1, 1], [1, 1, 0]),
        (10, [1, 1, 1], [4, 3, 3]),
        (11, [1, 1, 1], [4, 4, 3]),
        (31, [15559362, 15075000], [16, 15]),
        (3, [1, 2, 1], [1, 1, 1]),  # 0.75, 1.5, 0.75
        (5, [3, 3, 3, 1], [2, 2, 1, 0]),  # 1.5, 1.5, 1.5, 0.5: of equals the earlier
        (5, [1, 3, 3, 3], [1, 2, 1, 1]),  # 0.5, 1.5, 1.5, 1.5: by position, not by size
        (7, [7], [7]),
        (100, [33, 33, 34], [33, 33, 34]),
    ],
)
def test_shares_go_to_the_largest_remainder_and_ties_to_the_earlier(
    total: int, weights: list[int], shares: list[int]
) -> None:
    assert split_by_largest_remainder(total, weights) == shares


def test_a_tie_is_a_tie_however_large_the_numbers_are() -> None:
    # A third and a third of 10^30, and a third less one part in 10^30: no float could tell them apart.
    third = 10**30
    assert split_by_largest_remainder(1, [third - 1, third, third]) == [0, 1, 0]


# --- What is bought ---


def test_without_a_selection_the_accounts_own_counts_and_else_the_platforms() -> None:
    shop = Shop(USD, ("10", "20"))
    default = (Choice(IDS[0], Decimal(100)),)
    own = (Choice(IDS[1], Decimal(100)),)
    catalogue = replace(shop.catalogue, default_selection=default)
    purchase = Purchase(ByMass(mass_of("1", "t")))
    account = shop.account
    quote = price_purchase(purchase, account=account, catalogue=catalogue, at=NOW)
    assert [line.bundle_id for line in quote.priced.lines] == [IDS[0]]
    quote = price_purchase(purchase, account=replace(account, selection=own), catalogue=catalogue, at=NOW)
    assert [line.bundle_id for line in quote.priced.lines] == [IDS[1]]
    named = replace(purchase, selection=default)
    quote = price_purchase(named, account=replace(account, selection=own), catalogue=catalogue, at=NOW)
    assert [line.bundle_id for line in quote.priced.lines] == [IDS[0]]


def test_without_any_selection_there_is_nothing_to_buy() -> None:
    shop = Shop(USD, ("10",))
    with pytest.raises(BundleSelectionBundleInvalid, match="bundle_selection"):
        price_purchase(
            Purchase(ByMass(mass_of("1", "t"))), account=shop.account, catalogue=shop.catalogue, at=NOW
        )


def test_a_bundle_that_is_not_on_sale_is_not_sold() -> None:
    shop = Shop(USD, ("10",))
    purchase = Purchase(ByBundleMasses(((IDS[1], mass_of("1", "t")),)))
    with pytest.raises(BundleSelectionBundleInvalid, match=str(IDS[1])):
        price_purchase(purchase, account=shop.account, catalogue=shop.catalogue, at=NOW)


def test_without_an_exchange_rate_there_is_no_price() -> None:
    shop = Shop(ISK, ("10",), exchange_rate="124.5")
    catalogue = replace(shop.catalogue, exchange_rates={("USD", "EUR"): Decimal(1)})
    purchase = Purchase(ByBundleMasses(((IDS[0], mass_of("1", "t")),)))
    with pytest.raises(ExchangeRateNotFound, match="from USD to ISK"):
        price_purchase(purchase, account=shop.account, catalogue=catalogue, at=NOW)


def test_an_estimate_is_bought_like_its_mass() -> None:
    selection = (Choice(IDS[0], Decimal(95)), Choice(IDS[1], Decimal(5)))
    account, catalogue = EXAMPLE.account, EXAMPLE.catalogue
    by_estimate = Purchase(ByEstimate(UUID(int=7), Decimal("0.01207")), selection)
    by_mass = Purchase(ByMass(mass_of("12.07", "kg")), selection)
    quote = price_purchase(by_estimate, account=account, catalogue=catalogue, at=NOW)
    assert quote == price_purchase(by_mass, account=account, catalogue=catalogue, at=NOW)
    unknown = Purchase(ByEstimate(UUID(int=7)), selection)
    with pytest.raises(EstimateNotFound, match=str(UUID(int=7))):
        price_purchase(unknown, account=account, catalogue=catalogue, at=NOW)


def test_every_number_of_minor_digits_is_tried() -> None:
    assert MINOR_DIGITS == [0, 2, 3, 4]


def test_a_cost_beyond_64_bits_is_refused_before_anyone_tries_to_store_it() -> None:
    pounds = Currency("LBP", 2)
    billion_tonnes = [10**15]
    largest = Offer(UUID(int=1), Decimal(1), Decimal("92233720.36"))
    assert price_quantities(billion_tonnes, [largest], currency=pounds).total_cost_minor < 2**63
    larger = Offer(UUID(int=1), Decimal(1), Decimal("92233720.37"))
    with pytest.raises(OrderQuantityInvalid, match="order less at a time"):
        price_quantities(billion_tonnes, [larger], currency=pounds)

"""The arithmetic of quotes and orders: contract, section 5, step by step.

Quantities are whole grams, money is whole minor units, unit prices are exact decimals per tonne in the account's
currency. Each rounding happens once, in the function that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from tonne.domain.decimals import from_units, round_half_up, round_up
from tonne.domain.errors import OrderQuantityInvalid
from tonne.domain.mass import GRAMS_PER_TONNE, QUANTITY_GRAMS_MAX, MassUnit
from tonne.domain.money import Currency


@dataclass(frozen=True, slots=True)
class Offer:
    """A bundle at its price for one account; `gross_unit_price` includes the commission."""

    bundle_id: UUID
    unit_price: Decimal
    gross_unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """What an order buys of one bundle; `offset_cost_minor` is its share of the order's."""

    bundle_id: UUID
    quantity_grams: int
    unit_price: Decimal
    gross_unit_price: Decimal
    offset_cost_minor: int


@dataclass(frozen=True, slots=True)
class Priced:
    """A priced quantity: lines add up to the totals, and the commission is never negative."""

    lines: tuple[Line, ...]
    quantity_grams: int
    offset_cost_minor: int
    total_cost_minor: int

    @property
    def commission_minor(self) -> int:
        return self.total_cost_minor - self.offset_cost_minor


def price_offer(
    bundle_id: UUID,
    base_price: Decimal,
    *,
    exchange_rate: Decimal | None,
    commission_rate: Decimal,
    currency: Currency,
) -> Offer:
    """Step 1: a bundle's prices in the account's currency.

    `exchange_rate` is None where the catalogue's currency is the account's; then the catalogue's price stands as
    it is, and the catalogue sees to it that it is not finer than the currency's minor unit.
    """
    digits = currency.minor_digits
    unit_price = base_price
    if exchange_rate is not None:
        in_currency = Fraction(base_price) * Fraction(exchange_rate)
        unit_price = from_units(round_half_up(in_currency, digits), digits)
    gross = Fraction(unit_price) / (1 - Fraction(commission_rate))
    return Offer(bundle_id, unit_price, from_units(round_half_up(gross, digits), digits))


def quantities_by_mass(
    requested_grams: Fraction, percentages: Sequence[Decimal], *, precision: MassUnit
) -> list[int]:
    """Step 2: each bundle's share of a mass, in grams, cut towards zero at `precision`."""
    return [_cut(requested_grams * Fraction(percentage) / 100, precision) for percentage in percentages]


def quantities_by_bundle_masses(masses_grams: Sequence[Fraction], *, precision: MassUnit) -> list[int]:
    """Step 2 for masses given bundle by bundle, in grams, cut towards zero at `precision`."""
    return [_cut(grams, precision) for grams in masses_grams]


def quantities_by_value(
    value_minor: int,
    percentages: Sequence[Decimal],
    offers: Sequence[Offer],
    *,
    precision: MassUnit,
    currency: Currency,
) -> list[int]:
    """Step 3: what a value buys at gross prices, in grams a bundle, cut towards zero at `precision`.

    Raises:
        OrderQuantityInvalid: the bundles have no price in this currency.
    """
    shares = [Fraction(percentage) / 100 for percentage in percentages]
    price_per_tonne = sum(
        (share * Fraction(offer.gross_unit_price) for share, offer in zip(shares, offers, strict=True)),
        start=Fraction(0),
    )
    if price_per_tonne == 0:
        raise OrderQuantityInvalid(
            "These bundles cost nothing in this currency, so a value buys no quantity."
        )
    value = Fraction(value_minor, 10**currency.minor_digits)
    requested_grams = value / price_per_tonne * GRAMS_PER_TONNE
    return [_cut(requested_grams * share, precision) for share in shares]


def price_quantities(
    quantities_grams: Sequence[int], offers: Sequence[Offer], *, currency: Currency
) -> Priced:
    """Steps 4 to 6: costs of the quantities, one for each offer.

    `offset_cost` rounds half up once over all lines and is shared among them; `total_cost` rounds up once.

    Raises:
        OrderQuantityInvalid: nothing is left to buy, or more than 10^9 tonnes.
    """
    quantity_grams = sum(quantities_grams)
    if quantity_grams <= 0:
        raise OrderQuantityInvalid("Order quantity must be positive.")
    if quantity_grams > QUANTITY_GRAMS_MAX:
        raise OrderQuantityInvalid("Order quantity must be at most 1000000000 tonnes.")
    pairs = list(zip(quantities_grams, offers, strict=True))
    net = [Fraction(offer.unit_price) * grams / GRAMS_PER_TONNE for grams, offer in pairs]
    gross = sum(
        (Fraction(offer.gross_unit_price) * grams / GRAMS_PER_TONNE for grams, offer in pairs),
        start=Fraction(0),
    )
    offset_cost_minor = round_half_up(sum(net, start=Fraction(0)), currency.minor_digits)
    total_cost_minor = round_up(gross, currency.minor_digits)
    assert total_cost_minor >= offset_cost_minor, "a bundle is priced finer than its currency's minor unit"
    costs_minor = split_by_largest_remainder(offset_cost_minor, net)
    lines = tuple(
        Line(offer.bundle_id, grams, offer.unit_price, offer.gross_unit_price, cost_minor)
        for (grams, offer), cost_minor in zip(pairs, costs_minor, strict=True)
    )
    return Priced(lines, quantity_grams, offset_cost_minor, total_cost_minor)


def split_by_largest_remainder(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Share `total` minor units in proportion to `weights`, losing none.

    Ties go to the earlier share. Source: contract, section 5, step 5.
    """
    weight = sum(weights, start=Fraction(0))
    if weight == 0:
        assert total == 0, "something is shared among nothing"
        return [0] * len(weights)
    exact = [total * part / weight for part in weights]
    shares = [part.numerator // part.denominator for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda position: shares[position] - exact[position])
    for position in by_remainder[: total - sum(shares)]:
        shares[position] += 1
    return shares


def _cut(grams: Fraction, precision: MassUnit) -> int:
    step = precision.grams
    return grams.numerator // (grams.denominator * step) * step

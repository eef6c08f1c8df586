"""The arithmetic of quotes and orders: contract, section 5, step by step.

Quantities are whole grams, money is whole minor units, unit prices are exact decimals per tonne in the account's
currency. Each rounding happens once, in the function that names it. All of it is done in integers, which are exact
and the fastest that Python has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from tonne.domain.decimals import (
    decimals,
    divide_half_up,
    divide_up,
    from_units,
    in_units,
    round_half_up,
    round_up,
)
from tonne.domain.errors import OrderQuantityInvalid
from tonne.domain.mass import GRAMS_PER_TONNE, QUANTITY_GRAMS_MAX, MassUnit
from tonne.domain.money import Currency
from tonne.domain.selection import PERCENTAGE_DIGITS, Choice

# The largest 64-bit integer, which is what the database holds.
COST_MINOR_MAX = 2**63 - 1
HUNDREDTHS_OF_ALL = 100 * 10**PERCENTAGE_DIGITS


@dataclass(frozen=True, slots=True)
class Offer:
    """A bundle at its price for one account; `gross_unit_price` includes the commission.

    `unit_price_parts` and `gross_unit_price_parts` are the same prices in whole units of 10^-`digits`: worked out once,
    since an offer is priced with again and again.
    """

    bundle_id: UUID
    unit_price: Decimal
    gross_unit_price: Decimal
    digits: int = field(init=False, compare=False, repr=False)
    unit_price_parts: int = field(init=False, compare=False, repr=False)
    gross_unit_price_parts: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        digits = max(decimals(self.unit_price), decimals(self.gross_unit_price))
        object.__setattr__(self, "digits", digits)
        object.__setattr__(self, "unit_price_parts", in_units(self.unit_price, digits))
        object.__setattr__(self, "gross_unit_price_parts", in_units(self.gross_unit_price, digits))


@dataclass(frozen=True)
class Line:
    """What an order buys of one bundle; `offset_cost_minor` is its share of the order's."""

    bundle_id: UUID
    quantity_grams: int
    unit_price: Decimal
    gross_unit_price: Decimal
    offset_cost_minor: int


@dataclass(frozen=True)
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

    `exchange_rate` is None where the catalogue's currency is the account's; then the catalogue's price stands as it is.
    Where that is finer than the minor unit and the commission close to nothing, rounding could put the gross price
    below the net price; it is then the net price rounded up, so that a commission is never negative.
    """
    digits = currency.minor_digits
    unit_price = base_price
    if exchange_rate is not None:
        in_currency = Fraction(base_price) * Fraction(exchange_rate)
        unit_price = from_units(round_half_up(in_currency, digits), digits)
    gross = Fraction(unit_price) / (1 - Fraction(commission_rate))
    gross_minor = max(round_half_up(gross, digits), round_up(Fraction(unit_price), digits))
    return Offer(bundle_id, unit_price, from_units(gross_minor, digits))


def quantities_by_mass(
    requested_grams: Decimal, choices: Sequence[Choice], *, precision: MassUnit
) -> list[int]:
    """Step 2: each bundle's share of a mass, in grams, cut towards zero at `precision`."""
    numerator, denominator = requested_grams.as_integer_ratio()
    step = precision.grams
    steps_of_all = denominator * HUNDREDTHS_OF_ALL * step
    return [numerator * choice.hundredths // steps_of_all * step for choice in choices]


def quantities_by_bundle_masses(masses_grams: Sequence[Decimal], *, precision: MassUnit) -> list[int]:
    """Step 2 for masses given bundle by bundle, in grams, cut towards zero at `precision`."""
    return [_cut(*grams.as_integer_ratio(), precision) for grams in masses_grams]


def quantities_by_value(
    value_minor: int,
    choices: Sequence[Choice],
    offers: Sequence[Offer],
    *,
    precision: MassUnit,
    currency: Currency,
) -> list[int]:
    """Step 3: what a value buys at gross prices, in grams a bundle, cut towards zero at `precision`.

    Raises:
        OrderQuantityInvalid: the bundles have no price in this currency.
    """
    digits = currency.minor_digits
    shares = [choice.hundredths for choice in choices]
    prices_minor = [in_units(offer.gross_unit_price, digits) for offer in offers]
    # In hundredths of a percent of a minor unit, as are the shares of the value below.
    price_of_all = sum(share * price for share, price in zip(shares, prices_minor, strict=True))
    if price_of_all == 0:
        raise OrderQuantityInvalid(
            "These bundles cost nothing in this currency, so a value buys no quantity."
        )
    return [_cut(value_minor * share * GRAMS_PER_TONNE, price_of_all, precision) for share in shares]


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
    digits = max(currency.minor_digits, *[offer.digits for offer in offers])
    # Price per tonne times grams: with this many of them to a minor unit, exact.
    parts_per_minor = GRAMS_PER_TONNE * 10 ** (digits - currency.minor_digits)
    net = []
    gross = 0
    for offer, grams in zip(offers, quantities_grams, strict=True):
        parts = grams * 10 ** (digits - offer.digits)
        net.append(offer.unit_price_parts * parts)
        gross += offer.gross_unit_price_parts * parts
    offset_cost_minor = divide_half_up(sum(net), parts_per_minor)
    total_cost_minor = divide_up(gross, parts_per_minor)
    if total_cost_minor > COST_MINOR_MAX:
        raise OrderQuantityInvalid("The order costs more than can be written down: order less at a time.")
    assert total_cost_minor >= offset_cost_minor, "a gross price is below its net price"
    costs_minor = split_by_largest_remainder(offset_cost_minor, net)
    lines = [
        Line(offer.bundle_id, grams, offer.unit_price, offer.gross_unit_price, cost_minor)
        for offer, grams, cost_minor in zip(offers, quantities_grams, costs_minor, strict=True)
    ]
    return Priced(tuple(lines), quantity_grams, offset_cost_minor, total_cost_minor)


def split_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` minor units in proportion to `weights`, losing none.

    Ties go to the earlier share. Source: contract, section 5, step 5.
    """
    weight = sum(weights)
    if weight == 0:
        assert total == 0, "something is shared among nothing"
        return [0] * len(weights)
    parts = [divmod(total * part, weight) for part in weights]
    shares = [share for share, _ in parts]
    by_remainder = sorted(range(len(parts)), key=lambda position: -parts[position][1])
    for position in by_remainder[: total - sum(shares)]:
        shares[position] += 1
    return shares


def _cut(numerator: int, denominator: int, precision: MassUnit) -> int:
    step = precision.grams
    return numerator // (denominator * step) * step

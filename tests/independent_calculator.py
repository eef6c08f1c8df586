"""The arithmetic of orders once more, from the wire contract's text alone, to hold the service against.

Deliberately unlike the service's own calculation: it imports nothing of it, keeps every number a decimal in the unit
it is written in (no grams, no minor units, no fractions) and leaves each rounding to the decimal module. Takes and
gives what is on the wire: strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation
from typing import Any

# Bundles as GET /v1/bundles lists them, pairs of (bundle id, percentage), triples of (bundle id, amount, unit).
Bundles = Sequence[Mapping[str, Any]]
Selection = Sequence[tuple[str, int | str | None]]
Masses = Sequence[tuple[str, str, str]]

# So many digits that nothing is ever rounded by itself; if it were, `Inexact` would say so.
EXACT = Context(prec=2000, traps=[Inexact, InvalidOperation])
HUNDREDTH = Decimal("0.01")
TONNES_PER_UNIT = {"g": Decimal("0.000001"), "kg": Decimal("0.001"), "t": Decimal(1)}


class NothingToBuy(Exception):
    """No quantity is left, or no price to buy it at: 409 `order_quantity_invalid` on the wire."""


def price_in_foreign_currency(base_price: str, rate: str, *, minor_digits: int) -> str:
    """Section 5, step 1: `unit_price` where the catalogue has another currency."""
    return _print(_round(_product(base_price, rate), minor_digits, ROUND_HALF_UP))


def gross_price(unit_price: str, commission_rate: str, *, minor_digits: int) -> str:
    """Section 5, step 1: `gross_unit_price`.

    Never below the unit price, where that is finer than the minor unit: "it follows that `commission >= 0`".
    """
    smallest = _smallest(minor_digits)
    price_of_one_unit = _product(EXACT.subtract(Decimal(1), Decimal(commission_rate)), smallest)
    units, rest = EXACT.divmod(Decimal(unit_price), price_of_one_unit)
    if _product(rest, 2) >= price_of_one_unit:
        units = EXACT.add(units, Decimal(1))
    at_least = _round(Decimal(unit_price), minor_digits, ROUND_CEILING)
    return _print(max(_product(units, smallest), at_least))


def percentages_of(selection: Selection) -> list[Decimal]:
    """Section 4: given for all, or for none; for none in whole percents, the first bundles taking the rest."""
    given = [Decimal(percentage) for _, percentage in selection if percentage is not None]
    if given:
        assert len(given) == len(selection)
        return given
    percentages = [0] * len(selection)
    for percent in range(100):
        percentages[percent % len(selection)] += 1
    return [Decimal(percentage) for percentage in percentages]


def by_mass(
    bundles: Bundles,
    selection: Selection,
    amount: str,
    unit: str,
    *,
    minor_digits: int,
    quantity_trunc: str = "g",
) -> dict[str, Any]:
    """Section 5, step 2, and what follows from it."""
    tonnes = _product(amount, TONNES_PER_UNIT[unit])
    quantities = [
        _cut(_product(tonnes, percentage, HUNDREDTH), quantity_trunc)
        for percentage in percentages_of(selection)
    ]
    priced = _price(bundles, [bundle_id for bundle_id, _ in selection], quantities, minor_digits)
    return priced | {"requested_quantity": _print(tonnes), "requested_value": None}


def by_bundle_masses(
    bundles: Bundles, masses: Masses, *, minor_digits: int, quantity_trunc: str = "g"
) -> dict[str, Any]:
    """Section 5, step 2, for masses bundle by bundle."""
    tonnes = [_product(amount, TONNES_PER_UNIT[unit]) for _, amount, unit in masses]
    quantities = [_cut(each, quantity_trunc) for each in tonnes]
    priced = _price(bundles, [bundle_id for bundle_id, _, _ in masses], quantities, minor_digits)
    return priced | {"requested_quantity": _print(_total(tonnes)), "requested_value": None}


def by_value(
    bundles: Bundles, selection: Selection, value: str, *, minor_digits: int, quantity_trunc: str = "g"
) -> dict[str, Any]:
    """Section 5, step 3, and what follows from it.

    What is less than a minor unit can't be paid: it is cut off first, as `total_cost <= value` demands.
    """
    paid = _round(Decimal(value), minor_digits, ROUND_DOWN)
    percentages = percentages_of(selection)
    prices = _prices(bundles)
    bundle_ids = [bundle_id for bundle_id, _ in selection]
    price = _total(
        _product(percentage, HUNDREDTH, prices[bundle_id]["gross_unit_price"])
        for bundle_id, percentage in zip(bundle_ids, percentages, strict=True)
    )
    if price == 0:
        raise NothingToBuy
    step = TONNES_PER_UNIT[quantity_trunc]
    # `//` cuts towards zero: whole steps only.
    steps = [
        EXACT.divide_int(_product(paid, percentage, HUNDREDTH), _product(price, step))
        for percentage in percentages
    ]
    priced = _price(bundles, bundle_ids, [_product(each, step) for each in steps], minor_digits)
    return priced | {"requested_quantity": None, "requested_value": _print_money(paid, minor_digits)}


def shares_by_largest_remainder(
    total: Decimal, weights: Sequence[Decimal], *, minor_digits: int
) -> list[Decimal]:
    """Share money in proportion to `weights`: to each its whole units, then one by one to the largest remainder."""
    smallest = _smallest(minor_digits)
    weight = _total(weights)
    if weight == 0:
        return [Decimal(0)] * len(weights)
    parts = [EXACT.divmod(_product(total, part), _product(weight, smallest)) for part in weights]
    units = [whole for whole, _ in parts]
    remainders = [remainder for _, remainder in parts]
    while _product(_total(units), smallest) < total:
        # The first of several that are equally large.
        lucky = remainders.index(max(remainders))
        units[lucky] = EXACT.add(units[lucky], Decimal(1))
        remainders[lucky] = Decimal(-1)
    return [_product(each, smallest) for each in units]


def _price(
    bundles: Bundles, bundle_ids: Sequence[str], quantities: Sequence[Decimal], minor_digits: int
) -> dict[str, Any]:
    """Section 5, steps 4 to 6."""
    quantity = _total(quantities)
    if quantity <= 0:
        raise NothingToBuy
    prices = _prices(bundles)
    offers = [prices[bundle_id] for bundle_id in bundle_ids]
    net = [_product(each, offer["unit_price"]) for each, offer in zip(quantities, offers, strict=True)]
    gross = [
        _product(each, offer["gross_unit_price"]) for each, offer in zip(quantities, offers, strict=True)
    ]
    offset_cost = _round(_total(net), minor_digits, ROUND_HALF_UP)
    total_cost = _round(_total(gross), minor_digits, ROUND_CEILING)
    shares = shares_by_largest_remainder(offset_cost, net, minor_digits=minor_digits)
    return {
        "quantity": _print(quantity),
        "offset_cost": _print_money(offset_cost, minor_digits),
        "commission": _print_money(EXACT.subtract(total_cost, offset_cost), minor_digits),
        "total_cost": _print_money(total_cost, minor_digits),
        "bundles": [
            {
                "bundle_id": bundle_id,
                "quantity": _print(each),
                "unit_price": offer["unit_price"],
                "gross_unit_price": offer["gross_unit_price"],
                "offset_cost": _print_money(share, minor_digits),
            }
            for bundle_id, each, offer, share in zip(bundle_ids, quantities, offers, shares, strict=True)
        ],
    }


def _prices(bundles: Bundles) -> dict[str, Mapping[str, Any]]:
    return {bundle["id"]: bundle for bundle in bundles}


def _product(*factors: Decimal | str | int) -> Decimal:
    product = Decimal(1)
    for factor in factors:
        product = EXACT.multiply(product, Decimal(factor))
    return product


def _total(numbers: Iterable[Decimal]) -> Decimal:
    total = Decimal(0)
    for number in numbers:
        total = EXACT.add(total, number)
    return total


def _cut(tonnes: Decimal, unit: str) -> Decimal:
    step = TONNES_PER_UNIT[unit]
    return _product(EXACT.divide_int(tonnes, step), step)


def _smallest(minor_digits: int) -> Decimal:
    return Decimal("0." + "0" * (minor_digits - 1) + "1") if minor_digits else Decimal(1)


def _round(number: Decimal, minor_digits: int, rounding: str) -> Decimal:
    # The one place where digits may get lost, and where it is said how.
    return number.quantize(_smallest(minor_digits), context=Context(prec=EXACT.prec, rounding=rounding))


def _print(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _print_money(number: Decimal, minor_digits: int) -> str:
    return format(EXACT.quantize(number, _smallest(minor_digits)), "f")

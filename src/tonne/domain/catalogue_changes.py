"""What a change of the catalogue comes to: fields before and after, and prices that begin."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tonne.domain.catalogue import Bundle, Price


@dataclass(frozen=True, slots=True)
class Difference:
    """One object of the catalogue that is new or changes: its fields before (None: it is new) and after."""

    object_type: str
    key: str
    object_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]


def difference_of(
    before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that differ, before and after."""
    known = before or {}
    names = [name for name in after if before is None or known.get(name) != after[name]]
    return {name: known.get(name) for name in names}, {name: after[name] for name in names}


def slug_of(name: str) -> str:
    """A name in lower-case ASCII letters and digits, in words parted by hyphens; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100].rstrip("-")


def reprice(
    bundle: Bundle,
    *,
    price: Decimal | None,
    fixed_prices: Mapping[str, Decimal] | None,
    planned: Sequence[Price] | None,
    at: datetime,
) -> tuple[Price, ...]:
    """The prices of a bundle after a change at a time; None leaves what it is about as it is.

    Prices that have begun stay, new ones begin now. `fixed_prices` and `planned` replace all there are: a fixed price that
    is not among them ends, a planned one that is not among them never begins.
    """
    begun = [known for known in bundle.prices if known.valid_from <= at]
    future = [known for known in bundle.prices if known.valid_from > at] if planned is None else list(planned)
    new: list[Price] = []
    if price is not None and price != bundle.price_at(bundle.base_currency, at):
        new.append(Price(bundle.base_currency, at, price))
    if fixed_prices is not None:
        now_fixed = fixed_prices_at(bundle, at)
        new += [
            Price(code, at, fixed) for code, fixed in fixed_prices.items() if now_fixed.get(code) != fixed
        ]
        new += [Price(code, at, None) for code in now_fixed if code not in fixed_prices]
    return tuple(sorted([*begun, *new, *future], key=lambda each: (each.valid_from, each.currency)))


def fixed_prices_at(bundle: Bundle, at: datetime) -> dict[str, Decimal]:
    """The fixed prices in foreign currencies at a time, by currency."""
    codes = sorted({price.currency for price in bundle.prices} - {bundle.base_currency})
    found = {code: bundle.price_at(code, at) for code in codes}
    return {code: price for code, price in found.items() if price is not None}

"""Quotes on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.domain.catalogue import Catalogue
from tonne.domain.decimals import plain
from tonne.domain.mass import format_tonnes
from tonne.domain.purchase import Quote
from tonne.wire.common import CurrencyCode, Money, Tonnes
from tonne.wire.orders import OrderBundle, line_body


class QuoteBody(msgspec.Struct, frozen=True):
    """What an order with the same inputs would cost now."""

    currency: CurrencyCode
    requested_quantity: Annotated[Tonnes | None, Meta(description="null by value.")]
    requested_value: Annotated[Money | None, Meta(description="null by mass and by estimate.")]
    estimated_quantity: Tonnes
    estimated_offset_cost: Money
    estimated_commission: Money
    estimated_total_cost: Money
    bundles: list[OrderBundle]


def quote_body(quote: Quote, catalogue: Catalogue) -> QuoteBody:
    """Print a quote."""
    money = quote.currency.format
    priced = quote.priced
    return QuoteBody(
        currency=quote.currency.code,
        requested_quantity=None if quote.requested_tonnes is None else plain(quote.requested_tonnes),
        requested_value=None if quote.requested_value_minor is None else money(quote.requested_value_minor),
        estimated_quantity=format_tonnes(priced.quantity_grams),
        estimated_offset_cost=money(priced.offset_cost_minor),
        estimated_commission=money(priced.commission_minor),
        estimated_total_cost=money(priced.total_cost_minor),
        bundles=[line_body(line, money(line.offset_cost_minor), catalogue) for line in priced.lines],
    )

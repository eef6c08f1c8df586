"""Orders in bulk on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.application.error_body import ErrorDetail
from tonne.application.order_in_bulk import RowResult, RowStatus
from tonne.domain.accounts import Account
from tonne.domain.mass import format_tonnes
from tonne.wire.common import CurrencyCode, Money, Tonnes


class BulkResult(msgspec.Struct, frozen=True):
    """What became of a row."""

    row: Annotated[int, Meta(description="Counting from 1; a header is no row.")]
    idempotency_key: str | None
    status: Annotated[
        RowStatus,
        Meta(description="`exists`: it was placed before, and asks for the same. `quoted`: in a dry run."),
    ]
    order_id: Annotated[
        str | None, Meta(description="The order; of a refused row, the one that has its key already.")
    ]
    quantity: Annotated[Tonnes | None, Meta(description="Of the order or the quote.")]
    total_cost: Annotated[Money | None, Meta(description="Of the order or the quote, commission included.")]
    error: Annotated[ErrorDetail | None, Meta(description="Why it was refused; else null.")]


class BulkTotal(msgspec.Struct, frozen=True):
    """All rows together; quantity and cost are of those that were placed or quoted now."""

    rows: int
    placed: int
    exists: int
    quoted: int
    refused: int
    currency: CurrencyCode
    quantity: Tonnes
    total_cost: Money


class BulkBody(msgspec.Struct, frozen=True):
    """What became of every row, in their order."""

    dry_run: bool
    results: list[BulkResult]
    total: BulkTotal


def bulk_result(result: RowResult, account: Account) -> BulkResult:
    """Print what became of a row."""
    grams, cost = result.quantity_grams, result.total_cost_minor
    error = result.error
    return BulkResult(
        row=result.row,
        idempotency_key=result.idempotency_key,
        status=result.status,
        order_id=None if result.order is None else str(result.order.order_id),
        quantity=None if grams is None else format_tonnes(grams),
        total_cost=None if cost is None else account.currency.format(cost),
        error=None if error is None else ErrorDetail(error.code, error.message),
    )


def bulk_total(results: Sequence[RowResult], account: Account) -> BulkTotal:
    """Print all rows together."""
    counts = Counter(result.status for result in results)
    new = [result for result in results if result.is_new]
    return BulkTotal(
        rows=len(results),
        placed=counts[RowStatus.PLACED],
        exists=counts[RowStatus.EXISTS],
        quoted=counts[RowStatus.QUOTED],
        refused=counts[RowStatus.REFUSED],
        currency=account.currency.code,
        quantity=format_tonnes(sum(result.quantity_grams or 0 for result in new)),
        total_cost=account.currency.format(sum(result.total_cost_minor or 0 for result in new)),
    )

"""Place the orders of a file: rows are independent, and a repeat of the file places nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tonne.application.bulk_rows import ReadRow
from tonne.application.identifiers import new_id
from tonne.application.order_desk import OrderDesk
from tonne.application.place_orders import Placed, PlaceOrder, Refused
from tonne.application.quote import quote_estimate
from tonne.domain.accounts import Account, Caller
from tonne.domain.catalogue import Catalogue
from tonne.domain.errors import OrderIdempotencyAlreadyExists, ServiceUnavailable, TonneError
from tonne.domain.orders import Order
from tonne.domain.purchase import ByEstimate, Purchase, Quote, price_purchase
from tonne.domain.repeats import asks_for_same
from tonne.storage.database import TRANSIENT, Connection, Pool
from tonne.storage.orders import find_order_ids_by_key, find_orders

# So many rows are under way at once: a batch of the group commit, so that others find a place in the next.
ROWS_AT_ONCE = 256
_OTHERWISE = (
    "An order with this idempotency_key exists and asks for something else: take a new key for a new order."
)


class RowStatus(StrEnum):
    """What became of a row: `exists` where it was placed before; `quoted` in a dry run."""

    PLACED = "placed"
    EXISTS = "exists"
    QUOTED = "quoted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row's outcome: an order, a quote, or an error."""

    row: int
    idempotency_key: str | None
    status: RowStatus
    order: Order | None = None
    quote: Quote | None = None
    error: TonneError | None = None

    @property
    def is_new(self) -> bool:
        """Whether it was placed or quoted now."""
        return self.status in (RowStatus.PLACED, RowStatus.QUOTED)

    @property
    def quantity_grams(self) -> int | None:
        """Of the quote or the order; None of a refused row."""
        if self.status is RowStatus.REFUSED:
            return None
        if self.quote is not None:
            return self.quote.priced.quantity_grams
        return None if self.order is None else self.order.quantity_grams

    @property
    def total_cost_minor(self) -> int | None:
        """Of the quote or the order; None of a refused row."""
        if self.status is RowStatus.REFUSED:
            return None
        if self.quote is not None:
            return self.quote.priced.total_cost_minor
        return None if self.order is None else self.order.total_cost_minor


async def order_rows(
    desk: OrderDesk,
    pool: Pool,
    rows: Sequence[ReadRow],
    *,
    caller: Caller,
    catalogue: Callable[[], Catalogue],
    now: Callable[[], datetime],
) -> AsyncGenerator[RowResult]:
    """Place rows, some at a time; results come in the order of the rows, each when it is durable."""
    for together in _some_at_once(rows):
        placing = [_place(desk, row, caller=caller, catalogue=catalogue(), at=now()) for row in together]
        outcomes = await asyncio.gather(*placing)
        for result in await _with_the_original(pool, caller.account, together, outcomes):
            yield result


async def quote_rows(
    pool: Pool,
    rows: Sequence[ReadRow],
    *,
    account: Account,
    catalogue: Callable[[], Catalogue],
    now: Callable[[], datetime],
) -> AsyncGenerator[RowResult]:
    """Quote rows, and say which of them were placed before. Writes nothing.

    Whether stock and balance cover all rows together is decided when they are placed.
    """
    seen: dict[str, ReadRow] = {}
    for together in _some_at_once(rows):
        async with pool.acquire(timeout=30) as connection:
            known = await _ordered_before(connection, account, together)
        for row in together:
            order = known.get(row.idempotency_key or "")
            first = seen.get(row.idempotency_key or "")
            if row.purchase is None:
                yield RowResult(row.row, row.idempotency_key, RowStatus.REFUSED, error=row.error)
            elif order is not None:
                yield _repeated(row, order)
            elif first is not None:
                yield _twice(row, first)
            else:
                result = await _quote(
                    pool, row, row.purchase, account=account, catalogue=catalogue(), at=now()
                )
                if result.error is None and row.idempotency_key is not None:
                    seen[row.idempotency_key] = row
                yield result


def _some_at_once(rows: Sequence[ReadRow]) -> Iterator[Sequence[ReadRow]]:
    return (rows[first : first + ROWS_AT_ONCE] for first in range(0, len(rows), ROWS_AT_ONCE))


async def _place(
    desk: OrderDesk, row: ReadRow, *, caller: Caller, catalogue: Catalogue, at: datetime
) -> Placed | Refused:
    if row.purchase is None:
        assert row.error is not None
        return Refused(row.error)
    command = PlaceOrder(
        order_id=new_id(),
        caller=caller,
        purchase=row.purchase,
        catalogue=catalogue,
        at=at,
        idempotency_key=row.idempotency_key,
        metadata=row.metadata,
    )
    try:
        outcome = await desk.place(command)
    except TonneError as error:
        return Refused(error)
    except TRANSIENT:
        return Refused(ServiceUnavailable())
    assert isinstance(outcome, Placed | Refused), "rows carry no Idempotency-Key header"
    return outcome


async def _with_the_original(
    pool: Pool, account: Account, rows: Sequence[ReadRow], outcomes: Sequence[Placed | Refused]
) -> list[RowResult]:
    """Results of rows; one whose key is taken is a repeat where it asks for what the order is."""
    taken = [order_id for outcome in outcomes if (order_id := _placed_before(outcome)) is not None]
    originals: dict[UUID, Order] = {}
    if taken:
        async with pool.acquire(timeout=30) as connection:
            originals = await find_orders(connection, account, taken)
    results: list[RowResult] = []
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, Placed):
            results.append(RowResult(row.row, row.idempotency_key, RowStatus.PLACED, outcome.order))
            continue
        order_id = _placed_before(outcome)
        if order_id in originals:
            results.append(_repeated(row, originals[order_id]))
        else:
            results.append(RowResult(row.row, row.idempotency_key, RowStatus.REFUSED, error=outcome.error))
    return results


def _placed_before(outcome: Placed | Refused) -> UUID | None:
    """The order that has a row's key; None where it was placed now, or refused for another reason."""
    if isinstance(outcome, Refused) and isinstance(outcome.error, OrderIdempotencyAlreadyExists):
        return outcome.error.order_id
    return None


def _repeated(row: ReadRow, order: Order) -> RowResult:
    assert row.purchase is not None
    if asks_for_same(order, row.purchase, row.metadata):
        return RowResult(row.row, row.idempotency_key, RowStatus.EXISTS, order)
    error = OrderIdempotencyAlreadyExists(_OTHERWISE, order_id=order.order_id)
    return RowResult(row.row, row.idempotency_key, RowStatus.REFUSED, order, error=error)


def _twice(row: ReadRow, first: ReadRow) -> RowResult:
    """What a row will be whose key an earlier row of the file has."""
    if (first.purchase, first.metadata or {}) == (row.purchase, row.metadata or {}):
        return RowResult(row.row, row.idempotency_key, RowStatus.EXISTS)
    error = OrderIdempotencyAlreadyExists(_OTHERWISE)
    return RowResult(row.row, row.idempotency_key, RowStatus.REFUSED, error=error)


async def _ordered_before(
    connection: Connection, account: Account, rows: Sequence[ReadRow]
) -> dict[str, Order]:
    keys = [row.idempotency_key for row in rows if row.idempotency_key is not None]
    wanted = [(account.organisation_id, account.account_id, key) for key in keys]
    found = await find_order_ids_by_key(connection, wanted)
    orders = await find_orders(connection, account, list(found.values()))
    return {key: orders[order_id] for (_, key), order_id in found.items()}


async def _quote(
    pool: Pool, row: ReadRow, purchase: Purchase, *, account: Account, catalogue: Catalogue, at: datetime
) -> RowResult:
    try:
        if isinstance(purchase.wanted, ByEstimate):
            quote = await quote_estimate(pool, purchase, account=account, catalogue=catalogue, at=at)
        else:
            quote = price_purchase(purchase, account=account, catalogue=catalogue, at=at)
    except TonneError as error:
        return RowResult(row.row, row.idempotency_key, RowStatus.REFUSED, error=error)
    return RowResult(row.row, row.idempotency_key, RowStatus.QUOTED, quote=quote)

"""Rows of `orders`: set-wise insert, why an insert was refused, and reading them back.

A batch of orders travels as one JSON parameter that PostgreSQL unfolds into rows of the table's own type: one
statement for any number of orders, at a quarter of the client's work for as many array parameters
(docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from tonne.domain.accounts import Account, Billing
from tonne.domain.orders import Order, OrderStatus, OrderType
from tonne.domain.pricing import Line
from tonne.storage.currencies import find_currency
from tonne.storage.database import LARGE_STATEMENT_TIMEOUT_SECONDS, Connection, Record, from_jsonb
from tonne.storage.terms import read_terms, terms_row


class _LineRow(msgspec.Struct, frozen=True):
    bundle_id: UUID
    quantity_grams: int
    unit_price: Decimal
    gross_unit_price: Decimal
    offset_cost_minor: int


class _OrderRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row as it is inserted."""

    organisation_id: UUID
    account_id: UUID
    order_id: UUID
    type: str
    status: str
    currency: str
    quantity_grams: int
    offset_cost_minor: int
    total_cost_minor: int
    lines: list[_LineRow]
    created_at: datetime
    billing: str
    requested_tonnes: Decimal | None = None
    requested_value_minor: int | None = None
    estimate_id: UUID | None = None
    idempotency_key: str | None = None
    metadata: Mapping[str, str] | None = None
    beneficiary: str | None = None
    terms: Mapping[str, Any] | None = None
    placed_at: datetime | None = None
    paid_at: datetime | None = None


# An account that is suspended or was changed, or a key that is disabled, by the time of the insert places nothing; a
# second order with one idempotency key, or for one estimate, is left out by the unique indexes whoever inserts it.
# What happened and which money moved is written by the same statement, of the orders that really went in: one row each
# for those of an account that begin alike (docs/decisions/0008).
_INSERT = """
      WITH new AS (
    INSERT INTO orders (organisation_id, account_id, order_id, type, status, currency, quantity_grams,
                        offset_cost_minor, total_cost_minor, lines, created_at, requested_tonnes,
                        requested_value_minor, estimate_id, idempotency_key, metadata, beneficiary, terms, billing,
                        placed_at, paid_at, key_id)
    SELECT o.organisation_id, o.account_id, o.order_id, o.type, o.status, o.currency, o.quantity_grams,
           o.offset_cost_minor, o.total_cost_minor, o.lines, o.created_at, o.requested_tonnes,
           o.requested_value_minor, o.estimate_id, o.idempotency_key, o.metadata, o.beneficiary, o.terms, o.billing,
           o.placed_at, o.paid_at, used.key_id
      FROM json_populate_recordset(NULL::orders, $1) WITH ORDINALITY AS o
      JOIN accounts a ON a.organisation_id = o.organisation_id AND a.account_id = o.account_id
                     AND a.suspended_at IS NULL
      JOIN unnest($2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
           AS used (key_id, account_version, catalogue_version, ordinality)
        ON used.ordinality = o.ordinality AND used.account_version = a.version
      JOIN catalogue_state c ON c.version = used.catalogue_version
      JOIN api_keys k ON k.organisation_id = o.organisation_id AND k.key_id = used.key_id AND k.disabled_at IS NULL
     ORDER BY o.ordinality
        ON CONFLICT DO NOTHING
 RETURNING organisation_id, account_id, order_id, status, billing, currency, total_cost_minor, created_at
    ), batches AS (
    SELECT organisation_id, account_id, status, billing, currency, array_agg(order_id ORDER BY order_id) AS order_ids,
           sum(total_cost_minor) AS amount_minor, max(created_at) AS created_at
      FROM new GROUP BY organisation_id, account_id, status, billing, currency
    ), told AS (
    INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, created_at)
    SELECT organisation_id, account_id, order_ids[1],
           CASE status WHEN 'received' THEN array['order.received']
                       WHEN 'placed' THEN array['order.received', 'order.placed']
                       ELSE array['order.received', 'order.placed', 'order.paid'] END,
           order_ids, created_at
      FROM batches
    ), moved AS (
    INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency,
                                  amount_minor, order_ids, created_at)
    SELECT organisation_id, account_id, order_ids[1],
           CASE WHEN status = 'paid' THEN 'order_paid' ELSE 'order_placed' END,
           CASE billing WHEN 'invoice' THEN 'receivable' WHEN 'prepaid' THEN 'prepaid' ELSE 'settled' END,
           'held', currency, amount_minor, order_ids, created_at
      FROM batches WHERE billing <> 'automatic' OR status = 'paid'
    )
    SELECT order_id FROM new
"""

_WHY_NOT_INSERTED = """
    SELECT w.order_id,
           EXISTS (SELECT FROM orders o WHERE o.organisation_id = w.organisation_id
                      AND o.account_id = w.account_id AND o.order_id = w.order_id) AS is_stored,
           NOT EXISTS (SELECT FROM api_keys k WHERE k.organisation_id = w.organisation_id
                      AND k.key_id = w.key_id AND k.disabled_at IS NULL) AS key_is_disabled,
           NOT EXISTS (SELECT FROM accounts a WHERE a.organisation_id = w.organisation_id
                      AND a.account_id = w.account_id AND a.suspended_at IS NULL) AS account_is_suspended,
           NOT EXISTS (SELECT FROM accounts a WHERE a.organisation_id = w.organisation_id
                      AND a.account_id = w.account_id AND a.version = w.account_version) AS account_is_changed,
           NOT EXISTS (SELECT FROM catalogue_state c WHERE c.version = w.catalogue_version) AS catalogue_is_changed,
           (SELECT o.order_id FROM orders o WHERE o.organisation_id = w.organisation_id
                      AND o.account_id = w.account_id AND o.idempotency_key = w.idempotency_key) AS same_key_order_id,
           EXISTS (SELECT FROM orders o WHERE o.organisation_id = w.organisation_id AND o.account_id = w.account_id
                      AND o.estimate_id = w.estimate_id AND o.cancelled_at IS NULL AND o.failed_at IS NULL)
               AS estimate_is_ordered
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[],
                  $7::bigint[], $8::bigint[])
           AS w (organisation_id, account_id, order_id, key_id, idempotency_key, estimate_id, account_version,
                 catalogue_version)
"""

_COLUMNS = """order_id, type, status, currency, quantity_grams, requested_tonnes, requested_value_minor,
    offset_cost_minor, total_cost_minor, lines, estimate_id, idempotency_key, metadata, beneficiary, terms,
    billing, created_at, placed_at, paid_at, retiring_at, completed_at, cancelled_at, failed_at"""

_BY_ID = f"SELECT {_COLUMNS} FROM orders WHERE organisation_id = $1 AND account_id = $2 AND order_id = $3"  # noqa: S608
_BY_IDS = f"SELECT {_COLUMNS} FROM orders WHERE organisation_id = $1 AND account_id = $2 AND order_id = ANY($3::uuid[])"  # noqa: S608
_BY_KEY = (
    f"SELECT {_COLUMNS} FROM orders WHERE organisation_id = $1 AND account_id = $2 AND idempotency_key = $3"  # noqa: S608
)

_WITH_PROJECT = """
    EXISTS (SELECT FROM allocations a
              JOIN retirements r ON r.organisation_id = a.organisation_id AND r.retirement_id = a.retirement_id
             WHERE a.organisation_id = $1 AND a.order_id = orders.order_id AND r.project_id = {}
               AND r.state <> 'rejected')
"""

_TIMES = (
    (OrderStatus.PLACED, "placed_at"),
    (OrderStatus.PAID, "paid_at"),
    (OrderStatus.RETIRING, "retiring_at"),
    (OrderStatus.COMPLETE, "completed_at"),
    (OrderStatus.CANCELLED, "cancelled_at"),
    (OrderStatus.FAILED, "failed_at"),
)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to insert, and what it was decided with: the API key used, the account's and the catalogue's version.

    `is_capped`: the key may not be used for orders above a sum in a day.
    """

    order: Order
    key_id: UUID
    account_version: int
    catalogue_version: int
    is_capped: bool = False


@dataclass(frozen=True, slots=True)
class WhyNotInserted:
    """What stood in the way of an order; several may at once."""

    is_stored: bool
    key_is_disabled: bool
    account_is_suspended: bool
    account_is_changed: bool
    catalogue_is_changed: bool
    same_key_order_id: UUID | None
    estimate_is_ordered: bool


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders of an account to list; None does not filter. Times are inclusive from, exclusive to."""

    status: OrderStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    metadata: Mapping[str, str] | None = None
    project_id: UUID | None = None


async def insert_orders(connection: Connection, orders: Sequence[NewOrder]) -> set[UUID]:
    """Insert many orders, their events and their money in one statement; returns the ids of the orders that went in.

    An order stays out where its account is suspended or was changed, or the catalogue was, its key is disabled, or its
    idempotency key, estimate or own id is taken: ask `why_not_inserted`.
    """
    # Sorted, so that two batches seldom wait for each other; where they do, one of them is carried out again.
    together = sorted(orders, key=lambda new: _insert_order(new.order))
    inserted = await connection.fetch(
        _INSERT,
        msgspec.json.encode([_row(new.order) for new in together]).decode(),
        [new.key_id for new in together],
        [new.account_version for new in together],
        [new.catalogue_version for new in together],
    )
    return {row["order_id"] for row in inserted}


async def why_not_inserted(connection: Connection, orders: Sequence[NewOrder]) -> dict[UUID, WhyNotInserted]:
    """Say what stood in the way of orders, by order id."""
    rows = await connection.fetch(
        _WHY_NOT_INSERTED,
        [new.order.organisation_id for new in orders],
        [new.order.account_id for new in orders],
        [new.order.order_id for new in orders],
        [new.key_id for new in orders],
        [new.order.idempotency_key for new in orders],
        [new.order.estimate_id for new in orders],
        [new.account_version for new in orders],
        [new.catalogue_version for new in orders],
    )
    return {row["order_id"]: WhyNotInserted(*list(row.values())[1:]) for row in rows}


async def find_order_ids_by_key(
    connection: Connection, wanted: Sequence[tuple[UUID, UUID, str]]
) -> dict[tuple[UUID, str], UUID]:
    """Find orders by (organisation, account, idempotency key); returns ids by (account, idempotency key)."""
    rows = await connection.fetch(
        """
        SELECT o.account_id, o.idempotency_key, o.order_id
          FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS w (organisation_id, account_id, idempotency_key)
          JOIN orders o ON o.organisation_id = w.organisation_id AND o.account_id = w.account_id
                       AND o.idempotency_key = w.idempotency_key
        """,
        [organisation_id for organisation_id, _, _ in wanted],
        [account_id for _, account_id, _ in wanted],
        [key for _, _, key in wanted],
    )
    return {(row["account_id"], row["idempotency_key"]): row["order_id"] for row in rows}


async def find_order(connection: Connection, account: Account, order_id: UUID) -> Order | None:
    """Find an account's order by its id."""
    row = await connection.fetchrow(_BY_ID, account.organisation_id, account.account_id, order_id)
    return None if row is None else _order(row, account)


async def find_orders(
    connection: Connection, account: Account, order_ids: Sequence[UUID]
) -> dict[UUID, Order]:
    """Find an account's orders by their ids."""
    rows = await connection.fetch(_BY_IDS, account.organisation_id, account.account_id, order_ids)
    return {row["order_id"]: _order(row, account) for row in rows}


async def find_placing_key(connection: Connection, account: Account, order_id: UUID) -> UUID | None:
    """The API key that an order was placed with; None for those of before keys were kept."""
    key_id: UUID | None = await connection.fetchval(
        "SELECT key_id FROM orders WHERE organisation_id = $1 AND account_id = $2 AND order_id = $3",
        account.organisation_id,
        account.account_id,
        order_id,
    )
    return key_id


async def find_order_by_idempotency_key(connection: Connection, account: Account, key: str) -> Order | None:
    """Find an account's order by its idempotency key."""
    row = await connection.fetchrow(_BY_KEY, account.organisation_id, account.account_id, key)
    return None if row is None else _order(row, account)


async def list_orders(
    connection: Connection, account: Account, *, wanted: OrderFilter, after: UUID | None, limit: int
) -> list[Order]:
    """List an account's orders, newest first, those older than `after` only.

    Ids are time-ordered and never change, so a walk sees each order that existed when it began exactly once,
    whatever is inserted meanwhile.
    """
    arguments: list[object] = [account.organisation_id, account.account_id, limit]
    conditions = ["organisation_id = $1", "account_id = $2"]

    def require(condition: str, value: object) -> None:
        if value is not None:
            arguments.append(value)
            conditions.append(condition.format(f"${len(arguments)}"))

    require("order_id < {}", after)
    require("status = {}", None if wanted.status is None else wanted.status.value)
    require("created_at >= {}", wanted.created_from)
    require("created_at < {}", wanted.created_to)
    require(
        "metadata @> {}", None if wanted.metadata is None else msgspec.json.encode(wanted.metadata).decode()
    )
    require(_WITH_PROJECT, wanted.project_id)
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM orders WHERE {' AND '.join(conditions)} ORDER BY order_id DESC LIMIT $3",  # noqa: S608
        *arguments,
    )
    return [_order(row, account) for row in rows]


async def count_orders(connection: Connection, account_ids: Sequence[UUID], *, wanted: OrderFilter) -> int:
    """How many orders of accounts have the status, and were created in the time, that is asked for."""
    return int(
        await connection.fetchval(
            """
            SELECT count(*) FROM accounts a
              JOIN orders o ON o.organisation_id = a.organisation_id AND o.account_id = a.account_id
             WHERE a.account_id = ANY($1::uuid[]) AND ($2::text IS NULL OR o.status = $2)
               AND ($3::timestamptz IS NULL OR o.created_at >= $3) AND ($4::timestamptz IS NULL OR o.created_at < $4)
            """,
            account_ids,
            None if wanted.status is None else wanted.status.value,
            wanted.created_from,
            wanted.created_to,
            timeout=LARGE_STATEMENT_TIMEOUT_SECONDS,
        )
    )


def _insert_order(order: Order) -> tuple[bytes, bytes, str, bytes]:
    estimate = b"" if order.estimate_id is None else order.estimate_id.bytes
    return (order.organisation_id.bytes, order.account_id.bytes, order.idempotency_key or "", estimate)


def _row(order: Order) -> _OrderRow:
    return _OrderRow(
        organisation_id=order.organisation_id,
        account_id=order.account_id,
        order_id=order.order_id,
        type=order.type.value,
        status=order.status.value,
        currency=order.currency.code,
        quantity_grams=order.quantity_grams,
        offset_cost_minor=order.offset_cost_minor,
        total_cost_minor=order.total_cost_minor,
        lines=[
            _LineRow(
                line.bundle_id,
                line.quantity_grams,
                line.unit_price,
                line.gross_unit_price,
                line.offset_cost_minor,
            )
            for line in order.lines
        ],
        created_at=order.created_at,
        billing=order.billing.value,
        requested_tonnes=order.requested_tonnes,
        requested_value_minor=order.requested_value_minor,
        estimate_id=order.estimate_id,
        idempotency_key=order.idempotency_key,
        metadata=order.metadata,
        beneficiary=order.beneficiary,
        terms=terms_row(order.terms),
        placed_at=dict(order.history).get(OrderStatus.PLACED),
        paid_at=dict(order.history).get(OrderStatus.PAID),
    )


def _order(row: Record, account: Account) -> Order:
    reached = [(status, row[column]) for status, column in _TIMES if row[column] is not None]
    return Order(
        organisation_id=account.organisation_id,
        account_id=account.account_id,
        order_id=row["order_id"],
        mode=account.mode,
        type=OrderType(row["type"]),
        currency=find_currency(row["currency"]),
        status=OrderStatus(row["status"]),
        quantity_grams=row["quantity_grams"],
        offset_cost_minor=row["offset_cost_minor"],
        total_cost_minor=row["total_cost_minor"],
        lines=tuple(Line(*line) for line in row["lines"]),
        created_at=row["created_at"],
        history=((OrderStatus.RECEIVED, row["created_at"]), *reached),
        requested_tonnes=row["requested_tonnes"],
        requested_value_minor=row["requested_value_minor"],
        estimate_id=row["estimate_id"],
        idempotency_key=row["idempotency_key"],
        metadata=from_jsonb(row["metadata"]),
        beneficiary=row["beneficiary"],
        billing=Billing(row["billing"]),
        terms=read_terms(from_jsonb(row["terms"]), row["beneficiary"]),
    )

"""Inserting orders, many at once, and why an insert was refused.

A batch travels as one JSON parameter that PostgreSQL unfolds into rows of the table's own type: one statement for any
number of orders. What orders of one account have in common is said once for all of them, and checked once
(docs/decisions/0002, 0021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from tonne.domain.orders import Order, OrderStatus
from tonne.domain.pricing import Line
from tonne.storage.database import Connection
from tonne.storage.terms import terms_row


class _OrderRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is an order's own, as it is inserted."""

    order_id: UUID
    type: str
    quantity_grams: int
    offset_cost_minor: int
    total_cost_minor: int
    lines: str
    created_at: datetime
    requested_tonnes: Decimal | None = None
    requested_value_minor: int | None = None
    estimate_id: UUID | None = None
    idempotency_key: str | None = None
    metadata: Mapping[str, str] | None = None
    beneficiary: str | None = None
    terms: Mapping[str, Any] | None = None
    placed_at: datetime | None = None
    paid_at: datetime | None = None


class _Together(msgspec.Struct, frozen=True):
    """Orders, and what they have in common."""

    organisation_id: UUID
    account_id: UUID
    status: str
    currency: str
    billing: str
    key_id: UUID
    account_version: int
    catalogue_version: int
    orders: list[_OrderRow]


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
    SELECT t.organisation_id, t.account_id, o.order_id, o.type, t.status, t.currency, o.quantity_grams,
           o.offset_cost_minor, o.total_cost_minor, o.lines, o.created_at, o.requested_tonnes,
           o.requested_value_minor, o.estimate_id, o.idempotency_key, o.metadata, o.beneficiary, o.terms, t.billing,
           o.placed_at, o.paid_at, t.key_id
      FROM json_to_recordset($1)
           AS t (organisation_id uuid, account_id uuid, status text, currency text, billing text, key_id uuid,
                 account_version bigint, catalogue_version bigint, orders json)
      JOIN accounts a ON a.organisation_id = t.organisation_id AND a.account_id = t.account_id
                     AND a.version = t.account_version AND a.suspended_at IS NULL
      JOIN catalogue_state c ON c.version = t.catalogue_version
      JOIN api_keys k ON k.organisation_id = t.organisation_id AND k.key_id = t.key_id AND k.disabled_at IS NULL
     CROSS JOIN json_populate_recordset(NULL::orders, t.orders) AS o
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

_Common = tuple[UUID, UUID, str, str, str, UUID, int, int]


@dataclass(frozen=True)
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


async def insert_orders(connection: Connection, orders: Sequence[NewOrder]) -> set[UUID]:
    """Insert many orders, their events and their money in one statement; returns the ids of the orders that went in.

    An order stays out where its account is suspended or was changed, or the catalogue was, its key is disabled, or its
    idempotency key, estimate or own id is taken: ask `why_not_inserted`.
    """
    inserted = await connection.fetch(_INSERT, msgspec.json.encode(_together(orders)).decode())
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


def _together(orders: Sequence[NewOrder]) -> list[_Together]:
    # Sorted, so that two batches seldom wait for each other; where they do, one of them is carried out again.
    groups: dict[_Common, list[_OrderRow]] = {}
    for new in sorted(orders, key=_insert_order):
        order = new.order
        common = (
            order.organisation_id,
            order.account_id,
            order.status.value,
            order.currency.code,
            order.billing.value,
            new.key_id,
            new.account_version,
            new.catalogue_version,
        )
        groups.setdefault(common, []).append(_row(order))
    return [_Together(*common, rows) for common, rows in groups.items()]


def _insert_order(new: NewOrder) -> tuple[bytes, bytes, str, bytes]:
    order = new.order
    estimate = b"" if order.estimate_id is None else order.estimate_id.bytes
    return (order.organisation_id.bytes, order.account_id.bytes, order.idempotency_key or "", estimate)


def _row(order: Order) -> _OrderRow:
    reached = dict(order.history)
    return _OrderRow(
        order.order_id,
        order.type.value,
        order.quantity_grams,
        order.offset_cost_minor,
        order.total_cost_minor,
        _lines(order.lines),
        order.created_at,
        order.requested_tonnes,
        order.requested_value_minor,
        order.estimate_id,
        order.idempotency_key,
        order.metadata,
        order.beneficiary,
        terms_row(order.terms),
        reached.get(OrderStatus.PLACED),
        reached.get(OrderStatus.PAID),
    )


def _lines(lines: Sequence[Line]) -> str:
    # As PostgreSQL writes an array of rows, which it reads in half the time of as many objects.
    rows = [
        f'"({line.bundle_id},{line.quantity_grams},{line.unit_price},{line.gross_unit_price},{line.offset_cost_minor})"'
        for line in lines
    ]
    return f"{{{','.join(rows)}}}"

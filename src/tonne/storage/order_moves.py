"""Moving orders from one status to the next, and finding them whoever they belong to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from tonne.domain.accounts import Billing, Mode
from tonne.domain.money import Currency
from tonne.domain.orders import OrderStatus
from tonne.storage.currencies import find_currency
from tonne.storage.database import Connection, Record

# Locked in order first, so that two that move the same orders wait for each other in one direction only. A status is
# never reached before the one before it, whatever the clocks of two hosts say.
_MOVE = """
      WITH due AS MATERIALIZED (
    SELECT o.account_id, o.order_id, o.status
      FROM orders o
      JOIN unnest($2::uuid[], $3::uuid[]) AS w (account_id, order_id)
        ON o.account_id = w.account_id AND o.order_id = w.order_id
     WHERE o.organisation_id = $1 AND o.status = ANY($4::text[])
     ORDER BY o.account_id, o.order_id
       FOR NO KEY UPDATE OF o
    )
    UPDATE orders o SET status = '{status}', {column} = greatest($5::timestamptz, o.created_at, o.placed_at)
      FROM due d
     WHERE o.organisation_id = $1 AND o.account_id = d.account_id AND o.order_id = d.order_id
       AND o.status = ANY($4::text[])
 RETURNING o.account_id, o.order_id, o.billing, o.currency, o.total_cost_minor
"""

_MOVES: Mapping[OrderStatus, str] = MappingProxyType(
    {
        status: _MOVE.format(status=status.value, column=column)
        for status, column in (
            (OrderStatus.PLACED, "placed_at"),
            (OrderStatus.PAID, "paid_at"),
            (OrderStatus.CANCELLED, "cancelled_at"),
            (OrderStatus.FAILED, "failed_at"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class OrderMoney:
    """What money needs to know of an order."""

    organisation_id: UUID
    account_id: UUID
    order_id: UUID
    billing: Billing
    currency: Currency
    total_cost_minor: int


@dataclass(frozen=True, slots=True)
class Located:
    """Whose an order is, and its status."""

    organisation_id: UUID
    account_id: UUID
    order_id: UUID
    status: OrderStatus


async def move_orders(
    connection: Connection,
    organisation_id: UUID,
    orders: Sequence[tuple[UUID, UUID]],
    *,
    sources: Collection[OrderStatus],
    target: OrderStatus,
    at: datetime,
) -> list[OrderMoney]:
    """Move an organisation's (account, order) pairs from one of `sources` to `target`; returns those that were moved."""
    rows = await connection.fetch(
        _MOVES[target],
        organisation_id,
        [account_id for account_id, _ in orders],
        [order_id for _, order_id in orders],
        [status.value for status in sources],
        at,
    )
    return [_order_money(organisation_id, row) for row in rows]


async def locate_orders(
    connection: Connection, order_ids: Collection[UUID], *, mode: Mode | None
) -> dict[UUID, Located]:
    """Find orders of any organisation by their ids, or only live or only test ones."""
    rows = await connection.fetch(
        """
        SELECT o.organisation_id, o.account_id, o.order_id, o.status
          FROM accounts a
          JOIN orders o ON o.organisation_id = a.organisation_id AND o.account_id = a.account_id
                       AND o.order_id = ANY($1::uuid[])
         WHERE $2::text IS NULL OR a.mode = $2
        """,
        list(order_ids),
        None if mode is None else mode.value,
    )
    return {
        row["order_id"]: Located(
            row["organisation_id"], row["account_id"], row["order_id"], OrderStatus(row["status"])
        )
        for row in rows
    }


async def newest_orders(
    connection: Connection,
    *,
    account_id: UUID | None,
    mode: Mode | None,
    status: OrderStatus | None,
    limit: int,
) -> list[Located]:
    """The newest orders of all organisations, or of one account."""
    rows = await connection.fetch(
        """
        SELECT a.organisation_id, a.account_id, o.order_id, o.status
          FROM accounts a,
               LATERAL (SELECT order_id, status FROM orders n
                         WHERE n.organisation_id = a.organisation_id AND n.account_id = a.account_id
                           AND ($3::text IS NULL OR n.status = $3)
                         ORDER BY n.order_id DESC LIMIT $4) o
         WHERE ($1::uuid IS NULL OR a.account_id = $1) AND ($2::text IS NULL OR a.mode = $2)
         ORDER BY o.order_id DESC LIMIT $4
        """,
        account_id,
        None if mode is None else mode.value,
        None if status is None else status.value,
        limit,
    )
    return [
        Located(row["organisation_id"], row["account_id"], row["order_id"], OrderStatus(row["status"]))
        for row in rows
    ]


def _order_money(organisation_id: UUID, row: Record) -> OrderMoney:
    return OrderMoney(
        organisation_id=organisation_id,
        account_id=row["account_id"],
        order_id=row["order_id"],
        billing=Billing(row["billing"]),
        currency=find_currency(row["currency"]),
        total_cost_minor=row["total_cost_minor"],
    )

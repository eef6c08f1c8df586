"""Rows of `orders`, read back. How they are inserted is in `new_orders`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from tonne.domain.accounts import Account, Billing
from tonne.domain.orders import Order, OrderStatus, OrderType
from tonne.domain.pricing import Line
from tonne.storage.currencies import find_currency
from tonne.storage.database import LARGE_STATEMENT_TIMEOUT_SECONDS, Connection, Record, from_jsonb
from tonne.storage.terms import read_terms

# An order is given its id and its time of creation together; a clock may be set in between.
IDS_WITHIN = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_MAX = 2**48 - 1
_RANDOM_BITS = 80

_COLUMNS = """order_id, type, status, currency, quantity_grams, requested_tonnes, requested_value_minor,
    offset_cost_minor, total_cost_minor, lines, estimate_id, idempotency_key, metadata, beneficiary, terms,
    billing, created_at, placed_at, paid_at, retiring_at, completed_at, cancelled_at, failed_at"""

_BY_ID = f"SELECT {_COLUMNS} FROM orders WHERE organisation_id = $1 AND account_id = $2 AND order_id = $3"  # noqa: S608
_BY_IDS = f"SELECT {_COLUMNS} FROM orders WHERE organisation_id = $1 AND account_id = $2 AND order_id = ANY($3::uuid[])"  # noqa: S608
_WANTED = f"""
    SELECT o.organisation_id, o.account_id, {_COLUMNS}
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (of_organisation, of_account, wanted_id)
      JOIN orders o ON o.organisation_id = of_organisation AND o.account_id = of_account AND o.order_id = wanted_id
"""  # noqa: S608
_BY_KEY = (
    f"SELECT {_COLUMNS} FROM orders WHERE organisation_id = $1 AND account_id = $2 AND idempotency_key = $3"  # noqa: S608
)

_WITH_PROJECT = """
    EXISTS (SELECT FROM allocations a
              JOIN retirements r ON r.organisation_id = a.organisation_id AND r.retirement_id = a.retirement_id
             WHERE a.organisation_id = $1 AND a.order_id = orders.order_id AND r.project_id = {}
               AND r.state <> 'rejected')
"""

# An enumeration that is called takes ten times as long as a look into a table, and an order takes three.
_TYPES = {each.value: each for each in OrderType}
_STATUSES = {each.value: each for each in OrderStatus}
_BILLINGS = {each.value: each for each in Billing}
_TIMES = (
    (OrderStatus.PLACED, "placed_at"),
    (OrderStatus.PAID, "paid_at"),
    (OrderStatus.RETIRING, "retiring_at"),
    (OrderStatus.COMPLETE, "completed_at"),
    (OrderStatus.CANCELLED, "cancelled_at"),
    (OrderStatus.FAILED, "failed_at"),
)


@dataclass(frozen=True)
class WantedOrder:
    """An account's order, by its id. Two are the same where organisation, account and order are."""

    account: Account = field(compare=False)
    order_id: UUID
    organisation_id: UUID = field(init=False)
    account_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "organisation_id", self.account.organisation_id)
        object.__setattr__(self, "account_id", self.account.account_id)


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders of an account to list; None does not filter. Times are inclusive from, exclusive to."""

    status: OrderStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    metadata: Mapping[str, str] | None = None
    project_id: UUID | None = None


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


async def find_wanted_orders(
    connection: Connection, wanted: Collection[WantedOrder], *, timeout_seconds: float
) -> dict[WantedOrder, Order]:
    """Find orders of several accounts, each by its own account and id."""
    rows = await connection.fetch(
        _WANTED,
        [each.organisation_id for each in wanted],
        [each.account_id for each in wanted],
        [each.order_id for each in wanted],
        timeout=timeout_seconds,
    )
    by_key = {(row["organisation_id"], row["account_id"], row["order_id"]): row for row in rows}
    found = {}
    for each in wanted:
        row = by_key.get((each.organisation_id, each.account_id, each.order_id))
        if row is not None:
            found[each] = _order(row, each.account)
    return found


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
    # Ids begin with the time at which they were made, and are what orders are found by.
    require("order_id >= {}", wanted.created_from and _first_id_of(wanted.created_from, -IDS_WITHIN))
    require("order_id < {}", wanted.created_to and _first_id_of(wanted.created_to, IDS_WITHIN))
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


def _first_id_of(at: datetime, after: timedelta) -> UUID:
    """What no id of version 7 (RFC 9562) is below that was made so long after a time, or later."""
    milliseconds = (at - _EPOCH + after) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), _MILLISECONDS_MAX) << _RANDOM_BITS)


def _order(row: Record, account: Account) -> Order:
    times = ((status, row[column]) for status, column in _TIMES)
    reached = [(status, at) for status, at in times if at is not None]
    return Order(
        organisation_id=account.organisation_id,
        account_id=account.account_id,
        order_id=row["order_id"],
        mode=account.mode,
        type=_TYPES[row["type"]],
        currency=find_currency(row["currency"]),
        status=_STATUSES[row["status"]],
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
        billing=_BILLINGS[row["billing"]],
        terms=read_terms(from_jsonb(row["terms"]), row["beneficiary"]),
    )

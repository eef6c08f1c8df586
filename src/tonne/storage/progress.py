"""Reading how far orders and retirements have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tonne.domain.accounts import Account, Mode
from tonne.domain.orders import Order, OrderStatus
from tonne.domain.progress import OrderPart, Part, Progress, Retirement
from tonne.domain.retirement import RetirementState, format_serial
from tonne.storage.database import Connection, Record, from_jsonb

# Before these, nothing of an order is in any pool.
UNDER_WAY = frozenset({OrderStatus.PAID, OrderStatus.RETIRING, OrderStatus.COMPLETE})

_PARTS = """
    SELECT a.order_id, r.bundle_id, r.project_id, r.state = 'confirmed' AS is_retired,
           sum(a.quantity_grams)::bigint AS quantity_grams
      FROM allocations a
      JOIN retirements r ON r.organisation_id = a.organisation_id AND r.retirement_id = a.retirement_id
     WHERE a.organisation_id = $1 AND a.order_id = ANY($2::uuid[]) AND r.state <> 'rejected'
     GROUP BY a.order_id, r.bundle_id, r.project_id, r.state = 'confirmed'
     ORDER BY a.order_id, min(r.created_at), r.project_id, is_retired DESC
"""

_PARTS_AS_OF = """
    SELECT w.order_id, w.at, r.bundle_id, r.project_id,
           (r.state = 'confirmed' AND r.decided_at <= w.at) AS is_retired,
           sum(a.quantity_grams)::bigint AS quantity_grams
      FROM unnest($2::uuid[], $3::timestamptz[]) AS w (order_id, at)
      JOIN allocations a ON a.organisation_id = $1 AND a.order_id = w.order_id
      JOIN retirements r ON r.organisation_id = $1 AND r.retirement_id = a.retirement_id AND r.created_at <= w.at
     WHERE r.state <> 'rejected' OR r.decided_at > w.at
     GROUP BY w.order_id, w.at, r.bundle_id, r.project_id, (r.state = 'confirmed' AND r.decided_at <= w.at)
     ORDER BY w.order_id, w.at, min(r.created_at), r.project_id, is_retired DESC
"""

# A line waits for stock where the pool has uncovered whole tonnes that reach into it.
_WAITING_FOR_STOCK = """
    SELECT DISTINCT e.order_id
      FROM pool_entries e
      JOIN pools p ON p.organisation_id = e.organisation_id AND p.pool_id = e.pool_id AND p.due_since IS NOT NULL
     WHERE e.organisation_id = $1 AND e.order_id = ANY($2::uuid[])
       AND ((e.gram_first + e.quantity_grams > p.covered_grams
             AND e.gram_first < p.entered_grams - p.entered_grams % 1000000)
            OR EXISTS (SELECT FROM pool_gaps g WHERE g.organisation_id = $1 AND g.pool_id = e.pool_id
                          AND e.gram_first < g.gram_first + g.tonnes * 1000000
                          AND e.gram_first + e.quantity_grams > g.gram_first))
"""

_RETIREMENT_COLUMNS = """r.*, p.name AS project_name, p.project_type, p.country_name, p.country_code, p.registry_name,
    p.registry_project_id, p.registry_link, p.methodology"""

_ORDER_PARTS = f"""
    SELECT a.order_id, a.gram_first AS part_first, a.quantity_grams, {_RETIREMENT_COLUMNS}
      FROM allocations a
      JOIN retirements r ON r.organisation_id = a.organisation_id AND r.retirement_id = a.retirement_id
      JOIN projects p ON p.project_id = r.project_id
     WHERE a.organisation_id = $1 AND r.account_id = $2 AND a.order_id = $3 AND (r.state <> 'rejected' OR $4)
     ORDER BY r.created_at, r.retirement_id, a.gram_first
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class RetirementFilter:
    """Which retirements to list; None does not filter."""

    retirement_ids: Sequence[UUID] | None = None
    states: Sequence[RetirementState] | None = None
    account_id: UUID | None = None
    mode: Mode | None = None
    limit: int = 1_000_000


@dataclass(frozen=True, slots=True)
class AllocatedOf:
    """Whose credits a retirement takes, and since when they are allocated."""

    project_id: UUID
    created_at: datetime


async def load_progress(
    connection: Connection, account: Account, orders: Sequence[Order]
) -> dict[UUID, Progress]:
    """How far orders of an account have come; those that were not paid are left out."""
    order_ids = [order.order_id for order in orders if order.status in UNDER_WAY]
    if not order_ids:
        return {}
    parts: dict[UUID, list[Part]] = {order_id: [] for order_id in order_ids}
    for row in await connection.fetch(_PARTS, account.organisation_id, order_ids):
        parts[row["order_id"]].append(
            Part(row["bundle_id"], row["project_id"], row["is_retired"], row["quantity_grams"])
        )
    unfinished = [order.order_id for order in orders if order.status in UNDER_WAY - {OrderStatus.COMPLETE}]
    out_of_stock: set[UUID] = set()
    if unfinished:
        rows = await connection.fetch(_WAITING_FOR_STOCK, account.organisation_id, unfinished)
        out_of_stock = {row["order_id"] for row in rows}
    return {
        order_id: Progress(tuple(parts[order_id]), waits_for_stock=order_id in out_of_stock)
        for order_id in order_ids
    }


async def load_progress_as_of(
    connection: Connection, account: Account, wanted: Sequence[tuple[UUID, datetime]]
) -> dict[tuple[UUID, datetime], Progress]:
    """How far orders of an account had come at a time each."""
    parts: dict[tuple[UUID, datetime], list[Part]] = {each: [] for each in wanted}
    rows = await connection.fetch(
        _PARTS_AS_OF,
        account.organisation_id,
        [order_id for order_id, _ in wanted],
        [at for _, at in wanted],
    )
    for row in rows:
        parts[row["order_id"], row["at"]].append(
            Part(row["bundle_id"], row["project_id"], row["is_retired"], row["quantity_grams"])
        )
    return {each: Progress(tuple(own)) for each, own in parts.items()}


async def load_retirements_of(
    connection: Connection, account: Account, retirement_ids: Sequence[UUID]
) -> dict[UUID, AllocatedOf]:
    """What is allocated with some retirements of an account."""
    rows = await connection.fetch(
        """
        SELECT retirement_id, project_id, created_at FROM retirements
         WHERE organisation_id = $1 AND account_id = $2 AND retirement_id = ANY($3::uuid[])
        """,
        account.organisation_id,
        account.account_id,
        retirement_ids,
    )
    return {row["retirement_id"]: AllocatedOf(row["project_id"], row["created_at"]) for row in rows}


async def find_order_parts(
    connection: Connection, account: Account, order_id: UUID, *, with_rejected: bool = False
) -> list[OrderPart]:
    """An order's grams in each retirement, in the order in which they were allocated."""
    rows = await connection.fetch(
        _ORDER_PARTS, account.organisation_id, account.account_id, order_id, with_rejected
    )
    return [
        OrderPart(_retirement(row), row["order_id"], row["part_first"], row["quantity_grams"]) for row in rows
    ]


async def list_retirements(
    connection: Connection, organisation_ids: Sequence[UUID], *, wanted: RetirementFilter
) -> list[Retirement]:
    """List retirements of organisations, oldest first."""
    states = None if wanted.states is None else [state.value for state in wanted.states]
    rows = await connection.fetch(
        f"""
        SELECT {_RETIREMENT_COLUMNS} FROM retirements r JOIN projects p ON p.project_id = r.project_id
         WHERE r.organisation_id = ANY($1::uuid[])
           AND ($2::uuid[] IS NULL OR r.retirement_id = ANY($2)) AND ($3::text[] IS NULL OR r.state = ANY($3))
           AND ($4::uuid IS NULL OR r.account_id = $4) AND ($5::text IS NULL OR r.mode = $5)
         ORDER BY r.created_at, r.retirement_id LIMIT $6
        """,  # noqa: S608
        organisation_ids,
        wanted.retirement_ids,
        states,
        wanted.account_id,
        None if wanted.mode is None else wanted.mode.value,
        wanted.limit,
    )
    return [_retirement(row) for row in rows]


def _retirement(row: Record) -> Retirement:
    prefix, terms = row["serial_prefix"], from_jsonb(row["terms"])
    return Retirement(
        organisation_id=row["organisation_id"],
        account_id=row["account_id"],
        retirement_id=row["retirement_id"],
        mode=Mode(row["mode"]),
        state=RetirementState(row["state"]),
        project_id=row["project_id"],
        project_name=row["project_name"],
        project_type=row["project_type"],
        country_name=row["country_name"],
        country_code=row["country_code"],
        registry_name=row["registry_name"],
        registry_project_id=row["registry_project_id"],
        registry_link=row["registry_link"],
        methodology=row["methodology"],
        bundle_id=row["bundle_id"],
        vintage_year=row["vintage_year"],
        serial_first=format_serial(prefix, row["serial_first"]),
        serial_last=format_serial(prefix, row["serial_last"]),
        tonnes=row["tonnes"],
        beneficiary=row["beneficiary"],
        created_at=row["created_at"],
        submitted_at=row["submitted_at"],
        decided_at=row["decided_at"],
        registry_reference=row["registry_reference"],
        retired_on=row["retired_on"],
        reason=row["reason"],
        beneficiary_country=terms.get("country"),
        beneficiary_registration_number=terms.get("registration_number"),
    )

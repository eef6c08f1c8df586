"""Rows of `retirements` and `allocations`, from the plan to the registry's decision. Set-wise, whatever their number.

Whoever writes here holds the organisation's claim (`tonne.storage.pools.claim_organisation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from tonne.domain.accounts import Mode, SandboxBehaviour
from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.retirement import Gap
from tonne.storage.changes import announce_events
from tonne.storage.database import LARGE_STATEMENT_TIMEOUT_SECONDS, Connection
from tonne.storage.lots import Moved

# Events of so many orders or allocations make a row at most.
CHUNK_MAX = 1000

INSERT_RETIREMENTS = """
    INSERT INTO retirements (organisation_id, retirement_id, account_id, pool_id, gram_first, tonnes, bundle_id,
                             beneficiary, terms, mode, project_id, lot_id, vintage_year, serial_prefix,
                             serial_first, serial_last, registry, state, replaces_rejected, replaces_id, created_at)
    SELECT organisation_id, retirement_id, account_id, pool_id, gram_first, tonnes, bundle_id, beneficiary, terms, mode,
           project_id, lot_id, vintage_year, serial_prefix, serial_first, serial_last, registry, 'pending',
           replaces_rejected, replaces_id, created_at
      FROM json_populate_recordset(NULL::retirements, $1)
"""

# An order's part in a retirement is where its entry's grams and the retirement's meet. The first entry is the one that
# begins at or before the retirement's first gram.
_ALLOCATE = """
    INSERT INTO allocations (organisation_id, retirement_id, gram_first, quantity_grams, order_id)
    SELECT $1, r.retirement_id, greatest(e.gram_first, r.gram_first),
           least(e.gram_first + e.quantity_grams, r.gram_first + r.tonnes * 1000000)
               - greatest(e.gram_first, r.gram_first),
           e.order_id
      FROM retirements r
     CROSS JOIN LATERAL (SELECT s.gram_first FROM pool_entries s
                          WHERE s.organisation_id = $1 AND s.pool_id = r.pool_id AND s.gram_first <= r.gram_first
                          ORDER BY s.gram_first DESC LIMIT 1) first_entry
      JOIN pool_entries e ON e.organisation_id = $1 AND e.pool_id = r.pool_id
                         AND e.gram_first >= first_entry.gram_first
                         AND e.gram_first < r.gram_first + r.tonnes * 1000000
     WHERE r.organisation_id = $1 AND r.retirement_id = ANY($2::uuid[])
"""

# The last eight digits of a chunk's id count the chunks of one statement.
_CHUNK_ID = "overlay($3::uuid::text PLACING lpad(to_hex(n), 8, '0') FROM 29)::uuid"

_ALLOCATION_EVENTS = f"""
    INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, retirement_ids,
                              quantities_grams, created_at)
    SELECT $1, account_id, {_CHUNK_ID}, $4::text[], order_ids, retirement_ids, quantities, $5
      FROM (SELECT account_id, row_number() OVER () AS n, array_agg(order_id ORDER BY place) AS order_ids,
                   array_agg(retirement_id ORDER BY place) AS retirement_ids,
                   array_agg(quantity_grams ORDER BY place) AS quantities
              FROM (SELECT r.account_id, a.order_id, a.retirement_id, a.quantity_grams,
                           row_number() OVER (PARTITION BY r.account_id ORDER BY r.created_at, r.retirement_id,
                                              a.gram_first) AS place
                      FROM retirements r
                      JOIN allocations a ON a.organisation_id = $1 AND a.retirement_id = r.retirement_id
                     WHERE r.organisation_id = $1 AND r.retirement_id = ANY($2::uuid[]) AND a.order_id IS NOT NULL) t
             GROUP BY account_id, (place - 1) / {CHUNK_MAX}
             ORDER BY account_id, min(place)) chunks
"""  # noqa: S608

_START_RETIRING = f"""
    WITH started AS (
        UPDATE orders o SET status = 'retiring', retiring_at = greatest($5::timestamptz, o.paid_at)
          FROM (SELECT DISTINCT r.account_id, a.order_id
                  FROM retirements r
                  JOIN allocations a ON a.organisation_id = $1 AND a.retirement_id = r.retirement_id
                 WHERE r.organisation_id = $1 AND r.retirement_id = ANY($2::uuid[]) AND a.order_id IS NOT NULL) t
         WHERE o.organisation_id = $1 AND o.account_id = t.account_id AND o.order_id = t.order_id
           AND o.status = 'paid'
        RETURNING o.account_id, o.order_id)
    INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, created_at)
    SELECT $1, account_id, {_CHUNK_ID}, $4::text[], order_ids, $5
      FROM (SELECT account_id, row_number() OVER () AS n, array_agg(order_id ORDER BY place) AS order_ids
              FROM (SELECT account_id, order_id,
                           row_number() OVER (PARTITION BY account_id ORDER BY order_id) AS place FROM started) s
             GROUP BY account_id, (place - 1) / {CHUNK_MAX}
             ORDER BY account_id, min(place)) chunks
"""  # noqa: S608

# Complete is an order all of whose grams are in confirmed retirements. Its money is earned with that.
_COMPLETE = f"""
    WITH touched AS MATERIALIZED (
        SELECT r.account_id, a.order_id, sum(a.quantity_grams) AS grams
          FROM retirements r
          JOIN allocations a ON a.organisation_id = $1 AND a.retirement_id = r.retirement_id
         WHERE r.organisation_id = $1 AND r.retirement_id = ANY($2::uuid[]) AND a.order_id IS NOT NULL
         GROUP BY r.account_id, a.order_id),
    done AS (
        UPDATE orders o SET status = 'complete', completed_at = greatest($5::timestamptz, o.retiring_at)
          FROM touched t
         WHERE o.organisation_id = $1 AND o.account_id = t.account_id AND o.order_id = t.order_id
           AND o.status = 'retiring'
           -- Most orders are in these retirements alone.
           AND (o.quantity_grams = t.grams
                OR o.quantity_grams = (SELECT sum(a.quantity_grams) FROM allocations a
                                         JOIN retirements r ON r.organisation_id = $1
                                                           AND r.retirement_id = a.retirement_id
                                                           AND r.state = 'confirmed'
                                        WHERE a.organisation_id = $1 AND a.order_id = t.order_id))
        RETURNING o.account_id, o.order_id, o.currency, o.offset_cost_minor, o.total_cost_minor),
    chunks AS (
        SELECT account_id, currency, row_number() OVER (ORDER BY account_id, min(place)) AS n,
               array_agg(order_id ORDER BY place) AS order_ids, sum(offset_cost_minor) AS offset_cost,
               sum(total_cost_minor - offset_cost_minor) AS commission
          FROM (SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY order_id) AS place FROM done) d
         GROUP BY account_id, currency, (place - 1) / {CHUNK_MAX}),
    told AS (
        INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, created_at)
        SELECT $1, account_id, {_CHUNK_ID}, $4::text[], order_ids, $5 FROM chunks),
    delivered AS (
        INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency,
                                      amount_minor, order_ids, created_at)
        SELECT $1, account_id, overlay($3::uuid::text PLACING lpad(to_hex(2 * n), 8, '0') FROM 29)::uuid,
               'credits_delivered', 'held', 'credits', currency, offset_cost, order_ids, $5 FROM chunks
         UNION ALL
        SELECT $1, account_id, overlay($3::uuid::text PLACING lpad(to_hex(2 * n + 1), 8, '0') FROM 29)::uuid,
               'commission_earned', 'held', 'commission', currency, commission, order_ids, $5 FROM chunks)
    SELECT coalesce(sum(cardinality(order_ids)), 0) FROM chunks
"""  # noqa: S608


class NewRetirement(msgspec.Struct, frozen=True):
    """A retirement to be stored, pending."""

    organisation_id: UUID
    retirement_id: UUID
    account_id: UUID
    pool_id: UUID
    gram_first: int
    tonnes: int
    bundle_id: UUID
    beneficiary: str
    terms: Mapping[str, Any]
    mode: str
    project_id: UUID
    lot_id: UUID
    vintage_year: int
    serial_prefix: str
    serial_first: int
    serial_last: int
    registry: str
    replaces_rejected: bool
    created_at: datetime
    replaces_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Filed:
    """A retirement at a registry that is not decided, with what decides it in a test."""

    retirement_id: UUID
    replaces_rejected: bool
    behaviour: SandboxBehaviour


@dataclass(frozen=True, slots=True)
class Decided:
    """A retirement whose decision was just recorded: what it covers, and which serial numbers it has."""

    retirement_id: UUID
    pool_id: UUID
    gap: Gap
    moved: Moved
    serial_first: int
    stands_in: bool


async def insert_retirements(connection: Connection, retirements: Sequence[NewRetirement]) -> None:
    """Store new retirements of one organisation with their orders' parts in them; call it in a transaction."""
    await connection.execute(INSERT_RETIREMENTS, msgspec.json.encode(retirements).decode())
    await connection.execute(
        _ALLOCATE,
        retirements[0].organisation_id,
        [retirement.retirement_id for retirement in retirements],
        timeout=LARGE_STATEMENT_TIMEOUT_SECONDS,
    )


async def tell_allocations(
    connection: Connection,
    organisation_id: UUID,
    retirement_ids: Sequence[UUID],
    *,
    event_type: str,
    chunk_base: UUID,
    at: datetime,
) -> None:
    """Record one event for each order's part in retirements."""
    await connection.execute(
        _ALLOCATION_EVENTS,
        organisation_id,
        retirement_ids,
        chunk_base,
        [event_type],
        at,
        timeout=LARGE_STATEMENT_TIMEOUT_SECONDS,
    )
    await announce_events(connection)


async def start_retiring(
    connection: Connection,
    organisation_id: UUID,
    retirement_ids: Sequence[UUID],
    *,
    chunk_base: UUID,
    at: datetime,
) -> None:
    """Move paid orders that have a part in retirements to `retiring`."""
    await connection.execute(
        _START_RETIRING,
        organisation_id,
        retirement_ids,
        chunk_base,
        ["order.retiring"],
        at,
        timeout=LARGE_STATEMENT_TIMEOUT_SECONDS,
    )


async def complete_orders(
    connection: Connection,
    organisation_id: UUID,
    retirement_ids: Sequence[UUID],
    *,
    chunk_base: UUID,
    at: datetime,
) -> int:
    """Complete orders that have a part in these retirements and are retired to the last gram; returns how many."""
    return int(
        await connection.fetchval(
            _COMPLETE,
            organisation_id,
            retirement_ids,
            chunk_base,
            ["order.completed"],
            at,
            timeout=LARGE_STATEMENT_TIMEOUT_SECONDS,
        )
    )


async def submit_simulated(
    connection: Connection, organisation_id: UUID, *, only: Sequence[UUID] | None, limit: int, at: datetime
) -> list[Filed]:
    """Note that pending retirements are being submitted to the simulated registry; returns them."""
    rows = await connection.fetch(
        """
        UPDATE retirements r SET state = 'submitted', submitted_at = $4
          FROM (SELECT retirement_id, account_id FROM retirements
                 WHERE organisation_id = $1 AND registry = 'simulated' AND state = 'pending'
                   AND ($2::uuid[] IS NULL OR retirement_id = ANY($2)) LIMIT $3) w
          JOIN accounts a ON a.organisation_id = $1 AND a.account_id = w.account_id
         WHERE r.organisation_id = $1 AND r.retirement_id = w.retirement_id AND r.state = 'pending'
        RETURNING r.retirement_id, r.replaces_rejected, a.test_behaviour
        """,
        organisation_id,
        only,
        limit,
        at,
    )
    return [_filed(tuple(row.values())) for row in rows]


async def unanswered_simulated(
    connection: Connection, organisation_id: UUID, *, before: datetime, limit: int
) -> list[Filed]:
    """Retirements that were submitted to the simulated registry before a time and have no answer it would still owe."""
    rows = await connection.fetch(
        """
        SELECT r.retirement_id, r.replaces_rejected, a.test_behaviour
          FROM retirements r
          JOIN accounts a ON a.organisation_id = r.organisation_id AND a.account_id = r.account_id
         WHERE r.organisation_id = $1 AND r.registry = 'simulated' AND r.state IN ('submitted', 'unknown')
           AND r.submitted_at < $2 AND a.test_behaviour NOT IN ('slow', 'unsure', 'by_hand') LIMIT $3
        """,
        organisation_id,
        before,
        limit,
    )
    return [_filed(tuple(row.values())) for row in rows]


async def confirm(
    connection: Connection,
    organisation_id: UUID,
    confirmed: Sequence[tuple[UUID, str, date]],
    *,
    at: datetime,
) -> list[Decided]:
    """Record that a registry retired: (retirement, its reference, its date). Decided ones are left out."""
    rows = await connection.fetch(
        """
        UPDATE retirements r SET state = 'confirmed', registry_reference = c.reference, retired_on = c.retired_on,
                                 submitted_at = coalesce(r.submitted_at, $5), decided_at = $5
          FROM unnest($2::uuid[], $3::text[], $4::date[]) AS c (retirement_id, reference, retired_on)
         WHERE r.organisation_id = $1 AND r.retirement_id = c.retirement_id
           AND r.state IN ('pending', 'submitted', 'unknown')
        RETURNING r.retirement_id, r.pool_id, r.gram_first, r.tonnes, r.project_id, r.lot_id, r.serial_first,
                  r.replaces_id IS NOT NULL
        """,
        organisation_id,
        [retirement_id for retirement_id, _, _ in confirmed],
        [reference for _, reference, _ in confirmed],
        [retired_on for _, _, retired_on in confirmed],
        at,
    )
    return [_decided(tuple(row.values())) for row in rows]


async def reject(
    connection: Connection, organisation_id: UUID, rejected: Sequence[tuple[UUID, str]], *, at: datetime
) -> list[Decided]:
    """Record that a registry retired nothing: (retirement, its reason). Decided ones are left out."""
    rows = await connection.fetch(
        """
        UPDATE retirements r SET state = 'rejected', reason = c.reason, decided_at = $4,
                                 submitted_at = coalesce(r.submitted_at, $4)
          FROM unnest($2::uuid[], $3::text[]) AS c (retirement_id, reason)
         WHERE r.organisation_id = $1 AND r.retirement_id = c.retirement_id
           AND r.state IN ('pending', 'submitted', 'unknown')
        RETURNING r.retirement_id, r.pool_id, r.gram_first, r.tonnes, r.project_id, r.lot_id, r.serial_first,
                  r.replaces_id IS NOT NULL
        """,
        organisation_id,
        [retirement_id for retirement_id, _ in rejected],
        [reason for _, reason in rejected],
        at,
    )
    return [_decided(tuple(row.values())) for row in rows]


async def mark_unknown(
    connection: Connection, organisation_id: UUID, unknown: Sequence[tuple[UUID, str]], *, at: datetime
) -> list[UUID]:
    """Record that nobody knows what a registry did: (retirement, why). Decided ones are left out."""
    rows = await connection.fetch(
        """
        UPDATE retirements r SET state = 'unknown', reason = c.reason, submitted_at = coalesce(r.submitted_at, $4)
          FROM unnest($2::uuid[], $3::text[]) AS c (retirement_id, reason)
         WHERE r.organisation_id = $1 AND r.retirement_id = c.retirement_id AND r.state IN ('pending', 'submitted')
        RETURNING r.retirement_id
        """,
        organisation_id,
        [retirement_id for retirement_id, _ in unknown],
        [reason for _, reason in unknown],
        at,
    )
    return [row["retirement_id"] for row in rows]


async def mark_submitted(
    connection: Connection, organisation_id: UUID, retirement_ids: Sequence[UUID], *, at: datetime
) -> list[UUID]:
    """Record that pending retirements were handed to a registry by hand; returns those that were pending."""
    rows = await connection.fetch(
        """
        UPDATE retirements SET state = 'submitted', submitted_at = $3
         WHERE organisation_id = $1 AND retirement_id = ANY($2::uuid[]) AND state = 'pending'
        RETURNING retirement_id
        """,
        organisation_id,
        retirement_ids,
        at,
    )
    return [row["retirement_id"] for row in rows]


async def open_retirements_of_order(
    connection: Connection, organisation_id: UUID, order_id: UUID
) -> list[UUID]:
    """Retirements with a part of an order that no registry has decided."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT r.retirement_id FROM allocations a
          JOIN retirements r ON r.organisation_id = a.organisation_id AND r.retirement_id = a.retirement_id
         WHERE a.organisation_id = $1 AND a.order_id = $2 AND r.state IN ('pending', 'submitted', 'unknown')
        """,
        organisation_id,
        order_id,
    )
    return [row["retirement_id"] for row in rows]


async def organisations_with_work(connection: Connection) -> list[UUID]:
    """Organisations that have paid orders to pool, pools to cover or simulated retirements to carry out."""
    rows = await connection.fetch(
        """
        SELECT o.organisation_id FROM organisations o
         WHERE EXISTS (SELECT FROM orders w WHERE w.organisation_id = o.organisation_id
                          AND w.paid_at IS NOT NULL AND w.pooled_at IS NULL)
            OR EXISTS (SELECT FROM pools p WHERE p.organisation_id = o.organisation_id AND p.due_since IS NOT NULL)
            OR EXISTS (SELECT FROM retirements r WHERE r.organisation_id = o.organisation_id
                          AND r.registry = 'simulated' AND r.state IN ('pending', 'submitted', 'unknown'))
        """
    )
    return [row["organisation_id"] for row in rows]


def registry_for(mode: Mode) -> str:
    """Test credits are retired at the simulated registry, live ones at the real one, by hand."""
    return "simulated" if mode is Mode.TEST else "manual"


def _filed(row: tuple[UUID, bool, str]) -> Filed:
    retirement_id, replaces_rejected, behaviour = row
    return Filed(retirement_id, replaces_rejected, SandboxBehaviour(behaviour))


def _decided(row: tuple[UUID, UUID, int, int, UUID, UUID, int, bool]) -> Decided:
    retirement_id, pool_id, gram_first, tonnes, project_id, lot_id, serial_first, stands_in = row
    assert gram_first % GRAMS_PER_TONNE == 0
    return Decided(
        retirement_id,
        pool_id,
        Gap(gram_first, tonnes, was_covered=True),
        Moved(project_id, lot_id, tonnes),
        serial_first,
        stands_in,
    )

"""Rows of `lots` and `returned_blocks`: what is in stock, taking whole tonnes of it, and what becomes of them.

Every tonne of a lot is in exactly one of its counts, which a constraint holds. Each function locks its lots in the order
of their ids; a transaction that calls several may meet another in a deadlock, and is to be tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.retirement import Block, LotStock, RetirementPolicy, Take
from tonne.domain.terms import UNRESTRICTED, Restrictions
from tonne.domain.withdrawal import Piece, left_of
from tonne.storage.changes import announce_change
from tonne.storage.database import Connection

# So many lots of each project are looked at for one round of retirements.
LOTS_OF_A_PROJECT_MAX = 1000
# Test credits never run out: more of them than can be ordered in a thousand largest orders.
TEST_LOT_TONNES = 10**12

_STOCK = """
    SELECT l.project_id, l.lot_id, l.vintage_year, l.serial_prefix, l.serial_next, l.serial_last, l.cost_per_tonne,
           array(SELECT r.serial_first FROM returned_blocks r WHERE r.project_id = l.project_id
                    AND r.lot_id = l.lot_id AND r.is_available ORDER BY r.serial_first) AS returned_first,
           array(SELECT r.tonnes FROM returned_blocks r WHERE r.project_id = l.project_id
                    AND r.lot_id = l.lot_id AND r.is_available ORDER BY r.serial_first) AS returned_tonnes
      FROM bundle_projects bp
      JOIN projects p ON p.project_id = bp.project_id AND p.disabled_at IS NULL
                     AND p.country_code <> ALL($5::text[]) AND p.project_id <> ALL($6::uuid[])
     CROSS JOIN LATERAL (SELECT * FROM lots
                          WHERE lots.project_id = bp.project_id AND lots.mode = $2 AND lots.available_tonnes > 0
                            AND lots.suspended_at IS NULL
                            AND ($4::int IS NULL OR lots.vintage_year >= $4)
                          ORDER BY {order} LIMIT $3) l
     WHERE bp.bundle_id = $1
"""
_ORDERS = {
    RetirementPolicy.OLDEST_VINTAGE: "vintage_year, lot_id",
    RetirementPolicy.CHEAPEST: "cost_per_tonne NULLS LAST, vintage_year, lot_id",
    RetirementPolicy.SPREAD: "vintage_year, lot_id",
}


class LotChanged(Exception):
    """A lot no longer holds what was planned to be taken: plan again."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Tonnes of a lot whose retirement was decided."""

    project_id: UUID
    lot_id: UUID
    tonnes: int


@dataclass(frozen=True, slots=True)
class Returned:
    """Serial numbers whose retirement was rejected."""

    project_id: UUID
    lot_id: UUID
    serial_first: int
    tonnes: int
    retirement_id: UUID
    credits_are_good: bool


async def load_stock(
    connection: Connection,
    bundle_id: UUID,
    *,
    mode: Mode,
    policy: RetirementPolicy,
    restrictions: Restrictions = UNRESTRICTED,
) -> list[LotStock]:
    """What a bundle's enabled projects have in stock that the restrictions allow, in the order of the policy."""
    rows = await connection.fetch(
        _STOCK.format(order=_ORDERS[policy]),
        bundle_id,
        mode.value,
        LOTS_OF_A_PROJECT_MAX,
        restrictions.min_vintage_year,
        restrictions.excluded_countries,
        restrictions.excluded_projects,
    )
    stock = []
    for row in rows:
        returned = zip(row["returned_first"], row["returned_tonnes"], strict=True)
        blocks = [Block(first, tonnes, is_returned=True) for first, tonnes in returned]
        if row["serial_next"] <= row["serial_last"]:
            blocks.append(Block(row["serial_next"], row["serial_last"] - row["serial_next"] + 1))
        stock.append(
            LotStock(
                row["project_id"],
                row["lot_id"],
                row["vintage_year"],
                row["serial_prefix"],
                tuple(blocks),
                row["cost_per_tonne"],
            )
        )
    return stock


async def load_policies(connection: Connection, bundle_ids: Sequence[UUID]) -> dict[UUID, RetirementPolicy]:
    """Which credits of each bundle go first."""
    rows = await connection.fetch(
        "SELECT bundle_id, retirement_policy FROM bundles WHERE bundle_id = ANY($1::uuid[])", bundle_ids
    )
    return {row["bundle_id"]: RetirementPolicy(row["retirement_policy"]) for row in rows}


async def ensure_test_lots(
    connection: Connection,
    bundle_id: UUID,
    *,
    new_ids: Sequence[UUID],
    vintage_year_min: int | None = None,
    at: datetime,
) -> None:
    """See to it that every project of a bundle has test credits, of that vintage or later.

    `new_ids` are at least as many as its projects.
    """
    await connection.execute(
        """
        INSERT INTO lots (project_id, lot_id, vintage_year, serial_prefix, serial_first, serial_last, serial_next,
                          issued_tonnes, available_tonnes, mode, created_at)
        SELECT p.project_id, ($2::uuid[])[row_number() OVER (ORDER BY p.project_id)],
               greatest(coalesce((SELECT max(l.vintage_year) FROM lots l WHERE l.project_id = p.project_id), $3), $6),
               'TEST-' || p.registry_project_id, t.used + 1, t.used + $4, t.used + 1, $4, $4, 'test', $5
          FROM bundle_projects bp JOIN projects p USING (project_id)
         CROSS JOIN LATERAL (SELECT coalesce(max(l.serial_last), 0) AS used,
                                    coalesce(sum(l.available_tonnes) FILTER (WHERE $6::int IS NULL
                                             OR l.vintage_year >= $6), 0) AS left
                               FROM lots l WHERE l.project_id = p.project_id AND l.mode = 'test') t
         WHERE bp.bundle_id = $1 AND t.left = 0
            ON CONFLICT DO NOTHING
        """,
        bundle_id,
        new_ids,
        at.year,
        TEST_LOT_TONNES,
        at,
        vintage_year_min,
    )


async def count_projects(connection: Connection, bundle_id: UUID) -> int:
    """How many projects a bundle has."""
    return int(
        await connection.fetchval("SELECT count(*) FROM bundle_projects WHERE bundle_id = $1", bundle_id)
    )


async def take_from_lots(connection: Connection, takes: Sequence[Take]) -> None:
    """Move whole tonnes from stock to allocated; call it in a transaction.

    The conditions make overselling impossible even under a stale plan.

    Raises:
        LotChanged: a lot no longer holds what was planned.
    """
    tonnes: dict[tuple[UUID, UUID], int] = {}
    fresh: dict[tuple[UUID, UUID], int] = {}
    fresh_first: dict[tuple[UUID, UUID], int] = {}
    for take in takes:
        key = (take.lot.project_id, take.lot.lot_id)
        tonnes[key] = tonnes.get(key, 0) + take.tonnes
        if not take.is_returned:
            fresh[key] = fresh.get(key, 0) + take.tonnes
            fresh_first[key] = min(fresh_first.get(key, take.serial_first), take.serial_first)
    await _lock(connection, list(tonnes))
    taken = await connection.fetch(
        """
        UPDATE lots l
           SET available_tonnes = l.available_tonnes - t.tonnes, allocated_tonnes = l.allocated_tonnes + t.tonnes,
               serial_next = l.serial_next + t.fresh
          FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])
               AS t (project_id, lot_id, tonnes, fresh, fresh_first)
         WHERE l.project_id = t.project_id AND l.lot_id = t.lot_id AND l.available_tonnes >= t.tonnes
           AND (t.fresh = 0 OR l.serial_next = t.fresh_first)
        RETURNING l.lot_id
        """,
        [project_id for project_id, _ in tonnes],
        [lot_id for _, lot_id in tonnes],
        list(tonnes.values()),
        [fresh.get(key, 0) for key in tonnes],
        [fresh_first.get(key, 0) for key in tonnes],
    )
    if len(taken) != len(tonnes):
        raise LotChanged
    # Smaller numbers first: what is left of a block begins where the take before ended.
    for take in sorted(takes, key=lambda take: take.serial_first):
        if take.is_returned:
            await _take_returned(connection, take)


async def retire_allocated(connection: Connection, moved: Sequence[Moved]) -> None:
    """Count tonnes as retired that were allocated; call it in a transaction."""
    totals = _totals(moved)
    await _lock(connection, list(totals))
    await connection.execute(
        """
        UPDATE lots l
           SET allocated_tonnes = l.allocated_tonnes - t.tonnes, retired_tonnes = l.retired_tonnes + t.tonnes
          FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS t (project_id, lot_id, tonnes)
         WHERE l.project_id = t.project_id AND l.lot_id = t.lot_id
        """,
        [project_id for project_id, _ in totals],
        [lot_id for _, lot_id in totals],
        list(totals.values()),
    )


async def return_to_lots(connection: Connection, returned: Sequence[Returned]) -> None:
    """Give back tonnes whose retirement was rejected: to stock where they are good, else set aside.

    Those that were withdrawn while they were to be retired are good for nothing any more.
    """
    await _lock(connection, [(block.project_id, block.lot_id) for block in returned])
    pieces = await _without_withdrawn(connection, returned)
    for block, kept in zip(returned, pieces, strict=True):
        kept_tonnes = sum(piece.tonnes for piece in kept)
        good = kept_tonnes if block.credits_are_good else 0
        await connection.execute(
            """
            UPDATE lots SET allocated_tonnes = allocated_tonnes - $3, available_tonnes = available_tonnes + $4,
                            set_aside_tonnes = set_aside_tonnes + $5 - $4, cancelled_tonnes = cancelled_tonnes + $3 - $5
             WHERE project_id = $1 AND lot_id = $2
            """,
            block.project_id,
            block.lot_id,
            block.tonnes,
            good,
            kept_tonnes,
        )
    await connection.executemany(
        """
        INSERT INTO returned_blocks (project_id, lot_id, serial_first, tonnes, is_available, retirement_id)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        [
            (b.project_id, b.lot_id, piece.first, piece.tonnes, piece.is_available, b.retirement_id)
            for b, kept in zip(returned, pieces, strict=True)
            for piece in kept
        ],
    )
    await announce_change(connection)


async def _without_withdrawn(connection: Connection, returned: Sequence[Returned]) -> list[list[Piece]]:
    """What is left of each block; the lots are locked."""
    rows = await connection.fetch(
        "SELECT lot_id, serial_first, serial_last FROM withdrawals WHERE lot_id = ANY($1::uuid[])",
        [block.lot_id for block in returned],
    )
    withdrawn: dict[UUID, list[tuple[int, int]]] = {}
    for row in rows:
        withdrawn.setdefault(row["lot_id"], []).append((row["serial_first"], row["serial_last"]))
    return [
        left_of(
            Piece(block.serial_first, block.tonnes, block.credits_are_good), withdrawn.get(block.lot_id, [])
        )
        for block in returned
    ]


async def find_set_aside(connection: Connection, retirement_ids: Sequence[UUID]) -> set[UUID]:
    """Those of rejected retirements whose serial numbers came back, and are not taken again."""
    rows = await connection.fetch(
        "SELECT retirement_id FROM returned_blocks WHERE retirement_id = ANY($1::uuid[])",
        list(retirement_ids),
    )
    return {row["retirement_id"] for row in rows}


async def release_set_aside(connection: Connection, retirement_ids: Sequence[UUID]) -> int:
    """Put serial numbers back in stock that rejected retirements set aside; returns the tonnes. Call in a transaction."""
    rows = await connection.fetch(
        """
        UPDATE returned_blocks SET is_available = true WHERE retirement_id = ANY($1::uuid[]) AND NOT is_available
        RETURNING project_id, lot_id, tonnes
        """,
        retirement_ids,
    )
    totals = _totals([Moved(row["project_id"], row["lot_id"], row["tonnes"]) for row in rows])
    await _lock(connection, list(totals))
    for (project_id, lot_id), tonnes in totals.items():
        await connection.execute(
            """
            UPDATE lots SET set_aside_tonnes = set_aside_tonnes - $3, available_tonnes = available_tonnes + $3
             WHERE project_id = $1 AND lot_id = $2
            """,
            project_id,
            lot_id,
            tonnes,
        )
    await announce_change(connection)
    return sum(totals.values())


async def _take_returned(connection: Connection, take: Take) -> None:
    place = (take.lot.project_id, take.lot.lot_id, take.serial_first, take.tonnes)
    whole = await connection.fetchval(
        """
        DELETE FROM returned_blocks
         WHERE project_id = $1 AND lot_id = $2 AND serial_first = $3 AND tonnes = $4 AND is_available RETURNING tonnes
        """,
        *place,
    )
    if whole is not None:
        return
    part = await connection.fetchval(
        """
        UPDATE returned_blocks SET serial_first = serial_first + $4, tonnes = tonnes - $4
         WHERE project_id = $1 AND lot_id = $2 AND serial_first = $3 AND tonnes > $4 AND is_available RETURNING tonnes
        """,
        *place,
    )
    if part is None:
        raise LotChanged


def _totals(moved: Sequence[Moved]) -> Mapping[tuple[UUID, UUID], int]:
    totals: dict[tuple[UUID, UUID], int] = {}
    for part in moved:
        key = (part.project_id, part.lot_id)
        totals[key] = totals.get(key, 0) + part.tonnes
    return totals


async def _lock(connection: Connection, lots: Sequence[tuple[UUID, UUID]]) -> None:
    await connection.execute(
        """
        SELECT FROM lots WHERE (project_id, lot_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
         ORDER BY project_id, lot_id FOR NO KEY UPDATE
        """,
        [project_id for project_id, _ in lots],
        [lot_id for _, lot_id in lots],
    )

"""What the operator does to a lot after it came in: suspend it, release it, withdraw serial numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from tonne.domain.withdrawal import Piece, Stock, WithdrawalKind, withdraw
from tonne.storage.database import Connection

# Of a piece that no rejected retirement gave back: it was passed over.
NO_RETIREMENT = UUID(int=0)


class WithdrawnBefore(Exception):
    """Some of the serial numbers were withdrawn before."""


@dataclass(frozen=True, slots=True)
class AffectedRetirement:
    """A retirement that has some of a lot's withdrawn serial numbers, with an order that has a part in it.

    `order_id` None is the operator's own part. `tonnes` are the withdrawn ones of the retirement.
    """

    organisation_id: UUID
    organisation_name: str
    account_id: UUID
    retirement_id: UUID
    state: str
    beneficiary: str
    registry_reference: str | None
    tonnes: int
    order_id: UUID | None
    order_grams: int


async def set_suspended_for(
    connection: Connection, lot_id: UUID, reason: str | None, *, at: datetime
) -> bool:
    """Keep a lot from being sold, or with None let it be sold again; False where it was so before."""
    status = await connection.execute(
        """
        UPDATE lots SET suspended_for = $2, suspended_at = CASE WHEN $2::text IS NULL THEN NULL ELSE $3::timestamptz END
         WHERE lot_id = $1 AND (suspended_for IS NULL) <> ($2::text IS NULL)
        """,
        lot_id,
        reason,
        at,
    )
    return bool(status == "UPDATE 1")


async def withdraw_numbers(
    connection: Connection,
    project_id: UUID,
    lot_id: UUID,
    *,
    first: int,
    last: int,
    kind: WithdrawalKind,
    reason: str,
    at: datetime,
) -> int:
    """Take serial numbers out of a lot for good; returns how many tonnes of them were in stock. Call it in a transaction.

    Raises:
        WithdrawnBefore: some of them were taken out before.
    """
    lot = await connection.fetchrow(
        "SELECT serial_next, serial_last FROM lots WHERE project_id = $1 AND lot_id = $2 FOR NO KEY UPDATE",
        project_id,
        lot_id,
    )
    assert lot is not None
    blocks = await connection.fetch(
        "SELECT * FROM returned_blocks WHERE project_id = $1 AND lot_id = $2", project_id, lot_id
    )
    retirement_of = {row["serial_first"]: row["retirement_id"] for row in blocks}
    pieces = tuple(Piece(row["serial_first"], row["tonnes"], row["is_available"]) for row in blocks)
    done = withdraw(Stock(lot["serial_next"], lot["serial_last"], pieces), first, last)
    await _note(connection, project_id, lot_id, first, last, kind=kind, reason=reason, at=at)
    await connection.execute(
        """
        UPDATE lots SET serial_next = $3, available_tonnes = available_tonnes - $4::bigint,
                        set_aside_tonnes = set_aside_tonnes - $5::bigint,
                        cancelled_tonnes = cancelled_tonnes + $4::bigint + $5::bigint
         WHERE project_id = $1 AND lot_id = $2
        """,
        project_id,
        lot_id,
        done.stock.next,
        done.available_tonnes,
        done.set_aside_tonnes,
    )
    await _replace_pieces(connection, project_id, lot_id, done.stock.pieces, retirement_of)
    return done.available_tonnes + done.set_aside_tonnes


async def _note(
    connection: Connection,
    project_id: UUID,
    lot_id: UUID,
    first: int,
    last: int,
    *,
    kind: WithdrawalKind,
    reason: str,
    at: datetime,
) -> None:
    try:
        await connection.execute(
            """
            INSERT INTO withdrawals (project_id, lot_id, serial_first, serial_last, kind, reason, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            project_id,
            lot_id,
            first,
            last,
            kind.value,
            reason,
            at,
        )
    except (asyncpg.ExclusionViolationError, asyncpg.UniqueViolationError):
        raise WithdrawnBefore from None


async def find_affected(
    connection: Connection, organisation_ids: Sequence[UUID], lot_id: UUID, *, first: int, last: int
) -> list[AffectedRetirement]:
    """Retirements that hold serial numbers of a lot, and the orders with a part in each or in what it stands in for."""
    rows = await connection.fetch(
        """
        WITH RECURSIVE chain AS (
            SELECT r.organisation_id, r.retirement_id, r.retirement_id AS root_id, r.replaces_id FROM retirements r
             WHERE r.organisation_id = ANY($1::uuid[]) AND r.lot_id = $2 AND r.state <> 'rejected'
               AND r.serial_first <= $4 AND r.serial_last >= $3
             UNION ALL
            SELECT c.organisation_id, c.retirement_id, r.retirement_id, r.replaces_id FROM chain c
              JOIN retirements r ON r.organisation_id = c.organisation_id AND r.retirement_id = c.replaces_id
        )
        SELECT r.organisation_id, o.name AS organisation_name, r.account_id, r.retirement_id, r.state, r.beneficiary,
               r.registry_reference,
               (least(r.serial_last, $4::bigint) - greatest(r.serial_first, $3::bigint) + 1)::bigint AS tonnes,
               a.order_id, coalesce(sum(a.quantity_grams), 0)::bigint AS order_grams
          FROM chain c
          JOIN retirements r ON r.organisation_id = c.organisation_id AND r.retirement_id = c.retirement_id
          JOIN organisations o ON o.organisation_id = r.organisation_id
          LEFT JOIN allocations a ON a.organisation_id = c.organisation_id AND a.retirement_id = c.root_id
         WHERE c.replaces_id IS NULL
         GROUP BY r.organisation_id, o.name, r.account_id, r.retirement_id, r.state, r.beneficiary,
                  r.registry_reference, r.serial_first, r.serial_last, a.order_id
         ORDER BY r.serial_first, a.order_id
        """,
        list(organisation_ids),
        lot_id,
        first,
        last,
    )
    return [AffectedRetirement(**row) for row in rows]


async def _replace_pieces(
    connection: Connection,
    project_id: UUID,
    lot_id: UUID,
    pieces: Sequence[Piece],
    retirement_of: dict[int, UUID],
) -> None:
    await connection.execute(
        "DELETE FROM returned_blocks WHERE project_id = $1 AND lot_id = $2", project_id, lot_id
    )
    # A part keeps the retirement of the piece that it was cut from: the one that begins at or before it.
    starts = sorted(retirement_of)
    rows = []
    for piece in pieces:
        owner = next((start for start in reversed(starts) if start <= piece.first), None)
        retirement_id = NO_RETIREMENT if owner is None else retirement_of[owner]
        rows.append((project_id, lot_id, piece.first, piece.tonnes, piece.is_available, retirement_id))
    await connection.executemany(
        """
        INSERT INTO returned_blocks (project_id, lot_id, serial_first, tonnes, is_available, retirement_id)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        rows,
    )

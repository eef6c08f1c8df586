"""Rows of `lots`, `withdrawals` and `retirements_elsewhere` as the operator brings them in and looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from tonne.storage.database import Connection


class NewLot(msgspec.Struct, frozen=True):
    """A lot to store; `gone_tonnes` of its first serial numbers are not ours to sell."""

    project_id: UUID
    lot_id: UUID
    vintage_year: int
    serial_space: str
    serial_prefix: str
    serial_first: int
    serial_last: int
    serial_raw: str
    gone_tonnes: int
    cost_per_tonne: Decimal | None
    cost_currency: str | None
    seller: str | None
    acquired_on: date | None


@dataclass(frozen=True, slots=True)
class KnownLot:
    """A lot that has a serial number of a block that is to be stored."""

    project_id: UUID
    lot_id: UUID
    vintage_year: int
    serial_first: int
    serial_last: int
    in_stock_tonnes: int
    cancelled_tonnes: int
    withdrawn_tonnes: int


@dataclass(frozen=True, slots=True)
class LotFacts:
    """A lot with its project, as the operator sees it. Counts are tonnes, the cost is exact."""

    lot_id: UUID
    project_id: UUID
    project_name: str
    registry_name: str
    registry_project_id: str
    vintage_year: int
    serial_prefix: str
    serial_first: int
    serial_last: int
    serial_next: int
    serial_raw: str | None
    issued_tonnes: int
    available_tonnes: int
    set_aside_tonnes: int
    allocated_tonnes: int
    retired_tonnes: int
    cancelled_tonnes: int
    cost_per_tonne: Decimal | None
    cost_currency: str | None
    seller: str | None
    acquired_on: date | None
    suspended_for: str | None


@dataclass(frozen=True, slots=True)
class StockLine:
    """Lots of one project, vintage and state together. `cost_in_stock` by currency is of those with a known cost."""

    registry_name: str
    registry_project_id: str
    project_name: str
    vintage_year: int
    state: str
    lots: int
    issued_tonnes: int
    available_tonnes: int
    set_aside_tonnes: int
    allocated_tonnes: int
    retired_tonnes: int
    cancelled_tonnes: int
    cost_currency: str | None
    cost_in_stock: Decimal | None


_FACTS = """
    SELECT l.lot_id, l.project_id, p.name AS project_name, p.registry_name, p.registry_project_id, l.vintage_year,
           l.serial_prefix, l.serial_first, l.serial_last, l.serial_next, l.serial_raw, l.issued_tonnes,
           l.available_tonnes, l.set_aside_tonnes, l.allocated_tonnes, l.retired_tonnes, l.cancelled_tonnes,
           l.cost_per_tonne, l.cost_currency, l.seller, l.acquired_on, l.suspended_for
      FROM lots l JOIN projects p USING (project_id)
"""


async def find_known_lots(
    connection: Connection, blocks: Sequence[tuple[str, int, int]]
) -> dict[int, list[KnownLot]]:
    """Lots that share a number with blocks (space, first, last), by the blocks' positions."""
    rows = await connection.fetch(
        """
        SELECT w.position, l.project_id, l.lot_id, l.vintage_year, l.serial_first, l.serial_last,
               l.available_tonnes + l.set_aside_tonnes, l.cancelled_tonnes,
               (SELECT coalesce(sum(d.serial_last - d.serial_first + 1), 0)::bigint FROM withdrawals d
                 WHERE d.project_id = l.project_id AND d.lot_id = l.lot_id)
          FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS w (space, first, last, position)
          JOIN lots l ON l.serial_range && numrange(
                   hashtextextended(w.space, 0) * 10000000000000000000::numeric + w.first,
                   hashtextextended(w.space, 0) * 10000000000000000000::numeric + w.last, '[]')
        """,
        [space for space, _, _ in blocks],
        [first for _, first, _ in blocks],
        [last for _, _, last in blocks],
    )
    found: dict[int, list[KnownLot]] = {}
    for row in rows:
        found.setdefault(row["position"] - 1, []).append(KnownLot(*list(row.values())[1:]))
    return found


async def insert_new_lots(connection: Connection, lots: Sequence[NewLot], *, at: datetime) -> set[UUID]:
    """Store lots; returns the ids of those that went in. One that shares a number with another's lot stays out."""
    rows = await connection.fetch(
        """
        INSERT INTO lots (project_id, lot_id, vintage_year, serial_space, serial_prefix, serial_first, serial_last,
                          serial_next, serial_raw, issued_tonnes, available_tonnes, cancelled_tonnes, cost_per_tonne,
                          cost_currency, seller, acquired_on, created_at)
        SELECT n.project_id, n.lot_id, n.vintage_year, n.serial_space, n.serial_prefix, n.serial_first, n.serial_last,
               n.serial_first + n.gone_tonnes, n.serial_raw, n.serial_last - n.serial_first + 1,
               n.serial_last - n.serial_first + 1 - n.gone_tonnes, n.gone_tonnes, n.cost_per_tonne, n.cost_currency,
               n.seller, n.acquired_on, $2
          FROM json_to_recordset($1::json) AS n
               (project_id uuid, lot_id uuid, vintage_year smallint, serial_space text, serial_prefix text,
                serial_first bigint, serial_last bigint, serial_raw text, gone_tonnes bigint, cost_per_tonne numeric,
                cost_currency text, seller text, acquired_on date)
         ORDER BY n.serial_space, n.serial_first
            ON CONFLICT DO NOTHING
        RETURNING lot_id
        """,
        msgspec.json.encode(lots).decode(),
        at,
    )
    return {row["lot_id"] for row in rows}


async def find_project_ids(
    connection: Connection, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], UUID]:
    """Projects by (registry's name, the registry's id)."""
    rows = await connection.fetch(
        """
        SELECT p.registry_name, p.registry_project_id, p.project_id
          FROM unnest($1::text[], $2::text[]) AS w (registry_name, registry_project_id)
          JOIN projects p USING (registry_name, registry_project_id)
        """,
        [registry for registry, _ in wanted],
        [registry_id for _, registry_id in wanted],
    )
    return {(row["registry_name"], row["registry_project_id"]): row["project_id"] for row in rows}


async def find_lots(
    connection: Connection,
    *,
    lot_id: UUID | None = None,
    project: str | None = None,
    after: UUID | None = None,
    limit: int = 1_000_000,
) -> list[LotFacts]:
    """Live lots, oldest first; of one project by its slug or the registry's id."""
    rows = await connection.fetch(
        f"""
        {_FACTS}
         WHERE l.mode = 'live' AND ($1::uuid IS NULL OR l.lot_id = $1)
           AND ($2::text IS NULL OR p.slug = $2 OR p.registry_project_id = $2)
           AND ($3::uuid IS NULL OR l.lot_id > $3)
         ORDER BY l.lot_id LIMIT $4
        """,
        lot_id,
        project,
        after,
        limit,
    )
    return [LotFacts(**row) for row in rows]


async def sum_stock(connection: Connection) -> list[StockLine]:
    """All live lots, summed by project, vintage, state and currency of their cost."""
    rows = await connection.fetch(
        """
        SELECT p.registry_name, p.registry_project_id, p.name AS project_name, l.vintage_year,
               CASE WHEN p.disabled_at IS NOT NULL THEN 'disabled' WHEN l.suspended_at IS NOT NULL THEN 'suspended'
                    WHEN w.kind IS NOT NULL THEN w.kind ELSE 'active' END AS state,
               count(*) AS lots, sum(issued_tonnes)::bigint AS issued_tonnes,
               sum(available_tonnes)::bigint AS available_tonnes, sum(set_aside_tonnes)::bigint AS set_aside_tonnes,
               sum(allocated_tonnes)::bigint AS allocated_tonnes, sum(retired_tonnes)::bigint AS retired_tonnes,
               sum(cancelled_tonnes)::bigint AS cancelled_tonnes, l.cost_currency,
               sum(l.cost_per_tonne * l.available_tonnes) AS cost_in_stock
          FROM lots l JOIN projects p USING (project_id)
          LEFT JOIN LATERAL (SELECT min(w.kind) AS kind FROM withdrawals w
                              WHERE w.project_id = l.project_id AND w.lot_id = l.lot_id) w ON true
         WHERE l.mode = 'live'
         GROUP BY 1, 2, 3, 4, 5, l.cost_currency
         ORDER BY 1, 2, 4, 5, l.cost_currency
        """
    )
    return [StockLine(**row) for row in rows]


async def insert_retirements_elsewhere(
    connection: Connection,
    rows: Sequence[tuple[UUID, UUID, str, str, int, int | None, str | None, date | None]],
) -> int:
    """Note what others retired: (project, lot, key, beneficiary, tonnes, vintage, period, day); returns how many are new."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    added = await connection.fetch(
        """
        INSERT INTO retirements_elsewhere (project_id, lot_id, source_key, beneficiary, tonnes, vintage_year, period,
                                           retired_on)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::smallint[], $7::text[],
                             $8::date[])
            ON CONFLICT DO NOTHING
        RETURNING 1
        """,
        *columns,
    )
    return len(added)


async def find_lots_by_raw(connection: Connection, raws: Sequence[str]) -> dict[str, tuple[UUID, UUID, int]]:
    """Lots by what their serial block is called in the source: (project, lot, vintage)."""
    rows = await connection.fetch(
        "SELECT serial_raw, project_id, lot_id, vintage_year FROM lots WHERE mode = 'live' AND serial_raw = ANY($1::text[])",
        list(raws),
    )
    return {row["serial_raw"]: (row["project_id"], row["lot_id"], row["vintage_year"]) for row in rows}

"""Retirements that stand in for others whose credits were withdrawn, and what became of an order's credits.

Whoever writes here holds the organisation's claim (`tonne.storage.pools.claim_organisation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from tonne.domain.accounts import Mode
from tonne.domain.certificate import Aftermath, Replacement, Withdrawn
from tonne.domain.retirement import RetirementState, format_serial
from tonne.domain.terms import Restrictions
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.database import Connection, Record, from_jsonb
from tonne.storage.retirements import INSERT_RETIREMENTS, NewRetirement
from tonne.storage.terms import read_restrictions

# Of each confirmed retirement, the tonnes that were withdrawn, less those that others stand in for.
_SHORT = """
    SELECT r.retirement_id, r.account_id, r.pool_id, r.gram_first, r.bundle_id, r.beneficiary, r.terms, r.mode,
           w.tonnes - coalesce(n.tonnes, 0) AS missing
      FROM retirements r
      JOIN LATERAL (SELECT sum(least(w.serial_last, r.serial_last) - greatest(w.serial_first, r.serial_first) + 1)::bigint
                           AS tonnes
                      FROM withdrawals w
                     WHERE w.project_id = r.project_id AND w.lot_id = r.lot_id
                       AND w.serial_first <= r.serial_last AND w.serial_last >= r.serial_first) w ON w.tonnes > 0
      LEFT JOIN LATERAL (SELECT sum(n.tonnes)::bigint AS tonnes FROM retirements n
                          WHERE n.organisation_id = r.organisation_id AND n.replaces_id = r.retirement_id
                            AND n.state <> 'rejected') n ON true
     WHERE r.organisation_id = $1 AND r.state = 'confirmed' AND ($2::uuid IS NULL OR r.lot_id = $2)
       AND w.tonnes > coalesce(n.tonnes, 0)
     ORDER BY r.retirement_id
"""

# From a retirement back to the one that orders have their parts in.
_ROOTS = """
    WITH RECURSIVE chain AS (
        SELECT r.retirement_id, r.replaces_id FROM retirements r
         WHERE r.organisation_id = $1 AND r.retirement_id = ANY($2::uuid[])
         UNION
        SELECT r.retirement_id, r.replaces_id FROM chain c
          JOIN retirements r ON r.organisation_id = $1 AND r.retirement_id = c.replaces_id)
"""

# From retirements that orders have parts in to all that stand in for them.
_STAND_INS = """
    WITH RECURSIVE chain AS (
        SELECT r.retirement_id AS root_id, r.retirement_id, 0 AS depth FROM retirements r
         WHERE r.organisation_id = $1 AND r.retirement_id = ANY($2::uuid[])
         UNION ALL
        SELECT c.root_id, r.retirement_id, c.depth + 1 FROM chain c
          JOIN retirements r ON r.organisation_id = $1 AND r.replaces_id = c.retirement_id AND r.state <> 'rejected')
"""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A confirmed retirement of whose tonnes some were withdrawn, and that nothing stands in for yet."""

    retirement_id: UUID
    account_id: UUID
    pool_id: UUID
    gram_first: int
    bundle_id: UUID
    beneficiary: str
    terms: dict[str, Any]
    mode: Mode
    missing_tonnes: int

    @property
    def restrictions(self) -> Restrictions:
        return read_restrictions(self.terms.get("restrictions", {}))


async def find_shortfalls(
    connection: Connection, organisation_id: UUID, *, lot_id: UUID | None
) -> list[Shortfall]:
    """Retirements of an organisation that are short of credits, of one lot or of all."""
    rows = await connection.fetch(_SHORT, organisation_id, lot_id)
    return [
        Shortfall(
            row["retirement_id"],
            row["account_id"],
            row["pool_id"],
            row["gram_first"],
            row["bundle_id"],
            row["beneficiary"],
            from_jsonb(row["terms"]),
            Mode(row["mode"]),
            row["missing"],
        )
        for row in rows
    ]


async def insert_replacements(connection: Connection, replacements: Sequence[NewRetirement]) -> None:
    """Store retirements that stand in for others; no order has a part of its own in them."""
    assert all(each.replaces_id is not None for each in replacements)
    await connection.execute(INSERT_RETIREMENTS, msgspec.json.encode(replacements).decode())


async def supersede_certificates(
    connection: Connection, organisation_id: UUID, retirement_ids: Sequence[UUID], *, at: datetime
) -> None:
    """Mark certificates that name these retirements, or those that they stand in for, as no longer the newest."""
    if not retirement_ids:
        return
    # Locked first, so that a certificate that is being made is either seen here or made anew.
    rows = await connection.fetch(
        f"""
        {_ROOTS}
        SELECT o.order_id FROM orders o
         WHERE o.organisation_id = $1
           AND o.order_id IN (SELECT a.order_id FROM allocations a JOIN chain USING (retirement_id)
                               WHERE a.organisation_id = $1 AND a.order_id IS NOT NULL)
         ORDER BY o.order_id FOR NO KEY UPDATE OF o
        """,  # noqa: S608
        organisation_id,
        list(retirement_ids),
    )
    await connection.execute(
        """
        UPDATE certificates SET superseded_at = $3
         WHERE organisation_id = $1 AND order_id = ANY($2::uuid[]) AND superseded_at IS NULL
        """,
        organisation_id,
        [row["order_id"] for row in rows],
        at,
    )


async def load_aftermath(
    connection: Connection, organisation_id: UUID, retirement_ids: Sequence[UUID]
) -> dict[UUID, Aftermath]:
    """What became of retirements after the fact, by their ids; those of which nothing is to be said are left out."""
    withdrawn = await connection.fetch(
        f"""
        {_STAND_INS}
        SELECT c.root_id, w.kind, w.reason, w.created_at,
               (least(w.serial_last, r.serial_last) - greatest(w.serial_first, r.serial_first) + 1)::bigint AS tonnes
          FROM chain c
          JOIN retirements r ON r.organisation_id = $1 AND r.retirement_id = c.retirement_id
          JOIN withdrawals w ON w.project_id = r.project_id AND w.lot_id = r.lot_id
                            AND w.serial_first <= r.serial_last AND w.serial_last >= r.serial_first
         ORDER BY c.root_id, w.created_at, r.retirement_id, w.serial_first
        """,  # noqa: S608
        organisation_id,
        list(retirement_ids),
    )
    if not withdrawn:
        return {}
    replaced = await connection.fetch(
        f"""
        {_STAND_INS}
        SELECT c.root_id, r.*, p.name AS project_name, p.registry_name, p.registry_project_id, p.registry_link
          FROM chain c
          JOIN retirements r ON r.organisation_id = $1 AND r.retirement_id = c.retirement_id
          JOIN projects p ON p.project_id = r.project_id
         WHERE c.depth > 0 ORDER BY c.root_id, r.created_at, r.retirement_id
        """,  # noqa: S608
        organisation_id,
        list(retirement_ids),
    )
    found: dict[UUID, Aftermath] = {}
    for key in {row["root_id"] for row in withdrawn}:
        found[key] = Aftermath(
            tuple(
                Withdrawn(WithdrawalKind(row["kind"]), row["reason"], row["created_at"], row["tonnes"])
                for row in withdrawn
                if row["root_id"] == key
            ),
            tuple(_replacement(row) for row in replaced if row["root_id"] == key),
        )
    return found


def _replacement(row: Record) -> Replacement:
    prefix = row["serial_prefix"]
    return Replacement(
        retirement_id=row["retirement_id"],
        state=RetirementState(row["state"]),
        project_name=row["project_name"],
        registry_name=row["registry_name"],
        registry_project_id=row["registry_project_id"],
        registry_link=row["registry_link"],
        vintage_year=row["vintage_year"],
        serial_first=format_serial(prefix, row["serial_first"]),
        serial_last=format_serial(prefix, row["serial_last"]),
        tonnes=row["tonnes"],
        retired_on=row["retired_on"],
        registry_reference=row["registry_reference"],
        decided_at=row["decided_at"],
    )

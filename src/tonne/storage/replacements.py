"""Retirements that stand in for others whose credits were withdrawn, and what became of an order's credits.

Whoever has credits stand in for others holds the organisation's claim (`tonne.storage.pools.claim_organisation`).
Certificates are superseded with it or without: the orders they are about are locked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from tonne.domain.accounts import Mode
from tonne.domain.certificate import Aftermath, Replacement, Withdrawn
from tonne.domain.commitments import Demand
from tonne.domain.retirement import RetirementState, format_serial
from tonne.domain.terms import Restrictions
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.database import LARGE_STATEMENT_TIMEOUT_SECONDS, Connection, Record, from_jsonb
from tonne.storage.retirements import INSERT_RETIREMENTS, NewRetirement
from tonne.storage.terms import read_restrictions

# Of confirmed retirements, the tonnes that were withdrawn, less those that others stand in for.
_SHORT = """
    SELECT r.retirement_id, r.account_id, r.pool_id, r.gram_first, r.bundle_id, r.beneficiary, r.terms, r.mode,
           w.tonnes - coalesce(n.tonnes, 0) AS missing
      FROM (SELECT r.retirement_id,
                   sum(least(w.serial_last, r.serial_last) - greatest(w.serial_first, r.serial_first) + 1)::bigint AS tonnes
              FROM withdrawals w
              JOIN retirements r ON r.organisation_id = $1 AND r.project_id = w.project_id AND r.lot_id = w.lot_id
                                AND r.serial_first <= w.serial_last AND r.serial_last >= w.serial_first
                                AND r.state = 'confirmed'
             WHERE ($2::uuid IS NULL OR w.lot_id = $2) AND ($3::uuid IS NULL OR r.retirement_id > $3)
             GROUP BY r.retirement_id) w
      JOIN retirements r ON r.organisation_id = $1 AND r.retirement_id = w.retirement_id
      LEFT JOIN LATERAL (SELECT sum(n.tonnes)::bigint AS tonnes FROM retirements n
                          WHERE n.organisation_id = r.organisation_id AND n.replaces_id = r.retirement_id
                            AND n.state <> 'rejected') n ON true
     WHERE w.tonnes > coalesce(n.tonnes, 0)
     ORDER BY r.retirement_id LIMIT $4
"""

# From a retirement back to the one that orders have their parts in.
_ROOTS = """
    WITH RECURSIVE chain AS (
        SELECT r.account_id, r.retirement_id, r.replaces_id FROM retirements r
         WHERE r.organisation_id = $1 AND r.retirement_id = ANY($2::uuid[])
         UNION
        SELECT r.account_id, r.retirement_id, r.replaces_id FROM chain c
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

    @property
    def demand(self) -> Demand:
        return self.bundle_id, self.restrictions


async def find_shortfalls(
    connection: Connection, organisation_id: UUID, *, lot_id: UUID | None, after: UUID | None, limit: int
) -> list[Shortfall]:
    """Retirements of an organisation that are short of credits, of one lot or of all, by their ids, from one on."""
    rows = await connection.fetch(
        _SHORT, organisation_id, lot_id, after, limit, timeout=LARGE_STATEMENT_TIMEOUT_SECONDS
    )
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
        SELECT o.account_id, o.order_id FROM orders o
         WHERE o.organisation_id = $1
           AND (o.account_id, o.order_id) IN (
               SELECT c.account_id, a.order_id FROM chain c
                 JOIN allocations a ON a.organisation_id = $1 AND a.retirement_id = c.retirement_id
                WHERE a.order_id IS NOT NULL)
         ORDER BY o.order_id FOR NO KEY UPDATE OF o
        """,  # noqa: S608
        organisation_id,
        list(retirement_ids),
    )
    await connection.execute(
        """
        UPDATE certificates c SET superseded_at = $4
          FROM unnest($2::uuid[], $3::uuid[]) AS o (account_id, order_id)
         WHERE c.organisation_id = $1 AND c.account_id = o.account_id AND c.order_id = o.order_id
           AND c.superseded_at IS NULL
        """,
        organisation_id,
        [row["account_id"] for row in rows],
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
    gone: dict[UUID, list[Withdrawn]] = defaultdict(list)
    for row in withdrawn:
        kind = WithdrawalKind(row["kind"])
        gone[row["root_id"]].append(Withdrawn(kind, row["reason"], row["created_at"], row["tonnes"]))
    instead: dict[UUID, list[Replacement]] = defaultdict(list)
    for row in replaced:
        instead[row["root_id"]].append(_replacement(row))
    return {key: Aftermath(tuple(those), tuple(instead[key])) for key, those in gone.items()}


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

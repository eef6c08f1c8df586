"""Rows of `estimates`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.domain.estimates import Estimate, Step
from tonne.domain.mass import MassUnit
from tonne.domain.selection import Choice
from tonne.storage.database import Connection, Record, from_jsonb, to_jsonb

_INSERT = """
    INSERT INTO estimates (organisation_id, account_id, estimate_id, kind, tonnes, request, calculation,
                           quantity_trunc, bundle_selection, name, metadata, idempotency_key, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT DO NOTHING
 RETURNING estimate_id
"""

_FIND = """
    SELECT estimate_id, kind, tonnes, request, calculation, quantity_trunc, bundle_selection, name, metadata,
           idempotency_key, created_at
      FROM estimates WHERE organisation_id = $1 AND account_id = $2 AND
"""

_MASSES = """
    SELECT e.account_id, e.estimate_id, e.tonnes
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (organisation_id, account_id, estimate_id)
      JOIN estimates e ON e.organisation_id = w.organisation_id AND e.account_id = w.account_id
                      AND e.estimate_id = w.estimate_id
"""


async def insert_estimate(connection: Connection, estimate: Estimate) -> bool:
    """Store an estimate; False where the account has one with this idempotency key already."""
    selection = estimate.selection
    stored = await connection.fetchval(
        _INSERT,
        estimate.organisation_id,
        estimate.account_id,
        estimate.estimate_id,
        estimate.kind,
        estimate.tonnes,
        to_jsonb(estimate.request),
        to_jsonb([asdict(step) for step in estimate.calculation]),
        estimate.precision.value,
        None if selection is None else to_jsonb([asdict(choice) for choice in selection]),
        estimate.name,
        to_jsonb(estimate.metadata),
        estimate.idempotency_key,
        estimate.created_at,
    )
    return stored is not None


async def find_estimate(
    connection: Connection, account: Account, estimate_id: UUID, *, kind: str
) -> Estimate | None:
    """Find an account's estimate of a kind by its id."""
    row = await connection.fetchrow(
        _FIND + "estimate_id = $3 AND kind = $4",
        account.organisation_id,
        account.account_id,
        estimate_id,
        kind,
    )
    return None if row is None else _estimate(row, account)


async def find_estimate_by_idempotency_key(
    connection: Connection, account: Account, key: str
) -> Estimate | None:
    """Find an account's estimate by its idempotency key."""
    row = await connection.fetchrow(
        _FIND + "idempotency_key = $3", account.organisation_id, account.account_id, key
    )
    return None if row is None else _estimate(row, account)


async def find_estimated_tonnes(
    connection: Connection, wanted: Sequence[tuple[UUID, UUID, UUID]]
) -> Mapping[tuple[UUID, UUID], Decimal]:
    """Masses of many estimates, named by (organisation, account, estimate); returned by (account, estimate)."""
    rows = await connection.fetch(
        _MASSES,
        [organisation_id for organisation_id, _, _ in wanted],
        [account_id for _, account_id, _ in wanted],
        [estimate_id for _, _, estimate_id in wanted],
    )
    return {(row["account_id"], row["estimate_id"]): row["tonnes"] for row in rows}


def _estimate(row: Record, account: Account) -> Estimate:
    selection = from_jsonb(row["bundle_selection"])
    return Estimate(
        organisation_id=account.organisation_id,
        account_id=account.account_id,
        estimate_id=row["estimate_id"],
        kind=row["kind"],
        tonnes=row["tonnes"],
        request=from_jsonb(row["request"]),
        calculation=tuple(Step(**step) for step in from_jsonb(row["calculation"])),
        precision=MassUnit(row["quantity_trunc"]),
        created_at=row["created_at"],
        selection=None
        if selection is None
        else tuple(Choice(UUID(choice["bundle_id"]), Decimal(choice["percentage"])) for choice in selection),
        name=row["name"],
        metadata=from_jsonb(row["metadata"]),
        idempotency_key=row["idempotency_key"],
    )

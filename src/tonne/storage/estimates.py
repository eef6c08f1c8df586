"""Rows of `estimates`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import asyncpg

from tonne.domain.accounts import Account, ApiKey
from tonne.domain.estimates import Estimate, EstimateKind, Step
from tonne.domain.mass import MassUnit
from tonne.domain.selection import Choice
from tonne.storage.database import Connection, Record, from_jsonb, to_jsonb

_INSERT = """
    INSERT INTO estimates (organisation_id, account_id, estimate_id, kind, tonnes, request, calculation,
                           quantity_trunc, bundle_selection, name, metadata, idempotency_key, created_at, outcome)
    SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[], $5::numeric[], $6::jsonb[], $7::jsonb[], $8::text[],
                                 $9::jsonb[], $10::text[], $11::jsonb[], $12::text[], $13::timestamptz[],
                                 $14::jsonb[])
     WHERE $15::uuid IS NULL
        OR EXISTS (SELECT FROM api_keys WHERE organisation_id = $1 AND key_id = $15 AND disabled_at IS NULL)
        ON CONFLICT DO NOTHING
 RETURNING estimate_id
"""

_COLUMNS = """estimate_id, kind, tonnes, request, calculation, quantity_trunc, bundle_selection, name, metadata,
           idempotency_key, created_at, outcome, changed_at"""
_FIND = f"SELECT {_COLUMNS} FROM estimates WHERE organisation_id = $1 AND account_id = $2 AND "  # noqa: S608

_REPLACE = """
    UPDATE estimates
       SET tonnes = $4, request = $5, calculation = $6, quantity_trunc = $7, bundle_selection = $8, name = $9,
           metadata = $10, idempotency_key = $11, outcome = $12, changed_at = $13
     WHERE organisation_id = $1 AND account_id = $2 AND estimate_id = $3
"""

_MASSES = """
    SELECT e.account_id, e.estimate_id, e.tonnes
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS w (organisation_id, account_id, estimate_id)
      JOIN estimates e ON e.organisation_id = w.organisation_id AND e.account_id = w.account_id
                      AND e.estimate_id = w.estimate_id
"""


@dataclass(frozen=True, slots=True)
class EstimateFilter:
    """Which estimates to list; what is None does not restrict."""

    kind: EstimateKind | None = None
    name: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    metadata: Mapping[str, str] | None = None


async def insert_estimates(
    connection: Connection, account: Account, estimates: Sequence[Estimate], *, key: ApiKey | None = None
) -> set[UUID]:
    """Store estimates of an account; returns the ids of those that are stored.

    The others have an idempotency key that an estimate of the account has already; none is stored where `key` was
    disabled since it was let in.
    """
    rows = await connection.fetch(
        _INSERT,
        account.organisation_id,
        account.account_id,
        [each.estimate_id for each in estimates],
        [each.kind.value for each in estimates],
        [each.tonnes for each in estimates],
        [to_jsonb(each.request) for each in estimates],
        [to_jsonb(each.calculation) for each in estimates],
        [each.precision.value for each in estimates],
        [to_jsonb(each.selection) for each in estimates],
        [each.name for each in estimates],
        [None if each.metadata is None else to_jsonb(each.metadata) for each in estimates],
        [each.idempotency_key for each in estimates],
        [each.created_at for each in estimates],
        [to_jsonb(each.outcome) for each in estimates],
        None if key is None else key.key_id,
    )
    return {row["estimate_id"] for row in rows}


async def lock_estimate(connection: Connection, account: Account, estimate_id: UUID) -> Estimate | None:
    """Find an account's estimate and keep others from changing or ordering it until this transaction ends."""
    row = await connection.fetchrow(
        _FIND + "estimate_id = $3 FOR UPDATE", account.organisation_id, account.account_id, estimate_id
    )
    return None if row is None else _estimate(row, account)


async def replace_estimate(connection: Connection, estimate: Estimate) -> bool:
    """Store an estimate in place of what it said before; False where another has its idempotency key."""
    try:
        async with connection.transaction():
            await connection.execute(
                _REPLACE,
                estimate.organisation_id,
                estimate.account_id,
                estimate.estimate_id,
                estimate.tonnes,
                to_jsonb(estimate.request),
                to_jsonb(estimate.calculation),
                estimate.precision.value,
                to_jsonb(estimate.selection),
                estimate.name,
                None if estimate.metadata is None else to_jsonb(estimate.metadata),
                estimate.idempotency_key,
                to_jsonb(estimate.outcome),
                estimate.changed_at,
            )
    except asyncpg.UniqueViolationError:
        return False
    return True


async def is_ordered(connection: Connection, account: Account, estimate_id: UUID) -> bool:
    """Whether an order of an estimate is there that is neither cancelled nor failed."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM orders WHERE organisation_id = $1 AND account_id = $2 AND estimate_id = $3
                                            AND cancelled_at IS NULL AND failed_at IS NULL)
        """,
        account.organisation_id,
        account.account_id,
        estimate_id,
    )
    return found


async def find_estimate(
    connection: Connection, account: Account, estimate_id: UUID, *, kind: EstimateKind | None
) -> Estimate | None:
    """Find an account's estimate by its id, of a kind where one is given."""
    row = await connection.fetchrow(
        _FIND + "estimate_id = $3 AND ($4::text IS NULL OR kind = $4)",
        account.organisation_id,
        account.account_id,
        estimate_id,
        None if kind is None else kind.value,
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


async def find_estimates_by_keys(
    connection: Connection, account: Account, keys: Sequence[str]
) -> dict[str, Estimate]:
    """Find an account's estimates by their idempotency keys."""
    rows = await connection.fetch(
        _FIND + "idempotency_key = ANY($3::text[])", account.organisation_id, account.account_id, keys
    )
    return {row["idempotency_key"]: _estimate(row, account) for row in rows}


async def list_estimates(
    connection: Connection, account: Account, *, wanted: EstimateFilter, after: UUID | None, limit: int
) -> list[Estimate]:
    """List an account's estimates, newest first, those older than `after` only. Ids are time-ordered."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM estimates
         WHERE organisation_id = $1 AND account_id = $2 AND ($4::uuid IS NULL OR estimate_id < $4)
           AND ($5::text IS NULL OR kind = $5) AND ($6::text IS NULL OR name = $6)
           AND ($7::timestamptz IS NULL OR created_at >= $7) AND ($8::timestamptz IS NULL OR created_at < $8)
           AND ($9::jsonb IS NULL OR metadata @> $9)
         ORDER BY estimate_id DESC LIMIT $3
        """,  # noqa: S608 -- the columns are ours
        account.organisation_id,
        account.account_id,
        limit,
        after,
        None if wanted.kind is None else wanted.kind.value,
        wanted.name,
        wanted.created_from,
        wanted.created_to,
        None if wanted.metadata is None else to_jsonb(wanted.metadata),
    )
    return [_estimate(row, account) for row in rows]


async def find_estimated_tonnes(
    connection: Connection, wanted: Sequence[tuple[UUID, UUID, UUID]], *, lock: bool = False
) -> Mapping[tuple[UUID, UUID], Decimal]:
    """Masses of many estimates, named by (organisation, account, estimate); returned by (account, estimate).

    With `lock` nobody changes them until this transaction ends.
    """
    rows = await connection.fetch(
        _MASSES + (" FOR SHARE OF e" if lock else ""),
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
        kind=EstimateKind(row["kind"]),
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
        outcome=from_jsonb(row["outcome"]),
        changed_at=row["changed_at"],
    )

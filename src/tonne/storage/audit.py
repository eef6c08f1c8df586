"""Rows of `audit_entries` and `audit_heads`: who changed what, written in the transaction that changes it.

Entries are only ever added. Those of an organisation, and those of the platform, form a chain each: an entry's hash
covers the one before it, and the head says how long the chain is and how it ends. `tonne audit verify` walks it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from tonne.domain.audit import FIRST_HASH, PLATFORM, Actor, Change, chain_hash
from tonne.storage.database import Connection, Record

_FETCHED_TOGETHER = 1000

_HEAD = """
    INSERT INTO audit_heads (organisation_id, sequence, hash) VALUES ($1, 0, $2)
        ON CONFLICT (organisation_id) DO UPDATE SET sequence = audit_heads.sequence
    RETURNING sequence, hash
"""
_ENTER = """
    INSERT INTO audit_entries (organisation_id, sequence, at, actor, request_id, action, object_type, object_id, before,
                               after, hash)
    SELECT $1, $2 + n.position, $3, $4, $5, n.action, n.object_type, n.object_id, n.before, n.after, n.hash
      FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bytea[]) WITH ORDINALITY
           AS n (action, object_type, object_id, before, after, hash, position)
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A change as it was recorded; `before` and `after` are JSON."""

    organisation_id: UUID
    sequence: int
    at: datetime
    actor: str
    request_id: str | None
    action: str
    object_type: str
    object_id: str
    before: str | None
    after: str | None
    hash: bytes


async def record_changes(
    connection: Connection,
    actor: Actor,
    changes: Sequence[Change],
    *,
    at: datetime,
    organisation_id: UUID = PLATFORM,
) -> None:
    """Add changes to an organisation's chain, or the platform's; call it in the transaction that makes them.

    Whoever changes something of the organisation queues here until the transaction ends: call it late in it.
    """
    if not changes:
        return
    head = await connection.fetchrow(_HEAD, organisation_id, FIRST_HASH)
    assert head is not None
    last, hashes = head["hash"], []
    rows = [(c.action, c.object_type, str(c.object_id), _json(c.before), _json(c.after)) for c in changes]
    for position, row in enumerate(rows, start=1):
        last = chain_hash(last, _fields(head["sequence"] + position, at, actor.name, actor.request_id, *row))
        hashes.append(last)
    columns = [list(column) for column in zip(*rows, strict=True)]
    await connection.execute(
        _ENTER, organisation_id, head["sequence"], at, actor.name, actor.request_id, *columns, hashes
    )
    await connection.execute(
        "UPDATE audit_heads SET sequence = $2, hash = $3 WHERE organisation_id = $1",
        organisation_id,
        head["sequence"] + len(rows),
        last,
    )


async def list_entries(
    connection: Connection,
    *,
    object_id: str | None = None,
    object_type: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[AuditEntry]:
    """The newest entries that match, of every chain, newest first."""
    rows = await connection.fetch(
        """
        SELECT * FROM audit_entries
         WHERE ($1::text IS NULL OR object_id = $1) AND ($2::text IS NULL OR object_type = $2)
           AND ($3::text IS NULL OR actor = $3) AND ($4::timestamptz IS NULL OR at >= $4)
         ORDER BY at DESC, organisation_id, sequence DESC LIMIT $5
        """,
        object_id,
        object_type,
        actor,
        since,
        limit,
    )
    return [AuditEntry(**row) for row in rows]


async def walk_chains(connection: Connection) -> AsyncIterator[tuple[UUID, list[AuditEntry]]]:
    """Every chain's entries, in order, some at a time; call it in a transaction."""
    cursor = connection.cursor(
        "SELECT * FROM audit_entries ORDER BY organisation_id, sequence", prefetch=_FETCHED_TOGETHER
    )
    together: list[AuditEntry] = []
    async for row in cursor:
        entry = _entry(row)
        if together and (
            together[0].organisation_id != entry.organisation_id or len(together) == _FETCHED_TOGETHER
        ):
            yield together[0].organisation_id, together
            together = []
        together.append(entry)
    if together:
        yield together[0].organisation_id, together


async def verify_chains(connection: Connection) -> tuple[int, list[str]]:
    """Walk every chain: returns how many entries there are, and what is wrong; call it in a transaction."""
    heads = {
        row["organisation_id"]: (row["sequence"], row["hash"])
        for row in await connection.fetch("SELECT * FROM audit_heads")
    }
    found: list[str] = []
    ends: dict[UUID, tuple[int, bytes]] = {}
    count = 0
    async for chain, entries in walk_chains(connection):
        for entry in entries:
            count += 1
            sequence, last = ends.get(chain, (0, FIRST_HASH))
            if entry.sequence != sequence + 1:
                found.append(f"{_name(chain)}: entries {sequence + 1} to {entry.sequence - 1} are missing")
            elif entry_hash(entry, last) != entry.hash:
                found.append(f"{_name(chain)}: entry {entry.sequence} or the link to it was changed")
            ends[chain] = (entry.sequence, entry.hash)
    found += [
        f"{_name(chain)}: the last entries are missing, or the end was changed"
        for chain in heads.keys() | ends.keys()
        if heads.get(chain) != ends.get(chain)
    ]
    return count, sorted(found)


async def find_heads(connection: Connection) -> dict[UUID, tuple[int, bytes]]:
    """How long each chain is, and the hash that it ends with."""
    rows = await connection.fetch("SELECT * FROM audit_heads WHERE sequence > 0 ORDER BY organisation_id")
    return {row["organisation_id"]: (row["sequence"], row["hash"]) for row in rows}


def entry_hash(entry: AuditEntry, previous_hash: bytes) -> bytes:
    """The hash that an entry should have."""
    fields = _fields(
        entry.sequence,
        entry.at,
        entry.actor,
        entry.request_id,
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.before,
        entry.after,
    )
    return chain_hash(previous_hash, fields)


def _fields(sequence: int, at: datetime, *texts: str | None) -> list[str]:
    # A field that is not there is told from an empty one.
    return [str(sequence), at.astimezone(UTC).isoformat(), *("-" if t is None else f"+{t}" for t in texts)]


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="sorted").decode()


def _entry(row: Record) -> AuditEntry:
    return AuditEntry(**row)


def _name(chain: UUID) -> str:
    return "the platform's chain" if chain == PLATFORM else f"the chain of organisation {chain}"

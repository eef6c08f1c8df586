"""Rows of `audit_entries` and `audit_heads`: who changed what, written in the transaction that changes it.

Entries are only ever added. Those of an organisation, and those of the platform, form a chain each: an entry's hash
covers the one before it, and the head says how long the chain is and how it ends. `tonne.storage.audit_checks` walks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from tonne.domain.audit import FIRST_HASH, PLATFORM, Actor, Change, chain_hash
from tonne.storage.database import Connection, Record

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

# The newest of each chain by its own index, then the newest of those.
_LIST = """
    SELECT e.*
      FROM audit_heads h,
           LATERAL (SELECT * FROM audit_entries n
                     WHERE n.organisation_id = h.organisation_id
                       AND ($1::text IS NULL OR n.object_id = $1) AND ($2::text IS NULL OR n.object_type = $2)
                       AND ($3::text IS NULL OR position(lower($3) IN lower(n.actor)) > 0)
                       AND ($4::timestamptz IS NULL OR n.at >= $4)
                       AND ($5::timestamptz IS NULL OR
                            (n.at, n.organisation_id, n.sequence) < ($5, $6::uuid, $7::bigint))
                     ORDER BY n.at DESC, n.sequence DESC LIMIT $8) e
     ORDER BY e.at DESC, e.organisation_id DESC, e.sequence DESC LIMIT $8
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


class AuditPlace(NamedTuple):
    """Where an entry stands among all entries, sorted by time."""

    at: datetime
    organisation_id: UUID
    sequence: int


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
        fields = _fields(organisation_id, head["sequence"] + position, at, actor.name, actor.request_id, *row)
        last = chain_hash(last, fields)
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
    after: AuditPlace | None = None,
    limit: int,
) -> list[AuditEntry]:
    """The newest entries of all chains that match, newest first; only those that come `after` a place, older ones.

    None does not filter; `actor` is a part of the actor's name, in any case.
    """
    rows = await connection.fetch(
        _LIST,
        object_id,
        object_type,
        actor,
        since,
        *(after or (None, None, None)),
        limit,
    )
    return [entry_of(row) for row in rows]


async def find_heads(connection: Connection) -> dict[UUID, tuple[int, bytes]]:
    """How long each chain is, and the hash that it ends with."""
    rows = await connection.fetch("SELECT * FROM audit_heads WHERE sequence > 0 ORDER BY organisation_id")
    return {row["organisation_id"]: (row["sequence"], row["hash"]) for row in rows}


def entry_hash(entry: AuditEntry, previous_hash: bytes) -> bytes:
    """The hash that an entry should have."""
    fields = _fields(
        entry.organisation_id,
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


def read_state(text: str | None) -> Any:
    """Read an entry's `before` or `after`; what was edited to be no JSON is read as the text it is."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def entry_of(row: Record) -> AuditEntry:
    """Read a row of `audit_entries`."""
    return AuditEntry(**row)


def _fields(chain: UUID, sequence: int, at: datetime, *texts: str | None) -> list[str]:
    # A field that is not there is told from an empty one.
    told = ("-" if text is None else f"+{text}" for text in texts)
    return [str(chain), str(sequence), at.astimezone(UTC).isoformat(), *told]


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="sorted").decode()

"""Rows of `event_chunks` and `event_heads`: what happened, written with what made it happen, and numbered after that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.events import Event, EventType, Happened
from tonne.storage.changes import announce_events
from tonne.storage.database import Connection, Record

# Numbers are given to what is committed, by one transaction at a time for an account: those of another's that is still
# under way come after.
_UNNUMBERED = """
    SELECT chunk_id, created_at, cardinality(event_types) * greatest(cardinality(order_ids), 1) AS size FROM event_chunks
     WHERE organisation_id = $1 AND account_id = $2 AND sequence_first IS NULL
     ORDER BY recorded_at, chunk_id LIMIT $3
"""

# One by one, all sent at once, and found by id and time: of what an account has written since the last ANALYZE the planner
# expects one row, so it would compare each with each, or look through the index by time for an id.
_NUMBER = """
    UPDATE event_chunks SET sequence_first = $5
     WHERE organisation_id = $1 AND account_id = $2 AND chunk_id = $3 AND created_at = $4
"""

_LOCK_HEAD = """
    SELECT sequence_last FROM event_heads WHERE organisation_id = $1 AND account_id = $2 FOR UPDATE"""

_READ = """
    SELECT sequence, event_type, created_at, order_id, retirement_id, quantity_grams, webhook_id
      FROM (SELECT c.sequence_first, c.created_at, c.webhook_id, o.order_id, o.retirement_id, o.quantity_grams,
                   t.event_type,
                   c.sequence_first + (o.place - 1) * cardinality(c.event_types) + t.place - 1 AS sequence
              FROM event_chunks c
             CROSS JOIN LATERAL unnest(CASE WHEN c.webhook_id IS NULL THEN c.order_ids ELSE array[NULL::uuid] END,
                                       c.retirement_ids, c.quantities_grams)
                        WITH ORDINALITY AS o (order_id, retirement_id, quantity_grams, place)
             CROSS JOIN LATERAL unnest(c.event_types) WITH ORDINALITY AS t (event_type, place)
             WHERE c.organisation_id = $1 AND c.account_id = $2
               AND c.sequence_first >= coalesce((SELECT max(b.sequence_first) FROM event_chunks b
                                                  WHERE b.organisation_id = $1 AND b.account_id = $2
                                                    AND b.sequence_first <= $3), 0)
               AND ($5::text[] IS NULL OR c.event_types && $5) AND ($6::uuid IS NULL OR c.order_ids @> array[$6])
               AND ($7::timestamptz IS NULL OR c.created_at >= $7) AND ($8::timestamptz IS NULL OR c.created_at < $8)
           ) e
     WHERE sequence >= $3 AND ($5::text[] IS NULL OR event_type = ANY($5)) AND ($6::uuid IS NULL OR order_id = $6)
     ORDER BY sequence_first, sequence LIMIT $4
"""

_FORGET = """
    WITH old AS (
        SELECT organisation_id, account_id, chunk_id FROM event_chunks
         WHERE organisation_id = $1 AND account_id = $2 AND created_at < $3 AND sequence_first IS NOT NULL
         ORDER BY created_at LIMIT $4)
    DELETE FROM event_chunks c USING old
     WHERE c.organisation_id = $1 AND c.account_id = $2 AND c.chunk_id = old.chunk_id
"""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read; what is None does not restrict."""

    event_types: Sequence[EventType] | None = None
    order_id: UUID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


EVERY_EVENT = EventFilter()


async def record_events(
    connection: Connection, happened: Sequence[Happened], *, chunk_ids: Sequence[UUID], at: datetime
) -> None:
    """Store events; call it in the transaction of what they tell. `chunk_ids` are new ids, one each."""
    if not happened:
        return
    await connection.executemany(
        """
        INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, retirement_ids,
                                  quantities_grams, created_at, webhook_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        [
            (
                chunk.organisation_id,
                chunk.account_id,
                chunk_id,
                [event_type.value for event_type in chunk.event_types],
                chunk.order_ids,
                chunk.retirement_ids,
                chunk.quantities_grams,
                at,
                chunk.webhook_id,
            )
            for chunk, chunk_id in zip(happened, chunk_ids, strict=True)
        ],
    )
    await announce_events(connection)


async def accounts_to_number(
    connection: Connection, *, with_webhooks: bool = False
) -> list[tuple[UUID, UUID, Mode]]:
    """(organisation, account, mode) of those that have events without a number; with `with_webhooks` of those that
    somebody waits for.
    """
    rows = await connection.fetch(
        """
        SELECT organisation_id, account_id, a.mode
          FROM (SELECT DISTINCT organisation_id, account_id FROM event_chunks
                 WHERE sequence_first IS NULL
                   AND (NOT $1 OR organisation_id IN (SELECT w.organisation_id FROM webhooks w))) c
          JOIN accounts a USING (organisation_id, account_id)
         ORDER BY organisation_id, account_id
        """,
        with_webhooks,
    )
    return [(row["organisation_id"], row["account_id"], Mode(row["mode"])) for row in rows]


async def accounts_to_number_for(
    connection: Connection, organisation_id: UUID, mode: Mode, account_ids: Sequence[UUID] | None
) -> list[UUID]:
    """Accounts of an organisation and mode that have events without a number: of those named, or with None of all."""
    rows = await connection.fetch(
        """
        SELECT account_id
          FROM (SELECT DISTINCT account_id FROM event_chunks WHERE organisation_id = $1 AND sequence_first IS NULL) c
          JOIN accounts a USING (account_id)
         WHERE a.organisation_id = $1 AND a.mode = $2 AND ($3::uuid[] IS NULL OR account_id = ANY($3))
         ORDER BY account_id
        """,
        organisation_id,
        mode.value,
        account_ids,
    )
    return [row["account_id"] for row in rows]


async def lock_head(
    connection: Connection, organisation_id: UUID, account_id: UUID, *, wait: bool = True
) -> int | None:
    """The last number given to an account's events; nobody gives more until this transaction ends.

    Without `wait`, None where somebody else is at it.
    """
    await connection.execute(
        """
        INSERT INTO event_heads (organisation_id, account_id, sequence_last) VALUES ($1, $2, 0)
            ON CONFLICT DO NOTHING
        """,
        organisation_id,
        account_id,
    )
    last: int | None = await connection.fetchval(
        _LOCK_HEAD if wait else _LOCK_HEAD + " SKIP LOCKED",
        organisation_id,
        account_id,
    )
    return last


async def hold_numbers(
    connection: Connection, organisation_id: UUID, account_id: UUID
) -> tuple[int, int] | None:
    """The first number of an account's events that is kept, and the last; nobody gives more until this transaction ends.

    None where there is no event.
    """
    last = await connection.fetchval(
        "SELECT sequence_last FROM event_heads WHERE organisation_id = $1 AND account_id = $2 FOR SHARE",
        organisation_id,
        account_id,
    )
    first = await connection.fetchval(
        "SELECT min(sequence_first) FROM event_chunks WHERE organisation_id = $1 AND account_id = $2",
        organisation_id,
        account_id,
    )
    return None if first is None or not last else (first, last)


async def last_number(connection: Connection, organisation_id: UUID, account_id: UUID) -> int:
    """The last number given to an account's events; 0 where none was."""
    last = await connection.fetchval(
        "SELECT sequence_last FROM event_heads WHERE organisation_id = $1 AND account_id = $2",
        organisation_id,
        account_id,
    )
    return int(last or 0)


async def number_events(
    connection: Connection, organisation_id: UUID, account_id: UUID, *, last: int, chunks_max: int
) -> tuple[int, int]:
    """Number events that have none, up to so many chunks. Lock the head first.

    Returns the last number, and how many chunks were numbered: if fewer, all that was committed is.
    """
    rows = await connection.fetch(_UNNUMBERED, organisation_id, account_id, chunks_max)
    if not rows:
        return last, 0
    # Where each chunk begins after, and where the last one ends.
    ends = list(accumulate((row["size"] for row in rows), initial=last))
    await connection.executemany(
        _NUMBER,
        [
            (organisation_id, account_id, row["chunk_id"], row["created_at"], end + 1)
            for row, end in zip(rows, ends[:-1], strict=True)
        ],
    )
    new = ends[-1]
    await connection.execute(
        "UPDATE event_heads SET sequence_last = $3 WHERE organisation_id = $1 AND account_id = $2",
        organisation_id,
        account_id,
        new,
    )
    return int(new), len(rows)


async def has_unnumbered(connection: Connection, organisation_id: UUID, account_id: UUID) -> bool:
    """Whether an account has events without a number."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM event_chunks
                        WHERE organisation_id = $1 AND account_id = $2 AND sequence_first IS NULL)
        """,
        organisation_id,
        account_id,
    )
    return found


async def read_events(
    connection: Connection,
    organisation_id: UUID,
    account_id: UUID,
    *,
    first: int,
    limit: int,
    wanted: EventFilter = EVERY_EVENT,
) -> list[Event]:
    """An account's numbered events from `first` on, in their order."""
    types = None if wanted.event_types is None else [each.value for each in wanted.event_types]
    rows = await connection.fetch(
        _READ,
        organisation_id,
        account_id,
        first,
        limit,
        types,
        wanted.order_id,
        wanted.created_from,
        wanted.created_to,
    )
    return [_event(row, account_id) for row in rows]


async def forget_events(
    connection: Connection, organisation_id: UUID, account_id: UUID, *, before: datetime, chunks_max: int
) -> int:
    """Delete events that are older, up to so many chunks; returns how many chunks went. Call it in a transaction."""
    await connection.execute(
        """
        UPDATE event_heads SET kept_from = greatest(kept_from, $3) WHERE organisation_id = $1 AND account_id = $2
        """,
        organisation_id,
        account_id,
        before,
    )
    gone = await connection.execute(_FORGET, organisation_id, account_id, before, chunks_max)
    return int(gone.rpartition(" ")[2])


async def accounts_with_old_events(connection: Connection, *, before: datetime) -> list[tuple[UUID, UUID]]:
    """(organisation, account) of those that have events that are older."""
    rows = await connection.fetch(
        """
        SELECT h.organisation_id, h.account_id FROM event_heads h
         WHERE EXISTS (SELECT FROM event_chunks c
                        WHERE c.organisation_id = h.organisation_id AND c.account_id = h.account_id
                          AND c.created_at < $1 AND c.sequence_first IS NOT NULL)
        """,
        before,
    )
    return [(row["organisation_id"], row["account_id"]) for row in rows]


def _event(row: Record, account_id: UUID) -> Event:
    return Event(
        account_id,
        row["sequence"],
        EventType(row["event_type"]),
        row["created_at"],
        row["order_id"],
        row["retirement_id"],
        row["quantity_grams"],
        row["webhook_id"],
    )

"""Rows of `webhook_cursors` and `webhook_attempts`: how far each webhook has come with each account.

Who delivers claims a cursor, keeps the batch in it before sending, and moves it on when the endpoint acknowledged. Leases
are by the database's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.webhooks import Webhook
from tonne.storage.database import Connection
from tonne.storage.webhooks import webhook_from

# Locked first, and read as they are then: one that is changed or deleted meanwhile is waited for.
_COVERING = """
    SELECT webhook_id FROM webhooks
     WHERE organisation_id = $1 AND mode = $3 AND (account_ids IS NULL OR $2 = ANY(account_ids))
     ORDER BY webhook_id FOR KEY SHARE
"""

_FOLLOW = """
    INSERT INTO webhook_cursors (organisation_id, webhook_id, account_id, sequence_next, due_at)
    SELECT $1, w.webhook_id, $2, $4, $5 FROM unnest($3::uuid[]) AS w (webhook_id) ORDER BY w.webhook_id
        ON CONFLICT (organisation_id, webhook_id, account_id) DO UPDATE SET due_at = $5
     WHERE webhook_cursors.due_at IS NULL
"""

_ORGANISATIONS_DUE = """
    SELECT DISTINCT c.organisation_id
      FROM webhook_cursors c
      JOIN webhooks w ON w.organisation_id = c.organisation_id AND w.webhook_id = c.webhook_id AND w.enabled
     WHERE c.due_at <= clock_timestamp() AND (c.claimed_until IS NULL OR c.claimed_until <= clock_timestamp())
"""

# Of each webhook only so many at once, counted with those that are on their way from here: those that are quick may have
# more ($7), all others together only so many ($10). First come those that have the fewest on their way.
_CLAIM = """
    WITH due AS (
        SELECT webhook_id, account_id
          FROM (SELECT *, row_number() OVER (PARTITION BY is_quick ORDER BY place, due_at) AS rank
                  FROM (SELECT c.webhook_id, c.account_id, c.due_at, c.webhook_id = ANY($9::uuid[]) AS is_quick,
                               coalesce(busy.number, 0) + row_number() OVER (PARTITION BY c.webhook_id ORDER BY c.due_at)
                                   AS place
                          FROM webhook_cursors c
                          JOIN webhooks w ON w.organisation_id = $1 AND w.webhook_id = c.webhook_id AND w.enabled
                                         AND (w.account_ids IS NULL OR c.account_id = ANY(w.account_ids))
                          LEFT JOIN unnest($5::uuid[], $6::int[]) AS busy (webhook_id, number)
                                 ON busy.webhook_id = c.webhook_id
                         WHERE c.organisation_id = $1 AND c.due_at <= $2
                           AND (c.claimed_until IS NULL OR c.claimed_until <= $2)) each_
                 WHERE place <= CASE WHEN is_quick THEN $7 ELSE 1 END) fair
         WHERE is_quick OR rank <= $10
         ORDER BY place, due_at LIMIT $8),
    taken AS (
        SELECT c.webhook_id, c.account_id FROM webhook_cursors c
          JOIN due ON due.webhook_id = c.webhook_id AND due.account_id = c.account_id
         WHERE c.organisation_id = $1 AND c.due_at <= $2 AND (c.claimed_until IS NULL OR c.claimed_until <= $2)
           FOR UPDATE OF c SKIP LOCKED)
    UPDATE webhook_cursors c SET claim_id = $3, claimed_until = $4
      FROM taken
     WHERE c.organisation_id = $1 AND c.webhook_id = taken.webhook_id AND c.account_id = taken.account_id
 RETURNING c.webhook_id, c.account_id, c.sequence_next, c.batch_id, c.batch_first, c.batch_last, c.batch_body,
           c.attempts, c.due_at
"""

_OWN = "organisation_id = $1 AND webhook_id = $2 AND account_id = $3 AND claim_id = $4"

# Whoever resumes or replays sets an earlier `due_at` than the one that was claimed. The claim stays until its request is
# over, so that no two are on their way at once; but it sends nothing more, and what its request came to decides nothing.
_UNCHANGED = f"{_OWN} AND due_at = $5"
_EARLIER = "interval '1 microsecond'"

# The head is locked first, so that no new number is missed between looking and resting.
_ACKNOWLEDGE = f"""
    WITH head AS (SELECT sequence_last FROM event_heads
                   WHERE organisation_id = $1 AND account_id = $3 FOR SHARE)
    UPDATE webhook_cursors
       SET sequence_next = $6, batch_id = NULL, batch_first = NULL, batch_last = NULL, batch_body = NULL, attempts = 0,
           claim_id = NULL, claimed_until = NULL,
           due_at = CASE WHEN head.sequence_last >= $6 THEN $7::timestamptz END
      FROM head
     WHERE {_OWN} AND batch_id IS NOT DISTINCT FROM $5 AND sequence_next = $8
 RETURNING true
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Batch:
    """Events on their way, and their bytes."""

    batch_id: UUID
    sequence_first: int
    sequence_last: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to deliver an account's events to a webhook; `batch` where they were tried before."""

    webhook: Webhook
    account_id: UUID
    claim_id: UUID
    sequence_next: int
    attempts: int
    due_at: datetime
    batch: Batch | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to an endpoint, and what became of it."""

    attempt_id: UUID
    account_id: UUID
    batch_id: UUID
    sequence_first: int
    sequence_last: int
    attempt: int
    sent_at: datetime
    duration_ms: int
    http_status: int | None
    error: str | None
    answer: bytes
    next_at: datetime | None

    @property
    def is_acknowledged(self) -> bool:
        """Whether the endpoint took it."""
        return self.http_status is not None and 200 <= self.http_status < 300


async def database_time(connection: Connection) -> datetime:
    """What the database's clock says."""
    at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return at


async def follow(
    connection: Connection, organisation_id: UUID, account_id: UUID, mode: Mode, *, first: int, at: datetime
) -> None:
    """Let every webhook that covers an account know that it has new events, from `first` on.

    Call it where they are numbered, before that commits.
    """
    rows = await connection.fetch(_COVERING, organisation_id, account_id, mode.value)
    if rows:
        covering = [row["webhook_id"] for row in rows]
        await connection.execute(_FOLLOW, organisation_id, account_id, covering, first, at)


async def organisations_due(connection: Connection) -> list[UUID]:
    """Organisations that have something to deliver now."""
    return [row["organisation_id"] for row in await connection.fetch(_ORGANISATIONS_DUE)]


async def claim_due(
    connection: Connection,
    organisation_id: UUID,
    *,
    claim_id: UUID,
    lease: timedelta,
    busy: Mapping[UUID, int],
    quick: Collection[UUID],
    together_max: int,
    others_max: int,
    limit: int,
) -> list[Claim]:
    """Claim what is to be delivered now; nobody else does until the lease ends.

    `busy` says how many are on their way to a webhook from here. Of `quick` ones up to `together_max` are, of another
    one, and of all others up to `others_max` are claimed now.
    """
    at = await database_time(connection)
    rows = await connection.fetch(
        _CLAIM,
        organisation_id,
        at,
        claim_id,
        at + lease,
        list(busy.keys()),
        list(busy.values()),
        together_max,
        limit,
        list(quick),
        others_max,
    )
    if not rows:
        return []
    webhooks = await connection.fetch(
        "SELECT * FROM webhooks WHERE organisation_id = $1 AND webhook_id = ANY($2::uuid[])",
        organisation_id,
        list({row["webhook_id"] for row in rows}),
    )
    by_id = {row["webhook_id"]: webhook_from(row) for row in webhooks}
    return [
        Claim(
            by_id[row["webhook_id"]],
            row["account_id"],
            claim_id,
            row["sequence_next"],
            row["attempts"],
            row["due_at"],
            None
            if row["batch_id"] is None
            else Batch(row["batch_id"], row["batch_first"], row["batch_last"], row["batch_body"]),
        )
        for row in rows
        if row["webhook_id"] in by_id
    ]


async def keep_batch(connection: Connection, claim: Claim, batch: Batch, *, lease: timedelta) -> bool:
    """Keep what is about to be sent, and the claim for a lease from now on.

    False where the claim is gone, or it was resumed or replayed meanwhile.
    """
    kept = await connection.fetchval(
        f"""
        UPDATE webhook_cursors
           SET batch_id = $6, batch_first = $7, batch_last = $8, batch_body = $9, attempts = 0, claimed_until = $11
         WHERE {_UNCHANGED} AND batch_id IS NULL AND sequence_next = $10
     RETURNING true
        """,  # noqa: S608
        *_unchanged(claim),
        batch.batch_id,
        batch.sequence_first,
        batch.sequence_last,
        batch.body,
        claim.sequence_next,
        await database_time(connection) + lease,
    )
    return kept is not None


async def renew(connection: Connection, claim: Claim, batch: Batch, *, lease: timedelta) -> bool:
    """Keep a claim for a lease from now on, to send a batch again.

    False where the claim is gone, or it was resumed or replayed meanwhile: the webhook may have another URL by now.
    """
    kept = await connection.fetchval(
        f"UPDATE webhook_cursors SET claimed_until = $7 WHERE {_UNCHANGED} AND batch_id = $6 RETURNING true",  # noqa: S608
        *_unchanged(claim),
        batch.batch_id,
        await database_time(connection) + lease,
    )
    return kept is not None


async def move_on(
    connection: Connection, claim: Claim, *, batch: Batch | None, to: int, at: datetime
) -> None:
    """Give a claim back: what comes before `to` is delivered; the rest is due, if there is any."""
    batch_id = None if batch is None else batch.batch_id
    moved = await connection.fetchval(_ACKNOWLEDGE, *_own(claim), batch_id, to, at, claim.sequence_next)
    if moved is None:
        # Somebody had it begin elsewhere meanwhile.
        await release(connection, claim)


async def put_off(connection: Connection, claim: Claim, batch: Batch, *, until: datetime) -> bool:
    """Give a claim back after a failed attempt, to be tried again later.

    False where it was resumed or replayed meanwhile: it is due at once then, with all attempts ahead.
    """
    put = await connection.fetchval(
        f"""
        UPDATE webhook_cursors SET attempts = attempts + 1, due_at = $7, claim_id = NULL, claimed_until = NULL
         WHERE {_UNCHANGED} AND batch_id = $6
     RETURNING true
        """,  # noqa: S608
        *_unchanged(claim),
        batch.batch_id,
        until,
    )
    if put is None:
        await release(connection, claim)
    return put is not None


async def put_aside(connection: Connection, claim: Claim, *, until: datetime) -> None:
    """Give a claim back without an attempt, to be taken up again later; at once where it was resumed or replayed."""
    put = await connection.fetchval(
        f"""
        UPDATE webhook_cursors SET claim_id = NULL, claimed_until = NULL, due_at = $6 WHERE {_UNCHANGED} RETURNING true
        """,  # noqa: S608
        *_unchanged(claim),
        until,
    )
    if put is None:
        await release(connection, claim)


async def release(connection: Connection, claim: Claim) -> None:
    """Give a claim back as it is."""
    await connection.execute(
        f"UPDATE webhook_cursors SET claim_id = NULL, claimed_until = NULL WHERE {_OWN}",  # noqa: S608
        *_own(claim),
    )


async def resume(connection: Connection, webhook: Webhook, *, at: datetime) -> None:
    """Try at once what was not delivered, with all attempts ahead.

    A request that is on its way is waited for; what becomes of it puts nothing off.
    """
    await connection.execute(
        f"""
        UPDATE webhook_cursors SET attempts = 0, due_at = least($3, due_at - {_EARLIER})
         WHERE organisation_id = $1 AND webhook_id = $2 AND due_at IS NOT NULL
        """,  # noqa: S608
        webhook.organisation_id,
        webhook.webhook_id,
        at,
    )


async def replay(
    connection: Connection, webhook: Webhook, account_id: UUID, *, sequence: int, at: datetime
) -> None:
    """Deliver an account's events to a webhook again, from a sequence number on; lock the head first.

    What it has yet to get is not passed over.
    """
    await connection.execute(
        f"""
        INSERT INTO webhook_cursors (organisation_id, webhook_id, account_id, sequence_next, due_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (organisation_id, webhook_id, account_id) DO UPDATE
           SET sequence_next = $4, batch_id = NULL, batch_first = NULL, batch_last = NULL, batch_body = NULL,
               attempts = 0, due_at = least($5, webhook_cursors.due_at - {_EARLIER})
         WHERE webhook_cursors.sequence_next > $4
        """,  # noqa: S608
        webhook.organisation_id,
        webhook.webhook_id,
        account_id,
        sequence,
        at,
    )


async def record_attempt(connection: Connection, webhook: Webhook, attempt: Attempt) -> None:
    """Store what became of a request."""
    await connection.execute(
        """
        INSERT INTO webhook_attempts (organisation_id, webhook_id, attempt_id, account_id, batch_id, sequence_first,
                                      sequence_last, attempt, sent_at, duration_ms, http_status, error, answer,
                                      next_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        webhook.organisation_id,
        webhook.webhook_id,
        attempt.attempt_id,
        attempt.account_id,
        attempt.batch_id,
        attempt.sequence_first,
        attempt.sequence_last,
        attempt.attempt,
        attempt.sent_at,
        attempt.duration_ms,
        attempt.http_status,
        attempt.error,
        attempt.answer,
        attempt.next_at,
    )


async def list_attempts(
    connection: Connection, webhook: Webhook, *, after: UUID | None, limit: int
) -> list[Attempt]:
    """Requests to a webhook, the newest first, those older than `after` only. Ids are time-ordered."""
    rows = await connection.fetch(
        """
        SELECT attempt_id, account_id, batch_id, sequence_first, sequence_last, attempt, sent_at, duration_ms,
               http_status, error, answer, next_at
          FROM webhook_attempts
         WHERE organisation_id = $1 AND webhook_id = $2 AND ($3::uuid IS NULL OR attempt_id < $3)
         ORDER BY attempt_id DESC LIMIT $4
        """,
        webhook.organisation_id,
        webhook.webhook_id,
        after,
        limit,
    )
    return [Attempt(**row) for row in rows]


async def forget_attempts(connection: Connection, *, before: datetime, rows_max: int) -> int:
    """Delete attempts that are older, at most so many; returns how many."""
    gone = await connection.execute(
        """
        DELETE FROM webhook_attempts WHERE (organisation_id, webhook_id, attempt_id) IN (
            SELECT organisation_id, webhook_id, attempt_id FROM webhook_attempts
             WHERE sent_at < $1 ORDER BY sent_at LIMIT $2)
        """,
        before,
        rows_max,
    )
    return int(gone.rpartition(" ")[2])


def _own(claim: Claim) -> tuple[UUID, UUID, UUID, UUID]:
    return (claim.webhook.organisation_id, claim.webhook.webhook_id, claim.account_id, claim.claim_id)


def _unchanged(claim: Claim) -> tuple[UUID, UUID, UUID, UUID, datetime]:
    return (*_own(claim), claim.due_at)

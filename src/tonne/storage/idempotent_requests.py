"""Answers kept under their `Idempotency-Key` header, so that a repeated POST is answered the same again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tonne.storage.database import Connection
from tonne.storage.group_commit import Rerun


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An `Idempotency-Key` of an account; `fingerprint` is a hash of what was asked."""

    organisation_id: UUID
    account_id: UUID
    request_key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was given, byte for byte."""

    fingerprint: bytes
    http_status: int
    body: bytes
    location: str | None


class RequestKeyTaken(Rerun):
    """Another process answered a request with this key in the meantime: look up its answer."""


async def find_answers(
    connection: Connection, keys: Sequence[RequestKey]
) -> dict[tuple[UUID, str], StoredAnswer]:
    """Find stored answers, by (account, request key)."""
    rows = await connection.fetch(
        """
        SELECT r.account_id, r.request_key, r.fingerprint, r.http_status, r.body, r.location
          FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS w (organisation_id, account_id, request_key)
          JOIN idempotent_requests r ON r.organisation_id = w.organisation_id AND r.account_id = w.account_id
                                    AND r.request_key = w.request_key
        """,
        [key.organisation_id for key in keys],
        [key.account_id for key in keys],
        [key.request_key for key in keys],
    )
    return {
        (row["account_id"], row["request_key"]): StoredAnswer(
            row["fingerprint"], row["http_status"], row["body"], row["location"]
        )
        for row in rows
    }


async def keep_answers(
    connection: Connection, answers: Sequence[tuple[RequestKey, StoredAnswer]], *, at: datetime
) -> None:
    """Keep answers in the transaction that carried out what they answer.

    Raises:
        RequestKeyTaken: one of the keys has an answer already; the transaction must not commit.
    """
    together = sorted(answers, key=lambda pair: (pair[0].account_id.bytes, pair[0].request_key))
    kept = await connection.fetch(
        """
        INSERT INTO idempotent_requests
               (organisation_id, account_id, request_key, fingerprint, http_status, body, location, created_at)
        SELECT n.*, $8 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::smallint[], $6::bytea[],
                                   $7::text[]) AS n
            ON CONFLICT DO NOTHING
     RETURNING request_key
        """,
        [key.organisation_id for key, _ in together],
        [key.account_id for key, _ in together],
        [key.request_key for key, _ in together],
        [key.fingerprint for key, _ in together],
        [answer.http_status for _, answer in together],
        [answer.body for _, answer in together],
        [answer.location for _, answer in together],
        at,
    )
    if len(kept) != len(together):
        raise RequestKeyTaken


async def forget_answers(connection: Connection, *, before: datetime, rows_max: int) -> int:
    """Delete answers older than `before`, at most `rows_max` of them; returns how many went."""
    status = await connection.execute(
        """
        DELETE FROM idempotent_requests WHERE (organisation_id, account_id, request_key) IN
            (SELECT organisation_id, account_id, request_key FROM idempotent_requests
              WHERE created_at < $1 ORDER BY created_at LIMIT $2)
        """,
        before,
        rows_max,
    )
    return int(status.rpartition(" ")[2])

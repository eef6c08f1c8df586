"""Rows of `certificates`, `signing_certificates` and `service_secrets`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.storage.database import Connection


async def find_certificate(
    connection: Connection, account: Account, order_id: UUID, *, language: str
) -> bytes | None:
    """The PDF that was handed out for an order in a language; None where none was yet."""
    pdf: bytes | None = await connection.fetchval(
        """
        SELECT pdf FROM certificates
         WHERE organisation_id = $1 AND account_id = $2 AND order_id = $3 AND language = $4 AND superseded_at IS NULL
        """,
        account.organisation_id,
        account.account_id,
        order_id,
        language,
    )
    return pdf


async def lock_order(connection: Connection, account: Account, order_id: UUID) -> None:
    """Until the transaction ends, no certificate of the order is superseded (`supersede_certificates` locks it, too)."""
    await connection.execute(
        """
        SELECT 1 FROM orders WHERE organisation_id = $1 AND account_id = $2 AND order_id = $3 FOR NO KEY UPDATE
        """,
        account.organisation_id,
        account.account_id,
        order_id,
    )


async def keep_certificate(
    connection: Connection, account: Account, order_id: UUID, *, language: str, pdf: bytes, at: datetime
) -> bytes:
    """Keep a PDF before it is handed out; returns the one to hand out, which is another's where that was first.

    The order is locked (`lock_order`).
    """
    kept = await find_certificate(connection, account, order_id, language=language)
    if kept is not None:
        return kept
    await connection.execute(
        """
        INSERT INTO certificates (organisation_id, account_id, order_id, language, pdf, sha256, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
            -- What was superseded may be true again: what stood in was rejected.
            ON CONFLICT (organisation_id, account_id, order_id, language, sha256) DO UPDATE SET superseded_at = NULL
        """,
        account.organisation_id,
        account.account_id,
        order_id,
        language,
        pdf,
        hashlib.sha256(pdf).digest(),
        at,
    )
    kept = await find_certificate(connection, account, order_id, language=language)
    assert kept is not None
    return kept


async def find_issue(
    connection: Connection, organisation_ids: Sequence[UUID], sha256: bytes
) -> tuple[bool, bool]:
    """Whether a file with this hash was handed out as a certificate, and whether there is more to say by now."""
    row = await connection.fetchrow(
        """
        SELECT bool_and(superseded_at IS NOT NULL) AS superseded, count(*) > 0 AS known
          FROM certificates WHERE organisation_id = ANY($1::uuid[]) AND sha256 = $2
        """,
        organisation_ids,
        sha256,
    )
    assert row is not None
    return row["known"], bool(row["superseded"])


async def trust_certificate(connection: Connection, certificate: bytes, *, at: datetime) -> None:
    """Remember a certificate (X.509, DER) that PDFs are signed with, so that they stay checkable for ever."""
    await connection.execute(
        """
        INSERT INTO signing_certificates (fingerprint, certificate, created_at) VALUES (sha256($1), $1, $2)
            ON CONFLICT DO NOTHING
        """,
        certificate,
        at,
    )


async def trusted_certificates(connection: Connection) -> list[bytes]:
    """All certificates (X.509, DER) that PDFs were ever signed with."""
    rows = await connection.fetch(
        "SELECT certificate FROM signing_certificates ORDER BY created_at, fingerprint"
    )
    return [row["certificate"] for row in rows]


async def proof_secret(connection: Connection) -> bytes:
    """The secret that makes the codes of public pages unguessable."""
    return bytes(await connection.fetchval("SELECT secret FROM service_secrets WHERE name = 'proof'"))

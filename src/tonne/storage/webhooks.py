"""Rows of `webhooks`: where events are delivered to. What was delivered is in `deliveries`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.webhooks import Webhook
from tonne.storage.database import Connection, Record

_COLUMNS = """organisation_id, webhook_id, mode, url, account_ids, secret, secret_end, former_secret, former_until,
    enabled, disabled_at, disabled_reason, created_at"""


async def insert_webhook(connection: Connection, webhook: Webhook) -> None:
    """Store a new webhook."""
    await connection.execute(
        f"INSERT INTO webhooks ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",  # noqa: S608
        *_values(webhook),
    )


async def replace_webhook(connection: Connection, webhook: Webhook) -> None:
    """Store what a webhook is from now on. What it no longer covers is no longer followed."""
    await connection.execute(
        """
        UPDATE webhooks SET url = $4, account_ids = $5, secret = $6, secret_end = $7, former_secret = $8,
                            former_until = $9, enabled = $10, disabled_at = $11, disabled_reason = $12
         WHERE organisation_id = $1 AND webhook_id = $2 AND mode = $3 AND created_at = $13
        """,
        *_values(webhook),
    )
    await connection.execute(
        """
        DELETE FROM webhook_cursors
         WHERE organisation_id = $1 AND webhook_id = $2 AND NOT ($3::uuid[] IS NULL OR account_id = ANY($3))
        """,
        webhook.organisation_id,
        webhook.webhook_id,
        webhook.account_ids,
    )


async def delete_webhook(connection: Connection, webhook: Webhook) -> None:
    """Delete a webhook and all that is known of its deliveries; lock it first."""
    for table in ("webhook_attempts", "webhook_cursors", "webhooks"):
        await connection.execute(
            f"DELETE FROM {table} WHERE organisation_id = $1 AND webhook_id = $2",  # noqa: S608
            webhook.organisation_id,
            webhook.webhook_id,
        )


async def find_webhook(
    connection: Connection, organisation_id: UUID, webhook_id: UUID, *, lock: bool = False
) -> Webhook | None:
    """Find an organisation's webhook; with `lock` nobody changes it until this transaction ends."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM webhooks WHERE organisation_id = $1 AND webhook_id = $2"  # noqa: S608
        + (" FOR UPDATE" if lock else ""),
        organisation_id,
        webhook_id,
    )
    return None if row is None else webhook_from(row)


async def list_webhooks(
    connection: Connection, organisation_id: UUID, mode: Mode, *, account_id: UUID | None = None
) -> list[Webhook]:
    """An organisation's webhooks of a mode, oldest first; those that cover an account, where one is named."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM webhooks
         WHERE organisation_id = $1 AND mode = $2
           AND ($3::uuid IS NULL OR account_ids IS NULL OR $3 = ANY(account_ids))
         ORDER BY webhook_id
        """,  # noqa: S608
        organisation_id,
        mode.value,
        account_id,
    )
    return [webhook_from(row) for row in rows]


async def lock_webhooks_of(connection: Connection, organisation_id: UUID) -> None:
    """Keep others from adding webhooks to an organisation until this transaction ends, so that they can be counted."""
    await connection.execute(
        "SELECT FROM organisations WHERE organisation_id = $1 FOR NO KEY UPDATE", organisation_id
    )


async def disable_webhook(connection: Connection, webhook: Webhook, *, reason: str, at: datetime) -> bool:
    """Deliver nothing more to a webhook; False where it was disabled before, or has another URL by now."""
    found = await connection.fetchval(
        """
        UPDATE webhooks SET enabled = false, disabled_at = $4, disabled_reason = $3
         WHERE organisation_id = $1 AND webhook_id = $2 AND url = $5 AND enabled
     RETURNING true
        """,
        webhook.organisation_id,
        webhook.webhook_id,
        reason,
        at,
        webhook.url,
    )
    return found is not None


def webhook_from(row: Record) -> Webhook:
    """Read a row."""
    return Webhook(
        organisation_id=row["organisation_id"],
        webhook_id=row["webhook_id"],
        mode=Mode(row["mode"]),
        url=row["url"],
        account_ids=None if row["account_ids"] is None else tuple(row["account_ids"]),
        secret=row["secret"],
        secret_end=row["secret_end"],
        former_secret=row["former_secret"],
        former_until=row["former_until"],
        enabled=row["enabled"],
        disabled_at=row["disabled_at"],
        disabled_reason=row["disabled_reason"],
        created_at=row["created_at"],
    )


def _values(webhook: Webhook) -> tuple[object, ...]:
    return (
        webhook.organisation_id,
        webhook.webhook_id,
        webhook.mode.value,
        webhook.url,
        webhook.account_ids,
        webhook.secret,
        webhook.secret_end,
        webhook.former_secret,
        webhook.former_until,
        webhook.enabled,
        webhook.disabled_at,
        webhook.disabled_reason,
        webhook.created_at,
    )

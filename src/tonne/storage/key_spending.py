"""Rows of `key_spending`: what was ordered with a key in a day (UTC). Only keys with a daily cap have any."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from uuid import UUID

from tonne.storage.database import Connection

# Of an organisation and its key.
KeyOfOrganisation = tuple[UUID, UUID]
KeyDay = tuple[UUID, UUID, date]


async def lock_spending(connection: Connection, days: Collection[KeyDay]) -> dict[KeyDay, int]:
    """What was spent, in minor units, kept as it is until this transaction ends."""
    ordered = sorted(days)
    columns = [list(column) for column in zip(*ordered, strict=True)]
    rows = await connection.fetch(
        """
        INSERT INTO key_spending AS s (organisation_id, key_id, day, spent_minor)
        SELECT w.organisation_id, w.key_id, w.day, 0
          FROM unnest($1::uuid[], $2::uuid[], $3::date[]) AS w (organisation_id, key_id, day)
         ORDER BY 1, 2, 3
            ON CONFLICT (organisation_id, key_id, day) DO UPDATE SET spent_minor = s.spent_minor
        RETURNING organisation_id, key_id, day, spent_minor
        """,
        *columns,
    )
    return {(row["organisation_id"], row["key_id"], row["day"]): row["spent_minor"] for row in rows}


async def find_caps(
    connection: Connection, keys: Collection[KeyOfOrganisation]
) -> dict[UUID, tuple[int | None, str]]:
    """The daily caps of keys as they are now, in minor units, and the currency each is in: its own account's."""
    rows = await connection.fetch(
        """
        SELECT k.key_id, k.daily_cap_minor, a.currency
          FROM unnest($1::uuid[], $2::uuid[]) AS w (organisation_id, key_id)
          JOIN api_keys k ON k.organisation_id = w.organisation_id AND k.key_id = w.key_id
          JOIN accounts a ON a.organisation_id = k.organisation_id AND a.account_id = k.account_id
        """,
        [organisation_id for organisation_id, _ in keys],
        [key_id for _, key_id in keys],
    )
    return {row["key_id"]: (row["daily_cap_minor"], row["currency"]) for row in rows}


async def add_spending(connection: Connection, spent_minor: Mapping[KeyDay, int]) -> None:
    """Add to what was spent; lock it first."""
    changed = sorted((day, minor) for day, minor in spent_minor.items() if minor)
    if changed:
        await connection.execute(
            """
            UPDATE key_spending s SET spent_minor = s.spent_minor + c.minor
              FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::bigint[]) AS c (organisation_id, key_id, day, minor)
             WHERE s.organisation_id = c.organisation_id AND s.key_id = c.key_id AND s.day = c.day
            """,
            [organisation_id for (organisation_id, _, _), _ in changed],
            [key_id for (_, key_id, _), _ in changed],
            [day for (_, _, day), _ in changed],
            [minor for _, minor in changed],
        )

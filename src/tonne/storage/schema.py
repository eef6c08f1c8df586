"""The schema's migrations: forward only, each in one transaction, safe to start from two processes at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from tonne.storage.database import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade_schema(database_url: str) -> tuple[str | None, str]:
    """Bring the database to the newest revision; returns the revision before and after.

    Does nothing, and writes nothing, where the schema is current.
    """
    before = asyncio.run(_current_revision(database_url))
    if before != newest_revision():
        # Imported when there is something to do: it takes longer than all else at the start of the service.
        from tonne.storage.upgrade import upgrade  # noqa: PLC0415

        before = asyncio.run(upgrade(database_url))
    return before, newest_revision()


def newest_revision() -> str:
    """The revision this version of the code needs: migrations' files begin with theirs, counting up."""
    return max(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def current_revision(connection: Connection) -> str | None:
    """The revision a database is at, None for one that has no schema yet."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def _current_revision(database_url: str) -> str | None:
    connection = await asyncpg.connect(database_url)
    try:
        return await current_revision(connection)
    finally:
        await connection.close()

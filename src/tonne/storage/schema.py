"""The schema's migrations: forward only, each in one transaction, safe to start from two processes at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tonne.storage.database import Connection as TonneConnection

MIGRATIONS = Path(__file__).parent / "migrations"
# Any constant will do; it keeps two processes from migrating one database at the same time.
_MIGRATION_LOCK = 0x746F6E6E65


def upgrade_schema(database_url: str) -> tuple[str | None, str]:
    """Bring the database to the newest revision; returns the revision before and after.

    Does nothing, and writes nothing, where the schema is current.
    """
    return asyncio.run(_upgrade(database_url))


def newest_revision() -> str:
    """The revision this version of the code needs."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None
    return head


async def current_revision(connection: TonneConnection) -> str | None:
    """The revision a database is at, None for one that has no schema yet."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def _upgrade(database_url: str) -> tuple[str | None, str]:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database_url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade_on)
    finally:
        await engine.dispose()


def _upgrade_on(connection: Connection) -> tuple[str | None, str]:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    before = MigrationContext.configure(connection).get_current_revision()
    newest = newest_revision()
    if before != newest:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, newest

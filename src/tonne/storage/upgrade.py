"""Carrying out the migrations, with Alembic."""

from __future__ import annotations

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tonne.storage.schema import MIGRATIONS, newest_revision

# Any constant will do; it keeps two processes from migrating one database at the same time.
_MIGRATION_LOCK = 0x746F6E6E65


async def upgrade(database_url: str) -> str | None:
    """Bring the database to the newest revision; returns the one it was at when its turn came."""
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database_url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade_on)
    finally:
        await engine.dispose()


def _upgrade_on(connection: Connection) -> str | None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    before = MigrationContext.configure(connection).get_current_revision()
    if before != newest_revision():
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before

"""Connections to PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    PoolConnection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    Record = asyncpg.Record
else:
    Connection = asyncpg.Connection
    PoolConnection = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool
    Record = asyncpg.Record

STATEMENT_TIMEOUT_SECONDS = 30
# Of statements in the background that work on as many rows as there are: a pool may have waited for years for stock.
LARGE_STATEMENT_TIMEOUT_SECONDS = 1800

# What a later attempt may cure: the server went away, is coming up or is out of something, or two transactions met.
TRANSIENT = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # A connection that broke while something was under way is left in a state that asyncpg calls its own fault.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
)


async def open_pool(database_url: str, *, connections_max: int) -> Pool:
    """Open a pool; connections are made as they are needed.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses us.
    """
    return await asyncpg.create_pool(
        database_url,
        min_size=1,
        max_size=connections_max,
        command_timeout=STATEMENT_TIMEOUT_SECONDS,
        reset=_reset,
        server_settings={"application_name": "tonne", "jit": "off", "timezone": "UTC"},
    )


async def _reset(connection: Connection) -> None:
    # Nothing here changes a session (listening has a connection of its own), so the round trip that would undo such
    # changes is spared.
    if connection.is_in_transaction():
        await connection.reset()


def from_jsonb(value: str | None) -> Any:
    """Read a jsonb column."""
    return None if value is None else msgspec.json.decode(value)


def to_jsonb(value: Any) -> str | None:
    """Write a jsonb column."""
    return None if value is None else msgspec.json.encode(value).decode()

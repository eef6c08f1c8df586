"""Rows of `serving_processes`: how fresh is what each process answers from.

A process tells when it reads and, after that, what it answers from; one whose snapshot is older than its lease answers
nothing. So whoever revokes something waits until each process that may still answer has read after the commit. All
times are the database's.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import monotonic
from uuid import UUID

from tonne.domain.errors import ServiceUnavailable
from tonne.storage.changes import announce_change
from tonne.storage.database import Connection, Pool

LEASE_SECONDS = 15
WAIT_SECONDS_MAX = 2 * LEASE_SECONDS
_ASK_AGAIN_SECONDS = 0.01


async def announce_reading(connection: Connection, process_id: UUID) -> datetime:
    """Tell, before reading, that a process is about to answer from what is read next; returns the database's time."""
    seen_at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    await connection.execute(
        """
        INSERT INTO serving_processes (process_id, seen_at) VALUES ($1, $2)
            ON CONFLICT (process_id) DO UPDATE SET seen_at = $2
        """,
        process_id,
        seen_at,
    )
    return seen_at


async def announce_snapshot(connection: Connection, process_id: UUID, seen_at: datetime) -> None:
    """Tell that a process answers from what it read after `seen_at`."""
    await connection.execute(
        "UPDATE serving_processes SET snapshot_at = $2 WHERE process_id = $1", process_id, seen_at
    )


async def forget_process(connection: Connection, process_id: UUID) -> None:
    """Tell that a process answers no more; those that ended without a word long ago are forgotten too."""
    await connection.execute(
        "DELETE FROM serving_processes WHERE process_id = $1 OR seen_at < now() - interval '1 day'",
        process_id,
    )


async def until_everybody_knows(pool: Pool) -> None:
    """Return when no process answers from before this call; call it after the commit that all are to know.

    It takes a moment, and as long as a lease (15 s) where a process does not respond: that one then answers nothing.

    Raises:
        ServiceUnavailable: a process goes on but can't read.
    """
    async with pool.acquire(timeout=5) as connection:
        committed_at = await connection.fetchval("SELECT clock_timestamp()")
        # Those that read at once when the commit was announced may have read before this time.
        await announce_change(connection)
    waits_until = monotonic() + WAIT_SECONDS_MAX
    while await _somebody_is_behind(pool, committed_at):
        if monotonic() > waits_until:
            raise ServiceUnavailable(
                "The change is made, but a process of the service has not confirmed that it knows of it: "
                "repeat this to make sure, or stop that process."
            )
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


async def _somebody_is_behind(pool: Pool, committed_at: datetime) -> bool:
    # No connection is kept between two looks: this process may need it to read anew.
    async with pool.acquire(timeout=5) as connection:
        return bool(await connection.fetchval(_BEHIND, committed_at, LEASE_SECONDS))


_BEHIND = """
    SELECT EXISTS (
        SELECT FROM serving_processes
         WHERE seen_at > clock_timestamp() - make_interval(secs => $2::int)
           AND (snapshot_at IS NULL OR snapshot_at < $1))
"""

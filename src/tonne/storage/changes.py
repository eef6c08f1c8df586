"""Hints that something has changed. Hints: a timer finds what changed and whose hint was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg
import structlog

from tonne.storage.database import Connection, Pool

CHANNEL = "tonne_changed"
EVENTS_CHANNEL = "tonne_events"
# An announcement locks every other one out while it commits: of orders, which come in batches, few are made.
_BETWEEN_SECONDS = 0.05
_AGAIN_SECONDS = 1.0

log = structlog.get_logger(__name__)


async def announce_change(connection: Connection) -> None:
    """Tell every process, as of this transaction's commit, that accounts, keys or the catalogue changed."""
    await connection.execute(f"NOTIFY {CHANNEL}")


async def announce_events(connection: Connection) -> None:
    """Tell every process, as of this transaction's commit, that there are events to deliver."""
    await connection.execute(f"NOTIFY {EVENTS_CHANNEL}")


@dataclass(slots=True)
class EventBell:
    """Announces events after their commit, many at once: for what commits often."""

    pool: Pool
    _rung: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self) -> None:
        """There are new events."""
        self._rung.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Announce as long as the block lasts."""
        task = asyncio.create_task(self._announce())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _announce(self) -> None:
        while True:
            await self._rung.wait()
            self._rung.clear()
            try:
                async with self.pool.acquire(timeout=5) as connection:
                    await announce_events(connection)
            except Exception as error:  # noqa: BLE001 -- those who listen look by themselves now and then
                log.warning("events_not_announced", error=repr(error))
            await asyncio.sleep(_BETWEEN_SECONDS)


@asynccontextmanager
async def hearing_of_events(database_url: str) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever events are announced, as long as the block lasts."""
    heard = asyncio.Event()
    task = asyncio.create_task(_listen(database_url, heard))
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _listen(database_url: str, heard: asyncio.Event) -> None:
    while True:
        try:
            # A connection of its own: one from a pool would be reset when it goes back.
            connection = await asyncpg.connect(database_url, timeout=5)
        except Exception as error:  # noqa: BLE001 -- it may be there later
            log.warning("not_listening_for_events", error=repr(error))
            await asyncio.sleep(_AGAIN_SECONDS)
            continue
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _, gone=gone: gone.set())
            await connection.add_listener(EVENTS_CHANNEL, lambda *_: heard.set())
            heard.set()
            await gone.wait()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("not_listening_for_events", error=repr(error))
            await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            with suppress(Exception):
                await connection.close(timeout=2)

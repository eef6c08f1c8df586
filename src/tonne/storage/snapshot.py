"""What every request reads, kept in memory: the catalogue, the accounts, the keys and the emission factors.

Refreshed at once when a change is announced, and on a timer for the announcement that got lost. What must not be
stale by even a moment (a key's or account's state, idempotency) is checked again inside the write itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from uuid import UUID

import asyncpg
import structlog

from tonne.domain.accounts import Directory
from tonne.domain.catalogue import Catalogue
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue
from tonne.storage.changes import CHANNEL
from tonne.storage.database import Pool
from tonne.storage.factors import ImportedFactors, load_imported_factors
from tonne.storage.serving import LEASE_SECONDS, announce_reading, announce_snapshot, forget_process

REFRESH_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalogue, the directory and the imported emission factors as of one moment."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    directory: Directory = field(default_factory=Directory)
    factors: ImportedFactors = field(default_factory=ImportedFactors)


@dataclass(slots=True)
class SnapshotKeeper:
    """Keeps `current` current."""

    pool: Pool
    database_url: str
    now: Callable[[], datetime]
    # This process among all that serve; None for one that answers nobody.
    process_id: UUID | None = None
    refresh_seconds: float = REFRESH_SECONDS
    current: Snapshot = field(default_factory=Snapshot)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _refreshed_at: float = 0.0
    # Refreshes that have begun, and the latest of them whose snapshot is there.
    _begun: int = 0
    _loaded: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _listener: asyncpg.Connection | None = None

    async def refresh(self) -> None:
        """Load everything anew, as of one moment that is not before this call."""
        wanted = self._begun + 1
        # One after the other: what was read earlier must not replace what was read later.
        async with self._turn:
            if self._loaded >= wanted:
                # Somebody else's began after this call.
                return
            self._begun += 1
            await self._load()
            self._loaded = self._begun

    async def _load(self) -> None:
        began = monotonic()
        async with self.pool.acquire(timeout=5) as connection:
            if self.process_id is not None:
                seen_at = await announce_reading(connection, self.process_id)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                catalogue = await load_catalogue(connection, on=self.now().date())
                directory = await load_directory(connection)
                factors = await load_imported_factors(connection, self.current.factors)
            self.current = Snapshot(catalogue, directory, factors)
            self._refreshed_at = began
            if self.process_id is not None:
                await announce_snapshot(connection, self.process_id, seen_at)

    @property
    def has_lapsed(self) -> bool:
        """Whether what is kept is too old to be trusted: whoever revokes a key waits no longer for this process."""
        return monotonic() - self._refreshed_at > LEASE_SECONDS

    @property
    def age_seconds(self) -> float:
        """How long ago the database was last read."""
        return monotonic() - self._refreshed_at

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Refresh now, then whenever something changes, as long as the block lasts."""
        await self._listen()
        await self.refresh()
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if self._listener is not None:
                await self._listener.close(timeout=2)
            await self._leave()

    async def _leave(self) -> None:
        if self.process_id is None:
            return
        # Whoever can't say that it is gone is not waited for when its lease has run out.
        with suppress(Exception):
            async with self.pool.acquire(timeout=2) as connection:
                await forget_process(connection, self.process_id)

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self.refresh_seconds)
            # Cleared before reading: a change announced meanwhile asks for one more round.
            self._changed.clear()
            try:
                if self._listener is None or self._listener.is_closed():
                    await self._listen()
                await self.refresh()
            except Exception as error:  # noqa: BLE001 -- a keeper that gave up would let disabled keys in for ever
                log.warning("snapshot_not_refreshed", error=repr(error))
                await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        # A connection of its own: one from the pool would be reset when it goes back.
        listener = await asyncpg.connect(self.database_url, timeout=5)
        await listener.add_listener(CHANNEL, lambda *_: self._changed.set())
        self._listener = listener

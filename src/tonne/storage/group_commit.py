"""Group commit: commands that arrive while one transaction runs share the next one.

Waiting for a commit to be durable is what a write costs. Shared among all commands at hand, the cost a command
falls as load rises, and an idle service still answers a lone command at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

import asyncpg
import structlog

from tonne.domain.errors import ServiceUnavailable
from tonne.storage.database import TRANSIENT, Connection, Pool, PoolConnection

Command = TypeVar("Command")
Outcome = TypeVar("Outcome")

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = 0.05
# Unused for longer, a connection is not trusted to be there still: firewalls forget those that are quiet.
KEPT_SECONDS = 60.0


class Rerun(Exception):
    """The transaction met a concurrent one and must be carried out anew."""


@dataclass(slots=True)
class _Waiting(Generic[Command, Outcome]):
    command: Command
    outcome: asyncio.Future[Outcome]


@dataclass(slots=True)
class GroupCommit(Generic[Command, Outcome]):
    """Runs `write` on many commands at once; one outcome each, in order.

    `write` carries them out in one transaction: all of it or nothing. It must be safe to repeat with the same commands: after a lost connection nobody knows whether the commit
    went through. The queue is bounded by `queue_max` commands, a transaction by `batch_max`.

    A batch begins when the one before has ended, so that it is as large as can be; or when its first command has waited for
    `patience_seconds`, so that one that waits for a lock holds up few others: up to `batches_in_flight` are under way at
    once. Connections are kept from batch to batch: the pool must have as many to spare.
    """

    pool: Pool
    write: Callable[[Connection, Sequence[Command]], Awaitable[Sequence[Outcome]]]
    batch_max: int = 256
    batches_in_flight: int = 2
    patience_seconds: float = 0.03
    attempts_max: int = 4
    queue_max: int = 8192
    _queue: deque[_Waiting[Command, Outcome]] = field(default_factory=deque)
    _closing: bool = False
    # Connections that are kept, and when each was last used.
    _idle: list[tuple[PoolConnection, float]] = field(default_factory=list)
    # All that are under way or about to begin; of these the one that is about to, and the one that began last.
    _batches: set[asyncio.Task[None]] = field(default_factory=set)
    _next: asyncio.Task[None] | None = None
    _last: asyncio.Task[None] | None = None
    _free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.batches_in_flight)

    async def submit(self, command: Command) -> Outcome:
        """Hand in a command; returns when what was decided about it is durable.

        A caller that stops waiting does not stop the command.

        Raises:
            ServiceUnavailable: the queue is full, or the database stayed away. Whether the command was carried out
                is then unknown: repeat it under its idempotency key.
        """
        if self._closing or len(self._queue) >= self.queue_max:
            raise ServiceUnavailable
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(command, outcome))
        if self._next is None:
            self._begin_next()
        return await outcome

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take commands as long as the block lasts; what is queued by its end is still carried out."""
        try:
            yield
        finally:
            self._closing = True
            while self._batches:
                await asyncio.wait(self._batches)
            self._fail(self._queue, ServiceUnavailable())
            while self._idle:
                await self.pool.release(self._idle.pop()[0])

    def _begin_next(self) -> None:
        # Of nobody's context: it carries what many asked for.
        self._next = asyncio.create_task(self._run_batch(self._last), context=Context())
        self._batches.add(self._next)
        self._next.add_done_callback(self._batches.discard)

    async def _run_batch(self, last: asyncio.Task[None] | None) -> None:
        if last is not None and not last.done():
            await asyncio.wait([last], timeout=self.patience_seconds)
        async with self._free:
            size = min(len(self._queue), self.batch_max)
            batch = [self._queue.popleft() for _ in range(size)]
            self._last, self._next = self._next, None
            if self._queue:
                self._begin_next()
            await self._commit(batch)

    async def _commit(self, batch: list[_Waiting[Command, Outcome]]) -> None:
        try:
            outcomes = await self._write([waiting.command for waiting in batch])
            assert len(outcomes) == len(batch), "every command has an outcome"
        except TRANSIENT as error:
            log.warning("batch_not_committed", commands=len(batch), error=repr(error))
            self._fail(batch, ServiceUnavailable())
        except Exception as error:  # noqa: BLE001 -- whatever it is belongs to whoever sent the command
            if len(batch) == 1:
                self._fail(batch, error)
                return
            await self._commit_halves(batch)
        except BaseException:
            # We are being ended: nobody is left waiting.
            self._fail(batch, ServiceUnavailable())
            raise
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)

    async def _commit_halves(self, batch: list[_Waiting[Command, Outcome]]) -> None:
        """One bad command must not fail its neighbours: halves are tried until it stands alone."""
        half = len(batch) // 2
        try:
            await self._commit(batch[:half])
            await self._commit(batch[half:])
        except BaseException:
            self._fail(batch, ServiceUnavailable())
            raise

    async def _write(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        for attempt in range(1, self.attempts_max + 1):
            try:
                async with self._connected() as connection:
                    return await self.write(connection, commands)
            except (*TRANSIENT, Rerun):
                if attempt == self.attempts_max:
                    raise
                await asyncio.sleep(BACKOFF_SECONDS * 2**attempt)
        raise AssertionError

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        connection = await self._kept_connection() or await self.pool.acquire(timeout=5)
        try:
            yield connection
        except BaseException:
            await self.pool.release(connection)
            raise
        self._idle.append((connection, monotonic()))

    async def _kept_connection(self) -> PoolConnection | None:
        while self._idle:
            connection, used_at = self._idle.pop()
            if monotonic() - used_at < KEPT_SECONDS and not _is_gone(connection):
                return connection
            await self._let_go(connection)
        return None

    async def _let_go(self, connection: PoolConnection) -> None:
        # What lies between here and the server may have forgotten it: it can't be asked, only ended.
        if not _is_gone(connection):
            connection.terminate()
        await self.pool.release(connection)

    def _fail(self, batch: Iterable[_Waiting[Command, Outcome]], error: Exception) -> None:
        for waiting in batch:
            if not waiting.outcome.done():
                waiting.outcome.set_exception(error)


def _is_gone(connection: PoolConnection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool took it back when it broke.
        return True

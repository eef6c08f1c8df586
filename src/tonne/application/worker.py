"""The work that goes on behind the API: paid orders are pooled, covered and retired. Any number of workers may run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from uuid import UUID

import structlog

from tonne.application.registries import Registry, SimulatedRegistry
from tonne.application.retire_pools import cover_pools, file_retirements, pool_paid_orders
from tonne.domain.errors import ServiceUnavailable
from tonne.storage.database import TRANSIENT, Pool
from tonne.storage.retirements import organisations_with_work

IDLE_SECONDS = 1.0
# Where there was something to do, more is soon to come.
BUSY_SECONDS = 0.1
# A round without an end would starve the other organisations.
STEPS_MAX = 100

log = structlog.get_logger(__name__)


async def retire_all(
    pool: Pool, now: Callable[[], datetime], registry: Registry | None = None, *, wait: bool = False
) -> int:
    """Carry out what can be carried out now, for every organisation; returns how many steps did something.

    What another is doing is left to that other, or waited for.
    """
    chosen = registry or SimulatedRegistry()
    async with pool.acquire(timeout=30) as connection:
        organisations = await organisations_with_work(connection)
    done = 0
    for organisation_id in organisations:
        try:
            done += await _retire_for(pool, organisation_id, now, chosen, wait=wait)
        except (*TRANSIENT, ServiceUnavailable) as error:
            # The others go on; what was left undone here is found again.
            log.warning("work_interrupted", organisation_id=str(organisation_id), error=repr(error))
        except Exception:
            # One organisation's trouble is not the others'.
            log.exception("work_failed", organisation_id=str(organisation_id))
    return done


@asynccontextmanager
async def working(pool: Pool, now: Callable[[], datetime]) -> AsyncIterator[None]:
    """Work as long as the block lasts."""
    task = asyncio.create_task(_work(pool, now))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _retire_for(
    pool: Pool, organisation_id: UUID, now: Callable[[], datetime], registry: Registry, *, wait: bool
) -> int:
    done = 0
    for _ in range(STEPS_MAX):
        worked = await pool_paid_orders(pool, organisation_id, wait=wait, at=now())
        worked += await cover_pools(pool, organisation_id, wait=wait, at=now())
        worked += await file_retirements(pool, organisation_id, registry, wait=wait, at=now())
        if not worked:
            break
        done += 1
    return done


async def _work(pool: Pool, now: Callable[[], datetime]) -> None:
    while True:
        done = 0
        try:
            done = await retire_all(pool, now)
        except Exception as error:  # noqa: BLE001 -- what goes wrong now may go right next time
            log.warning("work_failed", error=repr(error))
        await asyncio.sleep(BUSY_SECONDS if done else IDLE_SECONDS)

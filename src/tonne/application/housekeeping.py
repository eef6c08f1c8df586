"""What is done now and then: old answers and events are forgotten, and who runs low is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog

from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import Connection, Pool
from tonne.storage.deliveries import forget_attempts
from tonne.storage.events import accounts_with_old_events, forget_events
from tonne.storage.idempotent_requests import forget_answers

ANSWERS_KEPT = timedelta(days=7)
EVERY_SECONDS = 600
ROWS_MAX = 5000

log = structlog.get_logger(__name__)


@asynccontextmanager
async def housekeeping(
    pool: Pool, now: Callable[[], datetime], *, events_kept: timedelta
) -> AsyncIterator[None]:
    """Keep house as long as the block lasts."""
    task = asyncio.create_task(_keep_house(pool, now, events_kept))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_house(pool: Pool, now: Callable[[], datetime], events_kept: timedelta) -> None:
    warned: dict[UUID, date] = {}
    while True:
        try:
            async with pool.acquire(timeout=5) as connection:
                forgotten = await forget_answers(connection, before=now() - ANSWERS_KEPT, rows_max=ROWS_MAX)
                forgotten = max(forgotten, await forget_old_events(connection, before=now() - events_kept))
                await _warn_of_low_stock(connection, warned, now().date())
        except Exception as error:  # noqa: BLE001 -- what goes wrong now may go right next time
            log.warning("housekeeping_failed", error=repr(error))
            forgotten = 0
        # A full helping means that there is more.
        await asyncio.sleep(1 if forgotten == ROWS_MAX else EVERY_SECONDS)


async def forget_old_events(connection: Connection, *, before: datetime) -> int:
    """Delete events, and attempts to deliver any, that are older; returns the most that went of anything at once."""
    gone = await forget_attempts(connection, before=before, rows_max=ROWS_MAX)
    for organisation_id, account_id in await accounts_with_old_events(connection, before=before):
        async with connection.transaction():
            chunks = await forget_events(
                connection, organisation_id, account_id, before=before, chunks_max=ROWS_MAX
            )
        gone = max(gone, chunks)
    return gone


async def _warn_of_low_stock(connection: Connection, warned: dict[UUID, date], today: date) -> None:
    """Log each bundle that has less in stock than the operator wants, once a day."""
    catalogue = await load_catalogue(connection, on=today)
    for bundle in catalogue.bundles.values():
        if bundle.is_low and warned.get(bundle.bundle_id) != today:
            warned[bundle.bundle_id] = today
            log.warning(
                "low_stock",
                bundle=bundle.identifier,
                available_tonnes=bundle.available_tonnes,
                low_stock_tonnes=bundle.low_stock_tonnes,
            )

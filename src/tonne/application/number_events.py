"""Give events their sequence numbers, and tell the webhooks that cover their accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

import asyncpg
import structlog

from tonne.domain.accounts import Account, Mode
from tonne.domain.errors import ServiceUnavailable
from tonne.storage.database import Connection, Pool
from tonne.storage.deliveries import database_time, follow
from tonne.storage.events import (
    accounts_to_number,
    accounts_to_number_for,
    has_unnumbered,
    lock_head,
    number_events,
)

CHUNKS_MAX = 1000
ROUNDS_MAX = 10
ACCOUNTS_TOGETHER_MAX = 50

log = structlog.get_logger(__name__)


async def number_all(pool: Pool, *, with_webhooks: bool = False) -> None:
    """Number what is committed, up to a thousand chunks an account; what another is numbering is left to that other.

    With `with_webhooks` only in organisations that have some. One account's trouble is not the others': it is logged, and
    tried again the next time.
    """
    async with pool.acquire(timeout=30) as connection:
        accounts = await accounts_to_number(connection, with_webhooks=with_webhooks)
    some = []
    for organisation_id, group in groupby(accounts, key=lambda each: each[0]):
        own = [(account_id, mode) for _, account_id, mode in group]
        some += [
            _number_some(pool, organisation_id, own[first : first + ACCOUNTS_TOGETHER_MAX])
            for first in range(0, len(own), ACCOUNTS_TOGETHER_MAX)
        ]
    for failed in await asyncio.gather(*some, return_exceptions=True):
        if isinstance(failed, Exception):
            log.warning("events_not_numbered", error=repr(failed))


async def number_own(pool: Pool, account: Account) -> None:
    """Number an account's events that are committed, whoever else is at it; of a great many the first."""
    async with pool.acquire(timeout=5) as connection:
        for _ in range(ROUNDS_MAX):
            if not await has_unnumbered(connection, account.organisation_id, account.account_id):
                return
            async with connection.transaction():
                await _number(
                    connection, account.organisation_id, account.account_id, account.mode, wait=True
                )


async def number_what_was(
    pool: Pool, organisation_id: UUID, mode: Mode, account_ids: Sequence[UUID] | None
) -> None:
    """Number all that is committed by now, of the accounts named or with None of all of a mode: whoever begins to follow
    them after this gets none of it.

    Raises:
        ServiceUnavailable: there is so much that it takes longer; what was numbered stays so.
    """
    async with pool.acquire(timeout=5) as connection:
        for account_id in await accounts_to_number_for(connection, organisation_id, mode, account_ids):
            # Not until none is left: more may come all the time.
            for _ in range(ROUNDS_MAX):
                async with connection.transaction():
                    numbered = await _number(connection, organisation_id, account_id, mode, wait=True)
                if numbered < CHUNKS_MAX:
                    break
            else:
                raise ServiceUnavailable("Events of before are still being numbered: try again in a moment.")


async def _number_some(pool: Pool, organisation_id: UUID, accounts: Sequence[tuple[UUID, Mode]]) -> None:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        for account_id, mode in accounts:
            try:
                async with connection.transaction():
                    await _number(connection, organisation_id, account_id, mode, wait=False)
            except asyncpg.IntegrityConstraintViolationError as error:
                log.error("events_not_numbered", account_id=str(account_id), error=repr(error))  # noqa: TRY400


async def _number(
    connection: Connection, organisation_id: UUID, account_id: UUID, mode: Mode, *, wait: bool
) -> int:
    """How many chunks were numbered."""
    last = await lock_head(connection, organisation_id, account_id, wait=wait)
    if last is None:
        return 0
    new, chunks = await number_events(
        connection, organisation_id, account_id, last=last, chunks_max=CHUNKS_MAX
    )
    if new > last:
        at = await database_time(connection)
        await follow(connection, organisation_id, account_id, mode, first=last + 1, at=at)
    return chunks

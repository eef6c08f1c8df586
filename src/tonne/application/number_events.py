"""Give events their sequence numbers, and tell the webhooks that cover their accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from tonne.domain.accounts import Account, Mode
from tonne.storage.database import Connection, Pool
from tonne.storage.deliveries import database_time, follow
from tonne.storage.events import accounts_to_number, has_unnumbered, lock_head, number_events

CHUNKS_MAX = 1000
ACCOUNTS_TOGETHER_MAX = 50


async def number_all(pool: Pool) -> None:
    """Number what is committed, up to a thousand chunks an account; what another is numbering is left to that other."""
    async with pool.acquire(timeout=30) as connection:
        accounts = await accounts_to_number(connection)
    some = []
    for organisation_id, group in groupby(accounts, key=lambda each: each[0]):
        own = [(account_id, mode) for _, account_id, mode in group]
        some += [
            _number_some(pool, organisation_id, own[first : first + ACCOUNTS_TOGETHER_MAX])
            for first in range(0, len(own), ACCOUNTS_TOGETHER_MAX)
        ]
    await asyncio.gather(*some)


async def number_own(pool: Pool, account: Account) -> None:
    """Number all of an account's events that are committed, whoever else is at it."""
    async with pool.acquire(timeout=5) as connection:
        while await has_unnumbered(connection, account.organisation_id, account.account_id):
            async with connection.transaction():
                await _number(
                    connection, account.organisation_id, account.account_id, account.mode, wait=True
                )


async def _number_some(pool: Pool, organisation_id: UUID, accounts: Sequence[tuple[UUID, Mode]]) -> None:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        for account_id, mode in accounts:
            await _number(connection, organisation_id, account_id, mode, wait=False)


async def _number(
    connection: Connection, organisation_id: UUID, account_id: UUID, mode: Mode, *, wait: bool
) -> None:
    last = await lock_head(connection, organisation_id, account_id, wait=wait)
    if last is None:
        return
    new = await number_events(connection, organisation_id, account_id, last=last, chunks_max=CHUNKS_MAX)
    if new > last:
        at = await database_time(connection)
        await follow(connection, organisation_id, account_id, mode, first=last + 1, at=at)

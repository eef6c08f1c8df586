"""Events are numbered in the order of their commits, each once, whoever numbers, and deleted when they are old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from tests.paying import broken_rules
from tests.support import on_connection

from tonne.application.housekeeping import forget_old_events
from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.number_events import number_all, number_own, number_what_was
from tonne.domain.accounts import Account, Mode
from tonne.domain.errors import ServiceUnavailable
from tonne.domain.events import EventType, Happened
from tonne.storage.database import Connection, Pool, open_pool
from tonne.storage.events import has_unnumbered, lock_head, number_events, read_events, record_events

NUMBERED = "events are numbered from 1 without gaps"
WAITING = "each webhook waits for what comes after what it got, and is due where there is more"
Work = Callable[[Pool, Account], Awaitable[object]]


@pytest.fixture
def account(new_database: Callable[[], str]) -> tuple[str, Account]:
    """A database with an account that has no events."""
    url = new_database()
    keys = on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    return url, keys[0].account


def run(account: tuple[str, Account], work: Work) -> object:
    async def all_of_it() -> object:
        async with await open_pool(account[0], connections_max=8) as pool:
            return await work(pool, account[1])

    return asyncio.run(all_of_it())


async def happen(
    connection: Connection, account: Account, *order_ids: UUID, at: datetime | None = None
) -> None:
    happened = Happened(
        account.organisation_id,
        account.account_id,
        (EventType.ORDER_RECEIVED, EventType.ORDER_PLACED),
        order_ids,
    )
    await record_events(connection, [happened], chunk_ids=[new_id()], at=at or utc_now())


async def numbered(pool: Pool, account: Account, first: int = 1) -> list[tuple[int, UUID | None, str]]:
    async with pool.acquire() as connection:
        events = await read_events(
            connection, account.organisation_id, account.account_id, first=first, limit=1000
        )
    return [(event.sequence, event.order_id, event.event_type.value) for event in events]


def test_numbers_follow_commits_and_what_is_not_committed_yet_comes_later(account):
    async def work(pool: Pool, account: Account) -> None:
        first, second, third = new_id(), new_id(), new_id()
        async with AsyncExitStack() as stack:
            slow = await stack.enter_async_context(pool.acquire())
            transaction = slow.transaction()
            await transaction.start()
            await happen(slow, account, first)
            async with pool.acquire() as connection:
                await happen(connection, account, second, third)
            await number_all(pool)
            known = await numbered(pool, account)
            assert known == [
                (1, second, "order.received"),
                (2, second, "order.placed"),
                (3, third, "order.received"),
                (4, third, "order.placed"),
            ]
            await transaction.commit()
        await number_all(pool)
        assert await numbered(pool, account) == [
            *known,
            (5, first, "order.received"),
            (6, first, "order.placed"),
        ]
        assert await numbered(pool, account, 4) == [
            known[3],
            (5, first, "order.received"),
            (6, first, "order.placed"),
        ]

    run(account, work)
    assert NUMBERED not in broken_rules(account[0])


def test_however_many_number_at_once_each_event_has_one_number_and_none_is_left_out(account):
    async def work(pool: Pool, account: Account) -> None:
        async def write() -> None:
            for _ in range(30):
                async with pool.acquire() as connection, connection.transaction():
                    await happen(connection, account, new_id())

        async def number() -> None:
            for _ in range(30):
                await number_all(pool)

        await asyncio.gather(write(), write(), number(), number(), number())
        await number_own(pool, account)
        found = await numbered(pool, account)
        assert [sequence for sequence, *_ in found] == list(range(1, 121))
        assert len({order_id for _, order_id, _ in found}) == 60

    run(account, work)
    assert NUMBERED not in broken_rules(account[0])


def test_what_follows_a_commit_in_time_follows_it_in_sequence_whatever_its_id(account):
    async def work(pool: Pool, account: Account) -> None:
        # The id of a chunk may have been made long before it is written: while a lock was waited for.
        early = new_id()
        first, second = new_id(), new_id()
        async with pool.acquire() as connection:
            await happen(connection, account, first)
            happened = Happened(
                account.organisation_id, account.account_id, (EventType.ORDER_CANCELLED,), [second]
            )
            await record_events(connection, [happened], chunk_ids=[early], at=utc_now())
        await number_all(pool)
        assert [order_id for _, order_id, _ in await numbered(pool, account)] == [first, first, second]

    run(account, work)


async def number_now(pool: Pool, account: Account) -> None:
    await number_what_was(pool, account.organisation_id, account.mode, None)


def test_what_was_committed_is_numbered_though_somebody_else_is_at_it_and_more_comes_all_the_time(account):
    async def work(pool: Pool, account: Account) -> None:
        ids = account.organisation_id, account.account_id
        async with pool.acquire() as other:
            await happen(other, account, new_id())
            transaction = other.transaction()
            await transaction.start()
            last = await lock_head(other, *ids)
            assert last == 0
            assert await number_events(other, *ids, last=last, chunks_max=1000) == (2, 1)
            numbering = asyncio.create_task(number_now(pool, account))
            await asyncio.sleep(0.2)
            # What that one has numbered it may yet have to do again.
            assert not numbering.done()
            await transaction.rollback()
            await numbering
        assert len(await numbered(pool, account)) == 2
        ended = asyncio.Event()

        async def write() -> None:
            while not ended.is_set():
                async with pool.acquire() as connection:
                    await happen(connection, account, new_id())

        writing = [asyncio.create_task(write()) for _ in range(3)]
        for _ in range(10):
            await asyncio.wait_for(number_now(pool, account), 10)
        ended.set()
        await asyncio.gather(*writing)

    run(account, work)
    assert NUMBERED not in broken_rules(account[0])


@pytest.mark.parametrize(("chunks", "is_refused"), [(0, False), (3, False), (5, False), (6, True), (7, True)])
def test_of_what_is_numbered_at_once_there_is_a_limit(account, monkeypatch, chunks, is_refused):
    monkeypatch.setattr("tonne.application.number_events.CHUNKS_MAX", 2)
    monkeypatch.setattr("tonne.application.number_events.ROUNDS_MAX", 3)

    async def work(pool: Pool, account: Account) -> None:
        async with pool.acquire() as connection:
            for _ in range(chunks):
                await happen(connection, account, new_id())
            if is_refused:
                with pytest.raises(ServiceUnavailable):
                    await number_now(pool, account)
            await number_now(pool, account)
            assert not await has_unnumbered(connection, account.organisation_id, account.account_id)

    run(account, work)


def test_accounts_of_others_of_the_other_mode_and_those_not_named_are_left(account):
    async def work(pool: Pool, account: Account) -> None:
        other_mode = Mode.TEST if account.mode is Mode.LIVE else Mode.LIVE
        async with pool.acquire() as connection:
            await happen(connection, account, new_id())
            await number_what_was(pool, account.organisation_id, other_mode, None)
            await number_what_was(pool, account.organisation_id, account.mode, [new_id()])
            await number_what_was(pool, new_id(), account.mode, None)
            assert await has_unnumbered(connection, account.organisation_id, account.account_id)
            await number_what_was(pool, account.organisation_id, account.mode, [account.account_id])
            assert not await has_unnumbered(connection, account.organisation_id, account.account_id)

    run(account, work)


def test_old_events_are_deleted_and_the_rest_keep_their_numbers(account):
    async def work(pool: Pool, account: Account) -> None:
        old, new = new_id(), new_id()
        now = utc_now()
        async with pool.acquire() as connection:
            await happen(connection, account, old, at=now - timedelta(days=31))
            await happen(connection, account, new, at=now - timedelta(days=29))
            # What has no number yet is not deleted, however old it is.
            assert await forget_old_events(connection, before=now - timedelta(days=30)) == 0
            await number_all(pool)
            assert await forget_old_events(connection, before=now - timedelta(days=30)) == 1
        assert await numbered(pool, account) == [(3, new, "order.received"), (4, new, "order.placed")]
        async with pool.acquire() as connection:
            await happen(connection, account, new_id())
        await number_all(pool)
        assert [sequence for sequence, *_ in await numbered(pool, account)] == [3, 4, 5, 6]

    run(account, work)
    assert NUMBERED not in broken_rules(account[0])


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM event_chunks WHERE sequence_first = 3",
        "DELETE FROM event_chunks WHERE sequence_first = 1",
        "DELETE FROM event_chunks WHERE sequence_first = 5",
        "UPDATE event_heads SET sequence_last = sequence_last + 1",
        "UPDATE event_chunks SET sequence_first = 4 WHERE sequence_first = 3",
        "DELETE FROM event_heads",
    ],
)
def test_check_finds_a_gap_in_the_numbers(account, damage):
    async def work(pool: Pool, account: Account) -> None:
        async with pool.acquire() as connection:
            for _ in range(3):
                await happen(connection, account, new_id())
            await number_all(pool)
            await connection.execute(damage)

    assert NUMBERED not in broken_rules(account[0])
    run(account, work)
    assert NUMBERED in broken_rules(account[0])


def test_check_finds_a_webhook_that_was_forgotten(account):
    async def work(pool: Pool, account: Account) -> None:
        async with pool.acquire() as connection:
            await connection.execute(
                """
                INSERT INTO webhooks (organisation_id, webhook_id, mode, url, secret, secret_end, enabled, created_at)
                VALUES ($1, gen_random_uuid(), $2, 'https://example.com/', '', 'abcd', true, $3)
                """,
                account.organisation_id,
                account.mode.value,
                datetime.now(UTC),
            )
            await happen(connection, account, new_id())
            await number_all(pool)

    run(account, work)
    assert WAITING not in broken_rules(account[0])
    for damage in ("due_at = NULL", "due_at = now(), sequence_next = 4"):
        on_connection(account[0], partial(_execute, f"UPDATE webhook_cursors SET {damage}"))
        assert WAITING in broken_rules(account[0])


async def _execute(statement: str, connection: Connection) -> None:
    await connection.execute(statement)

"""Whoever resumes or replays a delivery while somebody has claimed it is not undone by that one, nor runs beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.domain.accounts import Account
from tonne.domain.webhooks import Webhook
from tonne.storage.database import Connection, Record
from tonne.storage.deliveries import (
    Batch,
    Claim,
    claim_due,
    database_time,
    follow,
    keep_batch,
    move_on,
    put_aside,
    put_off,
    renew,
    replay,
    resume,
)
from tonne.storage.events import lock_head
from tonne.storage.webhooks import insert_webhook

LEASE = timedelta(seconds=35)
LATER = timedelta(hours=24)
Change = Callable[[Connection, Webhook, Account], Awaitable[None]]


@pytest.fixture
def followed(new_database: Callable[[], str]) -> tuple[str, Account, Webhook]:
    """A database with an account of three events, of which a webhook is to get the last two."""
    url = new_database()
    keys = on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    account = keys[0].account
    webhook = Webhook(
        organisation_id=account.organisation_id,
        webhook_id=new_id(),
        mode=account.mode,
        url="https://example.com/",
        account_ids=None,
        secret=b"",
        secret_end="abcd",
        enabled=True,
        created_at=utc_now(),
    )

    async def work(connection: Connection) -> None:
        await insert_webhook(connection, webhook)
        await lock_head(connection, account.organisation_id, account.account_id)
        await connection.execute("UPDATE event_heads SET sequence_last = 3")
        at = await database_time(connection)
        await follow(connection, account.organisation_id, account.account_id, account.mode, first=2, at=at)

    on_connection(url, work)
    return url, account, webhook


async def claim_of(connection: Connection, account: Account) -> Claim | None:
    """Claim what is due, as the one who delivers."""
    async with connection.transaction():
        found = await claim_due(
            connection,
            account.organisation_id,
            claim_id=new_id(),
            lease=LEASE,
            busy={},
            quick=[],
            together_max=1,
            others_max=1,
            limit=1,
        )
    return found[0] if found else None


async def cursor(connection: Connection) -> Record:
    row = await connection.fetchrow("SELECT *, due_at <= clock_timestamp() AS is_due FROM webhook_cursors")
    assert row is not None
    return row


async def resumed(connection: Connection, webhook: Webhook, _: Account) -> None:
    await resume(connection, webhook, at=await database_time(connection))


async def resumed_by_a_clock_that_is_ahead(connection: Connection, webhook: Webhook, _: Account) -> None:
    await resume(connection, webhook, at=await database_time(connection) + timedelta(hours=1))


async def resumed_twice(connection: Connection, webhook: Webhook, account: Account) -> None:
    for _ in range(2):
        await resumed(connection, webhook, account)


async def replayed(connection: Connection, webhook: Webhook, account: Account) -> None:
    at = await database_time(connection)
    await replay(connection, webhook, account.account_id, sequence=1, at=at)


CHANGES = [resumed, resumed_by_a_clock_that_is_ahead, resumed_twice, replayed]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("attempts", [0, 1, 9])
def test_a_failed_attempt_of_before_puts_nothing_off(followed, change: Change, attempts: int) -> None:
    url, account, webhook = followed

    async def work(connection: Connection) -> None:
        claim, batch = await on_its_way(connection, account, attempts=attempts)
        await change(connection, webhook, account)
        assert await claim_of(connection, account) is None, "two requests at once"
        until = await database_time(connection) + LATER
        assert not await put_off(connection, claim, batch, until=until)
        row = await cursor(connection)
        assert (row["attempts"], row["is_due"], row["claim_id"]) == (0, True, None)
        assert await claim_of(connection, account) is not None

    on_connection(url, work)


@pytest.mark.parametrize("change", CHANGES)
def test_who_could_not_try_puts_nothing_aside(followed, change: Change) -> None:
    url, account, webhook = followed

    async def work(connection: Connection) -> None:
        claim, _ = await on_its_way(connection, account, attempts=1)
        await change(connection, webhook, account)
        await put_aside(connection, claim, until=await database_time(connection) + LATER)
        assert (await cursor(connection))["is_due"]
        assert await claim_of(connection, account) is not None

    on_connection(url, work)


@pytest.mark.parametrize("change", CHANGES)
def test_who_has_not_sent_yet_does_not_send_as_it_was_told(followed, change: Change) -> None:
    url, account, webhook = followed

    async def work(connection: Connection) -> None:
        claim = await claim_of(connection, account)
        assert claim is not None
        await change(connection, webhook, account)
        assert not await keep_batch(connection, claim, batch_of(claim), lease=LEASE)

    on_connection(url, work)


@pytest.mark.parametrize("change", CHANGES)
def test_who_was_about_to_send_again_does_not(followed, change: Change) -> None:
    url, account, webhook = followed

    async def work(connection: Connection) -> None:
        claim, batch = await on_its_way(connection, account, attempts=1)
        assert await renew(connection, claim, batch, lease=LEASE)
        await change(connection, webhook, account)
        assert not await renew(connection, claim, batch, lease=LEASE)

    on_connection(url, work)


def test_what_is_acknowledged_meanwhile_is_not_sent_again(followed) -> None:
    url, account, webhook = followed

    async def work(connection: Connection) -> None:
        claim, batch = await on_its_way(connection, account, attempts=1)
        await resumed(connection, webhook, account)
        await move_on(connection, claim, batch=batch, to=4, at=await database_time(connection))
        assert (await cursor(connection))["due_at"] is None
        assert await claim_of(connection, account) is None

    on_connection(url, work)


@pytest.mark.parametrize("attempts", [0, 1, 9])
def test_without_a_change_a_failed_attempt_puts_off(followed, attempts: int) -> None:
    url, account, _ = followed

    async def work(connection: Connection) -> None:
        claim, batch = await on_its_way(connection, account, attempts=attempts)
        until = await database_time(connection) + LATER
        assert await put_off(connection, claim, batch, until=until)
        row = await cursor(connection)
        assert (row["attempts"], row["due_at"], row["claim_id"]) == (attempts + 1, until, None)

    on_connection(url, work)


async def on_its_way(connection: Connection, account: Account, *, attempts: int) -> tuple[Claim, Batch]:
    """Claim what is due after so many failed attempts, and keep it as who sends it does."""
    claim = await claim_of(connection, account)
    assert claim is not None
    batch = batch_of(claim)
    assert await keep_batch(connection, claim, batch, lease=LEASE)
    if not attempts:
        return claim, batch
    assert await put_off(connection, claim, batch, until=await database_time(connection))
    await connection.execute("UPDATE webhook_cursors SET attempts = $1", attempts)
    claim = await claim_of(connection, account)
    assert claim is not None
    assert (claim.attempts, claim.batch) == (attempts, batch)
    assert await renew(connection, claim, batch, lease=LEASE)
    return claim, batch


def batch_of(claim: Claim) -> Batch:
    """All that is left of the three events."""
    return Batch(new_id(), claim.sequence_next, 3, b"{}")

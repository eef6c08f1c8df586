"""Many commands share a commit; none of them pays for another's mistakes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar

import asyncpg
import pytest

from tonne.domain.errors import ServiceUnavailable
from tonne.storage.database import open_pool
from tonne.storage.group_commit import GroupCommit, Rerun


@pytest.fixture(scope="module", autouse=True)
def _table(run_sql):
    run_sql("CREATE TABLE IF NOT EXISTS written (value integer PRIMARY KEY)")


@asynccontextmanager
async def committing(database_url, write, **limits):
    pool = await open_pool(database_url, connections_max=4)
    commits = GroupCommit(pool, write, **limits)
    try:
        async with commits.running():
            yield commits
    finally:
        await pool.close()


async def insert(connection, values):
    # One statement: all of it or nothing.
    await connection.execute("INSERT INTO written SELECT unnest($1::int[])", list(values))
    return [value * 10 for value in values]


def test_commands_that_wait_together_are_committed_together(database_url):
    batches = []

    async def write(connection, values):
        batches.append(len(values))
        return await insert(connection, values)

    async def run():
        async with committing(database_url, write, batches_in_flight=1) as commits:
            return await asyncio.gather(*(commits.submit(value) for value in range(100, 200)))

    assert asyncio.run(run()) == [value * 10 for value in range(100, 200)]
    assert sum(batches) == 100
    assert len(batches) <= 3


def test_a_batch_is_no_larger_than_allowed(database_url):
    batches = []

    async def write(connection, values):
        batches.append(len(values))
        return await insert(connection, values)

    async def run():
        async with committing(database_url, write, batch_max=7, batches_in_flight=1) as commits:
            await asyncio.gather(*(commits.submit(value) for value in range(200, 250)))

    asyncio.run(run())
    assert max(batches) == 7


def test_one_bad_command_does_not_fail_its_neighbours(database_url, run_sql):
    async def write(connection, values):
        async with connection.transaction():
            await insert(connection, values)
            if 313 in values:
                raise ZeroDivisionError
        return values

    async def run():
        async with committing(database_url, write) as commits:
            return await asyncio.gather(
                *(commits.submit(value) for value in range(300, 332)), return_exceptions=True
            )

    outcomes = asyncio.run(run())
    assert [type(outcome) for outcome in outcomes].count(ZeroDivisionError) == 1
    assert isinstance(outcomes[13], ZeroDivisionError)
    stored = {row["value"] for row in run_sql("SELECT value FROM written WHERE value BETWEEN 300 AND 331")}
    assert stored == set(range(300, 332)) - {313}


def test_a_full_queue_refuses_at_once(database_url):
    release = asyncio.Event()

    async def write(connection, values):
        await release.wait()
        return values

    async def run():
        async with committing(database_url, write, queue_max=5, batch_max=1, batches_in_flight=1) as commits:
            first = asyncio.create_task(commits.submit(0))
            await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            queued = [asyncio.create_task(commits.submit(number)) for number in range(1, 6)]
            await asyncio.sleep(0)
            with pytest.raises(ServiceUnavailable):
                await commits.submit(6)
            release.set()
            return await asyncio.gather(first, *queued)

    assert asyncio.run(run()) == [0, 1, 2, 3, 4, 5]


def test_a_caller_that_goes_away_does_not_take_its_command_along(database_url, run_sql):
    async def run():
        async with committing(database_url, insert) as commits:
            caller = asyncio.create_task(commits.submit(400))
            await asyncio.sleep(0)
            caller.cancel()
            return await commits.submit(401)

    assert asyncio.run(run()) == 4010
    assert len(run_sql("SELECT FROM written WHERE value IN (400, 401)")) == 2


def test_what_is_queued_when_the_service_stops_is_still_carried_out(database_url, run_sql):
    async def run():
        async with committing(database_url, insert, batch_max=2) as commits:
            tasks = [asyncio.create_task(commits.submit(value)) for value in range(500, 520)]
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)

    assert asyncio.run(run()) == [value * 10 for value in range(500, 520)]
    assert len(run_sql("SELECT FROM written WHERE value BETWEEN 500 AND 519")) == 20


def test_a_lost_connection_is_met_with_another_attempt(database_url, run_sql):
    attempts = []

    async def write(connection, values):
        attempts.append(1)
        async with connection.transaction():
            outcome = await insert(connection, values)
            if len(attempts) == 1:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return outcome

    async def run():
        async with committing(database_url, write) as commits:
            return await commits.submit(600)

    assert asyncio.run(run()) == 6000
    assert len(attempts) == 2
    assert len(run_sql("SELECT FROM written WHERE value = 600")) == 1


@pytest.mark.parametrize("error", [Rerun, asyncpg.DeadlockDetectedError])
def test_attempts_are_bounded(database_url, error):
    attempts = []

    async def write(connection, values):
        attempts.append(1)
        raise error("again")

    async def run():
        async with committing(database_url, write, attempts_max=3) as commits:
            await commits.submit(700)

    with pytest.raises((Rerun, ServiceUnavailable)):
        asyncio.run(run())
    assert len(attempts) == 3


@pytest.mark.parametrize("outcomes", [[], [1, 2, 3]])
def test_a_write_that_miscounts_its_outcomes_leaves_nobody_waiting(database_url, outcomes):
    async def write(connection, values):
        return outcomes

    async def run():
        async with asyncio.timeout(30), committing(database_url, write) as commits:
            return await asyncio.gather(
                *(commits.submit(value) for value in range(3)), return_exceptions=True
            )

    found = asyncio.run(run())
    assert found == [1, 2, 3] or all(isinstance(outcome, AssertionError) for outcome in found)


def test_a_write_that_is_cancelled_leaves_nobody_waiting(database_url):
    async def write(connection, values):
        raise asyncio.CancelledError

    async def run():
        async with asyncio.timeout(30), committing(database_url, write) as commits:
            return await asyncio.gather(
                *(commits.submit(value) for value in range(3)), return_exceptions=True
            )

    assert all(isinstance(outcome, ServiceUnavailable) for outcome in asyncio.run(run()))


def test_what_comes_while_a_batch_is_under_way_waits_for_it_and_goes_together(database_url):
    batches = []

    async def write(connection, values):
        batches.append(list(values))
        if values == [800]:
            await asyncio.sleep(0.2)
        return values

    async def run():
        async with committing(database_url, write, batches_in_flight=4, patience_seconds=60) as commits:
            first = asyncio.create_task(commits.submit(800))
            await asyncio.sleep(0.05)
            later = []
            for value in range(801, 811):
                later.append(asyncio.create_task(commits.submit(value)))
                await asyncio.sleep(0.005)
            await asyncio.gather(first, *later)

    asyncio.run(run())
    assert batches == [[800], list(range(801, 811))]


def test_a_batch_that_hangs_keeps_no_others_waiting(database_url):
    hanging = asyncio.Event()

    async def write(connection, values):
        if 820 in values:
            await hanging.wait()
        return values

    async def run():
        async with committing(database_url, write, batches_in_flight=2) as commits:
            stuck = asyncio.create_task(commits.submit(820))
            await asyncio.sleep(0.05)
            assert [await commits.submit(value) for value in range(821, 830)] == list(range(821, 830))
            assert not stuck.done()
            hanging.set()
            assert await stuck == 820

    asyncio.run(run())


def told_by_connection():
    """A `write` that notes which connection it was given, and the notes."""
    used = []

    async def write(connection, values):
        used.append(await connection.fetchval("SELECT pg_backend_pid()"))
        return values

    return write, used


def test_a_connection_is_kept_from_batch_to_batch_and_replaced_when_it_broke(database_url):
    write, used = told_by_connection()

    async def run():
        async with committing(database_url, write) as commits:
            await commits.submit(1)
            await commits.submit(2)
            async with commits.pool.acquire() as another:
                await another.execute("SELECT pg_terminate_backend($1)", used[0])
            await asyncio.sleep(0.1)
            assert await commits.submit(3) == 3
        # All are given back.
        assert commits.pool.get_idle_size() == commits.pool.get_size()

    asyncio.run(run())
    first, second, third = used
    assert first == second != third


def test_a_connection_that_was_long_unused_is_not_trusted(database_url, monkeypatch):
    write, used = told_by_connection()

    async def run():
        async with committing(database_url, write) as commits:
            await commits.submit(1)
            monkeypatch.setattr("tonne.storage.group_commit.KEPT_SECONDS", 0.0)
            await commits.submit(2)
        assert commits.pool.get_idle_size() == commits.pool.get_size()

    asyncio.run(run())
    assert used[0] != used[1]


def test_a_batch_is_carried_out_in_nobodys_context(database_url):
    asked_by = ContextVar("asked_by", default="nobody")
    seen = []

    async def write(connection, values):
        seen.append(asked_by.get())
        return values

    async def run():
        async with committing(database_url, write) as commits:
            asked_by.set("somebody")
            await commits.submit(1)

    asyncio.run(run())
    assert seen == ["nobody"]

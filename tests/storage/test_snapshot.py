"""What processes keep in memory follows the database."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.support import on_connection

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo
from tonne.storage.accounts import disable_key, set_suspended
from tonne.storage.database import open_pool
from tonne.storage.snapshot import SnapshotKeeper


@pytest.fixture(scope="module")
def demo_key(database_url):
    keys = on_connection(database_url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    return keys[0]


@asynccontextmanager
async def keeping(database_url, **options):
    pool = await open_pool(database_url, connections_max=3)
    keeper = SnapshotKeeper(pool, database_url, utc_now, **options)
    try:
        async with keeper.running():
            yield keeper, pool
    finally:
        await pool.close()


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_change_is_seen_as_soon_as_it_is_announced(database_url, demo_key):
    async def run():
        # The timer alone would take an hour.
        async with keeping(database_url, refresh_seconds=3600) as (keeper, pool):
            account_id = demo_key.account.account_id
            assert not keeper.current.directory.accounts[account_id].suspended
            async with pool.acquire() as connection:
                await set_suspended(connection, demo_key.account, at=utc_now())
            await until(lambda: keeper.current.directory.accounts[account_id].suspended)
            async with pool.acquire() as connection:
                await set_suspended(connection, demo_key.account, at=None)
            await until(lambda: not keeper.current.directory.accounts[account_id].suspended)

    asyncio.run(run())


def test_a_change_that_nobody_announced_is_found_by_the_timer(database_url, demo_key):
    async def run():
        async with keeping(database_url, refresh_seconds=0.1) as (keeper, pool):
            await pool.execute("UPDATE bundles SET name = name || ' (renamed)'")
            await until(lambda: all("renamed" in b.name for b in keeper.current.catalogue.bundles.values()))

    asyncio.run(run())


def test_a_keeper_that_lost_its_connection_listens_again(database_url, demo_key):
    async def run():
        async with keeping(database_url, refresh_seconds=0.1) as (keeper, pool):
            lost = keeper._listener
            await pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
            await until(lambda: keeper._listener is not lost and not keeper._listener.is_closed())
            keeper.refresh_seconds = 3600
            async with pool.acquire() as connection:
                await disable_key(connection, demo_key.key, at=utc_now())
            await until(lambda: demo_key.key not in keeper.current.directory.keys.values())

    asyncio.run(run())

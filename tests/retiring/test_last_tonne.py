"""A thousand tonnes and more customers than that: never oversold, every serial number once, everyone in turn."""

from __future__ import annotations

import asyncio
import random
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tonne.application.identifiers import new_id, utc_now
from tonne.application.place_orders import Placed, PlaceOrder, place_orders
from tonne.application.record_answers import record_answers
from tonne.application.worker import retire_all
from tonne.domain.accounts import Caller, Mode
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByBundleMasses, Purchase
from tonne.domain.retirement import Confirmed, Rejected
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import Lot, insert_lots, load_catalogue
from tonne.storage.checks import run_checks
from tonne.storage.database import open_pool
from tonne.storage.group_commit import GroupCommit

CLIENTS, WORKERS = 64, 3
TONNE = 1_000_000
LOT_TONNES = 1_000


@pytest.mark.parametrize(
    "orders",
    [
        600,
        pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3000)]),
    ],
)
def test_the_last_tonne_is_sold_once_however_many_want_it(shop, orders):
    """A live account that pays automatically, three workers at once, and a registry that rejects one time in five."""
    bundle_id = shop.bundles[0]
    shop.sql("DELETE FROM lots")
    shop.sql("UPDATE accounts SET billing = 'automatic', version = version + 1 WHERE mode = 'live'")
    [project] = shop.sql("SELECT project_id FROM bundle_projects WHERE bundle_id = $1 LIMIT 1", bundle_id)
    chance = random.Random(2026)
    masses = [
        chance.choice([1, chance.randint(1, TONNE), chance.randint(1, 40 * TONNE)]) for _ in range(orders)
    ]
    stock(shop, project["project_id"], LOT_TONNES)

    async def sell(pool: Any) -> None:
        async with await open_pool(shop.database_url, connections_max=8) as working:
            done = asyncio.Event()
            workers = [asyncio.create_task(work(working, done, chance)) for _ in range(WORKERS)]
            await order_all(pool, shop, bundle_id, masses)
            done.set()
            await asyncio.gather(*workers)

    shop.run(sell)
    finish(shop, chance)
    ordered, lot = sum(masses), shop.sql("SELECT * FROM lots")[0]
    assert ordered > LOT_TONNES * TONNE
    assert (lot["available_tonnes"], lot["allocated_tonnes"]) == (0, 0)
    assert lot["retired_tonnes"] + lot["set_aside_tonnes"] == LOT_TONNES
    assert covered(shop) == lot["retired_tonnes"]
    assert broken_rules(shop) == []

    # With new stock the waiting go on by themselves, and only what fills no tonne is left.
    stock(shop, project["project_id"], ordered // TONNE + 1)
    finish(shop, chance)
    assert covered(shop) == ordered // TONNE
    left = shop.sql(
        "SELECT status, count(*) AS orders FROM orders WHERE status <> 'complete' GROUP BY status"
    )
    rest = ordered - ordered // TONNE * TONNE
    assert sum(row["orders"] for row in left) <= rest
    assert broken_rules(shop) == []


def stock(shop: Any, project_id: Any, tonnes: int) -> None:
    lot = Lot(project_id, new_id(), 2020, f"TEST-{new_id()}", 1, tonnes)
    shop.on_connection(lambda connection: insert_lots(connection, [lot], at=utc_now()))


async def order_all(pool: Any, shop: Any, bundle_id: Any, masses: list[int]) -> None:
    new_key = shop.keys["USD", Mode.LIVE]
    async with pool.acquire() as connection:
        account = (await load_directory(connection)).accounts[new_key.account.account_id]
        catalogue = await load_catalogue(connection, on=utc_now().date())
    commits: GroupCommit[Any, Any] = GroupCommit(pool, place_orders)
    waiting = list(masses)

    async def client() -> None:
        while waiting:
            wanted = ByBundleMasses(((bundle_id, Mass(Decimal(waiting.pop()), MassUnit.G)),))
            command = PlaceOrder(
                new_id(), Caller(new_key.key, account), Purchase(wanted), catalogue, utc_now()
            )
            assert isinstance(await commits.submit(command), Placed)

    async with commits.running():
        await asyncio.gather(*(client() for _ in range(CLIENTS)))


async def work(pool: Any, done: asyncio.Event, chance: random.Random) -> None:
    while not done.is_set():
        await retire_all(pool, utc_now)
        await answer_some(pool, chance)
        await asyncio.sleep(0)


async def answer_some(pool: Any, chance: random.Random) -> int:
    async with pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT organisation_id, retirement_id FROM retirements WHERE state = 'pending' LIMIT 200"
        )
    answers = {
        row["retirement_id"]: Confirmed("REG-1", date(2026, 1, 31))
        if chance.random() < 0.8
        else Rejected("frozen", credits_are_good=chance.random() < 0.7)
        for row in rows
    }
    if answers:
        await record_answers(pool, rows[0]["organisation_id"], answers, at=utc_now())
    return len(answers)


def finish(shop: Any, chance: random.Random) -> None:
    """Work until there is nothing to do."""

    async def go_on(pool: Any) -> None:
        while await retire_all(pool, utc_now) + await answer_some(pool, chance):
            pass

    shop.run(go_on)


def covered(shop: Any) -> int:
    """How many tonnes were retired; their serial numbers are disjoint."""
    rows = shop.sql(
        "SELECT lot_id, serial_first, serial_last, tonnes FROM retirements WHERE state = 'confirmed' "
        "ORDER BY lot_id, serial_first"
    )
    serials = {(row["lot_id"], n) for row in rows for n in range(row["serial_first"], row["serial_last"] + 1)}
    assert len(serials) == sum(row["tonnes"] for row in rows)
    return len(serials)


def broken_rules(shop: Any) -> list[Any]:
    async def check(connection: Any) -> list[Any]:
        return [result async for result in run_checks(connection) if result.findings]

    found: list[Any] = shop.on_connection(check)
    return found

"""Bundles that refuse shortages, and keys with a daily cap: exact, however many order at once."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from tests.paying import broken_rules, on_pool
from tests.support import on_connection

from tonne.application import fill_pools as filling
from tonne.application import replace_retirements as replacing
from tonne.application.cancel_order import cancel_order
from tonne.application.change_lots import suspend_lot, withdraw_lot
from tonne.application.fill_pools import fill_pools
from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.open_accounts import create_key
from tonne.application.pay_orders import pay_orders
from tonne.application.place_orders import Placed, PlaceOrder, Refused, place_orders
from tonne.application.record_answers import record_answers
from tonne.application.replace_retirements import replace_withdrawn
from tonne.application.retire_pools import cover_pools, pool_paid_orders
from tonne.domain.accounts import Caller, Mode, SandboxBehaviour
from tonne.domain.audit import SERVICE
from tonne.domain.errors import SpendingCapExceeded, StockInsufficient
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByBundleMasses, Purchase
from tonne.domain.retirement import Confirmed, Rejected
from tonne.domain.terms import NO_TERMS, Restrictions, Terms
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import count_change, load_catalogue
from tonne.storage.commitments import track_commitments
from tonne.storage.group_commit import GroupCommit

TONNE = 1_000_000


class Shop:
    """A database with the demo, whose first bundle refuses what stock does not cover; `tonnes` are in stock for it."""

    def __init__(self, url, tonnes):
        self.url = url
        keys = on_connection(url, lambda c: load_demo(c, at=utc_now()))
        assert keys is not None
        self.keys = keys
        self.sql("UPDATE accounts SET billing = 'automatic', version = version + 1 WHERE mode = 'live'")
        self.bundle_id = self.sql("SELECT bundle_id FROM bundles ORDER BY bundle_id")[0]["bundle_id"]
        self.stock(tonnes)
        self.on_shortage("reject")

    def sql(self, statement, *arguments):
        return on_connection(self.url, lambda c: c.fetch(statement, *arguments))

    def stock(self, tonnes):
        """One lot of the bundle's first project is all there is."""
        [project] = self.sql(
            "SELECT project_id FROM bundle_projects WHERE bundle_id = $1 ORDER BY position LIMIT 1",
            self.bundle_id,
        )
        self.project_id = project["project_id"]
        self.sql("DELETE FROM lots WHERE mode = 'live'")
        self.sql(
            "INSERT INTO lots (project_id, lot_id, vintage_year, serial_prefix, serial_first, serial_last, serial_next, "
            "issued_tonnes, available_tonnes, created_at) VALUES ($1, $2, 2020, 'FICTION', 1, $3, 1, $3, $3, now())",
            self.project_id,
            new_id(),
            tonnes,
        )

    def on_shortage(self, policy):
        async def change(connection):
            async with connection.transaction():
                await connection.execute(
                    "UPDATE bundles SET on_shortage = $2 WHERE bundle_id = $1", self.bundle_id, policy
                )
                await count_change(connection)
                await track_commitments(connection)

        on_connection(self.url, change)

    def commands(self, *grams, position=0, terms=NO_TERMS, bundle_id=None, key=None):
        new_key = self.keys[position] if key is None else key

        async def load(connection):
            directory = await load_directory(connection)
            known = next(k for k in directory.keys.values() if k.key_id == new_key.key.key_id)
            caller = Caller(known, directory.accounts[new_key.account.account_id])
            return caller, await load_catalogue(connection, on=utc_now().date())

        caller, catalogue = on_connection(self.url, load)
        wanted = bundle_id or self.bundle_id
        return [
            PlaceOrder(
                new_id(),
                caller,
                Purchase(ByBundleMasses(((wanted, Mass(Decimal(mass), MassUnit.G)),)), terms=terms),
                catalogue,
                utc_now(),
            )
            for mass in grams
        ]

    def place(self, commands):
        return on_connection(self.url, lambda c: place_orders(c, commands))

    def order(self, *grams, **rest):
        """Place orders; returns what went in."""
        outcomes = self.place(self.commands(*grams, **rest))
        return [isinstance(outcome, Placed) for outcome in outcomes]

    def committed(self):
        rows = self.sql("SELECT coalesce(sum(committed_grams), 0)::bigint AS grams FROM bundle_commitments")
        return rows[0]["grams"]


@pytest.fixture
def open_shop(new_database):
    shops = []

    def open_one(tonnes=3):
        shops.append(Shop(new_database(), tonnes))
        return shops[-1]

    yield open_one
    for shop in shops:
        assert broken_rules(shop.url) == {}


def live(shop):
    return next(position for position, key in enumerate(shop.keys) if key.account.mode is Mode.LIVE)


def test_the_last_gram_is_sold_and_not_one_more(open_shop):
    shop = open_shop(3)
    position = live(shop)
    assert shop.order(2 * TONNE, TONNE, 1, position=position) == [True, True, False]
    assert shop.order(1, position=position) == [False]
    assert shop.committed() == 3 * TONNE


def test_a_refusal_says_which_bundle_and_what_to_do(open_shop):
    shop = open_shop(1)
    [outcome] = shop.place(shop.commands(TONNE + 1, position=live(shop)))
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, StockInsufficient)
    assert "has not enough in stock" in outcome.error.message


@pytest.mark.parametrize("orders", [200])
def test_64_clients_never_buy_a_gram_too_much(open_shop, orders):
    """Four processes' worth of group commits, on masses that fill the stock to the gram or not at all."""
    shop = open_shop(20)
    chance = random.Random(4)
    masses = [chance.choice([1, chance.randint(1, TONNE), 250_000]) for _ in range(orders)]
    commands = shop.commands(*masses, position=live(shop))

    async def sell(pool):
        desks = [GroupCommit(pool, place_orders) for _ in range(4)]
        queue = list(enumerate(commands))
        outcomes = []

        async def client():
            while queue:
                number, command = queue.pop()
                outcomes.append(await desks[number % 4].submit(command))

        async with AsyncExitStack() as running:
            for desk in desks:
                await running.enter_async_context(desk.running())
            await asyncio.gather(*(client() for _ in range(64)))
        return outcomes

    outcomes = on_pool(shop.url, sell)
    sold = sum(o.order.quantity_grams for o in outcomes if isinstance(o, Placed))
    refused = [o for o in outcomes if isinstance(o, Refused)]
    assert sold <= 20 * TONNE
    assert sold == shop.committed()
    assert refused
    assert all(isinstance(o.error, StockInsufficient) for o in refused)
    # Nothing was refused that there was stock for.
    left = 20 * TONNE - sold
    assert shop.order(left, 1, position=live(shop)) == [True, False]


def test_a_cancelled_order_gives_back_what_it_was_promised(open_shop):
    shop = open_shop(1)
    shop.sql("UPDATE accounts SET billing = 'invoice', version = version + 1")
    [command] = shop.commands(TONNE, position=live(shop))
    shop.place([command])
    assert shop.order(1, position=live(shop)) == [False]
    account = command.caller.account
    on_pool(shop.url, lambda pool: cancel_order(pool, account, command.order_id, at=utc_now()))
    assert shop.order(TONNE, position=live(shop)) == [True]


def test_what_is_allocated_is_neither_in_stock_nor_promised_and_what_is_rejected_is_promised_again(open_shop):
    shop = open_shop(3)
    position = live(shop)
    organisation_id = shop.keys[position].account.organisation_id
    assert shop.order(1_500_000, position=position) == [True]

    async def retire(pool):
        await pool_paid_orders(pool, organisation_id, at=utc_now())
        await cover_pools(pool, organisation_id, at=utc_now())

    on_pool(shop.url, retire)
    assert shop.committed() == 500_000
    assert shop.order(1_500_001, position=position) == [False]
    [row] = shop.sql("SELECT retirement_id FROM retirements")
    said: dict = {row["retirement_id"]: Rejected("no such serial number", credits_are_good=True)}
    on_pool(shop.url, lambda pool: record_answers(pool, organisation_id, said, at=utc_now()))
    assert shop.committed() == 1_500_000
    assert shop.order(1_500_001, position=position) == [False]
    assert shop.order(1_500_000, position=position) == [True]
    on_pool(shop.url, retire)
    said = {
        r["retirement_id"]: Confirmed("REF", date(2026, 1, 1)) for r in shop.sql("SELECT * FROM retirements")
    }
    on_pool(shop.url, lambda pool: record_answers(pool, organisation_id, said, at=utc_now()))
    assert shop.committed() == 0


def test_a_switch_to_reject_counts_what_was_promised_before(open_shop):
    shop = open_shop(2)
    shop.on_shortage("accept")
    position = live(shop)
    assert shop.order(5 * TONNE, position=position) == [True]
    assert shop.committed() == 0
    shop.on_shortage("reject")
    assert shop.committed() == 5 * TONNE
    assert shop.order(1, position=position) == [False]


def test_an_order_decided_before_the_switch_is_decided_again(open_shop):
    shop = open_shop(1)
    shop.on_shortage("accept")
    commands = shop.commands(2 * TONNE, position=live(shop))
    shop.on_shortage("reject")
    [outcome] = shop.place(commands)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, StockInsufficient)


def test_the_operators_own_does_not_take_what_is_promised_to_others(open_shop):
    shop = open_shop(1)
    position = live(shop)
    assert shop.order(400_000, position=position) == [True]
    other = next(
        number for number, key in enumerate(shop.keys) if key.account.mode is Mode.LIVE and number != position
    )
    assert shop.order(600_000, position=other) == [True]
    account = shop.keys[position].account
    on_pool(shop.url, lambda pool: pool_paid_orders(pool, account.organisation_id, at=utc_now()))
    with pytest.raises(StockInsufficient):
        on_pool(shop.url, lambda pool: fill_pools(pool, account, at=utc_now()))


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_the_operators_own_of_bundles_that_share_a_project_is_counted_together(open_shop, more, fits):
    shop = open_shop(2)
    [sharing] = shop.sql("SELECT bundle_id FROM bundles WHERE bundle_id <> $1 LIMIT 1", shop.bundle_id)
    shop.sql(
        "INSERT INTO bundle_projects (bundle_id, project_id, position) VALUES ($1, $2, 99) ON CONFLICT DO NOTHING",
        sharing["bundle_id"],
        shop.project_id,
    )
    shop.on_shortage("reject")
    position = live(shop)
    account = shop.keys[position].account
    assert shop.order(400_000 + more, position=position) == [True]
    assert shop.order(700_000, position=position, bundle_id=sharing["bundle_id"]) == [True]
    on_pool(shop.url, lambda pool: pool_paid_orders(pool, account.organisation_id, at=utc_now()))
    if more:
        # Somebody else was promised a gram of what filling both would take.
        other = next(n for n, key in enumerate(shop.keys) if key.account.mode is Mode.LIVE and n != position)
        assert shop.order(more, position=other) == [True]
    promised = shop.committed()
    if fits:
        rests = on_pool(shop.url, lambda pool: fill_pools(pool, account, at=utc_now()))
        assert sorted(rest.waiting_grams for rest in rests) == [400_000, 700_000]
        assert shop.committed() == 2 * TONNE
    else:
        with pytest.raises(StockInsufficient):
            on_pool(shop.url, lambda pool: fill_pools(pool, account, at=utc_now()))
        assert shop.committed() == promised


@pytest.fixture
def meanwhile(monkeypatch):
    """Carry something out on a connection of its own after a module has read the catalogue; wait until it waits or is done.

    Returns a function that returns what came of both; the module must get by with one try.
    """

    async def stops(pool, task):
        waiting = (
            "SELECT EXISTS (SELECT FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )
        for _ in range(1000):
            if task.done() or await pool.fetchval(waiting):
                return
            await asyncio.sleep(0.01)
        pytest.fail("it neither waits nor is it done")

    def meanwhile(shop, module, work, other):
        real = module.load_catalogue
        others = []

        async def both(pool):
            async def load(connection, **rest):
                catalogue = await real(connection, **rest)
                others.append(asyncio.create_task(asyncio.to_thread(other)))
                await stops(pool, others[-1])
                return catalogue

            monkeypatch.setattr(module, "load_catalogue", load)
            done = await work(pool)
            [one] = others
            return done, await one

        return on_pool(shop.url, both)

    return meanwhile


def withdrawn(shop, position):
    """Three tonnes that were retired are withdrawn; six are in stock."""
    organisation_id = shop.keys[position].account.organisation_id
    assert shop.order(3 * TONNE, position=position) == [True]

    async def retire_and_withdraw(pool):
        await pool_paid_orders(pool, organisation_id, at=utc_now())
        await cover_pools(pool, organisation_id, at=utc_now())
        rows = await pool.fetch("SELECT retirement_id FROM retirements")
        said = {row["retirement_id"]: Confirmed("REF", date(2026, 1, 1)) for row in rows}
        await record_answers(pool, organisation_id, said, at=utc_now())
        await withdraw(pool, shop, 1, 3)

    on_pool(shop.url, retire_and_withdraw)


async def withdraw(pool, shop, first, last):
    [lot] = await pool.fetch("SELECT lot_id FROM lots WHERE mode = 'live'")
    await withdraw_lot(
        pool,
        lot["lot_id"],
        WithdrawalKind.REVERSED,
        "Burnt.",
        serials=(first, last),
        at=utc_now(),
        actor=SERVICE,
    )


def test_a_bundle_that_begins_to_refuse_shortages_does_not_sell_what_is_about_to_stand_in(
    open_shop, meanwhile
):
    shop = open_shop(9)
    shop.on_shortage("accept")
    position = live(shop)
    withdrawn(shop, position)

    def switch_and_sell():
        shop.on_shortage("reject")
        return shop.order(3 * TONNE + 1, 3 * TONNE, position=position)

    replaced, sold = meanwhile(
        shop, replacing, lambda pool: replace_withdrawn(pool, at=utc_now(), actor=SERVICE), switch_and_sell
    )
    assert [each.planned_tonnes for each in replaced] == [3]
    assert sold == [False, True]


def test_a_bundle_that_begins_to_refuse_shortages_does_not_sell_what_is_about_to_fill_pools(
    open_shop, meanwhile
):
    shop = open_shop(1)
    shop.on_shortage("accept")
    position = live(shop)
    account = shop.keys[position].account
    other = next(n for n, key in enumerate(shop.keys) if key.account.mode is Mode.LIVE and n != position)
    assert shop.order(400_000, position=position) == [True]
    on_pool(shop.url, lambda pool: pool_paid_orders(pool, account.organisation_id, at=utc_now()))

    def switch_and_sell():
        shop.on_shortage("reject")
        return shop.order(1, position=other)

    filled, sold = meanwhile(
        shop, filling, lambda pool: fill_pools(pool, account, at=utc_now()), switch_and_sell
    )
    assert [rest.waiting_grams for rest in filled] == [400_000]
    assert sold == [False]


@pytest.mark.parametrize("change", ["suspend", "withdraw"])
def test_what_becomes_of_a_lot_waits_for_replacements_and_none_is_tried_again(open_shop, meanwhile, change):
    shop = open_shop(9)
    withdrawn(shop, live(shop))
    [lot] = shop.sql("SELECT lot_id FROM lots WHERE mode = 'live'")

    async def happens(pool):
        if change == "suspend":
            await suspend_lot(pool, lot["lot_id"], "Why?", at=utc_now(), actor=SERVICE)
        else:
            await withdraw(pool, shop, 9, 9)

    def other():
        on_pool(shop.url, happens)

    replaced, _ = meanwhile(
        shop, replacing, lambda pool: replace_withdrawn(pool, at=utc_now(), actor=SERVICE), other
    )
    assert [each.planned_tonnes for each in replaced] == [3]
    [now] = shop.sql("SELECT available_tonnes, suspended_at FROM lots WHERE mode = 'live'")
    assert now["available_tonnes"] == (3 if change == "suspend" else 2)
    assert (now["suspended_at"] is not None) == (change == "suspend")


def test_restrictions_narrow_what_is_in_stock(open_shop):
    shop = open_shop(3)
    position = live(shop)
    young = Terms(restrictions=Restrictions(min_vintage_year=2021))
    old_enough = Terms(restrictions=Restrictions(min_vintage_year=2020))
    assert shop.order(1, position=position, terms=young) == [False]
    assert shop.order(TONNE, position=position, terms=old_enough) == [True]
    assert shop.order(2 * TONNE + 1, position=position) == [False]
    assert shop.order(2 * TONNE, position=position) == [True]


def test_test_orders_are_refused_what_is_not_there_and_take_nothing(open_shop):
    shop = open_shop(1)
    assert shop.keys[1].account.mode is Mode.TEST
    assert shop.order(TONNE, TONNE + 1, position=1) == [True, False]
    assert shop.order(TONNE, position=1) == [True]
    assert shop.committed() == 0
    account = shop.keys[1].account
    shop.sql(
        "UPDATE accounts SET test_behaviour = $2, version = version + 1 WHERE account_id = $1",
        account.account_id,
        SandboxBehaviour.OUT_OF_STOCK.value,
    )
    assert shop.order(1, position=1) == [False]


def capped_key(shop, cap_minor, position=0):
    account = shop.keys[position].account

    async def work(connection):
        new = await create_key(connection, account, name="capped", at=utc_now())
        await connection.execute(
            "UPDATE api_keys SET daily_cap_minor = $2 WHERE key_id = $1", new.key.key_id, cap_minor
        )
        return new

    return on_connection(shop.url, work)


def test_a_key_spends_its_cap_to_the_cent_and_no_more(open_shop):
    shop = open_shop(1)
    shop.on_shortage("accept")
    [outcome] = shop.place(shop.commands(1_000))
    cost = outcome.order.total_cost_minor
    key = capped_key(shop, 3 * cost)
    outcomes = shop.place(shop.commands(1_000, 1_000, 1_000, 1_000, key=key))
    assert [type(o) for o in outcomes] == [Placed, Placed, Placed, Refused]
    assert isinstance(outcomes[3].error, SpendingCapExceeded)
    assert shop.order(1_000) == [True]
    # The next day (UTC) it may spend again.
    tomorrow = shop.commands(1_000, key=key)
    shop.sql("UPDATE key_spending SET day = day - 1")
    assert isinstance(shop.place(tomorrow)[0], Placed)


def test_a_cap_counts_in_one_currency_only(open_shop):
    shop = open_shop(1)
    shop.on_shortage("accept")
    key = capped_key(shop, 10_000)
    [command] = shop.commands(1_000, key=key)
    euros = next(
        k.account for k in shop.keys if k.account.currency.code == "EUR" and k.account.mode is Mode.TEST
    )

    async def load(connection):
        return (await load_directory(connection)).accounts[euros.account_id]

    account = on_connection(shop.url, load)
    [outcome] = shop.place([replace(command, caller=Caller(command.caller.key, account))])
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, SpendingCapExceeded)
    assert "USD" in outcome.error.message


def test_many_at_once_never_spend_more_than_the_cap(open_shop):
    shop = open_shop(1)
    shop.on_shortage("accept")
    [outcome] = shop.place(shop.commands(1_000))
    cost = outcome.order.total_cost_minor
    key = capped_key(shop, 7 * cost + cost // 2)
    commands = shop.commands(*[1_000] * 40, key=key)

    async def buy(pool):
        async def one(command):
            async with pool.acquire() as connection:
                return await place_orders(connection, [command])

        return [o for found in await asyncio.gather(*(one(c) for c in commands)) for o in found]

    outcomes = on_pool(shop.url, buy)
    assert sum(isinstance(o, Placed) for o in outcomes) == 7
    assert shop.sql("SELECT spent_minor FROM key_spending")[0]["spent_minor"] == 7 * cost


def test_orders_of_a_paid_pool_are_paid_as_before(open_shop):
    shop = open_shop(2)
    shop.sql("UPDATE accounts SET billing = 'invoice', version = version + 1")
    [command] = shop.commands(TONNE, position=live(shop))
    shop.place([command])
    on_pool(shop.url, lambda pool: pay_orders(pool, [command.order_id], at=utc_now()))
    assert shop.committed() == TONNE

"""Batches of accounts that pay in different ways: what is written with them, and what balances cover."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest
from tests.paying import broken_rules
from tests.support import on_connection

from tonne.application.bill_accounts import top_up
from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.place_orders import Placed, PlaceOrder, Refused, place_orders
from tonne.domain.accounts import Billing, Caller
from tonne.domain.errors import InsufficientCredits, OrderIdempotencyAlreadyExists
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByMass, Purchase
from tonne.storage.accounts import load_directory, set_billing, set_suspended
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import open_pool
from tonne.storage.group_commit import GroupCommit

COST = 35


@pytest.fixture
def shop(new_database):
    """A database with the demo; each key orders from its own account."""

    class Shop:
        url = new_database()

        def __init__(self):
            keys = on_connection(self.url, lambda connection: load_demo(connection, at=utc_now()))
            assert keys is not None
            self.keys = keys

        def billed(self, position, billing, balance="0"):
            """Set a demo account's billing, with a balance of US dollars or whatever its currency is."""
            account = self.keys[position].account

            async def work(_):
                async with await open_pool(self.url, connections_max=2) as pool, pool.acquire() as connection:
                    await set_billing(connection, account, billing)
                    if balance != "0":
                        await top_up(pool, account, Decimal(balance), reference=None, at=utc_now())

            on_connection(self.url, work)

        def command(self, position=0, **changes):
            key = self.keys[position]

            async def load(connection):
                directory = await load_directory(connection)
                caller = Caller(key.key, directory.accounts[key.account.account_id])
                return caller, await load_catalogue(connection, on=utc_now().date())

            caller, catalogue = on_connection(self.url, load)
            purchase = Purchase(ByMass(Mass(Decimal("12.07"), MassUnit.KG)))
            return replace(PlaceOrder(new_id(), caller, purchase, catalogue, utc_now()), **changes)

        def place(self, commands):
            return on_connection(self.url, lambda connection: place_orders(connection, commands))

        def sql(self, statement, *arguments):
            return on_connection(self.url, lambda connection: connection.fetch(statement, *arguments))

        def balance(self, position=0):
            account_id = self.keys[position].account.account_id
            rows = self.sql("SELECT balance_minor FROM prepaid_balances WHERE account_id = $1", account_id)
            return rows[0]["balance_minor"] if rows else 0

    shop = Shop()
    yield shop
    assert broken_rules(shop.url) == {}


def test_a_batch_is_told_in_one_row_for_each_account_whose_orders_begin_alike(shop):
    shop.billed(0, Billing.INVOICE)
    shop.billed(1, Billing.AUTOMATIC)
    commands = [shop.command(position) for position in (0, 1, 0, 1, 0)]
    assert all(isinstance(outcome, Placed) for outcome in shop.place(commands))
    told = shop.sql("SELECT * FROM event_chunks ORDER BY cardinality(event_types)")
    moved = shop.sql("SELECT * FROM ledger_transfers ORDER BY debit")
    placed = sorted(command.order_id for command in commands[::2])
    paid = sorted(command.order_id for command in commands[1::2])
    assert [(row["chunk_id"], row["event_types"], row["order_ids"]) for row in told] == [
        (placed[0], ["order.received", "order.placed"], placed),
        (paid[0], ["order.received", "order.placed", "order.paid"], paid),
    ]
    assert [(row["kind"], row["debit"], row["credit"], row["order_ids"]) for row in moved] == [
        ("order_placed", "receivable", "held", placed),
        ("order_paid", "settled", "held", paid),
    ]


def test_what_is_left_out_is_neither_told_nor_charged(shop):
    shop.billed(0, Billing.PREPAID, "1.00")
    commands = [shop.command(idempotency_key="one") for _ in range(3)]
    outcomes = shop.place(commands)
    assert [type(outcome) for outcome in outcomes].count(Placed) == 1
    assert len(shop.sql("SELECT FROM event_chunks, unnest(order_ids)")) == 1
    assert shop.balance() == 100 - COST


def test_the_first_come_are_served_first(shop):
    shop.billed(0, Billing.PREPAID, "0.75")
    big = Purchase(ByMass(Mass(Decimal(1), MassUnit.T)))
    commands = [
        shop.command(),
        shop.command(purchase=big),
        shop.command(),
        shop.command(),
    ]
    outcomes = shop.place(commands)
    assert [type(outcome) for outcome in outcomes] == [Placed, Refused, Placed, Refused]
    assert isinstance(outcomes[1].error, InsufficientCredits)
    assert shop.balance() == 5


def test_money_that_a_repeat_does_not_need_serves_the_next(shop):
    shop.billed(0, Billing.PREPAID, "0.70")
    commands = [
        shop.command(idempotency_key="same"),
        shop.command(idempotency_key="same"),
        shop.command(idempotency_key="other"),
    ]
    outcomes = shop.place(commands)
    assert [type(outcome) for outcome in outcomes] == [Placed, Refused, Placed]
    assert isinstance(outcomes[1].error, OrderIdempotencyAlreadyExists)
    assert shop.balance() == 0


def test_accounts_in_one_batch_spend_their_own_balances(shop):
    shop.billed(0, Billing.PREPAID, "0.35")
    shop.billed(1, Billing.PREPAID)
    shop.billed(2, Billing.INVOICE)
    outcomes = shop.place([shop.command(position) for position in (1, 0, 2, 0)])
    assert [type(outcome) for outcome in outcomes] == [Refused, Placed, Placed, Refused]


def test_a_suspended_account_is_told_so_whatever_its_balance(shop):
    shop.billed(0, Billing.PREPAID)
    command = shop.command()
    on_connection(shop.url, lambda c: set_suspended(c, command.caller.account, at=utc_now()))
    [outcome] = shop.place([command])
    assert outcome.error.code == "account_suspended"


@pytest.mark.parametrize("balance", ["0.35", "5.00"])
def test_an_order_whose_commit_got_lost_is_charged_once(shop, balance):
    shop.billed(0, Billing.PREPAID, balance)
    attempts = []

    async def write(connection, commands):
        attempts.append(await place_orders(connection, commands))
        if len(attempts) == 1:
            raise asyncpg.ConnectionDoesNotExistError("lost after the commit")
        return attempts[-1]

    async def run(command):
        async with await open_pool(shop.url, connections_max=2) as pool:
            commits = GroupCommit(pool, write)
            async with commits.running():
                return await commits.submit(command)

    before = int(Decimal(balance) * 100)
    assert isinstance(asyncio.run(run(shop.command())), Placed)
    assert shop.balance() == before - COST


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (Billing.INVOICE, Billing.PREPAID, "paid"),
        (Billing.PREPAID, Billing.INVOICE, "placed"),
        (Billing.INVOICE, Billing.AUTOMATIC, "paid"),
    ],
)
def test_an_order_is_billed_as_of_now_where_the_process_still_remembers_otherwise(
    shop, before, after, status
):
    shop.billed(0, before)
    stale = shop.command()
    shop.billed(0, after, "0.35")
    [outcome] = shop.place([stale])
    assert (outcome.order.billing, outcome.order.status.value) == (after, status)
    assert shop.balance() == (0 if after is Billing.PREPAID else COST)


def test_the_balance_can_not_go_below_zero_whoever_forgets(shop):
    shop.billed(0, Billing.PREPAID, "0.35")
    with pytest.raises(asyncpg.CheckViolationError):
        shop.sql("UPDATE prepaid_balances SET balance_minor = balance_minor - 36")

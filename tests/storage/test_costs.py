"""What an order costs the database: a constant number of statements for a batch, and so many bytes. Nothing is timed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.place_orders import Placed, PlaceOrder, place_orders
from tonne.domain.accounts import Billing, Caller, Mode
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByMass, Purchase
from tonne.storage.accounts import load_directory, set_billing
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import Connection

BATCHES = (1, 10, 200)
_numbers = itertools.count(100_000)
TABLES = ("orders", "event_chunks", "ledger_transfers")
# Measured with two lines an order, in batches of 200: 618 bytes over 2,000 orders, 555 over 20,000, since pages fill.
BYTES_AN_ORDER_MAX = 660
BYTES_ALONE_MAX = 1_250
# The log of what is written, without whole pages: 779 bytes.
LOG_BYTES_AN_ORDER_MAX = 900
# BEGIN and COMMIT are not counted: one statement places a batch on invoice.
STATEMENTS = {Billing.INVOICE: 1, Billing.AUTOMATIC: 1, Billing.PREPAID: 3}


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    url = new_database()
    on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    return url


async def an_order(connection: Connection, billing: Billing) -> PlaceOrder:
    """An order of two lines by the live demo account in US dollars, which pays as told."""
    directory = await load_directory(connection)
    key = next(
        key
        for key in directory.keys.values()
        if key.mode is Mode.LIVE and directory.accounts[key.account_id].currency.code == "USD"
    )
    account = replace(directory.accounts[key.account_id], billing=billing)
    await set_billing(connection, account, billing)
    if billing is Billing.PREPAID:
        await connection.execute(
            "INSERT INTO prepaid_balances VALUES ($1, $2, 1000000000)",
            account.organisation_id,
            account.account_id,
        )
    account = (await load_directory(connection)).accounts[account.account_id]
    catalogue = await load_catalogue(connection, on=utc_now().date())
    purchase = Purchase(ByMass(Mass(Decimal("12.07"), MassUnit.KG)))
    return PlaceOrder(new_id(), Caller(key, account), purchase, catalogue, utc_now())


def orders(first: PlaceOrder, number: int) -> list[PlaceOrder]:
    made = []
    for _ in range(number):
        order_id = new_id()
        made.append(
            replace(first, order_id=order_id, at=utc_now(), idempotency_key=f"invoice-{next(_numbers)}")
        )
    return made


@pytest.mark.parametrize("billing", list(STATEMENTS))
def test_a_batch_takes_as_many_statements_as_one_order(database: str, billing: Billing) -> None:
    async def work(connection: asyncpg.Connection) -> list[int]:
        first = await an_order(connection, billing)
        # What the driver asks once for a connection is no statement of ours.
        await place_orders(connection, orders(first, 1))
        counted = []
        for batch in BATCHES:
            commands = orders(first, batch)
            asked: list[str] = []

            def note(query: asyncpg.connection.LoggedQuery, asked: list[str] = asked) -> None:
                asked.append(query.query)

            connection.add_query_logger(note)
            outcomes = await place_orders(connection, commands)
            # They are told a moment later.
            await asyncio.sleep(0)
            connection.remove_query_logger(note)
            assert all(isinstance(outcome, Placed) for outcome in outcomes)
            counted.append(len([query for query in asked if query.rstrip(";") not in ("BEGIN", "COMMIT")]))
        return counted

    assert on_connection(database, work) == [STATEMENTS[billing]] * len(BATCHES)


@pytest.mark.parametrize(("batch", "bytes_max"), [(200, BYTES_AN_ORDER_MAX), (1, BYTES_ALONE_MAX)])
def test_an_order_of_two_lines_takes_so_many_bytes_with_its_indexes(
    database: str, batch: int, bytes_max: int
) -> None:
    batches = 2_000 // batch

    async def size(connection: asyncpg.Connection) -> int:
        return sum(
            [
                await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", each)
                for each in TABLES
            ]
        )

    async def work(connection: asyncpg.Connection) -> float:
        first = await an_order(connection, Billing.INVOICE)
        before = await size(connection)
        for _ in range(batches):
            await place_orders(connection, orders(first, batch))
        return (await size(connection) - before) / (batches * batch)

    assert on_connection(database, work) <= bytes_max


def test_an_order_writes_so_many_bytes_to_the_log(database: str) -> None:
    async def work(connection: asyncpg.Connection) -> float:
        first = await an_order(connection, Billing.INVOICE)
        await place_orders(connection, orders(first, 200))
        await connection.execute("CHECKPOINT")
        await place_orders(connection, orders(first, 2_000))
        began = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
        for _ in range(20):
            await place_orders(connection, orders(first, 200))
        wrote = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", began)
        return float(wrote) / 4_000

    assert on_connection(database, work) <= LOG_BYTES_AN_ORDER_MAX

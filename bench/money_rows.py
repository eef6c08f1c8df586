"""What events and ledger rows cost an order, written in three ways; the figures of docs/decisions/0008.

Run it with `.venv/bin/python bench/money_rows.py`. Each way inserts the same orders of one account, in batches of one
statement each, into an embedded PostgreSQL with default durability; bytes are those of the tables with their indexes.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table

from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.place_orders import Placed, PlaceOrder, place_orders
from tonne.domain.accounts import Caller, Mode
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByMass, Purchase
from tonne.storage import new_orders as order_rows
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue
from tonne.storage.embedded import EmbeddedPostgres
from tonne.storage.schema import upgrade_schema

ORDERS = 25_600
BATCHES = (1, 16, 64, 256)
ORDERS_BY_BATCH = {1: 2_560}
TABLES = ("orders", "event_chunks", "ledger_transfers")

IN_BATCHES = order_rows._INSERT  # noqa: SLF001
GROUPS = "GROUP BY organisation_id, account_id, status, billing, currency"
assert GROUPS in IN_BATCHES
WAYS = {
    "orders alone": IN_BATCHES.partition(", batches AS (")[0] + " SELECT order_id FROM new",
    "a row for each batch": IN_BATCHES,
    "a row for each order": IN_BATCHES.replace(GROUPS, f"{GROUPS}, order_id"),
}


async def measure(url: str, statement: str, batch: int) -> tuple[float, float, float]:
    """Returns microseconds an order, bytes an order of `orders` and bytes an order of the two other tables."""
    order_rows._INSERT = statement  # noqa: SLF001
    orders = ORDERS_BY_BATCH.get(batch, ORDERS)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        await connection.execute("CHECKPOINT")
        first = await prepare(connection)
        took = []
        for _ in range(orders // batch):
            commands = [replace(first, order_id=new_id(), at=utc_now()) for _ in range(batch)]
            began = time.perf_counter()
            outcomes = await place_orders(connection, commands)
            took.append(time.perf_counter() - began)
            assert all(isinstance(outcome, Placed) for outcome in outcomes)
        own, *others = [
            await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", table)
            for table in TABLES
        ]
    finally:
        await connection.close()
    return statistics.median(took) / batch * 1e6, own / orders, sum(others) / orders


async def prepare(connection: asyncpg.Connection) -> PlaceOrder:
    """An order of the live demo account in US dollars."""
    directory = await load_directory(connection)
    key = next(
        key
        for key in directory.keys.values()
        if key.mode is Mode.LIVE and directory.accounts[key.account_id].currency.code == "USD"
    )
    catalogue = await load_catalogue(connection, on=utc_now().date())
    purchase = Purchase(ByMass(Mass(Decimal("12.07"), MassUnit.KG)))
    return PlaceOrder(
        new_id(), Caller(key, directory.accounts[key.account_id]), purchase, catalogue, utc_now()
    )


async def main() -> None:
    """Measure and print."""
    table = Table("orders a batch", "way", "µs an order", "bytes in orders", "bytes in events and ledger")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        await asyncio.to_thread(upgrade_schema, server.url)
        connection = await asyncpg.connect(server.url)
        await load_demo(connection, at=utc_now())
        await connection.close()
        for batch in BATCHES:
            for way, statement in WAYS.items():
                microseconds, own, others = await measure(server.url, statement, batch)
                table.add_row(str(batch), way, f"{microseconds:.0f}", f"{own:.0f}", f"{others:.0f}")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())

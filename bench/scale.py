"""Whether it stays fast: the same figures with an empty database and with millions of orders of one account in it.

make bench-scale ORDERS=10000000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import psutil
from rich.progress import Progress
from rich.table import Table

from tonne.storage.events import lock_head, number_events

# A script finds its neighbour by its bare name, the type checker by its place in the project.
if TYPE_CHECKING:
    from bench.measuring import RESULTS, Request, console, find_generator, measure_orders, measure_requests
    from bench.servers import Database, Service, make_databases, on_connection, postgres, tonne
else:
    from measuring import RESULTS, Request, console, find_generator, measure_orders, measure_requests
    from servers import Database, Service, make_databases, on_connection, postgres, tonne

CALLERS = 64
SECONDS = 4
ROUNDS = 4
CHUNK = 100_000
BATCH = 256
PAGE, PAGES = 100, 10_000
# As the service writes them, in batches of 256: one row of events and one of the ledger for each.
LOAD = f"""
WITH made AS MATERIALIZED (
    SELECT organisation_id, account_id, key_id, beneficiary, lines, type, currency, quantity_grams, offset_cost_minor,
           total_cost_minor, requested_tonnes, billing, uuidv7(age) AS order_id, date_trunc('milliseconds', now() + age)
           AS at, n, 'loaded-' || ($1 + n) AS key
      FROM (SELECT * FROM orders WHERE idempotency_key = 'like-this') o,
           LATERAL (SELECT n, ($1 + n - 200000000) * interval '1 ms' AS age FROM generate_series(1, $2::int) AS n) g
), written AS (
    INSERT INTO orders (organisation_id, account_id, order_id, type, status, currency, quantity_grams, offset_cost_minor,
                        total_cost_minor, lines, created_at, requested_tonnes, idempotency_key, beneficiary, billing,
                        placed_at, key_id)
    SELECT organisation_id, account_id, order_id, type, 'placed', currency, quantity_grams, offset_cost_minor,
           total_cost_minor, lines, at, requested_tonnes, key, beneficiary, billing, at, key_id FROM made
), batches AS (
    SELECT organisation_id, account_id, currency, array_agg(order_id ORDER BY order_id) AS ids,
           sum(total_cost_minor) AS amount, max(at) AS at
      FROM made GROUP BY organisation_id, account_id, currency, (n - 1) / {BATCH}
), told AS (
    INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, created_at)
    SELECT organisation_id, account_id, ids[1], array['order.received', 'order.placed'], ids, at FROM batches
)
INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency, amount_minor,
                              order_ids, created_at)
SELECT organisation_id, account_id, ids[1], 'order_placed', 'receivable', 'held', currency, amount, ids, at FROM batches
"""


@dataclass(frozen=True, slots=True)
class Place:
    """An order to look for, and where a page begins."""

    order_id: str
    key: str
    cursor: str


# What has to look at every order: asked once, and told as seconds.
ALONE = {"cancelled: none": "/orders?limit=10&status=cancelled"}
TABLES = ("orders", "event_chunks", "ledger_transfers")


def main() -> None:
    """Load one of two databases, and measure both by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000_000, help="how many to load [10000000]")
    parser.add_argument("--json", type=Path, default=RESULTS / "scale.json", help="where the figures go")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    generator = find_generator()
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder, postgres(Path(folder) / "data") as server:
        databases = make_databases(server.url, ["empty", "full"])
        assert server.server_pid is not None
        with ExitStack() as running:
            services = [
                running.enter_context(tonne(each, workers=os.cpu_count() or 1, logs=_folder(folder, number)))
                for number, each in enumerate(databases)
            ]
            for service in services:
                service.place("like-this")
                for number in range(PAGE * 10):
                    service.place(f"first-{number}")
            bytes_an_order = _load(databases[1], arguments.orders)
            wanted = PAGE * PAGES if arguments.orders > PAGE * PAGES else arguments.orders // 2
            places = _middle(databases[0], PAGE * 5), _middle(databases[1], wanted)
            empty, full = _measure(services, psutil.Process(server.server_pid), generator, places)
            alone = {name: _seconds_of(services[1], path) for name, path in ALONE.items()}
            memory = max(_memory_mib(service) for service in services)
    figures = {
        "orders": arguments.orders,
        "empty": empty,
        "full": full,
        "ratios": {name: full[name] / empty[name] for name in full if name in empty},
        "seconds_alone": alone,
        "bytes_an_order": bytes_an_order,
        "memory_mib_a_process": memory,
    }
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    _print(figures)


def _folder(folder: str, number: int) -> Path:
    made = Path(folder) / str(number)
    made.mkdir()
    return made


def _requests(place: Place) -> list[Request]:
    old = "created_to=2020-01-01T00:00:00Z"
    return [
        Request("get", "GET", f"/orders/{place.order_id}"),
        Request("by idempotency key", "GET", f"/orders/by-idempotency-key/{place.key}"),
        Request("first page of 100", "GET", f"/orders?limit={PAGE}"),
        Request(
            f"page {PAGES:,} of 100 (or the middle)", "GET", f"/orders?limit={PAGE}&after={place.cursor}"
        ),
        Request("placed, first 10", "GET", "/orders?limit=10&status=placed"),
        Request("since 2020, first 10", "GET", "/orders?limit=10&created_from=2020-01-01T00:00:00Z"),
        Request("before 2020: none", "GET", f"/orders?limit=10&{old}"),
        Request("with metadata: none", "GET", "/orders?limit=10&metadata%5Binvoice%5D=none"),
    ]


def _measure(
    services: Sequence[Service],
    database_server: psutil.Process,
    generator: str,
    places: Sequence[Place],
) -> list[dict[str, float]]:
    found: list[dict[str, list[float]]] = [{} for _ in services]
    for number in range(ROUNDS):
        # Each second round the other way round: a machine may be fastest in its first seconds.
        turns = [0, 1] if number % 2 == 0 else [1, 0]
        for turn in turns:
            found[turn].setdefault("insert", []).append(
                measure_orders(services[turn], database_server, CALLERS, SECONDS, generator).orders_per_second
            )
        for requests in zip(*(_requests(place) for place in places), strict=True):
            for turn in turns:
                request = requests[turn]
                figures = measure_requests(request, services[turn], CALLERS, SECONDS, generator)
                found[turn].setdefault(request.name, []).append(figures["per_second"])
    return [{name: statistics.median(each) for name, each in rates.items()} for rates in found]


def _seconds_of(service: Service, path: str) -> float:
    """How long one request takes, asked alone."""
    url = service.url.removesuffix("/orders/by-mass") + path
    headers = {"Authorization": f"Bearer {service.database.api_key}"}
    began = time.monotonic()
    httpx.get(url, headers=headers, timeout=120, trust_env=False).raise_for_status()
    return time.monotonic() - began


def _memory_mib(service: Service) -> float:
    family = (service.process, *service.process.children(recursive=True))
    return float(max(each.memory_info().rss for each in family) / 2**20)


def _load(database: Database, orders: int) -> float:
    before = _size(database)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("loading orders", total=orders)
        for first in range(0, orders, CHUNK):
            some = min(CHUNK, orders - first)
            database.execute(LOAD, first, some)
            progress.advance(task, some)
    size = _size(database)
    on_connection(database.url, _number)
    database.execute("VACUUM ANALYZE")
    return (size - before) / orders


async def _number(connection: asyncpg.Connection) -> None:
    """Number what was loaded: it would be done beside what is measured."""
    account_ids = await connection.fetch("SELECT DISTINCT organisation_id, account_id FROM event_chunks")
    for organisation_id, account_id in account_ids:
        while True:
            async with connection.transaction():
                last = await lock_head(connection, organisation_id, account_id)
                assert last is not None
                _, chunks = await number_events(
                    connection, organisation_id, account_id, last=last, chunks_max=1000
                )
            if not chunks:
                break


def _size(database: Database) -> int:
    return sum(int(database.query(f"SELECT pg_total_relation_size('{table}')")) for table in TABLES)


def _middle(database: Database, back: int) -> Place:
    row = database.query(
        f"SELECT array[order_id::text, idempotency_key] FROM orders ORDER BY order_id DESC OFFSET {back} LIMIT 1"
    )
    return Place(row[0], row[1], row[0])


def _print(figures: dict[str, Any]) -> None:
    table = Table("requests a second, 64 callers", "empty", f"{figures['orders']:,} orders", "ratio")
    for name, rate in figures["full"].items():
        before = figures["empty"].get(name)
        table.add_row(
            name,
            "" if before is None else f"{before:,.0f}",
            f"{rate:,.0f}",
            "" if before is None else f"{rate / before:.2f}",
        )
    console.print(table)
    console.print(
        ", ".join(f"{name}, alone: {seconds:.2f} s" for name, seconds in figures["seconds_alone"].items())
    )
    console.print(
        f"{figures['bytes_an_order']:.0f} bytes an order of two lines, indexes, events and money included; "
        f"the largest process has {figures['memory_mib_a_process']:.0f} MiB."
    )


if __name__ == "__main__":
    main()

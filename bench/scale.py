"""Whether it stays fast: the same figures with an empty database and with millions of orders of one account in it.

make bench-scale ORDERS=10000000
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.progress import Progress
from rich.table import Table

# A script finds its neighbour by its bare name, the type checker by its place in the project.
if TYPE_CHECKING:
    from bench.measuring import RESULTS, Request, console, find_generator, measure_orders, measure_requests
    from bench.servers import Database, Service, make_databases, postgres, tonne
else:
    from measuring import RESULTS, Request, console, find_generator, measure_orders, measure_requests
    from servers import Database, Service, make_databases, postgres, tonne

CALLERS = 64
SECONDS = 4
ROUNDS = 3
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
    cursor: str | None = None
    page: int = 1


TABLES = ("orders", "event_chunks", "ledger_transfers")


def main() -> None:
    """Measure, load, measure again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000_000, help="how many to load [10000000]")
    parser.add_argument("--json", type=Path, default=RESULTS / "scale.json", help="where the figures go")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    generator = find_generator()
    with tempfile.TemporaryDirectory(dir=RESULTS) as folder, postgres(Path(folder) / "data") as server:
        (database,) = make_databases(server.url, ["scale"])
        assert server.server_pid is not None
        database_server = psutil.Process(server.server_pid)
        with tonne(database, workers=1, logs=Path(folder)) as service:
            _, like = service.place("like-this")
            for number in range(1000):
                service.place(f"first-{number}")
            empty = _measure(service, database_server, generator, Place(like["id"], "like-this"))
            bytes_an_order = _load(database, arguments.orders)
            wanted = PAGE * PAGES if arguments.orders > PAGE * PAGES else arguments.orders // 2
            full = _measure(service, database_server, generator, _middle(database, wanted))
            memory = max(
                each.memory_info().rss / 2**20
                for each in (service.process, *service.process.children(recursive=True))
            )
    ratios = {name: full[name] / empty[name] for name in full if name in empty}
    figures = {
        "orders": arguments.orders,
        "empty": empty,
        "full": full,
        "ratios": ratios,
        "bytes_an_order": bytes_an_order,
        "memory_mib_a_process": memory,
    }
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    _print(figures)


def _measure(
    service: Service,
    database_server: psutil.Process,
    generator: str,
    place: Place,
) -> dict[str, float]:
    requests = [
        Request("get", "GET", f"/orders/{place.order_id}"),
        Request("by idempotency key", "GET", f"/orders/by-idempotency-key/{place.key}"),
        Request("first page of 100", "GET", f"/orders?limit={PAGE}"),
        Request("placed, first 10", "GET", "/orders?limit=10&status=placed"),
        Request("of a time, first 10", "GET", "/orders?limit=10&created_from=2020-01-01T00:00:00Z"),
    ]
    if place.cursor is not None:
        path = f"/orders?limit={PAGE}&after={place.cursor}"
        requests.append(Request(f"page {place.page:,} of 100", "GET", path))
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        found.setdefault("insert", []).append(
            measure_orders(service, database_server, CALLERS, SECONDS, generator).orders_per_second
        )
        for request in requests:
            figures = measure_requests(request, service, CALLERS, SECONDS, generator)
            found.setdefault(request.name, []).append(figures["per_second"])
    return {name: statistics.median(rates) for name, rates in found.items()}


def _load(database: Database, orders: int) -> float:
    before = _size(database)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("loading orders", total=orders)
        for first in range(0, orders, CHUNK):
            some = min(CHUNK, orders - first)
            database.execute(LOAD, first, some)
            progress.advance(task, some)
    size = _size(database)
    database.execute("VACUUM ANALYZE")
    return (size - before) / orders


def _size(database: Database) -> int:
    return sum(int(database.query(f"SELECT pg_total_relation_size('{table}')")) for table in TABLES)


def _middle(database: Database, back: int) -> Place:
    row = database.query(
        f"SELECT array[order_id::text, idempotency_key] FROM orders ORDER BY order_id DESC OFFSET {back} LIMIT 1"
    )
    return Place(row[0], row[1], row[0], back // PAGE + 1)


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
        f"{figures['bytes_an_order']:.0f} bytes an order of two lines, indexes, events and money included; "
        f"the largest process has {figures['memory_mib_a_process']:.0f} MiB."
    )


if __name__ == "__main__":
    main()

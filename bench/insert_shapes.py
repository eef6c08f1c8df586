"""Ways to insert a batch of orders in one statement, side by side; the figures of docs/decisions/0001 and 0002.

Run it with `.venv/bin/python bench/insert_shapes.py`. Each shape inserts the same rows into the real `orders` table of
an embedded PostgreSQL with default durability, in turns; the table shows medians over rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import asyncpg
import msgspec
from rich.console import Console
from rich.table import Table

from tonne.application.identifiers import new_id
from tonne.storage.embedded import EmbeddedPostgres
from tonne.storage.schema import upgrade_schema

BATCHES = (16, 64, 256)
ORDERS_A_ROUND = 5120
ROUNDS = 5

COLUMNS = (
    "organisation_id, account_id, order_id, type, status, currency, quantity_grams, offset_cost_minor, "
    "total_cost_minor, lines, created_at, requested_tonnes, idempotency_key, placed_at"
)
NAMES = COLUMNS.split(", ")
AS_ARRAYS = f"""
    INSERT INTO orders ({COLUMNS})
    SELECT o.organisation_id, o.account_id, o.order_id, o.type, o.status, o.currency, o.quantity_grams,
           o.offset_cost_minor, o.total_cost_minor, o.lines::order_line[], o.created_at, o.requested_tonnes,
           o.idempotency_key, o.placed_at
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                  $9::bigint[], $10::text[], $11::timestamptz[], $12::numeric[], $13::text[], $14::timestamptz[])
           AS o ({COLUMNS})
        ON CONFLICT DO NOTHING RETURNING order_id
"""
AS_JSON = f"""
    INSERT INTO orders ({COLUMNS})
    SELECT {", ".join(f"o.{name}" for name in NAMES)} FROM json_populate_recordset(NULL::orders, $1) o
        ON CONFLICT DO NOTHING RETURNING order_id
"""
LINES_APART = """
    INSERT INTO order_lines SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::uuid[],
        $6::bigint[], $7::numeric[], $8::numeric[], $9::bigint[])
"""
LINE_TABLE = """
    CREATE TABLE order_lines (organisation_id uuid, account_id uuid, order_id uuid, line smallint, bundle_id uuid,
        quantity_grams bigint, unit_price numeric, gross_unit_price numeric, offset_cost_minor bigint,
        PRIMARY KEY (organisation_id, account_id, order_id, line){foreign_key})
"""
FOREIGN_KEY = ", FOREIGN KEY (organisation_id, account_id, order_id) REFERENCES orders (organisation_id, account_id, order_id)"


class Line(msgspec.Struct):
    """An order's line."""

    bundle_id: uuid.UUID
    quantity_grams: int
    unit_price: Decimal
    gross_unit_price: Decimal
    offset_cost_minor: int

    def as_text(self) -> str:
        values = ",".join(str(getattr(self, name)) for name in self.__struct_fields__)
        return f'"({values})"'


class Row(msgspec.Struct):
    """An order with its lines."""

    organisation_id: uuid.UUID
    account_id: uuid.UUID
    order_id: uuid.UUID
    type: str
    status: str
    currency: str
    quantity_grams: int
    offset_cost_minor: int
    total_cost_minor: int
    lines: list[Line]
    created_at: datetime
    requested_tonnes: Decimal
    idempotency_key: str
    placed_at: datetime


def make_row(organisation_id: uuid.UUID, account_id: uuid.UUID, bundles: list[uuid.UUID]) -> Row:
    now = datetime.now(UTC)
    lines = [
        Line(bundles[0], 11466, Decimal("13.57"), Decimal("15.08"), 16),
        Line(bundles[1], 603, Decimal(250), Decimal("277.78"), 15),
    ]
    return Row(
        organisation_id, account_id, new_id(), "quantity", "placed", "USD", 12069, 31, 35, lines, now,
        Decimal("0.01207"), f"key-{uuid.uuid4().hex[:16]}", now,
    )  # fmt: skip


async def as_arrays(connection, batch):
    columns = [[getattr(row, name) for row in batch] for name in NAMES]
    columns[NAMES.index("lines")] = [
        "{" + ",".join(line.as_text() for line in row.lines) + "}" for row in batch
    ]
    return await connection.fetch(AS_ARRAYS, *columns)


async def as_json(connection, batch):
    return await connection.fetch(AS_JSON, msgspec.json.encode(batch).decode())


async def lines_apart(connection, batch):
    inserted = await as_json(connection, batch)
    lines = [(row, number, line) for row in batch for number, line in enumerate(row.lines)]
    await connection.execute(
        LINES_APART,
        [row.organisation_id for row, _, _ in lines],
        [row.account_id for row, _, _ in lines],
        [row.order_id for row, _, _ in lines],
        [number for _, number, _ in lines],
        *([getattr(line, name) for _, _, line in lines] for name in Line.__struct_fields__),
    )
    return inserted


SHAPES = {
    "array parameters": as_arrays,
    "one JSON parameter": as_json,
    "JSON, lines in a table of their own": lines_apart,
    "the same, with a foreign key": lines_apart,
}


async def one_round(connection, shape: str, size: int, parts) -> tuple[float, float]:
    """Insert; returns wall and client CPU time in microseconds an order."""
    batches = [[make_row(*parts) for _ in range(size)] for _ in range(ORDERS_A_ROUND // size)]
    if "table" in shape or "foreign" in shape:
        await connection.execute("DROP TABLE IF EXISTS order_lines")
        await connection.execute(LINE_TABLE.format(foreign_key=FOREIGN_KEY if "foreign" in shape else ""))
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        async with connection.transaction():
            inserted = await SHAPES[shape](connection, batch)
            assert len(inserted) == size
    spent = time.perf_counter() - wall, time.process_time() - cpu
    await connection.execute("DROP TABLE IF EXISTS order_lines")
    return spent[0] / ORDERS_A_ROUND * 1e6, spent[1] / ORDERS_A_ROUND * 1e6


async def measure(url: str) -> None:
    connection = await asyncpg.connect(url)
    assert [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")] == [
        "on",
        "on",
    ]
    parts = (uuid.uuid4(), uuid.uuid4(), [uuid.uuid4(), uuid.uuid4()])
    table = Table("batch", "shape", "µs an order", "client CPU µs an order")
    for size in BATCHES:
        spent: dict[str, list[tuple[float, float]]] = {shape: [] for shape in SHAPES}
        for _ in range(ROUNDS):
            for shape in SHAPES:
                spent[shape].append(await one_round(connection, shape, size, parts))
        for shape, rounds in spent.items():
            medians = [f"{statistics.median(figures):.1f}" for figures in zip(*rounds, strict=True)]
            table.add_row(str(size), shape, *medians)
    Console().print(table)
    size = await connection.fetchval("SELECT pg_total_relation_size('orders') / count(*) FROM orders")
    print(f"{size} bytes an order with two lines, indexes included")
    await connection.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        upgrade_schema(server.url)
        asyncio.run(measure(server.url))


if __name__ == "__main__":
    main()

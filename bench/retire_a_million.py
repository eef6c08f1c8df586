"""A million small paid orders in a thousand pools: allocated and retired, set by set.

Loads the orders with COPY's speed into an embedded PostgreSQL with default durability (asserted), then has the worker
pool, cover and retire them at the simulated registry, and checks the books. Prints one JSON object.

    python bench/retire_a_million.py [--orders 1000000] [--pools 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

import asyncpg

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo
from tonne.application.worker import retire_all
from tonne.storage.checks import run_checks
from tonne.storage.database import open_pool
from tonne.storage.embedded import EmbeddedPostgres
from tonne.storage.schema import upgrade_schema

ACCOUNTS = """
    INSERT INTO accounts (organisation_id, account_id, name, mode, currency, billing, created_at)
    SELECT (SELECT organisation_id FROM organisations), gen_random_uuid(), 'Fictional buyer ' || n, 'test', 'USD',
           'automatic', now()
      FROM generate_series(1, $1::int) n
"""
# From 1 g to 40 kg each, the same in every run.
ORDERS = """
    INSERT INTO orders (organisation_id, account_id, order_id, type, status, currency, quantity_grams, requested_tonnes,
                        offset_cost_minor, total_cost_minor, lines, beneficiary, billing, created_at, placed_at, paid_at)
    SELECT a.organisation_id, a.account_id, x.id, 'quantity', 'paid', 'USD', g, g / 1000000.0,
           g / 70000, g / 60000, ARRAY[(b.bundle_id, g, 13.57, 15.08, g / 70000)::order_line], a.name, 'automatic',
           t, t, t
      FROM (SELECT *, row_number() OVER (ORDER BY name) AS k FROM accounts WHERE name LIKE 'Fictional buyer %') a
      JOIN generate_series(1, $1::int) n ON true
      CROSS JOIN LATERAL (SELECT 1 + (n * 7919 + a.k * 104729) % 40000 AS g,
                                 timestamptz '2026-01-01' + n * interval '1 second' AS t,
                                 -- As the service makes them: the time in milliseconds, then chance.
                                 (lpad(to_hex(1767225600000 + n * 1000), 12, '0')
                                  || substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid AS id) x
      CROSS JOIN (SELECT bundle_id FROM bundles ORDER BY bundle_id LIMIT 1) b
"""
TOLD = """
    INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, created_at)
    SELECT organisation_id, account_id, gen_random_uuid(), ARRAY['order.received', 'order.placed', 'order.paid'],
           array_agg(order_id), now()
      FROM orders GROUP BY organisation_id, account_id
"""
HELD = """
    INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency, amount_minor,
                                  order_ids, created_at)
    SELECT organisation_id, account_id, gen_random_uuid(), 'order_paid', 'settled', 'held', 'USD',
           sum(total_cost_minor), array_agg(order_id), now()
      FROM orders GROUP BY organisation_id, account_id
"""


async def load(url: str, *, orders: int, pools: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        for setting in ("fsync", "synchronous_commit"):
            assert await connection.fetchval(f"SHOW {setting}") == "on"
        await load_demo(connection, at=utc_now())
        await connection.execute(ACCOUNTS, pools)
        await connection.execute(ORDERS, orders // pools, timeout=600)
        await connection.execute(TOLD, timeout=600)
        await connection.execute(HELD, timeout=600)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def retire(url: str) -> float:
    async with await open_pool(url, connections_max=4) as pool:
        started = time.perf_counter()
        while await retire_all(pool, utc_now):
            pass
        return time.perf_counter() - started


async def outcome(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM pools) AS pools,
                   (SELECT count(*) FROM orders WHERE status = 'complete') AS complete,
                   (SELECT count(*) FROM retirements) AS retirements,
                   (SELECT sum(tonnes)::bigint FROM retirements WHERE state = 'confirmed') AS tonnes,
                   (SELECT count(*) FROM allocations) AS allocations,
                   (SELECT sum(cardinality(order_ids) * cardinality(event_types))::bigint FROM event_chunks) AS events
            """
        )
        broken = [result.rule async for result in run_checks(connection) if result.findings]
        assert not broken, broken
        assert row is not None
        return dict(row)
    finally:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--pools", type=int, default=1000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data") as server:
        upgrade_schema(server.url)
        asyncio.run(load(server.url, orders=chosen.orders, pools=chosen.pools))
        seconds = asyncio.run(retire(server.url))
        found = asyncio.run(outcome(server.url))
        print(
            json.dumps(
                {
                    "seconds": round(seconds, 1),
                    "orders_per_second": round(chosen.orders / seconds),
                    "worker_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
                    **found,
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()

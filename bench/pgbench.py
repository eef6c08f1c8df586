"""PostgreSQL's own load generator: the rows of one order in one prepared statement, a transaction each, no HTTP."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tonne.storage.embedded.children import postgres_bin_dir

if TYPE_CHECKING:
    from bench.servers import Database
else:
    from servers import Database

# What `storage/orders.py` writes for an order of two lines on invoice: the order, its events and its money.
SCRIPT = """
WITH new AS (
    INSERT INTO orders (organisation_id, account_id, order_id, type, status, currency, quantity_grams,
                        offset_cost_minor, total_cost_minor, lines, created_at, requested_tonnes, idempotency_key,
                        beneficiary, billing, placed_at, key_id)
    SELECT '{organisation_id}', '{account_id}', uuidv7(), 'quantity', 'placed', 'USD', 12069, 31, 35,
           array[ROW('{first}', 11466, 13.57, 15.08, 16), ROW('{second}', 603, 250, 277.78, 15)]::order_line[],
           now(), 0.01207, 'b-' || uuidv7() || '-1', 'Demo Shop', 'invoice', now(), '{key_id}'
    RETURNING organisation_id, account_id, order_id, currency, total_cost_minor, created_at
), told AS (
    INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, created_at)
    SELECT organisation_id, account_id, order_id, array['order.received', 'order.placed'], array[order_id], created_at
      FROM new
)
INSERT INTO ledger_transfers (organisation_id, account_id, transfer_id, kind, debit, credit, currency, amount_minor,
                              order_ids, created_at)
SELECT organisation_id, account_id, order_id, 'order_placed', 'receivable', 'held', currency, total_cost_minor,
       array[order_id], created_at
  FROM new;
"""
_ROW = "SELECT {0} FROM orders ORDER BY created_at LIMIT 1"


def run_pgbench(
    database: Database, clients: int, seconds: int, folder: Path, *, like: Database
) -> dict[str, float]:
    """Insert as many orders as `clients` at once can; orders a second, and the latency of each.

    They are as the first one in `like`, a database that was equal before that was placed.
    """
    script = folder / "order.sql"
    facts = {
        name: like.query(_ROW.format(what))
        for name, what in (
            ("organisation_id", "organisation_id"),
            ("account_id", "account_id"),
            ("key_id", "key_id"),
            ("first", "lines[1].bundle_id"),
            ("second", "lines[2].bundle_id"),
        )
    }
    script.write_text(" ".join(SCRIPT.format(**facts).split()), encoding="utf-8")
    log = folder / f"pgbench-{uuid.uuid4().hex}"
    log.mkdir()
    program = postgres_bin_dir() / "pgbench"
    command = [os.fspath(program), "--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=1"]
    command += [f"--time={seconds}", f"--file={script}", "--log", f"--log-prefix={log / 'log'}", database.url]
    database.query("CHECKPOINT")
    stored_before = database.orders()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise SystemExit(f"pgbench failed:\n{done.stdout}{done.stderr}")
    processed = re.search(r"transactions actually processed: ([0-9]+)", done.stdout)
    stored = database.orders() - stored_before
    if processed is None or stored < int(processed[1]):
        raise SystemExit(f"pgbench stored {stored} orders:\n{done.stdout}")
    took = sorted(
        int(line.split()[2]) / 1000 for file in log.iterdir() for line in file.read_text().splitlines()
    )
    shutil.rmtree(log)
    return {
        "orders_per_second": float(found[1]),
        "p50_ms": statistics.median(took),
        "p99_ms": took[len(took) * 99 // 100],
    }

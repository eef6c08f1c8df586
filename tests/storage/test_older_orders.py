"""Databases of before there was a ledger, or of before orders kept their key, are upgraded with what is in them."""

from __future__ import annotations

import pytest
from alembic import command
from tests.paying import broken_rules, on_pool
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.pay_orders import PayOutcome, pay_orders
from tonne.storage.schema import newest_revision, upgrade_schema

ACCOUNT = """
    WITH o AS (INSERT INTO organisations (organisation_id, name, organisation_type, commission_rate, created_at)
               VALUES ($1, 'Older', 'shipper', 0.1, now()))
    INSERT INTO accounts (organisation_id, account_id, name, mode, currency, created_at)
    VALUES ($1, $2, 'Older', 'live', 'USD', now())
"""
ORDER = """
    INSERT INTO orders (organisation_id, account_id, order_id, type, status, currency, quantity_grams, requested_tonnes,
                        offset_cost_minor, total_cost_minor, lines, created_at, placed_at)
    VALUES ($1, $2, $3, 'quantity', 'placed', 'USD', 1000, 0.001, 31, 35,
            array[($2, 1000, 30, 34, 31)::order_line], now(), now())
"""


@pytest.fixture
def older(postgres, monkeypatch):
    """Make a database at an earlier revision."""
    url = postgres.url.replace("/tonne?", "/tonne_older?")
    to = command.upgrade

    def older(revision):
        with monkeypatch.context() as patched:
            patched.setattr(command, "upgrade", lambda config, _: to(config, revision))
            upgrade_schema(url)
        return url

    on_connection(postgres.url, lambda connection: connection.execute("CREATE DATABASE tonne_older"))
    yield older
    on_connection(postgres.url, lambda connection: connection.execute("DROP DATABASE tonne_older"))


def test_orders_of_before_the_ledger_are_owed_and_can_be_paid(older):
    url = older("0002")
    organisation_id, account_id, order_ids = new_id(), new_id(), [new_id() for _ in range(1003)]

    async def fill(connection):
        await connection.execute(ACCOUNT, organisation_id, account_id)
        await connection.executemany(ORDER, [(organisation_id, account_id, each) for each in order_ids])

    on_connection(url, fill)
    upgrade_schema(url)
    assert broken_rules(url) == {}
    moved = on_connection(url, lambda c: c.fetch("SELECT * FROM ledger_transfers ORDER BY amount_minor"))
    assert [(row["amount_minor"], len(row["order_ids"])) for row in moved] == [(105, 3), (35_000, 1000)]
    results = on_pool(url, lambda pool: pay_orders(pool, order_ids, at=utc_now()))
    assert {result.outcome for result in results} == {PayOutcome.PAID}
    assert broken_rules(url) == {}


@pytest.mark.parametrize("has_column", [False, True])
def test_orders_of_before_they_kept_their_key_have_none(older, has_column):
    url = older("0009")
    order_id = new_id()

    async def fill(connection):
        if has_column:
            # As in databases that took 0009 while it had this column.
            await connection.execute("ALTER TABLE orders ADD COLUMN key_id uuid")
        await connection.execute(ACCOUNT, order_id, order_id)
        await connection.execute(ORDER, order_id, order_id, order_id)

    on_connection(url, fill)
    assert upgrade_schema(url) == ("0009", newest_revision())
    [row] = on_connection(url, lambda connection: connection.fetch("SELECT key_id FROM orders"))
    assert row["key_id"] is None

"""`tonne check` finds the books of a busy service sound, and names each kind of damage to them."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from tests.paying import on_pool, open_payer

from tonne.application.identifiers import utc_now
from tonne.application.pay_orders import pay_orders
from tonne.application.worker import retire_all
from tonne.domain.accounts import Billing, Mode

PARCEL = {"mass": {"amount": "12.07", "unit": "kg"}}
TONNE = {"mass": {"amount": "20", "unit": "t"}}

HELD = "what is held is what undelivered orders cost"
OWED = "what is owed is what unpaid orders on invoice cost"
PREPAID = "a prepaid balance is what the ledger says"
PLACED = "every order is in the ledger once for being placed or paid"
CANCELLED = "every cancelled order gave its money back once"
DELIVERED = "every complete order is in the ledger once as delivered"
CURRENCY = "money moves in its account's currency"
SUMS = "a movement of money is the sum of its orders"
KINDS = "money moves only from where to where its kind says"


# What damage to orders breaks beside the books.
BESIDE_MONEY = {
    "the statuses of an order were reached one after the other",
    "every status that an order has reached was told, once",
}


@pytest.fixture(scope="module")
def busy(service):
    """Orders of every billing, placed, paid, cancelled and delivered, and payments."""
    invoiced = open_payer(service)
    with invoiced.client() as client:
        ids = [UUID(client.post("/orders/by-mass", json=PARCEL).json()["id"]) for _ in range(3)]
        client.post(f"/orders/{ids[0]}/cancel").raise_for_status()
    on_pool(service.database_url, lambda pool: pay_orders(pool, ids[:2], at=utc_now()))
    with open_payer(service, billing=Billing.PREPAID, balance="5.00").client() as client:
        client.post("/orders/by-mass", json=PARCEL).raise_for_status()
    with open_payer(service, billing=Billing.AUTOMATIC, mode=Mode.TEST).client() as client:
        order_id = client.post("/orders/by-mass", json=TONNE).json()["id"]
        on_pool(service.database_url, lambda pool: retire_all(pool, utc_now))
        assert client.get(f"/orders/{order_id}").json()["status"] == "complete"
    return service


def broken(tonne):
    printed = json.loads(tonne("check", "--json", status=1).stdout)
    return {found["rule"] for found in printed["rules"] if found["findings"]}


def test_the_books_of_a_busy_service_are_sound(tonne, busy):
    assert json.loads(tonne("check", "--json").stdout)["sound"] is True


@pytest.mark.parametrize(
    ("damage", "rules"),
    [
        ("UPDATE prepaid_balances SET balance_minor = balance_minor + 1", {PREPAID}),
        ("DELETE FROM prepaid_balances", {PREPAID}),
        ("UPDATE ledger_transfers SET currency = 'SEK'", {CURRENCY}),
        ("UPDATE ledger_transfers SET amount_minor = amount_minor + 1 WHERE kind = 'top_up'", {PREPAID}),
        (
            "UPDATE ledger_transfers SET amount_minor = amount_minor + 1 WHERE kind = 'credits_delivered'",
            {HELD, SUMS},
        ),
        (
            "UPDATE ledger_transfers SET amount_minor = amount_minor + 1 WHERE kind = 'commission_earned'",
            {HELD, SUMS},
        ),
        (
            "UPDATE ledger_transfers SET amount_minor = amount_minor + 1 WHERE debit = 'cash' AND kind = 'order_paid'",
            {OWED, SUMS},
        ),
        ("DELETE FROM ledger_transfers WHERE kind = 'commission_earned'", {HELD, DELIVERED}),
        ("DELETE FROM ledger_transfers WHERE kind = 'credits_delivered'", {HELD, DELIVERED}),
        ("DELETE FROM ledger_transfers WHERE kind = 'order_cancelled'", {HELD, OWED, CANCELLED}),
        ("DELETE FROM ledger_transfers WHERE debit = 'receivable'", {HELD, OWED, PLACED}),
        ("DELETE FROM ledger_transfers WHERE debit = 'cash' AND kind = 'order_paid'", {OWED, PLACED}),
        ("DELETE FROM ledger_transfers WHERE debit = 'prepaid'", {HELD, PREPAID, PLACED}),
        ("DELETE FROM ledger_transfers WHERE debit = 'settled'", {HELD, PLACED}),
        (
            "UPDATE ledger_transfers SET order_ids = order_ids || gen_random_uuid() WHERE kind = 'commission_earned'",
            {SUMS},
        ),
        ("UPDATE ledger_transfers SET debit = 'settled' WHERE debit = 'cash' AND kind = 'order_paid'", {KINDS}),
        ("UPDATE orders SET status = 'failed', failed_at = created_at WHERE status = 'placed'", {HELD, OWED, CANCELLED}),
        (
            "UPDATE orders SET status = 'paid', paid_at = placed_at WHERE status = 'placed'",
            {OWED, PLACED},
        ),
    ],
)  # fmt: skip
def test_check_names_what_is_damaged(tonne, busy, run_sql, damage, rules):
    for table in ("ledger_transfers", "prepaid_balances", "orders"):
        run_sql(f"CREATE TABLE kept_{table} AS TABLE {table}")
    try:
        run_sql(damage)
        assert broken(tonne) - BESIDE_MONEY == rules
    finally:
        for table in ("ledger_transfers", "prepaid_balances", "orders"):
            run_sql(f"TRUNCATE {table}")
            run_sql(f"INSERT INTO {table} TABLE kept_{table}")
            run_sql(f"DROP TABLE kept_{table}")

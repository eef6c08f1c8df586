"""`tonne check` finds sound books sound, and names what is damaged."""

from __future__ import annotations

import json

import asyncpg
import pytest


def test_check_finds_the_books_in_order(tonne, service):
    with service.client() as client:
        client.post("/orders/by-mass", json={"mass": {"amount": "12.07", "unit": "kg"}}).raise_for_status()
    printed = json.loads(tonne("check", "--json").stdout)
    assert printed["sound"] is True
    assert len(printed["rules"]) >= 9


@pytest.mark.parametrize(
    ("damage", "repair", "rule"),
    [
        (
            "UPDATE orders SET offset_cost_minor = offset_cost_minor - 1",
            "UPDATE orders SET offset_cost_minor = offset_cost_minor + 1",
            "an order's lines add up to the order",
        ),
        (
            "UPDATE orders SET currency = 'SEK'",
            "UPDATE orders SET currency = 'USD'",
            "an order belongs to an account and is in its currency",
        ),
        (
            "UPDATE orders SET estimate_id = order_id",
            "UPDATE orders SET estimate_id = NULL",
            "an order by estimate asks for the estimate's mass",
        ),
        (
            "UPDATE orders SET key_id = order_id, metadata = jsonb_build_object('key_id', key_id)",
            "UPDATE orders SET key_id = (metadata ->> 'key_id')::uuid, metadata = NULL",
            "an order was placed with a key of its organisation",
        ),
        (
            "UPDATE orders SET placed_at = created_at - interval '1 s'",
            "UPDATE orders SET placed_at = created_at",
            "the statuses of an order were reached one after the other",
        ),
        (
            "UPDATE orders SET lines[1].gross_unit_price = 1",
            "UPDATE orders SET lines[1].gross_unit_price = 15.08",
            "no line is negative, and no gross price is below the net price",
        ),
        (
            "UPDATE default_selection SET percentage = percentage - 1 WHERE position = 0",
            "UPDATE default_selection SET percentage = percentage + 1 WHERE position = 0",
            "a bundle selection adds up to 100 percent",
        ),
        (
            "UPDATE accounts SET sibling_id = account_id WHERE mode = 'live' AND currency = 'ISK'",
            (
                "UPDATE accounts a SET sibling_id = s.account_id FROM accounts s WHERE a.mode = 'live' "
                "AND a.currency = 'ISK' AND s.mode = 'test' AND s.currency = 'ISK'"
            ),
            "live and test accounts come in pairs",
        ),
    ],
)
def test_check_names_what_is_damaged(tonne, service, run_sql, damage, repair, rule):
    run_sql(damage)
    try:
        printed = json.loads(tonne("check", "--json", status=1).stdout)
        said = tonne("check", status=1).output
    finally:
        run_sql(repair)
    assert [found["rule"] for found in printed["rules"] if found["findings"]] == [rule]
    assert "broken" in said
    assert rule in said


TWICE = """
    INSERT INTO lots (project_id, lot_id, vintage_year, serial_prefix, serial_first, serial_last, serial_next,
                      issued_tonnes, available_tonnes, created_at)
    SELECT project_id, gen_random_uuid(), vintage_year, serial_prefix, serial_last, serial_last, serial_last, 1, 1, created_at
      FROM lots
"""


def test_the_database_refuses_a_serial_number_in_two_lots(service, run_sql):
    with pytest.raises(asyncpg.ExclusionViolationError):
        run_sql(f"{TWICE} ORDER BY lot_id LIMIT 1")


def test_check_finds_a_serial_number_in_two_lots(tonne, service, run_sql):
    # As it may be in a database that was damaged, or restored without its constraints.
    run_sql("ALTER TABLE lots DROP CONSTRAINT no_serial_number_is_in_two_lots")
    run_sql(f"{TWICE} ORDER BY lot_id LIMIT 1")
    try:
        printed = json.loads(tonne("check", "--json", status=1).stdout)
    finally:
        run_sql("DELETE FROM lots WHERE issued_tonnes = 1")
        run_sql(
            "ALTER TABLE lots ADD CONSTRAINT no_serial_number_is_in_two_lots EXCLUDE USING gist (serial_range WITH &&)"
        )
    assert [found["rule"] for found in printed["rules"] if found["findings"]] == [
        "no serial number is in two lots"
    ]

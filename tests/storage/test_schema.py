"""The schema keeps the rules that let it run on one server or distributed over many (design, section 1)."""

from __future__ import annotations

import threading

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from tests.support import on_connection

from tonne.storage.schema import MIGRATIONS, newest_revision, upgrade_schema

CATALOGUE = {
    "serving_processes",
    "projects",
    "lots",
    "returned_blocks",
    "bundles",
    "bundle_projects",
    "default_selection",
    "exchange_rates",
    "bundle_prices",
    "bundle_portfolios",
    "bundle_portfolio_choices",
    "images",
    "withdrawals",
    "retirements_elsewhere",
    "catalogue_state",
    "bundle_commitments",
    "service_secrets",
    "signing_certificates",
}

KEYS = """
    SELECT c.conname || ' on ' || c.conrelid::regclass AS name, c.conrelid::regclass::text AS table_name,
           c.contype::text AS kind, a.attname AS first_column, c.confdeltype::text AS on_delete,
           c.confrelid::regclass::text AS target
      FROM pg_constraint c
      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('p', 'u', 'f')
"""
UNIQUE_INDEXES = """
    SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS table_name, a.attname AS first_column
      FROM pg_index i
      JOIN pg_class t ON t.oid = i.indrelid AND t.relnamespace = 'public'::regnamespace
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indisunique
"""
TABLES = (
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
)


def broken_rules(keys, unique_indexes, tables) -> list[str]:
    """What breaks the rules for tenant tables."""
    tenants = {table["name"] for table in tables} - CATALOGUE
    found = [
        f"{key['name']} does not begin with organisation_id"
        for key in [*keys, *unique_indexes]
        if key["table_name"] in tenants and key["first_column"] != "organisation_id"
    ]
    with_primary_key = {key["table_name"] for key in keys if key["kind"] == "p"}
    found += [f"{table} has no primary key" for table in tenants | CATALOGUE if table not in with_primary_key]
    found += [
        f"{key['name']} sets null on delete" for key in keys if key["kind"] == "f" and key["on_delete"] == "n"
    ]
    return found


def test_tenant_tables_can_be_distributed_by_organisation(run_sql):
    assert broken_rules(run_sql(KEYS), run_sql(UNIQUE_INDEXES), run_sql(TABLES)) == []


def test_a_table_that_breaks_the_rules_is_found(run_sql):
    run_sql(
        "CREATE TABLE bad (a int UNIQUE, organisation_id uuid REFERENCES organisations ON DELETE SET NULL)"
    )
    try:
        found = "\n".join(broken_rules(run_sql(KEYS), run_sql(UNIQUE_INDEXES), run_sql(TABLES)))
    finally:
        run_sql("DROP TABLE bad")
    assert "does not begin with organisation_id" in found
    assert "bad has no primary key" in found
    assert "sets null on delete" in found


def test_there_are_no_triggers_of_ours_and_no_sequences(run_sql):
    assert run_sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    assert run_sql("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'") == []


def test_every_tenant_table_has_an_organisation(run_sql):
    tables = {table["name"] for table in run_sql(TABLES)} - CATALOGUE
    with_organisation = {
        row["table_name"]
        for row in run_sql(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'organisation_id'"
        )
    }
    assert tables <= with_organisation


def test_the_newest_revision_is_the_one_alembic_would_go_to():
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == newest_revision()


def test_a_second_upgrade_changes_nothing(database_url):
    assert upgrade_schema(database_url) == (newest_revision(), newest_revision())


def test_two_upgrades_at_once_make_one_schema(postgres):
    on_connection(postgres.url, lambda connection: connection.execute("CREATE DATABASE tonne_upgrades"))
    url = postgres.url.replace("/tonne?", "/tonne_upgrades?")
    results: list[tuple[str | None, str]] = []
    upgrades = [threading.Thread(target=lambda: results.append(upgrade_schema(url))) for _ in range(2)]
    for upgrade in upgrades:
        upgrade.start()
    for upgrade in upgrades:
        upgrade.join(timeout=60)
    newest = newest_revision()
    assert sorted(results, key=str) == [(newest, newest), (None, newest)]


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("total_cost_minor = offset_cost_minor - 1", "commission_is_not_negative"),
        ("quantity_grams = 0", "orders_quantity_grams_check"),
        ("quantity_grams = 12071", "quantity_is_at_most_requested"),
        ("requested_value_minor = 100", "requested_is_quantity_or_value"),
        ("requested_tonnes = NULL", "requested_is_quantity_or_value"),
        ("status = 'retiring'", "status_has_its_time"),
        ("status = 'sent'", "orders_status_check"),
        ("lines = '{}'", "orders_lines_check"),
    ],
)
def test_the_database_refuses_an_order_that_can_not_be(service, run_sql, change, constraint):
    with service.client() as client:
        client.post("/orders/by-mass", json={"mass": {"amount": "12.07", "unit": "kg"}}).raise_for_status()
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        run_sql(f"UPDATE orders SET {change}")


@pytest.mark.parametrize(
    "change",
    ["available_tonnes = available_tonnes - 1", "serial_last = serial_last + 1", "allocated_tonnes = -1"],
)
def test_the_database_refuses_a_lot_that_loses_a_tonne(service, run_sql, change):
    with pytest.raises(asyncpg.CheckViolationError):
        run_sql(f"UPDATE lots SET {change}")


def test_a_key_can_not_be_of_the_other_mode_than_its_account(service, run_sql):
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        run_sql("UPDATE api_keys SET mode = CASE mode WHEN 'live' THEN 'test' ELSE 'live' END")

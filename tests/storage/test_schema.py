"""The schema keeps the rules that let it run on one server or distributed over many (design, section 1)."""

from __future__ import annotations

import hashlib
import shutil
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
    "factor_editions",
    "emission_factors",
}

# SHA-256 of each migration: a database may have gone through it as it is.
MIGRATIONS_THAT_ARE_OUT = {
    "0001_orders.py": "4842756d86aca5742b5967b45740c3bdeb283c7ec1bb4ffa606fb9382075a59b",
    "0002_account_version.py": "73f0ff2e933cb1057a7f04c4d0fb85665aec732b8446d4ced99e3b97fefa46ab",
    "0003_paying_and_retiring.py": "0269a513e2af771cd3bf1fa207f45f3bedad3d04bfa22735a6c480edd55dafd4",
    "0004_money_by_reference.py": "5e69e4a2b6d378e585e1d28241b94e5d79d4783b9d23ee3b0dde12131a178dd7",
    "0005_audit_and_terms.py": "3efefbb6a982a1fcf7c51b0e67053c936518a0d19dc8aca0953d664854a96764",
    "0006_catalogue_prices.py": "e29b01d08fc694a9b5a6557ff220c619733cd2e905540da5e11dced347e0ee1e",
    "0007_inventory.py": "f2fd668e2041ad713408bc0b07ea0ed500146845b8cd4881bc523a3bc5455267",
    "0008_accounts_and_keys.py": "2d23f3b8cca5d61719c8df3efc7a2f29c1a54e2394b06551003ccda20da2fb8f",
    "0009_bulk_and_reports.py": "ef8a11e5ad88cff8cb37979442656ab40101f461f9006334a6d2f3087971670a",
    "0010_order_keys.py": "9018ca838bf38c51b3736bbde25d111a39a102cb1e91e7769fd0bbce6b7cdee5",
    "0011_emission_factors.py": "82c6bb13657a3e5eab09025b5a83ab1a79bf2e9f602cc3e8625011c01ee46911",
    "0012_webhooks.py": "66a01ec46f87b965fa46bbb9219c9f133f716e1d5dca16aa3eb94f4ce58b8981",
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


def edited_migrations(versions) -> list[str]:
    """Migrations that are not what they were when they came out, or that are not in the table yet."""
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in versions.glob("[0-9]*.py")}
    names = found.keys() | MIGRATIONS_THAT_ARE_OUT.keys()
    return sorted(name for name in names if found.get(name) != MIGRATIONS_THAT_ARE_OUT.get(name))


def test_no_migration_changes_once_it_is_out():
    edited = edited_migrations(MIGRATIONS / "versions")
    assert edited == [], "a migration that is out is never edited: add another one"


def test_a_migration_that_is_edited_removed_or_not_listed_is_found(tmp_path):
    versions = tmp_path / "versions"
    shutil.copytree(MIGRATIONS / "versions", versions)
    file = versions / "0009_bulk_and_reports.py"
    file.write_text(file.read_text() + "\n")
    (versions / "0002_account_version.py").unlink()
    (versions / "9999_new.py").touch()
    assert edited_migrations(versions) == ["0002_account_version.py", file.name, "9999_new.py"]


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

"""The command line, on a real database."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tests.support import on_connection

from tonne.cli.main import main
from tonne.storage.schema import newest_revision


@pytest.fixture(scope="module")
def opened(tonne):
    """An organisation with its accounts and keys, as `tonne init` prints them."""
    printed = tonne("init", "--organisation", "Fabrikate GmbH", "--currency", "eur", "--json").stdout
    return json.loads(printed)["accounts"]


def test_init_opens_a_live_and_a_test_account_with_a_key_each(tonne, opened):
    assert [(account["mode"], account["currency"]) for account in opened] == [
        ("live", "EUR"),
        ("test", "EUR"),
    ]
    assert all(account["api_key"].startswith(f"tonne_{account['mode']}_") for account in opened)
    listed = json.loads(tonne("accounts", "list", "--json").stdout)
    assert {account["account_id"] for account in opened} == {account["account_id"] for account in listed}
    assert {account["organisation"] for account in listed} == {"Fabrikate GmbH"}


def test_init_without_an_organisation_says_what_comes_next(tonne):
    assert "tonne init --organisation NAME" in tonne("init").output


def test_init_refuses_what_is_no_currency(tonne):
    assert "XXL is no ISO 4217 currency" in tonne("init", "--currency", "XXL", status=2).output
    assert "XAU is no ISO 4217 currency" in tonne("init", "--currency", "XAU", status=2).output


def test_a_key_is_created_listed_without_its_secret_and_disabled(tonne, opened):
    account_id = opened[1]["account_id"]
    options = ("--account", account_id, "--name", "shop", "--rate-limit", "40", "--json")
    key = json.loads(tonne("keys", "create", *options).stdout)
    listed = tonne("keys", "list", "--json").stdout
    assert key["api_key"] not in listed
    row = next(row for row in json.loads(listed) if row["key_id"] == key["key_id"])
    assert (row["name"], row["rate_limit_per_second"], row["disabled_at"]) == ("shop", 40, None)
    assert key["api_key"].endswith(row["last_characters"])
    assert json.loads(tonne("keys", "disable", key["key_id"], "--json").stdout)["changed"] is True
    assert json.loads(tonne("keys", "disable", key["key_id"], "--json").stdout)["changed"] is False
    assert "disabled" in next(
        line for line in tonne("keys", "list").output.splitlines() if key["key_id"] in line
    )


def test_a_key_is_made_to_measure_and_rotated(tonne, opened):
    account_id = opened[1]["account_id"]
    options = (
        "--scope",
        "orders:read",
        "--expires",
        "90d",
        "--allow",
        "203.0.113.0/24",
        "--daily-cap",
        "12.50",
    )
    key = json.loads(tonne("keys", "create", "--account", account_id, *options, "--json").stdout)

    def row(key_id):
        listed = json.loads(tonne("keys", "list", "--json").stdout)
        return next(row for row in listed if row["key_id"] == key_id)

    made = row(key["key_id"])
    assert (made["scopes"], made["allowed_networks"]) == (["orders:read"], ["203.0.113.0/24"])
    assert (made["daily_cap"], made["state"]) == ("12.50", "enabled")
    rotated = json.loads(tonne("keys", "rotate", key["key_id"], "--overlap", "1h", "--json").stdout)
    assert row(key["key_id"])["expires_at"] == rotated["old_key_ends_at"]
    again = row(rotated["key_id"])
    assert {**again, "key_id": "", "last_characters": "", "created_at": ""} == {
        **made,
        "key_id": "",
        "last_characters": "",
        "created_at": "",
    }
    tonne("keys", "rotate", rotated["key_id"], "--overlap", "0")
    assert row(rotated["key_id"])["state"] == "disabled"
    assert "disabled or has expired" in tonne("keys", "rotate", rotated["key_id"], status=1).output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--expires", "soon"), "neither a span"),
        (("--expires", "2020-01-31"), "must be in the future"),
        (("--allow", "203.0.113.1/24"), "name a network"),
        (("--daily-cap", "-1"), "-1"),
        (("--daily-cap", "0.001"), "more decimals"),
    ],
)
def test_a_key_that_can_not_be_is_refused_and_not_made(tonne, opened, options, said):
    before = tonne("keys", "list", "--json").stdout
    command = ("keys", "create", "--account", opened[1]["account_id"], *options)
    status = 1 if "future" in said else 2
    assert said in tonne(*command, status=status).output
    assert tonne("keys", "list", "--json").stdout == before


def test_a_key_shown_to_a_person_is_whole_and_on_one_line(tonne, opened):
    printed = tonne("keys", "create", "--account", opened[0]["account_id"]).output
    assert any(len(word) == 60 and word.startswith("tonne_live_") for word in printed.split())


def test_an_account_is_suspended_and_resumed(tonne, opened):
    account_id = opened[0]["account_id"]
    assert "now suspended" in tonne("accounts", "suspend", account_id).output
    assert "suspended before" in tonne("accounts", "suspend", account_id).output
    listed = json.loads(tonne("accounts", "list", "--json").stdout)
    assert {row["account_id"]: row["suspended"] for row in listed}[account_id] is True
    assert "now active" in tonne("accounts", "resume", account_id).output
    assert "active before" in tonne("accounts", "resume", account_id).output


@pytest.mark.parametrize("command", [("accounts", "suspend"), ("accounts", "resume"), ("keys", "disable")])
def test_an_unknown_id_is_said_and_changes_nothing(tonne, opened, command):
    unknown = "01900000-0000-7000-8000-000000000000"
    assert f"{unknown}; `tonne" in tonne(*command, unknown, status=1).output


def test_a_key_for_an_unknown_account_is_refused(tonne, opened):
    unknown = "01900000-0000-7000-8000-000000000000"
    assert "There is no account" in tonne("keys", "create", "--account", unknown, status=1).output


def test_db_upgrade_is_harmless_when_current(tonne):
    assert json.loads(tonne("db", "upgrade", "--json").stdout) == {
        "revision_before": newest_revision(),
        "revision": newest_revision(),
    }
    assert "is current" in tonne("db", "upgrade").output


def test_commands_want_a_current_schema_and_say_how_to_get_it(postgres):
    on_connection(postgres.url, lambda connection: connection.execute("CREATE DATABASE tonne_empty"))
    url = postgres.url.replace("/tonne?", "/tonne_empty?")
    refused = CliRunner().invoke(main, ["accounts", "list", "--database-url", url])
    assert refused.exit_code == 1
    assert "run `tonne db upgrade`" in refused.output
    assert CliRunner().invoke(main, ["db", "upgrade", "--database-url", url]).exit_code == 0
    assert CliRunner().invoke(main, ["accounts", "list", "--database-url", url]).exit_code == 0


def test_a_folder_without_data_is_not_filled_by_asking_for_accounts(tmp_path):
    refused = CliRunner().invoke(main, ["accounts", "list", "--data-dir", str(tmp_path / "nothing")])
    assert refused.exit_code == 1
    assert "`tonne init`" in refused.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "can't be reached"),
        ("mysql://somewhere/else", "can't be reached"),
    ],
)
def test_a_database_that_is_not_there_is_said_plainly(url, said):
    refused = CliRunner().invoke(main, ["accounts", "list", "--database-url", url])
    assert refused.exit_code == 1
    assert said in refused.output


def test_a_setting_that_can_not_be_is_named(monkeypatch):
    monkeypatch.setenv("TONNE_PORT", "eighty")
    refused = CliRunner().invoke(main, ["accounts", "list"])
    assert refused.exit_code == 1
    assert "TONNE_PORT must be a whole number" in refused.output


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("init",),
        ("db",),
        ("db", "upgrade"),
        ("keys",),
        ("keys", "create"),
        ("accounts",),
        ("check",),
    ],
)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_what_init_opens_is_in_the_audit_log_and_the_operator_opens_accounts_on_invoice(tonne):
    opened = json.loads(tonne("init", "--organisation", "Muster Handel", "--json").stdout)["accounts"]
    entries = json.loads(tonne("audit", "log", "--json", "--limit", "1000").stdout)
    created = {entry["object_id"]: entry["action"] for entry in entries}
    for each in opened:
        assert created[each["account_id"]] == created[each["key_id"]] == "create"
    account = next(each["account_id"] for each in opened if each["mode"] == "live")
    tonne("accounts", "suspend", account)
    known = {each["account_id"]: each for each in json.loads(tonne("accounts", "list", "--json").stdout)}
    more = ("--organisation", known[account]["organisation_id"], "--name", "Second", "--currency", "eur")
    pair = json.loads(tonne("accounts", "create", *more, "--json").stdout)
    known = {each["account_id"]: each for each in json.loads(tonne("accounts", "list", "--json").stdout)}
    assert sorted(known[each["account_id"]]["billing"] for each in pair) == ["automatic", "invoice"]

"""`tonne audit`: the log is read and verified on the command line."""

from __future__ import annotations

import json

import pytest
from tests.support import on_connection

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import renew_demo_keys
from tonne.domain.accounts import Mode


@pytest.fixture(scope="module")
def changed(service, tonne):
    """Some changes by somebody at the command line; returns the account they were of."""
    account_id = str(service.key("ISK", Mode.LIVE).account.account_id)
    tonne("accounts", "billing", account_id, "prepaid")
    tonne("accounts", "top-up", account_id, "100", "--reference", "bank-1")
    return account_id


def test_the_log_tells_what_changed_and_who_changed_it(tonne, changed):
    said = tonne("audit", "log", "--object", changed).output
    assert f"account {changed}" in said
    assert 'billing: "invoice" → "prepaid"' in said
    assert "by user " in said
    [first, *_] = printed = json.loads(tonne("audit", "log", "--json", "--object", changed).stdout)
    assert {entry["object_id"] for entry in printed} == {changed}
    assert first["actor"].startswith("user ")
    assert first["request_id"] is None


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--limit", "1"], 1),
        (["--type", "nothing"], 0),
        (["--since", "2000-01-01"], 3),
        (["--actor", "service"], 1),
        (["--since", "2999-01-01T00:00:00Z"], 0),
        (["--actor", "nobody at all"], 0),
    ],
)
def test_the_log_is_filtered(tonne, changed, options, count):
    printed = json.loads(tonne("audit", "log", "--json", "--object", changed, *options).stdout)
    assert len(printed) == count
    if not count:
        assert "No change matches" in tonne("audit", "log", "--object", changed, *options).output


def test_the_demo_is_opened_by_the_service_and_so_are_its_new_keys(tonne, service):
    def created():
        log = json.loads(tonne("audit", "log", "--actor", "service", "--limit", "100", "--json").stdout)
        assert {entry["action"] for entry in log} == {"create"}
        return [(entry["object_type"], entry["object_id"]) for entry in log]

    keys = service.keys.values()
    first = created()
    assert [kind for kind, _ in first].count("organisation") == 1
    assert {("api_key", str(new.key.key_id)) for new in keys} <= set(first)
    assert {("account", str(new.account.account_id)) for new in keys} <= set(first)
    new = on_connection(service.database_url, lambda c: renew_demo_keys(c, at=utc_now()))
    assert new is not None
    assert set(created()) - set(first) == {("api_key", str(each.key.key_id)) for each in new}


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "2026-01-01T00:00:00"])
def test_a_time_that_is_none_is_refused(tonne, since):
    assert "neither a day" in tonne("audit", "log", "--since", since, status=2).output


def test_a_whole_log_is_said_to_be_whole_with_its_heads_to_note(tonne, changed):
    printed = json.loads(tonne("audit", "verify", "--json").stdout)
    assert printed["sound"] is True
    assert printed["entries"] >= 2
    heads = [f"{head['sequence']}:{head['hash']}" for head in printed["heads"]]
    said = tonne("audit", "verify").output
    assert all(head in said for head in heads)
    options = [part for head in heads for part in ("--expect", head)]
    assert "with all expected heads" in tonne("audit", "verify", *options).output


def test_one_edited_row_is_found_by_verify_and_by_check(tonne, changed, run_sql):
    run_sql("UPDATE audit_entries SET actor = actor || 'x' WHERE object_id = $1", changed)
    try:
        said = tonne("audit", "verify", status=1).output
        printed = json.loads(tonne("check", "--json", status=1).stdout)
    finally:
        run_sql(
            "UPDATE audit_entries SET actor = left(actor, length(actor) - 1) WHERE object_id = $1", changed
        )
    assert "broken" in said
    assert f"account {changed}" in said
    assert [rule["rule"] for rule in printed["rules"] if rule["findings"]] == [
        "the audit log is as it was written"
    ]
    tonne("audit", "verify")
    tonne("check")


def test_a_head_that_is_nowhere_in_the_log_is_found(tonne, changed):
    said = tonne("audit", "verify", "--expect", f"3:{'ab' * 32}", status=1).output
    assert "no chain has an entry 3" in said


@pytest.mark.parametrize("head", ["3", "x:" + "ab" * 32, "3:abc", "0:" + "ab" * 32])
def test_a_head_that_can_be_none_is_refused(tonne, head):
    assert "SEQUENCE:HASH" in tonne("audit", "verify", "--expect", head, status=2).output

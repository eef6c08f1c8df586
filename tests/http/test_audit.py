"""The audit log over HTTP, for operators with a live key."""

from __future__ import annotations

import pytest
from tests.paying import open_payer

from tonne.domain.accounts import Billing, Mode, Scope


@pytest.fixture(scope="module")
def operator(service):
    return open_payer(service, scopes=frozenset({Scope.OPERATOR}))


@pytest.fixture(scope="module")
def changed(service, operator):
    """An account whose billing an operator changed five times over HTTP; returns its id."""
    account_id = str(open_payer(service, billing=Billing.INVOICE).account.account_id)
    with operator.client() as client:
        for billing in ("prepaid", "invoice", "automatic", "prepaid", "invoice"):
            answer = client.put(f"/operator/accounts/{account_id}/billing", json={"billing": billing})
            assert answer.status_code == 200, answer.text
    return account_id


def test_an_operator_reads_who_changed_what(operator, changed):
    with operator.client() as client:
        page = client.get("/operator/audit", params={"object_id": changed, "limit": 2}).json()
    newest = page["data"][0]
    assert newest["actor"] == f"key {operator.key.key_id}"
    assert len(newest["request_id"]) == 24
    assert newest["organisation_id"] == str(operator.account.organisation_id)
    assert (newest["before"]["billing"], newest["after"]["billing"]) == ("prepaid", "invoice")
    assert page["has_more"] is True


def test_pages_hold_every_change_once(operator, changed):
    seen: list[int] = []
    after: dict[str, str] = {}
    with operator.client() as client:
        while True:
            page = client.get("/operator/audit", params={"object_id": changed, "limit": 2} | after).json()
            seen += [entry["sequence"] for entry in page["data"]]
            if not page["has_more"]:
                break
            after = {"after": page["next_cursor"]}
    assert page["next_cursor"] is None
    assert len(seen) == 5
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"object_type": "account"}, 5),
        ({"object_type": "bundle"}, 0),
        ({"actor": "service"}, 0),
        ({"since": "2999-01-01T00:00:00Z"}, 0),
        ({"since": "2000-01-01T00:00:00Z"}, 5),
    ],
)
def test_changes_are_filtered(operator, changed, filters, count):
    with operator.client() as client:
        page = client.get("/operator/audit", params={"object_id": changed, "limit": 100} | filters).json()
    assert len(page["data"]) == count


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"after": "x"}, "id_invalid"),
        ({"after": "1.2.3"}, "id_invalid"),
        ({"after": "999999999999999999.00000000-0000-0000-0000-000000000000.1"}, "id_invalid"),
        ({"limit": "101"}, "pagination_limit_invalid"),
        ({"since": "yesterday"}, "validation_error"),
        ({"until": "2026-01-01T00:00:00Z"}, "validation_error"),
    ],
)
def test_a_query_that_does_not_match_is_refused(operator, refusal, query, code):
    with operator.client() as client:
        assert refusal(client.get("/operator/audit", params=query)) == (400, code)


@pytest.mark.parametrize(
    ("mode", "scopes"), [(Mode.LIVE, frozenset()), (Mode.TEST, frozenset({Scope.OPERATOR}))]
)
def test_only_live_keys_of_operators_read_it(service, refusal, mode, scopes):
    with open_payer(service, mode=mode, scopes=scopes).client() as client:
        assert refusal(client.get("/operator/audit")) == (403, "insufficient_scope")

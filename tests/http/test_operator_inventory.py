"""Lots over HTTP: listed, suspended, withdrawn."""

from __future__ import annotations

import pytest
from tests.paying import broken_rules, open_payer

from tonne.domain.accounts import Mode, Scope


@pytest.fixture
def operator(service):
    with open_payer(service, mode=Mode.LIVE, scopes=frozenset({Scope.OPERATOR})).client() as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def books(service):
    yield
    assert broken_rules(service.database_url) == {}


def lots(operator):
    found, after = [], ""
    while True:
        page = operator.get(f"/operator/lots?limit=3{after}").raise_for_status().json()
        found += page["data"]
        if not page["has_more"]:
            return found
        after = f"&after={page['next_cursor']}"


def test_lots_are_listed_page_by_page_and_summed_up(operator, run_sql):
    found = lots(operator)
    assert (
        len(found)
        == len({lot["id"] for lot in found})
        == run_sql("SELECT count(*) FROM lots WHERE mode = 'live'")[0][0]
    )
    summed = operator.get("/operator/inventory").json()
    assert sum(line["available"] for line in summed) == sum(lot["available"] for lot in found)


def test_a_suspended_lot_is_not_available_until_it_is_released(operator, api):
    def available():
        return [bundle["available_quantity"] for bundle in api.get("/bundles").json()["data"]]

    lot = lots(operator)[0]
    before = available()
    url = f"/operator/lots/{lot['id']}"
    assert operator.post(f"{url}/suspend", json={"reason": "In doubt."}).json()["changed"] is True
    assert available() != before
    assert next(found for found in lots(operator) if found["id"] == lot["id"])["suspended_for"] == "In doubt."
    assert operator.post(f"{url}/release").json() == {"id": lot["id"], "suspended": False, "changed": True}
    assert available() == before


def test_withdrawn_serial_numbers_are_gone(operator, refusal):
    lot = lots(operator)[-1]
    url = f"/operator/lots/{lot['id']}/withdraw"
    asked = {
        "kind": "invalidated",
        "reason": "Void.",
        "serial_first": lot["serial_last"] - 4,
        "serial_last": lot["serial_last"],
    }
    assert operator.post(url, json=asked | {"dry_run": True}).json()["tonnes_in_stock"] == 5
    assert lots(operator)[-1] == lot
    done = operator.post(url, json=asked).json()
    assert (done["tonnes_in_stock"], done["affected"]) == (5, [])
    now = lots(operator)[-1]
    assert (now["available"], now["cancelled"]) == (lot["available"] - 5, lot["cancelled"] + 5)
    assert refusal(operator.post(url, json=asked)) == (409, "catalogue_conflict")


def test_what_can_not_be_is_refused(operator, api, refusal):
    lot = lots(operator)[0]
    url = f"/operator/lots/{lot['id']}"
    good = {"kind": "reversed", "reason": "x"}
    for change in (
        {"kind": "lost"},
        {"reason": ""},
        {"reason": "\n"},
        {"serial_first": 1},
        {"serial_first": 0, "serial_last": 1},
        {"serial_first": lot["serial_last"], "serial_last": lot["serial_last"] + 1},
        {"serial_first": lot["serial_last"], "serial_last": lot["serial_first"]},
    ):
        assert refusal(operator.post(f"{url}/withdraw", json=good | change)) == (400, "validation_error")
    unknown = "/operator/lots/01900000-0000-7000-8000-000000000000"
    assert refusal(operator.post(f"{unknown}/release")) == (404, "not_found")
    assert refusal(operator.post("/operator/lots/x/release")) == (404, "not_found")
    assert refusal(api.get("/operator/lots")) == (403, "insufficient_scope")

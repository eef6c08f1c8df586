"""Events that are pulled: in sequence, filtered, found by id, and as the order was when they happened."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.paying import broken_rules, open_payer
from tests.support import NOBODY, Service, on_connection

from tonne.domain.accounts import Billing, Mode
from tonne.domain.events import event_id, format_sequence, parse_sequence, sequence_of

PATH = "/events"
KNOWN = {"api_version", "event_id", "account_id", "event_type", "sequence", "created_at", "data"}


def ordered(client: httpx.Client, amount: str = "1.5", **more: Any) -> dict[str, Any]:
    answer = client.post("/orders/by-mass", json={"mass": {"amount": amount, "unit": "kg"}, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def events(client: httpx.Client, **params: str) -> list[dict[str, Any]]:
    """All events that match, page by page."""
    found: list[dict[str, Any]] = []
    after = params.pop("after", None)
    while True:
        answer = client.get(PATH, params={"limit": "7", **params, **({"after": after} if after else {})})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["data"]
        after = page["next_cursor"]
        assert page["has_more"] is (after is not None)
        if after is None:
            return found


def types(found: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in found]


@pytest.fixture(scope="module")
def complete(service: Service) -> dict[str, Any]:
    """A complete test order of 2 t."""
    with service.client() as client:
        order = client.post("/orders/by-mass", json={"mass": {"amount": "2", "unit": "t"}}).json()
        answer = client.post(f"/test/orders/{order['id']}/advance", json={"to": "complete"})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


def test_an_order_s_way_is_told_step_by_step_each_as_it_was_then(api, complete):
    found = events(api, order_id=complete["id"])
    kinds = types(found)
    assert kinds[:3] == ["order.received", "order.placed", "order.paid"]
    assert kinds[-1] == "order.completed"
    assert set(kinds[3:-1]) == {"allocation.new", "order.retiring", "allocation.retired"}
    assert all(set(event) == KNOWN for event in found)
    by_type = {event["event_type"]: event["data"] for event in found}
    statuses = ["received", "placed", "paid", "retiring", "complete"]
    of_orders = ["order.received", "order.placed", "order.paid", "order.retiring", "order.completed"]
    for number, (kind, status) in enumerate(zip(of_orders, statuses, strict=True), 1):
        order = by_type[kind]["order"]
        assert order["status"] == status
        assert [each["status"] for each in order["status_history"]] == statuses[:number]
        assert order["projects"] == [] if number < 4 else order["projects"]
        assert (order["certificate"] is not None) is (status == "complete")
    assert by_type["order.completed"]["order"] == api.get(f"/orders/{complete['id']}").json() == complete
    assert {part["status"] for part in by_type["order.retiring"]["order"]["projects"]} == {"allocated"}


def test_allocations_are_told_new_and_retired_and_add_up_to_the_order(api, complete):
    found = events(api, order_id=complete["id"], event_type="allocation.new,allocation.retired")
    listed = {part["id"]: part for part in api.get(f"/orders/{complete['id']}/allocations").json()}
    for status in ("new", "retired"):
        told = [
            event["data"]["allocation"] for event in found if event["event_type"] == f"allocation.{status}"
        ]
        assert {each["id"] for each in told} == set(listed)
        assert sum(float(each["quantity"]) for each in told) == 2
        for each in told:
            assert set(each) == {"id", "order_id", "project_id", "quantity", "status", "created_at"}
            assert each["status"] == status
            part = listed[each["id"]]
            assert {name: part[name] for name in ("order_id", "project_id", "quantity", "created_at")} == {
                name: each[name] for name in ("order_id", "project_id", "quantity", "created_at")
            }
    assert {event["data"]["split_from"] for event in found} == {None}


def test_sequence_numbers_begin_at_1_have_no_gaps_and_compare_as_texts(service):
    with service.client("EUR") as client:
        for _ in range(12):
            ordered(client)
        found = events(client)
    sequences = [event["sequence"] for event in found]
    assert [int(sequence) for sequence in sequences] == list(range(1, len(found) + 1))
    assert sorted(sequences) == sequences
    assert {len(sequence) for sequence in sequences} == {20}
    assert len({event["event_id"] for event in found}) == len(found)


def test_following_goes_on_from_the_last_sequence_with_or_without_zeros(api):
    known = events(api)
    last = known[-1]["sequence"]
    assert events(api, after=last) == []
    order = ordered(api)
    later = events(api, after=last)
    assert [event["data"]["order"]["id"] for event in later[:3]] == [order["id"]] * 3
    assert events(api, after=str(int(last))) == later
    assert events(api, after=known[3]["sequence"])[: len(known) - 4] == known[4:]


def test_events_are_filtered_by_type_and_time(api, complete):
    assert set(types(events(api, event_type="order.paid"))) == {"order.paid"}
    assert set(types(events(api, event_type="order.paid, order.completed"))) == {
        "order.paid",
        "order.completed",
    }
    known = events(api)
    moment = complete["created_at"]
    assert events(api, created_from=moment) == [each for each in known if each["created_at"] >= moment]
    assert events(api, created_to=moment) == [each for each in known if each["created_at"] < moment]
    assert events(api, order_id=NOBODY) == events(api, order_id="x") == []


def test_an_event_is_found_by_its_id_by_its_account_alone(service, api):
    event = events(api)[-1]
    assert api.get(f"{PATH}/{event['event_id']}").json() == event
    for other in (service.client("EUR"), service.client(mode=Mode.LIVE)):
        with other:
            assert other.get(f"{PATH}/{event['event_id']}").status_code == 404
    for wrong in (NOBODY, "x", str(uuid4()), event["event_id"][:-1] + "0", event["sequence"]):
        assert api.get(f"{PATH}/{wrong}").status_code == 404 or wrong == event["event_id"]
    ahead = event_id(uuid4(), 1)
    assert api.get(f"{PATH}/{ahead}").status_code == 404


def test_the_id_of_an_event_to_come_is_not_found(api):
    event = events(api)[-1]
    account = UUID(event["account_id"])
    assert sequence_of(account, UUID(event["event_id"])) == int(event["sequence"])
    assert api.get(f"{PATH}/{event_id(account, 10**9)}").status_code == 404


def test_an_account_sees_its_own_events_alone(service, api):
    with service.client(mode=Mode.LIVE) as live:
        order = ordered(live)
        assert order["id"] in {event["data"]["order"]["id"] for event in events(live)}
    assert events(api, order_id=order["id"]) == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"after": "x"}, "id_invalid"),
        ({"after": "-1"}, "id_invalid"),
        ({"after": "1" * 21}, "id_invalid"),
        ({"after": "9" * 20}, "id_invalid"),
        ({"after": "٣"}, "id_invalid"),
        ({"event_type": "order.unknown"}, "validation_error"),
        ({"event_type": "webhook.ping"}, "validation_error"),
        ({"event_type": ""}, "validation_error"),
        ({"created_from": "yesterday"}, "validation_error"),
        ({"limit": "0"}, "pagination_limit_invalid"),
        ({"limit": "101"}, "pagination_limit_invalid"),
        ({"sort": "desc"}, "validation_error"),
    ],
)
def test_a_query_that_can_t_be_is_refused(api, refusal, params, code):
    assert refusal(api.get(PATH, params=params)) == (400, code)


@pytest.mark.parametrize("sequence", [1, 42, 2**48 - 1])
def test_a_sequence_is_printed_and_read_back(sequence):
    assert parse_sequence(format_sequence(sequence)) == sequence
    account = uuid4()
    made = event_id(account, sequence)
    assert (made.version, made.variant) == (8, "specified in RFC 4122")
    assert sequence_of(account, made) == sequence
    assert sequence_of(uuid4(), made) is None


def test_cancelling_is_told(service):
    with open_payer(service, billing=Billing.INVOICE).client() as client:
        order = ordered(client)
        assert client.post(f"/orders/{order['id']}/cancel").status_code == 200
        found = events(client, order_id=order["id"])
    assert types(found) == ["order.received", "order.placed", "order.cancelled"]
    assert found[-1]["data"]["order"]["status"] == "cancelled"
    assert [each["status"] for each in found[1]["data"]["order"]["status_history"]] == ["received", "placed"]


def test_check_asks_for_no_event_that_was_deleted_for_its_age(service):
    told = "every status that an order has reached was told, once"
    with service.client("ISK") as client:
        order = ordered(client)
        events(client)
    account_id = UUID(order["account_id"])

    def change(statement: str) -> None:
        on_connection(service.database_url, lambda connection: connection.execute(statement, account_id))

    assert told not in broken_rules(service.database_url)
    change("UPDATE event_chunks SET event_types = array['allocation.new'] WHERE account_id = $1")
    assert told in broken_rules(service.database_url)
    # As if it had happened long ago: what is asked for begins a day after what is kept.
    change("UPDATE event_heads SET kept_from = now() - interval '1 hour' WHERE account_id = $1")
    assert told not in broken_rules(service.database_url)

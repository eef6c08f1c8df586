"""Webhooks from creating to deleting: signed, in order, tried again with the same bytes, given up, replayed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from tests.delivering.other_header import check_other_header
from tests.endpoint import Endpoint, listening
from tests.hooks import PATH, Json, attempts, created, hurry, ordered
from tests.paying import Payer, on_pool, open_payer
from tests.support import NOBODY, Service, on_connection

from tonne.application.identifiers import utc_now
from tonne.application.manage_keys import KeyWishes, issue_key
from tonne.client.webhooks import WebhookNotGenuine, read_webhook
from tonne.domain.accounts import Billing, Mode, Scope
from tonne.domain.audit import SERVICE
from tonne.domain.webhooks import RETRY_DELAYS, next_attempt_in

KNOWN = {
    "id", "url", "enabled", "account_type", "account_ids", "created_at", "secret", "former_secret_ends_at",
    "disabled_at", "disabled_reason",
}  # fmt: skip
Refusal = Callable[[httpx.Response], tuple[int, str]]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening() as found:
        yield found


@pytest.fixture
def payer(service: Service) -> Payer:
    """An account of an organisation of its own."""
    return open_payer(service, billing=Billing.INVOICE, apart=True)


@pytest.fixture
def client(payer: Payer) -> Iterator[httpx.Client]:
    with payer.client() as client:
        yield client


# --- Creating, listing, changing, deleting ---


def test_a_webhook_is_created_got_listed_changed_and_deleted(client, endpoint):
    webhook = created(client, endpoint.url)
    assert set(webhook) == KNOWN
    assert webhook["secret"].startswith("whsec_")
    assert (webhook["enabled"], webhook["account_type"], webhook["account_ids"]) == (True, "live", None)
    shown = webhook | {"secret": webhook["secret"][-4:]}
    assert client.get(f"{PATH}/{webhook['id']}").json() == shown
    assert client.get(PATH).json() == [shown]
    changed = client.put(
        f"{PATH}/{webhook['id']}", json={"url": endpoint.url + "/other", "enabled": False}
    ).json()
    assert changed == shown | {
        "url": endpoint.url + "/other",
        "enabled": False,
        "disabled_at": changed["disabled_at"],
    }
    assert changed["disabled_at"] is not None
    assert client.delete(f"{PATH}/{webhook['id']}").status_code == 204
    assert client.get(PATH).json() == []
    assert client.get(f"{PATH}/{webhook['id']}").status_code == 404
    assert client.delete(f"{PATH}/{webhook['id']}").status_code == 404


def test_a_secret_is_answered_whole_once_and_is_not_in_the_database(service, client, endpoint):
    webhook = created(client, endpoint.url)
    [row] = on_connection(
        service.database_url,
        lambda c: c.fetch("SELECT * FROM webhooks WHERE webhook_id = $1", UUID(webhook["id"])),
    )
    secret = webhook["secret"].encode()
    assert not any(secret in bytes(value) for value in row.values() if isinstance(value, bytes))
    assert row["secret_end"] == webhook["secret"][-4:]
    log = on_connection(
        service.database_url,
        lambda c: c.fetch("SELECT after FROM audit_entries WHERE object_type = 'webhook'"),
    )
    assert log
    assert webhook["secret"] not in str(log)


def test_those_of_others_are_not_there(service, client, endpoint, refusal):
    webhook = created(client, endpoint.url)
    with open_payer(service, apart=True).client() as other:
        assert other.get(PATH).json() == []
        for method, path, body in (
            ("GET", "", None),
            ("PUT", "", {"url": endpoint.url, "enabled": False}),
            ("DELETE", "", None),
            ("PUT", "/rotate-secret", None),
            ("POST", "/ping", None),
            ("GET", "/attempts", None),
            ("POST", "/replay", {"sequence": "1"}),
        ):
            answer = other.request(method, f"{PATH}/{webhook['id']}{path}", json=body)
            assert refusal(answer)[0] == 404
            for unknown in (NOBODY, "x"):
                assert other.request(method, f"{PATH}/{unknown}{path}", json=body).status_code == 404
    assert client.get(f"{PATH}/{webhook['id']}").json()["enabled"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "http://10.0.0.1/hook"}, "/url"),
        ({"url": "https://user@example.com/"}, "/url"),
        ({"url": "ftp://example.com/"}, "/url"),
        ({"url": "https://[::1]/"}, "/url"),
        ({"url": "hook"}, "/url"),
        ({"url": ""}, "/url"),
        ({}, "/url"),
        ({"url": "https://example.com/", "account_ids": ["x"]}, "/account_ids/0"),
        ({"url": "https://example.com/", "account_ids": [NOBODY]}, "/account_ids/0"),
        ({"url": "https://example.com/", "enabled": True}, "/enabled"),
        ({"url": "https://example.com/", "secret": "whsec_"}, "/secret"),
    ],
)
def test_what_can_t_be_a_webhook_is_refused_with_where_and_nothing_is_stored(client, refusal, body, pointer):
    answer = client.post(PATH, json=body)
    assert refusal(answer) == (400, "validation_error")
    assert [each["pointer"] for each in answer.json()["violations"]] == [pointer]
    assert client.get(PATH).json() == []


def test_accounts_of_the_other_mode_are_refused(service, endpoint, refusal):
    with service.client() as client:
        live = str(service.key(mode=Mode.LIVE).account.account_id)
        answer = client.post(PATH, json={"url": endpoint.url, "account_ids": [live]})
    assert refusal(answer) == (400, "validation_error")


def test_there_are_a_hundred_at_most(client, endpoint, refusal):
    for _ in range(100):
        created(client, endpoint.url)
    assert refusal(client.post(PATH, json={"url": endpoint.url})) == (400, "validation_error")
    assert len(client.get(PATH).json()) == 100


def test_a_key_needs_the_scope(service, endpoint, refusal):
    account = service.key().account
    wishes = KeyWishes(scopes=frozenset({Scope.ORDERS_READ, Scope.ORDERS_WRITE}))
    new = on_pool(
        service.database_url, lambda pool: issue_key(pool, account, wishes, at=utc_now(), actor=SERVICE)
    )
    with httpx.Client(
        base_url=f"{service.base_url}/v1",
        headers={"Authorization": f"Bearer {new.api_key}"},
        trust_env=False,
        timeout=30,
    ) as client:
        assert refusal(client.post(PATH, json={"url": endpoint.url})) == (403, "insufficient_scope")
        assert client.get("/events").status_code == 200


# --- Delivering ---


def test_events_are_delivered_as_they_are_pulled_signed_in_both_ways(client, payer, endpoint):
    webhook = created(client, endpoint.url)
    order_id = ordered(client)
    endpoint.until(lambda: len(endpoint.events) == 2)
    pulled = client.get("/events").json()["data"]
    assert endpoint.events == pulled
    assert [event["event_type"] for event in pulled] == ["order.received", "order.placed"]
    assert {event["data"]["order"]["id"] for event in pulled} == {order_id}
    for request in endpoint.got:
        assert request.path == "/hook"
        assert request.headers["content-type"] == "application/json"
        assert read_webhook(request.body, request.headers, webhook["secret"]) == request.events
        organisation = check_other_header(request.body, request.headers["lune-hmac"], webhook["secret"])
        assert organisation == str(payer.account.organisation_id)
        with pytest.raises(WebhookNotGenuine):
            read_webhook(request.body + b" ", request.headers, webhook["secret"])
    for attempt in attempts(client, webhook):
        assert (attempt["status"], attempt["attempt"], attempt["acknowledged"]) == (200, 1, True)
        assert (attempt["error"], attempt["next_attempt_at"]) == (None, None)


def test_only_what_happens_after_it_was_created_is_delivered(client, endpoint):
    ordered(client)
    created(client, endpoint.url)
    order_id = ordered(client)
    endpoint.until(lambda: len(endpoint.events) == 2)
    assert {event["data"]["order"]["id"] for event in endpoint.events} == {order_id}


def test_a_batch_that_failed_is_sent_again_with_the_same_bytes_before_anything_later(
    service, client, endpoint
):
    webhook = created(client, endpoint.url)
    endpoint.will_answer(500, b"broken" * 1000)
    first = ordered(client)
    endpoint.until(lambda: attempts(client, webhook))
    later = ordered(client)
    time.sleep(0.5)
    assert len(endpoint.got) == 1
    [failed] = attempts(client, webhook)
    assert (failed["status"], failed["acknowledged"], failed["attempt"]) == (500, False, 1)
    assert failed["answer"] == ("broken" * 1000)[:1024]
    assert failed["next_attempt_at"] > failed["sent_at"]
    hurry(service, webhook)
    endpoint.until(lambda: len(endpoint.events) >= 6)
    one, two = endpoint.got[:2]
    assert two.body == one.body
    assert two.headers["webhook-id"] == one.headers["webhook-id"] == failed["batch_id"]
    assert [each["data"]["order"]["id"] for each in endpoint.events] == [first] * 4 + [later] * 2
    tried = endpoint.until(lambda: len(attempts(client, webhook)) >= 3 and attempts(client, webhook))
    assert [(each["attempt"], each["status"]) for each in tried] == [(1, 200), (2, 200), (1, 500)]


@pytest.mark.parametrize("status", [302, 404, 429, 503])
def test_retry_after_is_waited_for(client, endpoint, status):
    webhook = created(client, endpoint.url)
    endpoint.will_answer(status, Retry_After="3600")
    ordered(client)
    [failed] = endpoint.until(lambda: attempts(client, webhook))
    assert failed["status"] == status
    sent, again = (
        time.strptime(failed[name][:19], "%Y-%m-%dT%H:%M:%S") for name in ("sent_at", "next_attempt_at")
    )
    assert 3590 <= time.mktime(again) - time.mktime(sent) <= 3700


def test_after_the_last_attempt_a_webhook_is_disabled_and_an_event_says_so(service, client, endpoint):
    webhook = created(client, endpoint.url)
    with listening() as other:
        second = created(client, other.url)
        endpoint.will_answer(500)
        ordered(client)
        endpoint.until(lambda: attempts(client, webhook))
        endpoint.will_answer(500)
        hurry(service, webhook, attempts=9)
        shown = endpoint.until(
            lambda: (found := client.get(f"{PATH}/{webhook['id']}").json())["enabled"] is False and found
        )
        assert "the last attempt failed: answered 500" in shown["disabled_reason"]
        told = endpoint.until(
            lambda: [event for event in other.events if event["event_type"] == "webhook.disabled"]
        )
        assert told[0]["data"]["webhook"]["id"] == webhook["id"]
        assert told[0]["data"]["webhook"]["url"] == endpoint.url
        assert client.get("/events", params={"event_type": "webhook.disabled"}).json()["data"] == told
        assert client.get(f"{PATH}/{second['id']}").json()["enabled"]
        # What it missed meanwhile comes when it is enabled again, what failed first.
        later = ordered(client)
        other.until(lambda: later in {each["data"].get("order", {}).get("id") for each in other.events})
        assert len(endpoint.got) == 2
        client.put(f"{PATH}/{webhook['id']}", json={"url": endpoint.url, "enabled": True})
        endpoint.until(lambda: len(endpoint.got) >= 4)
        assert endpoint.got[2].headers["webhook-id"] == endpoint.got[0].headers["webhook-id"]
        endpoint.until(lambda: endpoint.events[4:] == other.events)


def test_an_endpoint_that_is_gone_is_disabled_at_once(client, endpoint):
    webhook = created(client, endpoint.url)
    endpoint.will_answer(410)
    ordered(client)
    shown = endpoint.until(
        lambda: (found := client.get(f"{PATH}/{webhook['id']}").json())["enabled"] is False and found
    )
    assert "asked for no more" in shown["disabled_reason"]


def test_a_disabled_webhook_gets_nothing_until_it_is_enabled_and_then_all_of_it(client, endpoint):
    webhook = created(client, endpoint.url)
    client.put(f"{PATH}/{webhook['id']}", json={"url": endpoint.url, "enabled": False})
    missed = [ordered(client) for _ in range(3)]
    client.get("/events")
    time.sleep(1.2)
    assert endpoint.got == []
    client.put(f"{PATH}/{webhook['id']}", json={"url": endpoint.url, "enabled": True})
    endpoint.until(lambda: len(endpoint.events) == 6)
    assert [each["data"]["order"]["id"] for each in endpoint.events[::2]] == missed


def test_a_webhook_of_some_accounts_gets_theirs_alone(service, payer, client, endpoint):
    other = client.post("/accounts", json={"name": "Other", "currency": "USD", "beneficiary": "Other"})
    assert other.status_code == 200, other.text
    found = [each for each in other.json().values() if each["type"] == payer.account.mode.value]
    account_id = found[0]["id"]
    webhook = created(client, endpoint.url, account_ids=[account_id])
    assert webhook["account_ids"] == [account_id]
    ordered(client)
    theirs = ordered(client, **{"Lune-Account": account_id})
    endpoint.until(lambda: len(endpoint.events) == 2)
    assert {each["data"]["order"]["id"] for each in endpoint.events} == {theirs}
    assert {each["account_id"] for each in endpoint.events} == {account_id}
    own = str(payer.account.account_id)
    assert client.get(PATH, params={"account_id": own}).json() == []
    assert [each["id"] for each in client.get(PATH, params={"account_id": account_id}).json()] == [
        webhook["id"]
    ]
    assert client.get(PATH, params={"account_id": NOBODY}).json() == []
    assert client.get(PATH, params={"account_id": "x"}).json() == []


# --- Secrets, pings, replays ---


def test_a_new_secret_signs_from_now_on_and_with_an_overlap_the_old_one_too(client, endpoint):
    webhook = created(client, endpoint.url)
    first = webhook["secret"]
    rotated = client.put(f"{PATH}/{webhook['id']}/rotate-secret", json={"overlap_hours": 1}).json()
    assert rotated["secret"] != first
    assert rotated["former_secret_ends_at"] is not None
    assert client.post(f"{PATH}/{webhook['id']}/ping").json()["acknowledged"]
    for secret in (first, rotated["secret"]):
        read_webhook(endpoint.got[-1].body, endpoint.got[-1].headers, secret)
        check_other_header(endpoint.got[-1].body, endpoint.got[-1].headers["lune-hmac"], secret)
    last = client.put(f"{PATH}/{webhook['id']}/rotate-secret").json()
    assert last["former_secret_ends_at"] is None
    assert client.post(f"{PATH}/{webhook['id']}/ping").json()["acknowledged"]
    read_webhook(endpoint.got[-1].body, endpoint.got[-1].headers, last["secret"])
    for secret in (first, rotated["secret"]):
        with pytest.raises(WebhookNotGenuine):
            read_webhook(endpoint.got[-1].body, endpoint.got[-1].headers, secret)


def test_a_ping_tells_what_the_endpoint_answered(client, endpoint):
    webhook = created(client, endpoint.url)
    endpoint.will_answer(418, b"I am a teapot")
    told = client.post(f"{PATH}/{webhook['id']}/ping").json()
    assert (told["acknowledged"], told["status"], told["answer"]) == (False, 418, "I am a teapot")
    told = client.post(f"{PATH}/{webhook['id']}/ping", json={}).json()
    assert (told["acknowledged"], told["status"], told["error"]) == (True, 200, None)
    [event] = endpoint.got[-1].events
    assert (event["event_type"], event["sequence"], event["data"]) == ("webhook.ping", None, {})
    assert attempts(client, webhook) == []
    nobody = created(client, "http://127.0.0.1:9/hook")
    told = client.post(f"{PATH}/{nobody['id']}/ping").json()
    assert (told["acknowledged"], told["status"]) == (False, None)
    assert told["error"]


def test_events_are_replayed_from_a_sequence_with_their_old_ids(client, endpoint, refusal):
    webhook = created(client, endpoint.url)
    for _ in range(3):
        ordered(client)
    endpoint.until(lambda: len(endpoint.events) == 6)
    before = endpoint.events
    path = f"{PATH}/{webhook['id']}/replay"
    assert client.post(path, json={"sequence": before[2]["sequence"]}).json() == {"events": 4}
    endpoint.until(lambda: len(endpoint.events) == 10)
    assert endpoint.events[6:] == before[2:]
    for wrong in ("0", "7", "9" * 20, "x", ""):
        assert refusal(client.post(path, json={"sequence": wrong})) == (400, "validation_error")


def test_a_replay_passes_over_nothing_that_is_yet_to_come(service, client, endpoint):
    webhook = created(client, endpoint.url)
    endpoint.will_answer(500)
    for _ in range(3):
        ordered(client)
    endpoint.until(lambda: attempts(client, webhook))
    client.get("/events")
    assert client.post(f"{PATH}/{webhook['id']}/replay", json={"sequence": "5"}).json() == {"events": 2}
    hurry(service, webhook)
    # What failed came, too: it may have been all of it.
    endpoint.until(lambda: len(endpoint.got) > 1)
    endpoint.until(lambda: {int(each["sequence"]) for each in endpoint.events} == set(range(1, 7)))
    assert endpoint.got[1].body == endpoint.got[0].body


@pytest.mark.parametrize(
    "url", ["HTTPS://Example.com/hook", "https://example.com:8443/hook?a=b", "https://xn--e1afmkfd.example/"]
)
def test_a_url_may_be_written_in_any_way_that_is_one(client, url):
    assert created(client, url)["url"] == url


def test_a_webhook_that_was_made_later_can_be_given_what_was_before(client, endpoint):
    for _ in range(2):
        ordered(client)
    client.get("/events")
    webhook = created(client, endpoint.url)
    assert client.post(f"{PATH}/{webhook['id']}/replay", json={"sequence": "1"}).json() == {"events": 4}
    endpoint.until(lambda: len(endpoint.events) == 4)
    assert endpoint.events == client.get("/events").json()["data"]


def test_attempts_are_paged(client, endpoint):
    webhook = created(client, endpoint.url)
    for number in range(5):
        ordered(client)
        endpoint.until(lambda number=number: len(endpoint.events) == 2 * (number + 1))
    known = endpoint.until(lambda: len(attempts(client, webhook)) >= 5 and attempts(client, webhook))
    found: list[Json] = []
    after = None
    while True:
        params = {"limit": "2", **({"after": after} if after else {})}
        page = client.get(f"{PATH}/{webhook['id']}/attempts", params=params).json()
        found += page["data"]
        after = page["next_cursor"]
        assert page["has_more"] is (after is not None)
        if after is None:
            break
    assert found == known


def test_deleting_one_while_it_is_being_delivered_to_leaves_the_others(client, endpoint):
    gone = created(client, endpoint.url)
    endpoint.will_answer(500)
    ordered(client)
    endpoint.until(lambda: endpoint.got)
    assert client.delete(f"{PATH}/{gone['id']}").status_code == 204
    kept = created(client, endpoint.url)
    order_id = ordered(client)
    endpoint.until(lambda: [each for each in endpoint.events if each["data"]["order"]["id"] == order_id])
    assert client.get(f"{PATH}/{kept['id']}").json()["enabled"]


# --- The schedule ---


def test_the_schedule_is_the_contracts_within_a_tenth():
    for failed, delay in enumerate(RETRY_DELAYS, 1):
        for chance in (0, 50, 100):
            wait = next_attempt_in(failed, retry_after=None, chance_percent=chance)
            assert wait is not None
            assert abs(wait - delay) <= delay * 0.1 + timedelta(microseconds=1)
    assert next_attempt_in(10, retry_after=None, chance_percent=50) is None
    assert sum(RETRY_DELAYS, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks_up_to_a_day():
    assert next_attempt_in(1, retry_after=timedelta(hours=1), chance_percent=50) == timedelta(hours=1)
    assert next_attempt_in(1, retry_after=timedelta(seconds=1), chance_percent=50) == timedelta(seconds=5)
    assert next_attempt_in(1, retry_after=timedelta(days=40), chance_percent=50) == timedelta(hours=24)

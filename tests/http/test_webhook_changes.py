"""What a webhook gets after it was changed, and what happens while a request to it is on its way."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.endpoint import Endpoint, listening
from tests.hooks import PATH, attempts, created, hurry, ordered
from tests.paying import open_payer
from tests.support import Service

from tonne.domain.accounts import Billing


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening() as found:
        yield found


@pytest.fixture
def other() -> Iterator[Endpoint]:
    with listening() as found:
        yield found


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """A client of an organisation of its own."""
    with open_payer(service, billing=Billing.INVOICE, apart=True).client() as client:
        yield client


def test_another_url_is_tried_at_once(client, endpoint):
    webhook = created(client, "http://127.0.0.1:9/hook")
    order_id = ordered(client)
    endpoint.until(lambda: attempts(client, webhook))
    client.put(f"{PATH}/{webhook['id']}", json={"url": endpoint.url, "enabled": True})
    endpoint.until(lambda: len(endpoint.events) == 2)
    assert {each["data"]["order"]["id"] for each in endpoint.events} == {order_id}


@pytest.mark.parametrize("status", [500, 410])
def test_what_becomes_of_a_request_to_the_former_url_puts_the_other_off_no_further(
    service, client, endpoint, other, status
):
    webhook = created(client, endpoint.url)
    endpoint.will_answer(500)
    order_id = ordered(client)
    endpoint.until(lambda: attempts(client, webhook))
    endpoint.will_answer(status)
    endpoint.may_answer.clear()
    hurry(service, webhook, attempts=8)
    endpoint.until(lambda: len(endpoint.got) == 2)
    client.put(f"{PATH}/{webhook['id']}", json={"url": other.url, "enabled": True}).raise_for_status()
    # One request at a time: the other URL has to wait for the former one's answer.
    assert other.got == []
    endpoint.may_answer.set()
    other.until(lambda: len(other.events) == 2)
    assert {event["data"]["order"]["id"] for event in other.events} == {order_id}
    assert client.get(f"{PATH}/{webhook['id']}").json()["enabled"]
    tried = endpoint.until(lambda: len(attempts(client, webhook)) >= 3 and attempts(client, webhook))
    assert [(each["attempt"], each["status"]) for each in tried] == [(1, 200), (9, status), (1, 500)]
    assert tried[1]["next_attempt_at"] <= tried[0]["sent_at"]


def test_one_that_is_enabled_again_while_it_answers_410_is_not_disabled_by_that(client, endpoint):
    webhook = created(client, endpoint.url)
    endpoint.will_answer(410)
    endpoint.may_answer.clear()
    ordered(client)
    endpoint.until(lambda: endpoint.got)
    for enabled in (False, True):
        client.put(f"{PATH}/{webhook['id']}", json={"url": endpoint.url, "enabled": enabled})
    endpoint.may_answer.set()
    endpoint.until(lambda: len(endpoint.events) == 4 or len(endpoint.got) > 2)
    assert client.get(f"{PATH}/{webhook['id']}").json()["enabled"]


@pytest.mark.parametrize("by_name", [True, False])
def test_of_an_account_that_is_added_what_happens_from_then_on_is_delivered(client, endpoint, by_name):
    accounts = [client.get("/accounts/me").json()["id"]]
    opened = client.post("/accounts", json={"name": "Other", "currency": "USD", "beneficiary": "Other"})
    accounts += [each["id"] for each in opened.json().values() if each["type"] == "live"]
    webhook = created(client, endpoint.url, account_ids=accounts[:1])
    first = ordered(client)
    ordered(client, **{"Lune-Account": accounts[1]})
    added = {"account_ids": accounts} if by_name else {}
    client.put(
        f"{PATH}/{webhook['id']}", json={"url": endpoint.url, "enabled": True, **added}
    ).raise_for_status()
    later = ordered(client, **{"Lune-Account": accounts[1]})
    endpoint.until(lambda: len(endpoint.events) == 4)
    assert {event["data"]["order"]["id"] for event in endpoint.events} == {first, later}


def test_of_an_organisation_eight_are_tried_out_at_once(service, client, endpoint, refusal):
    endpoint.may_answer.clear()
    path = f"{PATH}/{created(client, endpoint.url)['id']}/ping"
    with ThreadPoolExecutor(8) as several, listening() as quick:
        trying = [several.submit(client.post, path) for _ in range(8)]
        endpoint.until(lambda: len(endpoint.got) == 8)
        assert refusal(client.post(path)) == (429, "rate_limited")
        with open_payer(service, apart=True).client() as another:
            webhook = created(another, quick.url)
            assert another.post(f"{PATH}/{webhook['id']}/ping").json()["acknowledged"]
        endpoint.may_answer.set()
        assert all(each.result().json()["acknowledged"] for each in trying)
    assert client.post(path).json()["acknowledged"]

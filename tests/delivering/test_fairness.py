"""Endpoints that hang keep no other waiting, of their own organisation or of another, unless there are very many."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from tests.endpoint import listening
from tests.paying import open_payer
from tests.support import Service, on_connection, serving

from tonne.application.delivery_traffic import (
    ORGANISATION_MAX,
    ORGANISATION_OTHERS_MAX,
    OTHERS_MAX,
    QUICK_KEPT_MAX,
    REQUESTS_MAX,
    Traffic,
)
from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.domain.accounts import Mode
from tonne.domain.webhooks import Webhook
from tonne.settings import Settings


@contextmanager
def hanging() -> Iterator[tuple[str, list[socket.socket]]]:
    """An endpoint that takes connections and never says a word; and the connections that it has."""
    server = socket.create_server(("127.0.0.1", 0), backlog=1000)
    open_: list[socket.socket] = []

    def take() -> None:
        while True:
            try:
                open_.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook", open_
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(timeout=10)
        for each in open_:
            each.close()


def patient(database_url: str, data_dir: Path) -> Settings:
    """Settings of a service that waits for answers longer than a test takes: what arrives has waited for none."""
    return Settings(
        database_url=database_url,
        data_dir=data_dir,
        rate_limit_per_second=10**6,
        webhook_allow_http="on",
        webhook_allowed_networks="127.0.0.0/8",
        webhook_timeout_seconds=600,
    )


def test_more_endpoints_that_hang_than_there_are_places_keep_no_other_waiting(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    keys = on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    with hanging() as (hang, open_), listening() as endpoint, serving(patient(url, tmp_path)) as base_url:
        service = Service(base_url, url, {(key.account.currency.code, key.account.mode): key for key in keys})
        with service.client() as client:

            def order(account_id: str) -> None:
                client.post(
                    "/orders/by-mass",
                    json={"mass": {"amount": "1.5", "unit": "kg"}},
                    headers={"Lune-Account": account_id},
                ).raise_for_status()

            accounts = [account["id"] for account in client.get("/accounts").json()["data"]]
            client.post("/webhooks", json={"url": endpoint.url}).raise_for_status()
            order(accounts[0])
            endpoint.until(lambda: len(endpoint.events) == 3)
            for _ in range(ORGANISATION_MAX + 6):
                client.post("/webhooks", json={"url": hang}).raise_for_status()
            order(accounts[0])
            endpoint.until(lambda: len(open_) >= ORGANISATION_OTHERS_MAX)
            for number in range(60):
                order(accounts[number % len(accounts)])
            endpoint.until(lambda: len(endpoint.events) == 186)
            assert len(open_) == ORGANISATION_OTHERS_MAX


def test_six_organisations_whose_endpoints_all_hang_keep_a_seventh_waiting_for_nothing(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    keys = on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    with hanging() as (hang, open_), listening() as endpoint, serving(patient(url, tmp_path)) as base_url:
        service = Service(base_url, url, {(key.account.currency.code, key.account.mode): key for key in keys})

        def arrived(events: int) -> None:
            endpoint.until(lambda: len(endpoint.events) == events)

        def order(client: httpx.Client) -> None:
            mass = {"mass": {"amount": "1.5", "unit": "kg"}}
            client.post("/orders/by-mass", json=mass).raise_for_status()

        for _ in range(6):
            with open_payer(service, apart=True).client() as client:
                for _ in range(ORGANISATION_OTHERS_MAX):
                    client.post("/webhooks", json={"url": hang}).raise_for_status()
                order(client)
        endpoint.until(lambda: len(open_) > OTHERS_MAX - ORGANISATION_OTHERS_MAX)
        with open_payer(service, apart=True).client() as client:
            client.post("/webhooks", json={"url": endpoint.url}).raise_for_status()
            for number in range(1, 6):
                order(client)
                arrived(2 * number)
        assert len(open_) < OTHERS_MAX


# --- Who may send how much ---


def webhook(organisation_id: UUID) -> Webhook:
    return Webhook(
        organisation_id=organisation_id,
        webhook_id=new_id(),
        mode=Mode.LIVE,
        url="https://example.com/",
        account_ids=None,
        secret=b"",
        secret_end="abcd",
        enabled=True,
        created_at=utc_now(),
    )


def hang(traffic: Traffic, organisation_id: UUID, *, were_quick: bool) -> list[Callable[[], None]]:
    """Begin as many requests of an organisation as may be; returns what ends each."""
    begun = []
    while traffic.room(organisation_id) and (were_quick or traffic.room_for_others(organisation_id)):
        each = webhook(organisation_id)
        traffic.learn(each, quick=were_quick)
        begun.append(traffic.begin(each))
    return begun


@pytest.mark.parametrize(
    ("were_quick", "begun"),
    [
        (False, [48, 48, 32, 16, 8, 4, 2, 1, 1, 0]),
        (True, [64, 64, 64, 32, 16, 8, 4, 2, 1, 1, 0]),
    ],
)
def test_each_organisation_leaves_places_for_the_next(were_quick, begun):
    traffic = Traffic()
    ending = [hang(traffic, new_id(), were_quick=were_quick) for _ in begun]
    assert [len(each) for each in ending] == begun
    assert sum(begun) == (REQUESTS_MAX if were_quick else OTHERS_MAX)
    if not were_quick:
        # Whatever hangs: who was quick the last time finds places that no other may take.
        assert len(hang(traffic, new_id(), were_quick=True)) == (REQUESTS_MAX - OTHERS_MAX) // 2
    for ended in (ended for each in ending for ended in each):
        ended()
    assert traffic.room(new_id()) >= ORGANISATION_OTHERS_MAX


def test_an_organisation_whose_endpoints_hang_has_places_left_for_its_quick_ones():
    traffic, organisation_id = Traffic(), new_id()
    assert len(hang(traffic, organisation_id, were_quick=False)) == ORGANISATION_OTHERS_MAX
    assert len(hang(traffic, organisation_id, were_quick=True)) == ORGANISATION_MAX - ORGANISATION_OTHERS_MAX


def test_quick_webhooks_are_known_by_organisation_and_those_of_long_ago_are_forgotten():
    traffic, organisation_id = Traffic(), new_id()
    known = [webhook(organisation_id) for _ in range(QUICK_KEPT_MAX)]
    for each in [*known, *(webhook(new_id()) for _ in range(3))]:
        traffic.learn(each, quick=True)
    assert set(traffic.quick(organisation_id)) == {each.webhook_id for each in known}
    # The first one again: the second is now the one that answered longest ago.
    traffic.learn(known[0], quick=True)
    newest = webhook(organisation_id)
    traffic.learn(newest, quick=True)
    assert set(traffic.quick(organisation_id)) == {each.webhook_id for each in [known[0], *known[2:], newest]}
    traffic.learn(newest, quick=False)
    assert newest.webhook_id not in traffic.quick(organisation_id)
    for each in known:
        traffic.learn(each, quick=False)
    assert list(traffic.quick(organisation_id)) == []

"""An endpoint that hangs keeps no other waiting."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.endpoint import listening
from tests.support import Service, on_connection, serving

from tonne.application.deliver_events import ORGANISATION_MAX, OTHERS_MAX
from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo
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


def test_more_endpoints_that_hang_than_there_are_places_keep_no_other_waiting(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_database()
    keys = on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    settings = Settings(
        database_url=url,
        data_dir=tmp_path,
        rate_limit_per_second=10**6,
        webhook_allow_http="on",
        webhook_allowed_networks="127.0.0.0/8",
        # Longer than the test takes: what arrives has not waited for one that hangs.
        webhook_timeout_seconds=600,
    )
    with hanging() as (hang, open_), listening() as endpoint, serving(settings) as base_url:
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
            endpoint.until(lambda: len(open_) >= OTHERS_MAX)
            for number in range(60):
                order(accounts[number % len(accounts)])
            endpoint.until(lambda: len(endpoint.events) == 186)
            assert len(open_) == OTHERS_MAX

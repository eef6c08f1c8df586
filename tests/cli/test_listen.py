"""`tonne listen`: events as they happen, forwarded to a program on this machine, genuine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.delivering.other_header import check_other_header
from tests.endpoint import Endpoint, listening
from tests.support import Service

from tonne.client.webhooks import read_webhook
from tonne.domain.accounts import Mode

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


# As in a terminal: what a shell starts in the background, these tests for one, ignores Ctrl-C, and so would what it starts.
TONNE = """
import signal
from tonne.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(prog_name="tonne")
"""


class Listening:
    """A `tonne listen` that runs, and the lines that it has printed."""

    def __init__(self, service: Service, *options: str, key: str | None = None) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TONNE_")}
        environment |= {"TONNE_API_KEY": key or service.key().api_key, "COLUMNS": "200"}
        command = [sys.executable, "-u", "-c", TONNE, "listen", "--api-url", service.base_url, *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.lines: list[str] = []
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip())

    def end(self) -> int:
        """Press Ctrl-C."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(timeout=30)
        self.reading.join(timeout=30)
        return status


@pytest.fixture
def listen(service: Service) -> Iterator[Callable[..., Listening]]:
    running: list[Listening] = []

    def start(*options: str, key: str | None = None) -> Listening:
        running.append(Listening(service, *options, key=key))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.wait(timeout=30)
        each.reading.join(timeout=30)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening() as found:
        yield found


def order(service: Service) -> str:
    with service.client() as client:
        answer = client.post("/orders/by-mass", json={"mass": {"amount": "1.5", "unit": "kg"}})
        return str(answer.json()["id"])


def test_events_are_printed_and_forwarded_signed_and_ctrl_c_ends_it(service, listen, endpoint):
    before = order(service)
    running = listen("--forward", endpoint.url, "--secret", SECRET, "--after", "0")
    endpoint.until(lambda: len(endpoint.events) >= 3)
    endpoint.will_answer(500)
    order_id = order(service)
    endpoint.until(lambda: len(endpoint.events) >= 6)
    assert {each["data"]["order"]["id"] for each in endpoint.events} == {before, order_id}
    for request in endpoint.got:
        assert read_webhook(request.body, request.headers, SECRET) == request.events
        check_other_header(request.body, request.headers["lune-hmac"], SECRET)
    endpoint.until(lambda: any(order_id in line and "order.paid" in line for line in running.lines))
    assert any("→ 200 in" in line for line in running.lines)
    assert any("→ 500 in" in line and "not acknowledged" in line for line in running.lines)
    assert any(SECRET in line for line in running.lines)
    assert running.end() == 0


def test_it_begins_with_what_happens_now_and_shows_what_is_asked_for(service, listen, endpoint):
    before = order(service)
    endpoint.until(lambda: True)
    running = listen("--type", "order.paid", "--json")
    # It began when it shows what came after it.
    seen: list[dict[str, Any]] = endpoint.until(
        lambda: order(service) and [json.loads(line) for line in running.lines if line.startswith("{")]
    )
    assert {each["event_type"] for each in seen} == {"order.paid"}
    assert all(set(each["data"]) == {"order"} for each in seen)
    assert before not in {each["data"]["order"]["id"] for each in seen[1:]}
    assert running.end() == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--forward", "localhost:4242"), "no URL"),
        (("--forward", "http://127.0.0.1:9/", "--secret", "x"), "a secret is whsec_"),
        (("--type", "order.unknown"), "event_type"),
        (("--after", "x"), "sequence"),
        (("--account", "x"), "account"),
        (("--api-url", "http://127.0.0.1:9"), "There is no service at"),
        (("--api-key", "nonsense"), "API key"),
    ],
)
def test_what_can_t_be_is_said_plainly(listen, options, told):
    running = listen(*options)
    assert running.process.wait(timeout=60) != 0
    running.reading.join(timeout=30)
    text = " ".join(running.lines)
    assert told in text
    assert "Traceback" not in text


def test_a_live_key_is_refused(service, listen):
    running = listen(key=service.key(mode=Mode.LIVE).api_key)
    assert running.process.wait(timeout=60) == 1
    running.reading.join(timeout=30)
    assert "This is a live key" in " ".join(running.lines)

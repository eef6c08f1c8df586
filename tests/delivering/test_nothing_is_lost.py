"""However often those who deliver are killed and endpoints fail, every event arrives, in order, genuine."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import Service, on_connection, serving

from tonne.application.identifiers import utc_now
from tonne.application.load_demo import load_demo
from tonne.settings import Settings

FAILING = 0.3
Started = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def started() -> Iterator[Started]:
    """Start a module as a process; every one is ended."""
    running: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TONNE_")}
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment)
        running.append(process)
        return process

    yield start
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(timeout=30)


def until(found: Callable[[], Any], *, seconds: float) -> Any:
    """Ask again and again until something is found."""
    ends = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("orders", "endpoints", "kills"),
    [
        pytest.param(150, 10, 5, id="some"),
        pytest.param(6_667, 100, 50, id="many", marks=[pytest.mark.long, pytest.mark.timeout(3400)]),
    ],
)
def test_every_event_arrives_in_order_though_endpoints_fail_and_those_who_deliver_are_killed(
    new_database: Callable[[], str], tmp_path: Path, started: Started, orders: int, endpoints: int, kills: int
) -> None:
    database_url = new_database()
    keys = on_connection(database_url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    port_file = tmp_path / "port"
    started("tests.delivering.endpoints", str(port_file), str(FAILING), "7")
    port = int(until(lambda: port_file.exists() and port_file.read_text(), seconds=60))
    settings = Settings(
        database_url=database_url,
        data_dir=tmp_path,
        rate_limit_per_second=10**6,
        background_work="off",
        webhook_allow_http="on",
        webhook_allowed_networks="127.0.0.0/8",
    )
    with (
        serving(settings) as base_url,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as receiver,
    ):
        service = Service(
            base_url, database_url, {(key.account.currency.code, key.account.mode): key for key in keys}
        )
        with service.client() as client:
            secrets = {}
            for number in range(endpoints):
                made = client.post("/webhooks", json={"url": f"http://127.0.0.1:{port}/hook/{number}"})
                secrets[str(number)] = made.json()["secret"]
            receiver.put("/secrets", json=secrets)
            accounts = [account["id"] for account in client.get("/accounts").json()["data"]]
            placing = threading.Thread(
                target=place_orders, args=(client, accounts, orders), kwargs={"seconds": kills * 2}
            )
            placing.start()
            deliver_and_kill(started, database_url, tmp_path, kills=kills)
            placing.join(timeout=600)
            deliverers = [
                started("tests.delivering.deliverer", database_url, str(tmp_path)) for _ in range(2)
            ]
            expected = {account: last_sequence(client, account) for account in accounts}
            expected = {account: last for account, last in expected.items() if last}
            assert sum(expected.values()) == orders * 3

            def arrived() -> bool:
                report = receiver.get("/report").json()
                assert report["wrong"] == []
                return bool(report["acknowledged"] == dict.fromkeys(secrets, expected))

            until(arrived, seconds=120 + orders / 2)
            report = receiver.get("/report").json()
            assert report["failed"] > 0
            assert report["repeated"] >= report["failed"] // 2
            for deliverer in deliverers:
                deliverer.kill()


def place_orders(client: httpx.Client, accounts: list[str], orders: int, *, seconds: float) -> None:
    """Place orders of several accounts, spread over some time."""
    began = time.monotonic()
    for number in range(orders):
        answer = client.post(
            "/orders/by-mass",
            json={"mass": {"amount": "1.5", "unit": "kg"}},
            headers={"Lune-Account": accounts[number % len(accounts)]},
        )
        assert answer.status_code == 200
        time.sleep(max(0, began + seconds * number / orders - time.monotonic()))


def deliver_and_kill(started: Started, database_url: str, data_dir: Path, *, kills: int) -> None:
    """Let two processes deliver at a time, and kill one after the other."""
    chance = random.Random(11)
    delivering = [started("tests.delivering.deliverer", database_url, str(data_dir)) for _ in range(2)]
    for number in range(kills):
        time.sleep(1.5 + chance.random() * 1.5)
        victim = delivering[number % 2]
        assert victim.poll() is None, "it ended by itself"
        victim.send_signal(signal.SIGKILL)
        victim.wait(timeout=30)
        delivering[number % 2] = started("tests.delivering.deliverer", database_url, str(data_dir))
    for process in delivering:
        process.kill()


def last_sequence(client: httpx.Client, account_id: str) -> int:
    """The number of an account's last event."""
    last, after = 0, None
    while True:
        page = client.get(
            "/events",
            params={"limit": "100", **({"after": after} if after else {})},
            headers={"Lune-Account": account_id},
        ).json()
        sequences = [int(event["sequence"]) for event in page["data"]]
        assert sequences == list(range(last + 1, last + 1 + len(sequences)))
        last += len(sequences)
        after = page["next_cursor"]
        if after is None:
            return last

"""Killed in the middle of writing, the service comes back with every order it acknowledged, once, and no half order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import count

import httpx
import pytest

WRITERS = 8


class Writer(threading.Thread):
    """Orders one after the other until the service is gone, and remembers what was acknowledged."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.label = name
        self.sent: list[str] = []
        self.acknowledged: dict[str, str] = {}

    def run(self) -> None:
        for number in count():
            key = f"{self.label}-{number}"
            self.sent.append(key)
            body = {"mass": {"amount": "1.5", "unit": "kg"}, "idempotency_key": key}
            try:
                answer = self.client.post("/orders/by-mass", json=body)
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                self.acknowledged[key] = answer.json()["id"]


def write_until_killed(served, kill, *, seconds: float, name: str) -> list[Writer]:
    writers = [Writer(served.client(), f"{name}-{number}") for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    threading.Event().wait(seconds)
    kill()
    for writer in writers:
        writer.join(timeout=60)
        assert not writer.is_alive()
        writer.client.close()
    return writers


def all_orders(client: httpx.Client) -> list[dict]:
    found: list[dict] = []
    after = None
    while True:
        page = client.get("/orders", params={"limit": 100} | ({"after": after} if after else {})).json()
        found += page["data"]
        after = page["next_cursor"]
        if after is None:
            return found


def assert_nothing_lost_or_doubled(served, writers: list[Writer]) -> None:
    with served.client() as client:
        orders = all_orders(client)
    by_key = Counter(order["idempotency_key"] for order in orders)
    ids = {order["idempotency_key"]: order["id"] for order in orders}
    sent = {key for writer in writers for key in writer.sent}
    acknowledged = {key: order_id for writer in writers for key, order_id in writer.acknowledged.items()}
    assert acknowledged, "nothing was written before the crash"
    assert {key: ids.get(key) for key in acknowledged} == acknowledged
    assert max(by_key.values()) == 1
    assert set(by_key) <= sent
    check = subprocess.run(
        [sys.executable, "-m", "tonne", "check", "--json", "--data-dir", str(served.data_dir)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("database_dies_too", [False, True])
def test_every_acknowledged_order_survives_a_kill(start, database_dies_too):
    served = start()

    def kill() -> None:
        if database_dies_too:
            os.kill(served.postmaster_pid, signal.SIGKILL)
        served.kill()

    writers = write_until_killed(served, kill, seconds=1.5, name="w")
    assert_nothing_lost_or_doubled(start(served.data_dir), writers)


@pytest.mark.long
def test_every_acknowledged_order_survives_thirty_kills(start):
    writers: list[Writer] = []
    data_dir = None
    for round_number in range(30):
        served = start(data_dir)
        data_dir = served.data_dir

        def kill(served=served, both=round_number % 3 == 0) -> None:
            if both:
                os.kill(served.postmaster_pid, signal.SIGKILL)
            served.kill()

        writers += write_until_killed(
            served, kill, seconds=0.2 + round_number % 5 * 0.3, name=f"r{round_number}"
        )
    assert_nothing_lost_or_doubled(start(data_dir), writers)

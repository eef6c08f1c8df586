"""Killed while it is paid, allocates and retires, the service goes on where it was: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from itertools import count
from typing import Any

import httpx
import pytest

WRITERS = 4


class Customer(threading.Thread):
    """Orders between a gram and two tonnes until the service is gone."""

    def __init__(self, client: httpx.Client, name: str, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.client, self.label, self.chance = client, name, chance
        self.acknowledged: dict[str, str] = {}

    def run(self) -> None:
        for number in count():
            key = f"{self.label}-{number}"
            mass = {"amount": str(self.chance.randint(1, 2_000_000)), "unit": "g"}
            try:
                answer = self.client.post("/orders/by-mass", json={"mass": mass, "idempotency_key": key})
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                self.acknowledged[key] = answer.json()["id"]


class Payer(threading.Thread):
    """Orders on invoice and pays, some of them twice, until the service is gone."""

    def __init__(self, customer: httpx.Client, operator: httpx.Client, name: str) -> None:
        super().__init__(daemon=True)
        self.customer, self.operator, self.label = customer, operator, name
        self.paid: set[str] = set()

    def run(self) -> None:
        body = {"mass": {"amount": "700", "unit": "kg"}}
        for number in count():
            try:
                key = {"idempotency_key": f"{self.label}-{number}"}
                order = self.customer.post("/orders/by-mass", json=body | key)
                if order.status_code != 200:
                    continue
                wanted = {"order_ids": [order.json()["id"]]}
                for _ in range(2):
                    answer = self.operator.post("/operator/orders/pay", json=wanted)
                    if answer.status_code == 200:
                        assert answer.json()["results"][0]["outcome"] in {"paid", "paid_before"}
                        self.paid.add(wanted["order_ids"][0])
            except httpx.TransportError:
                return


def run_tonne(served: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tonne", *arguments, "--data-dir", str(served.data_dir)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def operator_key(served: Any) -> str:
    account = next(a["account_id"] for a in served.demo["accounts"] if a["mode"] == "live")
    made = run_tonne(served, "keys", "create", "--account", account, "--scope", "operator", "--json")
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["api_key"])


def one_round(
    served: Any, key: str, name: str, seconds: float, *, both: bool
) -> tuple[dict[str, str], set[str]]:
    """Write until the service is killed; returns what was acknowledged and what was paid."""
    operator = served.client("live")
    operator.headers["Authorization"] = f"Bearer {key}"
    chance = random.Random(name)
    customers = [Customer(served.client(), f"{name}-{n}", chance) for n in range(WRITERS)]
    payer = Payer(served.client("live"), operator, name)
    threads = [*customers, payer]
    for thread in threads:
        thread.start()
    threading.Event().wait(seconds)
    if both:
        os.kill(served.postmaster_pid, signal.SIGKILL)
    served.kill()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    for client in [operator, payer.customer, *(customer.client for customer in customers)]:
        client.close()
    acknowledged = {key: order for customer in customers for key, order in customer.acknowledged.items()}
    return acknowledged, payer.paid


def assert_sound(served: Any) -> None:
    check = run_tonne(served, "check", "--json")
    assert check.returncode == 0, [rule for rule in json.loads(check.stdout)["rules"] if rule["findings"]]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(4, marks=pytest.mark.timeout(280)),
        pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3400)]),
    ],
)
def test_killed_again_and_again_nothing_is_lost_paid_or_retired_twice(start, kills, until_true):
    served = start()
    key = operator_key(served)
    acknowledged: dict[str, str] = {}
    paid: set[str] = set()
    for number in range(kills):
        name, seconds = f"r{number}", 0.3 + number % 7 * 0.25
        orders, payments = one_round(served, key, name, seconds, both=number % 3 == 2)
        acknowledged |= orders
        paid |= payments
        served = start(served.data_dir)
        assert_sound(served)
    assert acknowledged
    assert paid
    with served.client() as client, served.client("live") as live:
        for name in random.Random(1).sample(sorted(acknowledged), min(50, len(acknowledged))):
            assert client.get(f"/orders/by-idempotency-key/{name}").json()["id"] == acknowledged[name]
        for order_id in list(paid)[:50]:
            assert live.get(f"/orders/{order_id}").json()["status"] in {"paid", "retiring", "complete"}
        # All but the last, which wait for others to fill their tonne, complete by themselves.
        until_true(lambda: waiting_for_more_than_a_tonne(client) == [])
    assert_sound(served)


def waiting_for_more_than_a_tonne(client: httpx.Client) -> list[str]:
    page = client.get("/orders", params={"limit": 100}).json()["data"]
    return [o["id"] for o in page if o["status"] in {"paid", "retiring"} and o["waiting_for"] != "tonne"]

"""A newcomer starts the service, uses it, stops it and starts it again."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from urllib.parse import urlsplit

import httpx
import psutil
import pytest


def order(client: httpx.Client, key: str) -> httpx.Response:
    body = {"mass": {"amount": "12.07", "unit": "kg"}, "idempotency_key": key}
    return client.post("/orders/by-mass", json=body)


def test_a_newcomer_starts_orders_stops_and_finds_the_order_again(start):
    served = start()
    assert stat.S_IMODE((served.data_dir / "demo.json").stat().st_mode) == 0o600
    first_demo = served.demo
    assert [(a["mode"], a["currency"]) for a in first_demo["accounts"]] == [
        (mode, currency) for currency in ("USD", "EUR", "ISK") for mode in ("live", "test")
    ]
    assert httpx.get(first_demo["base_url"] + "/livez", trust_env=False).text == "ok\n"
    with served.client() as client:
        placed = order(client, "first").json()
        assert placed["total_cost"] == "0.35"
    said = served.log.read_text()
    assert all(account["api_key"] in said for account in first_demo["accounts"])
    assert f"curl {first_demo['base_url']}/v1/orders/by-mass/quote" in said

    postmaster = psutil.Process(served.postmaster())
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(timeout=60) == 0, served.log.read_text()
    assert "Traceback" not in served.log.read_text()
    assert not postmaster.is_running()

    again = start(served.data_dir)
    assert again.demo["accounts"] == first_demo["accounts"]
    with again.client() as client:
        assert client.get(f"/orders/{placed['id']}").json() == placed
        assert [found["id"] for found in client.get("/orders").json()["data"]] == [placed["id"]]
    with again.client("live") as client:
        assert client.get("/orders").json()["data"] == []


def test_sigterm_stops_the_service_and_its_database_in_order(start):
    served = start()
    postmaster = psutil.Process(served.postmaster())
    served.process.terminate()
    assert served.process.wait(timeout=60) == 0, served.log.read_text()
    assert not postmaster.is_running()


def test_two_services_on_one_data_directory_share_one_database(start):
    one = start()
    two = start(one.data_dir)
    assert one.postmaster_pid == two.postmaster_pid
    with two.client() as client:
        placed = order(client, "shared").json()
    two.process.send_signal(signal.SIGINT)
    assert two.process.wait(timeout=60) == 0
    # The first is still served by the database that the second used as well.
    base_url = next(
        word for word in one.log.read_text().split() if word.startswith("http://") and word[-1].isdigit()
    )
    key = next(a["api_key"] for a in one.demo["accounts"] if a["mode"] == "test")
    found = httpx.get(
        f"{base_url}/v1/orders/{placed['id']}", headers={"Authorization": f"Bearer {key}"}, trust_env=False
    )
    assert found.json() == placed


def test_several_workers_serve_one_set_of_orders(start):
    served = start(None, "--workers", "2")
    with served.client() as client:
        placed = [order(client, f"w{number}").json()["id"] for number in range(20)]
        client.headers["Connection"] = "close"
        for order_id in placed:
            assert client.get(f"/orders/{order_id}").status_code == 200
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(timeout=60) == 0, served.log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all processes listen on one socket")
def test_each_worker_gets_its_share_of_the_callers(start):
    served = start(None, "--workers", "2")
    address = urlsplit(served.demo["base_url"])
    place = (address.hostname, address.port)
    workers = psutil.Process(served.process.pid).children(recursive=True)
    with ExitStack() as callers:
        for _ in range(64):
            caller = callers.enter_context(socket.create_connection(place, timeout=30))
            caller.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            assert caller.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        counts = [
            sum(each.status == "ESTABLISHED" for each in worker.net_connections("tcp")) for worker in workers
        ]
    shares = [count for count in counts if count]
    assert sum(shares) == 64
    assert len(shares) == 2
    # A fair coin stays below this but once in a million times.
    assert max(shares) <= 52


def test_workers_end_when_the_process_that_started_them_is_killed(start):
    served = start(None, "--workers", "2")
    workers = psutil.Process(served.process.pid).children(recursive=True)
    workers = [worker for worker in workers if worker.name() != "postgres"]
    assert len(workers) >= 2
    served.process.kill()
    served.process.wait(timeout=30)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
    again = start(served.data_dir)
    with again.client() as client:
        assert order(client, "after").status_code == 200


LATE_WORKER = """
import multiprocessing, sys, time
from tonne.main import _end_with_parent

def work():
    print(multiprocessing.current_process().pid, flush=True)
    sys.stdin = open(0)
    sys.stdin.readline()
    _end_with_parent()
    time.sleep(120)

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    time.sleep(120)
"""


def test_a_worker_that_is_still_being_loaded_ends_too_when_that_process_is_killed(tmp_path):
    script = tmp_path / "late.py"
    script.write_text(LATE_WORKER)
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait(timeout=30)
    try:
        # Only now it looks whether somebody is there.
        parent.stdin.write("on\n")
        parent.stdin.flush()
        _, alive = psutil.wait_procs([worker], timeout=60)
        assert alive == []
    finally:
        parent.stdin.close()
        parent.stdout.close()
        if worker.is_running():
            worker.kill()


def test_the_database_is_stopped_when_the_terminal_is_closed(start):
    served = start()
    postmaster = psutil.Process(served.postmaster())
    served.process.send_signal(signal.SIGHUP)
    assert served.process.wait(timeout=60) == 0
    assert not postmaster.is_running()


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the service is available again; while it is not, it says so properly."""
    for _ in range(200):
        answer = ask()
        if answer.status_code != 503:
            return answer
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["error"]["error_code"] == "service_unavailable"
        time.sleep(0.05)
    pytest.fail("the service did not come back")


def test_the_service_outlives_the_death_of_its_database(start):
    served = start()
    with served.client() as client:
        placed = order(client, "before").json()["id"]
        psutil.Process(served.postmaster()).kill()
        keys = count()
        assert answered(lambda: order(client, f"after-{next(keys)}")).status_code == 200
        assert answered(lambda: client.get(f"/orders/{placed}")).status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_said_plainly(start, workers):
    served = start(None, "--workers", workers)
    port = served.demo["base_url"].rpartition(":")[2]
    second = subprocess.run(
        [
            sys.executable,
            "-m",
            "tonne",
            "serve",
            "--port",
            port,
            "--workers",
            workers,
            "--data-dir",
            str(served.data_dir),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert f"Can't serve on 127.0.0.1 port {port}" in second.stderr

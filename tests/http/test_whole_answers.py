"""Answers as they leave the socket: sent as a whole or message by message, they are the same."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support import NOBODY, Service

from tonne.domain.accounts import Mode

OWN = {"date", "x-request-id", "cf-ray", "ratelimit"}


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    address = urlsplit(service.base_url)
    with socket.create_connection((address.hostname or "", address.port or 80), timeout=30) as connection:
        yield connection


def asking(service: Service, target: str, *, method: str = "GET", more: str = "") -> bytes:
    key = service.key().api_key
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{more}\r\n".encode()


def read_answers(
    connection: socket.socket, count: int, *, with_bodies: bool = True
) -> list[tuple[int, dict[str, str], bytes]]:
    """Read so many answers; status, headers and body of each."""
    data = b""
    answers: list[tuple[int, dict[str, str], bytes]] = []
    while len(answers) < count:
        head, gap, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:]) if name
        }
        length = int(headers.get("content-length", "0")) if with_bodies else 0
        if gap and len(rest) >= length:
            answers.append((int(lines[0].split()[1]), headers, rest[:length]))
            data = rest[length:]
            continue
        more = connection.recv(1 << 16)
        assert more, f"closed after {len(answers)} answers: {data[:200]!r}"
        data += more
    assert not data
    return answers


@pytest.fixture(scope="module")
def order_id(service: Service) -> str:
    with service.client() as client:
        placed = client.post("/orders/by-mass", json={"mass": {"amount": "1", "unit": "kg"}})
        return str(placed.json()["id"])


def test_the_router_and_the_short_way_send_the_same_head(service: Service, order_id: str) -> None:
    with connected(service) as connection:
        connection.sendall(asking(service, f"/v1/orders/{order_id}"))
        [short] = read_answers(connection, 1)
        connection.sendall(asking(service, f"/v1/orders/{order_id}/"))
        [routed] = read_answers(connection, 1)
    assert short[0] == routed[0] == 200
    assert list(short[1]) == list(routed[1])
    assert {name: value for name, value in short[1].items() if name not in OWN} == {
        name: value for name, value in routed[1].items() if name not in OWN
    }
    assert short[2] == routed[2]


def test_who_asks_to_close_is_told_so_and_closed_on(service: Service, order_id: str) -> None:
    with connected(service) as connection:
        connection.sendall(asking(service, f"/v1/orders/{order_id}", more="Connection: close\r\n"))
        [(status, headers, body)] = read_answers(connection, 1)
        assert (status, headers["connection"]) == (200, "close")
        assert json.loads(body)["id"] == order_id
        assert connection.recv(1) == b""


def test_the_head_of_what_can_be_read_has_no_body(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(asking(service, "/v1/orders", method="HEAD") * 2)
        answers = read_answers(connection, 2, with_bodies=False)
    assert len({status for status, _, _ in answers}) == 1


def test_requests_that_do_not_wait_for_answers_are_answered_in_order(service: Service, order_id: str) -> None:
    targets = [f"/v1/orders/{order_id}", f"/v1/orders/{NOBODY}", "/v1/accounts/me", "/v1/orders?limit=1"] * 10
    with connected(service) as connection:
        connection.sendall(b"".join(asking(service, target) for target in targets))
        answers = read_answers(connection, len(targets))
    statuses = [status for status, _, _ in answers]
    assert statuses == [200, 404, 200, 200] * 10
    kinds: list[dict[str, Any]] = [json.loads(body) for _, _, body in answers]
    assert all("status_history" in body for body in kinds[::4])
    assert all("has_more" in body for body in kinds[3::4])


def test_one_that_reads_late_gets_all_of_every_answer(service: Service) -> None:
    with service.client(mode=Mode.TEST) as client:
        for _ in range(20):
            client.post("/orders/by-mass", json={"mass": {"amount": "1", "unit": "kg"}}).raise_for_status()
    count = 300
    with connected(service) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(asking(service, "/v1/orders?limit=20") * count)
        # Until nothing more fits between here and there.
        time.sleep(1)
        answers = read_answers(connection, count)
    assert {(status, len(json.loads(body)["data"])) for status, _, body in answers} == {(200, 20)}


def test_a_body_that_waits_to_be_asked_for_is_asked_for(service: Service) -> None:
    body = b'{"mass":{"amount":"1","unit":"kg"}}'
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n"
    with connected(service) as connection:
        connection.sendall(asking(service, "/v1/orders/by-mass/quote", method="POST", more=more))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        [(status, _, quote)] = read_answers(connection, 1)
    assert status == 200
    assert json.loads(quote)["bundles"]

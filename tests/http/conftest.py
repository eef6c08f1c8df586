"""The service as a client sees it: a client, raw bytes on a socket, and a reader of refusals."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support import Service

WAIT_SECONDS = 30.0
ANSWER_BYTES_MAX = 10_000_000

Header = tuple[str, str | bytes]


@pytest.fixture
def api(service: Service) -> Iterator[httpx.Client]:
    """A client with the test key of the account in US dollars."""
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def bundles(service: Service) -> dict[str, str]:
    """The ids of the demo's bundles by their names."""
    with service.client() as client:
        return {bundle["name"]: bundle["id"] for bundle in client.get("/bundles").json()["data"]}


@pytest.fixture(scope="session")
def refusal() -> Callable[[httpx.Response], tuple[int, str]]:
    """Check that an answer has the one error body (contract, section 3); returns its status and error code."""
    return _read_refusal


def _read_refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error", "errors", "type", "title", "status", "detail", "instance", "violations"}
    assert set(body["error"]) == {"error_code", "message"}
    assert body["errors"] == [body["error"]]
    assert body["error"]["message"]
    assert body["detail"] == body["error"]["message"]
    assert body["status"] == answer.status_code
    assert body["instance"].startswith("/")
    assert isinstance(body["type"], str)
    assert isinstance(body["title"], str)
    for violation in body["violations"]:
        assert set(violation) == {"pointer", "message"}
    assert answer.headers["x-request-id"] == answer.headers["cf-ray"]
    return answer.status_code, body["error"]["error_code"]


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any]], Any]:
    """Ask again and again until the answer is true; returns the answer."""
    return _until


def _until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail("it did not happen in time")


@pytest.fixture(scope="module")
def send(service: Service) -> Callable[..., httpx.Response]:
    """Send a request byte by byte as it is given, where a client library would correct it or refuse to."""

    def send_raw(
        method: str,
        target: str | bytes,
        *,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        key: str | None = service.key().api_key,
        seconds_max: float = WAIT_SECONDS,
    ) -> httpx.Response:
        sent: list[Header] = [("Host", "tonne.example"), *headers]
        if key is not None:
            sent.append(("Authorization", f"Bearer {key}"))
        names = {name.lower() for name, _ in sent}
        if body and not names & {"content-length", "transfer-encoding"}:
            sent.append(("Content-Length", str(len(body))))
        head = method.encode() + b" " + _bytes(target) + b" HTTP/1.1\r\n"
        head += b"".join(name.encode() + b": " + _bytes(value) + b"\r\n" for name, value in sent)
        return _exchange(service.base_url, head + b"\r\n" + body, seconds_max)

    return send_raw


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _exchange(base_url: str, request: bytes, seconds_max: float) -> httpx.Response:
    address = urlsplit(base_url)
    assert address.hostname is not None
    place = (address.hostname, address.port or 80)
    with socket.create_connection(place, timeout=seconds_max) as connection:
        connection.sendall(request)
        received = b""
        while len(received) < ANSWER_BYTES_MAX:
            head, ended, body = received.partition(b"\r\n\r\n")
            if ended:
                status_line, *lines = head.decode("latin-1").split("\r\n")
                headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
                length = int(dict(headers).get("content-length", 0))
                if len(body) >= length:
                    return httpx.Response(int(status_line.split(" ")[1]), headers=headers, content=body)
            part = connection.recv(65536)
            assert part, f"the connection was closed before the answer was complete: {received!r}"
            received += part
    pytest.fail("the answer does not end")


@pytest.fixture
def orders_stored(run_sql: Callable[..., Any]) -> Callable[[], int]:
    """How many orders the database holds."""
    return lambda: int(run_sql("SELECT count(*) FROM orders")[0]["count"])


def pytest_make_parametrize_id(val: object) -> str | None:
    """Show bytes and structures shortened: the hostile ones are long."""
    if isinstance(val, bytes | dict | list):
        text = val.decode("latin-1") if isinstance(val, bytes) else json.dumps(val, default=repr)
        return text.encode("unicode_escape").decode()[:40]
    return None

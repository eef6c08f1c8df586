"""An endpoint on this machine that keeps what it gets and answers what it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_SECONDS = 30


@dataclass
class Delivered:
    """A request that an endpoint got."""

    headers: dict[str, str]
    body: bytes
    path: str

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found


@dataclass
class Endpoint:
    """Answers each request with the next of `answers`: a status with headers; 200 when there is none."""

    url: str = ""
    got: list[Delivered] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    may_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()

    def will_answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """What to answer to the next request that has no answer yet."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with self.lock:
            self.answers.append((status, named, body))

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events of all requests, in the order in which they came."""
        return [event for delivered in list(self.got) for event in delivered.events]

    def until(self, found: Callable[[], Any]) -> Any:
        """Ask again and again until something is found."""
        ends = time.monotonic() + WAIT_SECONDS
        while True:
            answer = found()
            if answer:
                return answer
            assert time.monotonic() < ends, f"it did not come to pass; {len(self.got)} requests came"
            time.sleep(0.02)


@contextmanager
def listening() -> Iterator[Endpoint]:
    """An endpoint on a free port, as long as the block lasts."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with endpoint.lock:
                status, headers, answer = endpoint.answers.pop(0) if endpoint.answers else (200, {}, b"")
                names = {name.lower(): value for name, value in self.headers.items()}
                endpoint.got.append(Delivered(names, body, self.path))
            endpoint.may_answer.wait(WAIT_SECONDS)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)

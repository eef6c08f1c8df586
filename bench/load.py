"""Where wrk is not installed: the same request over keep-alive connections, as fast as it is answered.

    python load.py URL --connections 64 --seconds 8 --api-key KEY --run NAME --method POST --body '{"key": "{key}"}'

Prints the same line of JSON as `requests.lua`. It is slower than wrk, so it takes more of the machine from the service.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

GRACE_SECONDS = 5


@dataclass(slots=True)
class Load:
    """What to send until when, and what came back."""

    host: str
    path: str
    api_key: str
    run: str
    method: str
    body: str
    until: float
    sent: int = 0
    refused: int = 0
    broken: int = 0
    latencies: list[float] = field(default_factory=list)

    def next_request(self) -> bytes:
        self.sent += 1
        body = self.body.replace("{key}", f"{self.run}-1-{self.sent}")
        content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.api_key}\r\n"
            f"{content}\r\n{body}"
        ).encode()


class Caller(asyncio.Protocol):
    """One connection: sends an order, waits for its whole answer, sends the next."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.finished = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.received = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports look like asyncio's, but are not of its classes.
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, body = self.received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        if now >= self.load.until:
            self._finish()
            return
        self.load.latencies.append(now - self.sent_at)
        self.load.refused += head[9:12] != b"200"
        self.received = b""
        self._send()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.finished.done():
            self.load.broken += 1
            self.finished.set_result(None)

    def _send(self) -> None:
        assert self.transport is not None
        self.sent_at = time.perf_counter()
        self.transport.write(self.load.next_request())

    def _finish(self) -> None:
        assert self.transport is not None
        self.finished.set_result(None)
        self.transport.close()


async def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Send for as long as asked; an answer that comes later does not count."""
    address = urlsplit(arguments.url)
    began = time.perf_counter()
    load = Load(
        address.netloc,
        address.path + (f"?{address.query}" if address.query else ""),
        arguments.api_key,
        arguments.run,
        arguments.method,
        arguments.body,
        until=began + arguments.seconds,
    )
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: Caller(load), address.hostname, address.port))[1]
        for _ in range(arguments.connections)
    ]
    _, late = await asyncio.wait(
        [caller.finished for caller in callers], timeout=arguments.seconds + GRACE_SECONDS
    )
    latencies = sorted(load.latencies) or [0.0]
    return {
        "seconds": arguments.seconds,
        "answers": len(load.latencies),
        "refused": load.refused,
        "broken": load.broken + len(late),
        "p50_ms": latencies[len(latencies) * 50 // 100] * 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--method", default="GET")
    parser.add_argument("--body", default="")
    arguments = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        loop_factory = None
    else:
        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        print(json.dumps(runner.run(run(arguments))))


if __name__ == "__main__":
    main()

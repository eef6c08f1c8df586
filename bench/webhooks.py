"""How soon an event reaches an endpoint after its commit, how many are delivered a second, and what one that hangs costs.

make bench-webhooks
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

# A script finds its neighbour by its bare name, the type checker by its place in the project.
if TYPE_CHECKING:
    from bench.servers import make_databases, postgres, tonne
else:
    from servers import make_databases, postgres, tonne

ORDERS_ONE_BY_ONE = 200
ORDERS = 1_500
ENDPOINTS = 20
ROUNDS = 5
WAIT_SECONDS = 300
LOCAL = {"TONNE_WEBHOOK_ALLOW_HTTP": "on", "TONNE_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
_PAUSE_SECONDS = 0.03


class Endpoints:
    """Endpoints in a thread: `/hook/<number>` counts events, `/hang` never answers."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.came: dict[bytes, float] = {}
        self.port = 0
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait(10)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0, backlog=1024, limit=2**24)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await server.serve_forever()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            path = lines[0].split(b" ")[1].decode()
            length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
            body = await reader.readexactly(length)
            if path == "/hang":
                await asyncio.sleep(3600)
            self.came[body] = time.perf_counter()
            self.counted[path] += body.count(b'"event_id"')
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def main() -> None:
    """Run everything against a service of its own."""
    place = Path(__file__).parent / "results"
    place.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=place) as folder,
        postgres(Path(folder)) as server,
    ):
        (database,) = make_databases(server.url, ["webhooks"])
        with tonne(database, workers=1, logs=Path(folder), more=LOCAL) as service:
            base = service.url.rsplit("/orders", 1)[0]
            headers = {"Authorization": f"Bearer {database.api_key}"}
            with httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False) as client:
                endpoints = Endpoints()
                _latency(client, endpoints)
                _hanging(client, endpoints)


def _latency(client: httpx.Client, endpoints: Endpoints) -> None:
    webhook = _webhook(client, endpoints, "/hook/latency")
    took = []
    for _ in range(ORDERS_ONE_BY_ONE):
        order_id = _order(client).encode()
        answered = time.perf_counter()
        _until(lambda order_id=order_id: any(order_id in body for body in list(endpoints.came)))
        arrived = next(at for body, at in endpoints.came.items() if order_id in body)
        took.append((arrived - answered) * 1000)
        endpoints.came.clear()
        time.sleep(_PAUSE_SECONDS)
    took.sort()
    print(
        f"{ORDERS_ONE_BY_ONE} orders one by one, from the answer to the order until its events are at the endpoint: "
        f"median {statistics.median(took):.1f} ms, 95 % {took[int(len(took) * 0.95)]:.1f} ms, slowest {took[-1]:.1f} ms"
    )
    client.delete(f"/webhooks/{webhook}")


def _hanging(client: httpx.Client, endpoints: Endpoints) -> None:
    for _ in range(ORDERS):
        _order(client)
    last, after = 0, None
    while True:
        params = {"limit": "100"} | ({"after": after} if after else {})
        page = client.get("/events", params=params).json()
        last, after = int(page["data"][-1]["sequence"]), page["next_cursor"]
        if after is None:
            break
    webhooks = {f"/hook/{n}": _webhook(client, endpoints, f"/hook/{n}") for n in range(ENDPOINTS)}
    hanging = _webhook(client, endpoints, "/hang")
    took: dict[bool, list[float]] = {False: [], True: []}
    for round_ in range(2 * ROUNDS):
        hangs = bool(round_ % 2)
        body = {"url": f"http://127.0.0.1:{endpoints.port}/hang", "enabled": hangs}
        client.put(f"/webhooks/{hanging}", json=body).raise_for_status()
        endpoints.counted.clear()
        endpoints.came.clear()
        if hangs:
            client.post(f"/webhooks/{hanging}/replay", json={"sequence": "1"}).raise_for_status()
            time.sleep(0.5)
        began = time.perf_counter()
        for webhook in webhooks.values():
            client.post(f"/webhooks/{webhook}/replay", json={"sequence": "1"}).raise_for_status()
        _until(lambda: all(endpoints.counted[path] >= last for path in webhooks))
        took[hangs].append(time.perf_counter() - began)
    alone, beside = (statistics.median(took[hangs]) for hangs in (False, True))
    print(
        f"{last} events to {ENDPOINTS} endpoints, median of {ROUNDS} rounds each, by turns: {alone:.2f} s "
        f"({last * ENDPOINTS / alone:.0f} a second), with another that hangs {beside:.2f} s: {beside / alone:.3f} times"
    )


def _webhook(client: httpx.Client, endpoints: Endpoints, path: str) -> str:
    answer = client.post("/webhooks", json={"url": f"http://127.0.0.1:{endpoints.port}{path}"})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _order(client: httpx.Client) -> str:
    answer = client.post("/orders/by-mass", json={"mass": {"amount": "12.07", "unit": "kg"}})
    answer.raise_for_status()
    body: dict[str, Any] = json.loads(answer.content)
    return str(body["id"])


def _until(found: Any) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while not found():
        if time.monotonic() > ends:
            raise SystemExit("It did not come to pass.")
        time.sleep(0.001)


if __name__ == "__main__":
    main()

"""Many endpoints in one process, `/hook/<number>`: each checks what it gets, and some answers fail at random.

    python -m tests.delivering.endpoints PORT_FILE FAILING SEED

`PUT /secrets` tells the secrets by number; `GET /report` answers what was found; `PUT /slow/<number>` lets one hang.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from tests.delivering.other_header import check_other_header


@dataclass
class Stream:
    """What an endpoint got of an account."""

    acknowledged: int = 0
    seen: int = 0
    message_id: str = ""
    digest: bytes = b""
    in_flight: int = 0


@dataclass
class Endpoints:
    """The ASGI application."""

    failing: float
    chance: random.Random
    secrets: dict[str, str] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    streams: dict[str, dict[str, Stream]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    times: dict[str, dict[str, float]] = field(default_factory=dict)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                # Whoever sent it was killed in the middle of it.
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        kind, _, number = scope["path"].strip("/").partition("/")
        status, answer = 200, b""
        if kind == "hook":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            status = await self.take(number, headers, body)
        elif kind == "secrets":
            self.secrets |= json.loads(body)
        elif kind == "slow":
            self.slow = set(json.loads(body))
        else:
            answer = json.dumps(self.report()).encode()
        start = {"type": "http.response.start", "status": status, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": answer})

    async def take(self, number: str, headers: dict[str, str], body: bytes) -> int:
        """Check a request; returns the status to answer."""
        secret = self.secrets[number]
        try:
            Webhook(secret).verify(body, headers, json_parse=False)
            check_other_header(body, headers["lune-hmac"], secret)
        except (WebhookVerificationError, ValueError) as error:
            self.wrong.append(f"{number}: {error!r} {headers} {hashlib.sha256(body).hexdigest()} {len(body)}")
            return 400
        self.counted["requests"] += 1
        if number in self.slow:
            await asyncio.sleep(3600)
        events = json.loads(body)["events"]
        [account_id] = {event["account_id"] for event in events}
        stream = self.streams.setdefault(number, {}).setdefault(account_id, Stream())
        stream.in_flight += 1
        try:
            self.check(stream, f"{number} {account_id}", headers["webhook-id"], events, body)
            await asyncio.sleep(0)
        finally:
            stream.in_flight -= 1
        if self.chance.random() < self.failing:
            self.counted["failed"] += 1
            # Refused, or taken and the answer lost.
            if self.chance.random() < 0.5:
                return 500
            stream.acknowledged = stream.seen
            return 503
        stream.acknowledged = stream.seen
        now = time.time()
        for event in events:
            self.times.setdefault(event["event_id"], {})[number] = now
        return 200

    def check(self, stream: Stream, place: str, message_id: str, events: list[Any], body: bytes) -> None:
        """Note what is wrong with what an endpoint gets of an account."""
        sequences = [int(event["sequence"]) for event in events]
        digest = hashlib.sha256(body).digest()
        if stream.in_flight > 1:
            self.wrong.append(f"{place}: two requests at once")
        if len(events) > 100:
            self.wrong.append(f"{place}: {len(events)} events")
        if sequences != list(range(sequences[0], sequences[0] + len(sequences))):
            self.wrong.append(f"{place}: {sequences} are not in sequence")
        if message_id == stream.message_id:
            self.counted["repeated"] += 1
            if digest != stream.digest:
                self.wrong.append(f"{place}: {message_id} has other bytes than before")
        elif sequences[0] != stream.seen + 1 or stream.seen != stream.acknowledged:
            self.wrong.append(
                f"{place}: {sequences[0]} after {stream.seen}, acknowledged {stream.acknowledged}"
            )
        stream.message_id, stream.digest, stream.seen = message_id, digest, sequences[-1]

    def report(self) -> dict[str, Any]:
        """What was found."""
        acknowledged = {
            number: {account: stream.acknowledged for account, stream in streams.items()}
            for number, streams in self.streams.items()
        }
        return {"acknowledged": acknowledged, "wrong": self.wrong[:20], **self.counted}


def main() -> None:
    """Serve until killed."""
    port_file, failing, seed = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    app = Endpoints(failing, random.Random(seed))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port_file.write_text(str(listener.getsockname()[1]))
    config = uvicorn.Config(app, access_log=False, log_level="error", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

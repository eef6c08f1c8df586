"""What tests of several rooms share: a service on a real socket, and a connection for a moment."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import asyncpg
import httpx
import uvicorn

from tonne.application.open_accounts import NewKey
from tonne.domain.accounts import Mode
from tonne.http.one_write import OneWriteProtocol
from tonne.main import create_app
from tonne.settings import Settings

Result = TypeVar("Result")

# An id that nothing and nobody has. Tests that run side by side must be called alike in every process.
NOBODY = "9ebbb8e8-30b4-42eb-9b5b-a79c1afb8d31"


@dataclass(frozen=True)
class Service:
    """A running service with the demo loaded."""

    base_url: str
    database_url: str
    keys: dict[tuple[str, Mode], NewKey]

    def key(self, currency: str = "USD", mode: Mode = Mode.TEST) -> NewKey:
        return self.keys[currency, mode]

    def client(self, currency: str = "USD", mode: Mode = Mode.TEST, **kwargs: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key(currency, mode).api_key}"}
        return httpx.Client(
            base_url=self.base_url + "/v1", headers=headers, timeout=30, trust_env=False, **kwargs
        )


@contextmanager
def serving(chosen: Settings) -> Iterator[str]:
    """Serve in a thread of this process; yields the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = create_app(replace(chosen, port=port))
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        lifespan="on",
        http=OneWriteProtocol,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        for _ in range(600):
            if server.started or not thread.is_alive():
                break
            time.sleep(0.05)
        assert server.started, "the service did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()
        assert not thread.is_alive(), "the service did not stop"


def on_connection(database_url: str, work: Callable[[asyncpg.Connection], Awaitable[Result]]) -> Result:
    """Do something on a connection of its own."""

    async def run() -> Result:
        connection = await asyncpg.connect(database_url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())

"""uvicorn's HTTP protocol with one write an answer.

ASGI sends head and body as two messages, and uvicorn writes each to the socket as it comes: two system calls and two
packets for every answer. Here what is written in one turn of the event loop leaves in one go: docs/decisions/0007.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWriteProtocol(HttpToolsProtocol):
    """`HttpToolsProtocol` on a transport that gathers its writes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the gathering transport in between."""
        super().connection_made(_GatheringTransport(transport))  # type: ignore[arg-type]


class _GatheringTransport:
    """A transport that holds writes back until the end of the event loop's turn."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._held: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

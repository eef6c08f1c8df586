"""uvicorn's HTTP protocol with one write an answer.

ASGI sends head and body as two messages, each through every layer around the handler, and uvicorn writes each to the socket
as it comes: two system calls and two packets for every answer. Here an answer that is there as a whole is handed to the
protocol as a whole, and what is written in one turn of the event loop leaves in one go: docs/decisions/0007, 0021.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

Headers = Sequence[tuple[bytes, bytes]]
# The request's scope, status, headers and body; False where the answer must be sent message by message instead.
SendWhole = Callable[[Any, int, Headers, bytes], bool]
# Where a request's scope has it, when this protocol serves.
SEND_WHOLE: Final = "tonne.send_whole"


class OneWriteProtocol(HttpToolsProtocol):
    """`HttpToolsProtocol` on a transport that gathers its writes, and with a way to send an answer as a whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the gathering transport in between."""
        super().connection_made(_GatheringTransport(transport))  # type: ignore[arg-type]

    def on_message_begin(self) -> None:
        """Tell the application of the way."""
        super().on_message_begin()
        self.scope[SEND_WHOLE] = self._send_whole  # type: ignore[typeddict-unknown-key]

    def _send_whole(self, scope: Any, status: int, headers: Headers, body: bytes) -> bool:
        """What uvicorn does with the two messages of an answer. Headers are known to be well-formed, in lower case.

        What is rare is left to uvicorn: a reader that is slow or went away, requests that did not wait for answers, one for
        the head alone.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope
            or cycle.flow.write_paused
            or cycle.disconnected
            or cycle.response_started
        ):
            return False
        if scope["method"] == "HEAD" or cycle.access_log:
            return False
        content = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            content += (name, b": ", value, b"\r\n")
        content += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        transport: _GatheringTransport = self.transport  # type: ignore[assignment]
        transport.write_whole(b"".join(content))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            transport.close()
        cycle.on_response()
        return True


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

    def write_whole(self, data: bytes) -> None:
        """Write what nothing more will follow in this turn."""
        if self._held:
            self._held.append(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

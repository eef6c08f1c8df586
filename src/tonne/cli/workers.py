"""Server processes beside each other, with a fair share of the callers each.

Where all processes listen on one socket, whoever wakes up first takes what comes: of 64 connections made at once, 55 and 9 were
seen. On Linux each process listens on a socket of its own to the same port (SO_REUSEPORT), and the kernel deals
connections out.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

BACKLOG = 2048


def own_listeners(workers: int) -> bool:
    """Whether each process listens for itself. Elsewhere than on Linux the last one to listen would get everything."""
    return workers > 1 and sys.platform == "linux"


def reserve_port(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    """Keep a port for processes that will listen on it; nobody answers on this socket.

    Raises:
        OSError: somebody else has the port.
    """
    reserved = _bind(family, host, port)
    # From now on only whoever shares by port as well may bind: another service that asks whether the port is free is refused.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return reserved


class Workers(Multiprocess):
    """uvicorn's processes, which are announced when all of them answer."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, announce: Callable[[], None]) -> None:
        listens: Any = listener
        if own_listeners(config.workers):
            host, port = listener.getsockname()[:2]
            listens = _Listener(listener.family, host, port)
        super().__init__(config, sockets=[listens])
        self._announce: Callable[[], None] | None = announce

    def keep_subprocess_alive(self) -> None:
        """Start anew what ended; once all are up, say so."""
        super().keep_subprocess_alive()
        if self._announce is not None and all(process.is_ready(timeout=1) for process in self.processes):
            self._announce()
            self._announce = None


@dataclass(frozen=True, slots=True)
class _Listener:
    """Handed to a new process, it is a socket there, on which the process listens when it is ready to answer."""

    family: socket.AddressFamily
    host: str
    port: int

    def __reduce__(self) -> tuple[Callable[..., socket.socket], tuple[socket.AddressFamily, str, int]]:
        return _bind, (self.family, self.host, self.port)


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    if family is socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound

"""The port of several server processes is theirs alone, from before the first of them is up."""

from __future__ import annotations

import errno
import socket
import sys

import pytest

from tonne.cli.workers import reserve_port

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere all processes listen on one socket"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_port_that_is_reserved_is_taken_for_another_service() -> None:
    port = free_port()
    with reserve_port(socket.AF_INET, "127.0.0.1", port):
        with pytest.raises(OSError, match="in use") as refused:
            socket.create_server(("127.0.0.1", port))
        assert refused.value.errno == errno.EADDRINUSE
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_is_served_on_can_t_be_reserved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError, match="in use"):
        reserve_port(socket.AF_INET, "127.0.0.1", listener.getsockname()[1])


def test_nobody_is_answered_on_a_port_that_is_only_reserved() -> None:
    port = free_port()
    with reserve_port(socket.AF_INET, "127.0.0.1", port), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_processes_listen_beside_each_other_on_a_reserved_port() -> None:
    port = free_port()
    with (
        reserve_port(socket.AF_INET, "127.0.0.1", port),
        reserve_port(socket.AF_INET, "127.0.0.1", port) as one,
        reserve_port(socket.AF_INET, "127.0.0.1", port) as two,
    ):
        one.listen()
        two.listen()
        socket.create_connection(("127.0.0.1", port), timeout=10).close()

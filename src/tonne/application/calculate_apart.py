"""Calculating in threads of its own: nothing else waits for a sea route or ten thousand purchases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tonne.domain.errors import ServiceUnavailable

Found = TypeVar("Found")

_THREADS = 2
# Each may take as long as a batch: those behind would wait for longer than a client does.
_WAITING_MAX = 100
_threads = ThreadPoolExecutor(_THREADS, "estimates")
_taken = 0


async def calculate_apart(calculate: Callable[[], Found]) -> Found:
    """Run a calculation in one of two threads; looking for places and sea routes takes some tens of milliseconds.

    Raises:
        ServiceUnavailable: a hundred others wait already.
    """
    global _taken  # noqa: PLW0603 -- counted by the event loop alone
    if _taken >= _THREADS + _WAITING_MAX:
        raise ServiceUnavailable("Too many estimates are being calculated.")
    running = asyncio.get_running_loop().run_in_executor(_threads, calculate)
    _taken += 1
    running.add_done_callback(_given_back)
    # A caller that goes away does not stop the thread: its turn is taken until it is done.
    return await asyncio.shield(running)


def _given_back(_: object) -> None:
    global _taken  # noqa: PLW0603
    _taken -= 1

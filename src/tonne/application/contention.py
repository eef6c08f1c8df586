"""Go on where two transactions met: one of them is carried out again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from tonne.domain.errors import ServiceUnavailable
from tonne.storage.lots import LotChanged

Result = TypeVar("Result")

TRIES_MAX = 10
# Whoever takes from the same lots, accounts or orders, perhaps in another order.
_CONTENTION = (LotChanged, asyncpg.DeadlockDetectedError)


async def carried_out(work: Callable[[], Awaitable[Result]]) -> Result:
    """Carry out a transaction, and again after a moment while it meets another; ten times at most.

    Raises:
        ServiceUnavailable: it met another each time, and changed nothing.
    """
    for attempt in range(1, TRIES_MAX + 1):
        try:
            return await work()
        except _CONTENTION:
            if attempt < TRIES_MAX:
                await asyncio.sleep(0.01 * attempt)
    raise ServiceUnavailable(
        "Others change the same credits or orders all the time: what was tried last changed nothing. Repeat it in a moment."
    )

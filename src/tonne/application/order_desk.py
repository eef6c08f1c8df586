"""The way from one request to the group commit and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from tonne.application.place_orders import Outcome, Placed, PlaceOrder
from tonne.domain.errors import IdempotencyKeyInUse
from tonne.storage.group_commit import GroupCommit


def _nothing() -> None:
    """Nobody waits for events."""


@dataclass(slots=True)
class OrderDesk:
    """Hands commands to the group commit, one at a time for each `Idempotency-Key`."""

    commits: GroupCommit[PlaceOrder, Outcome]
    # Called after each commit: there are new events.
    committed: Callable[[], None] = _nothing
    _in_flight: set[tuple[UUID, str]] = field(default_factory=set)

    async def place(self, command: PlaceOrder) -> Outcome:
        """Place one order; returns when its outcome is durable.

        Raises:
            IdempotencyKeyInUse: a request with the same `Idempotency-Key` is still being carried out here.
            ServiceUnavailable: the queue is full or the database is away.
        """
        if command.repeatable is None:
            return await self._commit(command)
        key = (command.repeatable.key.account_id, command.repeatable.key.request_key)
        if key in self._in_flight:
            raise IdempotencyKeyInUse
        self._in_flight.add(key)
        # Shielded: a caller that hangs up must not free the key while its command is still on its way.
        placing = asyncio.create_task(self._commit(command))
        placing.add_done_callback(lambda _: self._in_flight.discard(key))
        return await asyncio.shield(placing)

    async def _commit(self, command: PlaceOrder) -> Outcome:
        outcome = await self.commits.submit(command)
        if isinstance(outcome, Placed):
            self.committed()
        return outcome

"""Deliver events to webhooks: in order for each account, at least once, and a slow endpoint delays no other.

A round numbers what was committed, claims what is due and sends it, each batch in a task of its own. Any number of
processes may deliver; one that is killed leaves claims that end by themselves, and batches that the next one sends again,
byte for byte.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Protocol
from uuid import UUID

import structlog

from tonne.application.identifiers import new_id
from tonne.application.number_events import number_all
from tonne.domain.events import Event, EventType, Happened
from tonne.domain.webhooks import BATCH_EVENTS_MAX, RETRY_DELAYS, Webhook, next_attempt_in
from tonne.storage.changes import hearing_of_events
from tonne.storage.database import Connection, Pool
from tonne.storage.deliveries import (
    Attempt,
    Batch,
    Claim,
    claim_due,
    database_time,
    keep_batch,
    move_on,
    organisations_due,
    put_aside,
    put_off,
    record_attempt,
    release,
)
from tonne.storage.events import last_number, read_events, record_events
from tonne.storage.webhooks import disable_webhook
from tonne.webhooks.sealing import NotSealedWithThisKey, Seal
from tonne.webhooks.sending import Answered, Sender
from tonne.webhooks.signing import sign

IDLE_SECONDS = 1.0
REQUESTS_MAX = 128
# Accounts of one webhook at once.
TOGETHER_MAX = 8
# After the time that a request may take, a claim lasts so much longer.
LEASE_MORE = timedelta(seconds=5)
PUT_ASIDE = timedelta(minutes=1)
USER_AGENT = "Tonne-Webhooks/1"

log = structlog.get_logger(__name__)


class WriteBody(Protocol):
    """Writes the body that delivers some events of an account."""

    def __call__(
        self, connection: Connection, account_id: UUID, events: Sequence[Event]
    ) -> Awaitable[bytes]: ...


def _any_percent() -> int:
    return random.randint(0, 100)  # noqa: S311 -- it keeps nothing secret


@dataclass(slots=True)
class EventDelivery:
    """Delivers as long as it runs. `chance_percent` decides how far retries are spread."""

    pool: Pool
    database_url: str
    write: WriteBody
    sender: Sender
    load_seal: Callable[[], Seal]
    now: Callable[[], datetime]
    chance_percent: Callable[[], int] = _any_percent
    retry_delays: Sequence[timedelta] = RETRY_DELAYS
    lease_more: timedelta = LEASE_MORE
    _busy: Counter[UUID] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver as long as the block lasts; what is on its way at its end is given back."""
        async with hearing_of_events(self.database_url) as heard:
            task = asyncio.create_task(self._go_on(heard))
            try:
                yield
            finally:
                task.cancel()
                for each in self._tasks:
                    each.cancel()
                await asyncio.gather(task, *self._tasks, return_exceptions=True)
                await self.sender.close()

    async def _go_on(self, heard: asyncio.Event) -> None:
        while True:
            heard.clear()
            try:
                await number_all(self.pool)
                await self._claim_all(heard)
            except Exception as error:  # noqa: BLE001 -- what goes wrong now may go right next time
                log.warning("delivery_interrupted", error=repr(error))
                await asyncio.sleep(IDLE_SECONDS / 10)
            with suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), IDLE_SECONDS)

    async def _claim_all(self, heard: asyncio.Event) -> None:
        async with self.pool.acquire(timeout=30) as connection:
            organisations = await organisations_due(connection)
        # In another order each time: none comes first always.
        random.shuffle(organisations)
        for organisation_id in organisations:
            free = REQUESTS_MAX - len(self._tasks)
            if free <= 0:
                return
            async with self.pool.acquire(timeout=30) as connection, connection.transaction():
                claims = await claim_due(
                    connection,
                    organisation_id,
                    claim_id=new_id(),
                    lease=timedelta(seconds=self.sender.rules.timeout_seconds) + self.lease_more,
                    busy=self._busy,
                    together_max=TOGETHER_MAX,
                    limit=free,
                )
            for claim in claims:
                self._start(claim, heard)

    def _start(self, claim: Claim, heard: asyncio.Event) -> None:
        webhook_id = claim.webhook.webhook_id
        self._busy[webhook_id] += 1
        task = asyncio.create_task(self._deliver(claim))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._busy[webhook_id] -= 1
            if not self._busy[webhook_id]:
                del self._busy[webhook_id]
            # More of the same may be due, and there is room for it now.
            heard.set()

        task.add_done_callback(ended)

    async def _deliver(self, claim: Claim) -> None:
        try:
            batch = claim.batch or await self._gather(claim)
            if batch is not None:
                await self._send(claim, batch)
        except asyncio.CancelledError:
            with suppress(Exception):
                await self._give_back(claim)
            raise
        except NotSealedWithThisKey:
            log.error("webhook_secret_not_readable", webhook_id=str(claim.webhook.webhook_id))  # noqa: TRY400
            await self._put_aside(claim)
        except Exception:
            log.exception("delivery_failed", webhook_id=str(claim.webhook.webhook_id))
            await self._put_aside(claim)

    async def _gather(self, claim: Claim) -> Batch | None:
        """Read and write down what comes next, and keep it: every attempt sends the same bytes."""
        organisation_id, account_id = claim.webhook.organisation_id, claim.account_id
        async with self.pool.acquire(timeout=30) as connection:
            # Read before the events: those up to it that are not found then were deleted.
            last = await last_number(connection, organisation_id, account_id)
            events = await read_events(
                connection, organisation_id, account_id, first=claim.sequence_next, limit=BATCH_EVENTS_MAX
            )
            if not events:
                to = max(claim.sequence_next, last + 1)
                async with connection.transaction():
                    await move_on(connection, claim, batch=None, to=to, at=await database_time(connection))
                return None
            body = await self.write(connection, account_id, events)
            batch = Batch(new_id(), events[0].sequence, events[-1].sequence, body)
            if not await keep_batch(connection, claim, batch):
                await release(connection, claim)
                return None
        return batch

    async def _send(self, claim: Claim, batch: Batch) -> None:
        sent_at = self.now()
        answered = await send_signed(
            self.sender,
            self.load_seal(),
            claim.webhook,
            message_id=str(batch.batch_id),
            body=batch.body,
            at=sent_at,
        )
        async with self.pool.acquire(timeout=30) as connection, connection.transaction():
            at = await database_time(connection)
            failed = claim.attempts + 1
            wait = (
                None
                if answered.is_gone
                else next_attempt_in(
                    failed,
                    retry_after=answered.retry_after,
                    chance_percent=self.chance_percent(),
                    delays=self.retry_delays,
                )
            )
            next_at = None if answered.is_acknowledged or wait is None else at + wait
            await record_attempt(
                connection, claim.webhook, _attempt(claim, batch, answered, sent_at=sent_at, next_at=next_at)
            )
            if answered.is_acknowledged:
                await move_on(connection, claim, batch=batch, to=batch.sequence_last + 1, at=at)
                return
            # Of a webhook that is given up, the batch stays: it goes out first should it be enabled again.
            await put_off(connection, claim, batch, until=next_at or at)
            if next_at is None:
                await self._give_up(connection, claim, answered, at=at)

    async def _give_up(
        self, connection: Connection, claim: Claim, answered: Answered, *, at: datetime
    ) -> None:
        webhook = claim.webhook
        told = answered.error or f"answered {answered.status}"
        reason = f"{'asked for no more' if answered.is_gone else 'the last attempt failed'}: {told}"
        if not await disable_webhook(
            connection, webhook.organisation_id, webhook.webhook_id, reason=reason, at=at
        ):
            return
        log.warning("webhook_disabled", webhook_id=str(webhook.webhook_id), reason=reason)
        happened = Happened(
            webhook.organisation_id,
            claim.account_id,
            (EventType.WEBHOOK_DISABLED,),
            webhook_id=webhook.webhook_id,
        )
        await record_events(connection, [happened], chunk_ids=[new_id()], at=self.now())

    async def _give_back(self, claim: Claim) -> None:
        async with self.pool.acquire(timeout=2) as connection:
            await release(connection, claim)

    async def _put_aside(self, claim: Claim) -> None:
        # What can't be done here and now is not tried again at once; others are not kept waiting by it.
        with suppress(Exception):
            async with self.pool.acquire(timeout=5) as connection:
                at = await database_time(connection)
                await put_aside(connection, claim, until=at + PUT_ASIDE)


async def send_signed(
    sender: Sender, seal: Seal, webhook: Webhook, *, message_id: str, body: bytes, at: datetime
) -> Answered:
    """Sign a body with a webhook's secrets and send it.

    Raises:
        NotSealedWithThisKey: the secrets were encrypted with another key.
    """
    secrets = [seal.open(sealed) for sealed in webhook.sealed_secrets(at)]
    signed = sign(
        body, message_id=message_id, organisation_id=webhook.organisation_id, secrets=secrets, at=at
    )
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}
    return await sender.send(webhook.url, headers=headers, body=body)


def _attempt(
    claim: Claim, batch: Batch, answered: Answered, *, sent_at: datetime, next_at: datetime | None
) -> Attempt:
    error = answered.error
    if error is None and not answered.is_acknowledged:
        with suppress(ValueError):
            error = f"not acknowledged: {HTTPStatus(answered.status or 0).phrase}"
    return Attempt(
        new_id(),
        claim.account_id,
        batch.batch_id,
        batch.sequence_first,
        batch.sequence_last,
        claim.attempts + 1,
        sent_at,
        answered.duration_ms,
        answered.status,
        error,
        answered.answer,
        next_at,
    )

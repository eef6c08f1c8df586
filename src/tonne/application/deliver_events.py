"""Deliver events to webhooks: in order for each account, at least once, and a slow endpoint delays no other.

A round numbers what was committed, claims what is due and sends it, each batch in a task of its own. Any number of
processes may deliver; one that is killed leaves claims that end by themselves, and batches that the next one sends again,
byte for byte.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Protocol
from uuid import UUID

import structlog

from tonne.application.delivery_traffic import QUICK_MS, TOGETHER_MAX, Traffic
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
    renew,
)
from tonne.storage.events import last_number, read_events, record_events
from tonne.storage.webhooks import disable_webhook, find_webhook
from tonne.webhooks.sealing import NotSealedWithThisKey, Seal
from tonne.webhooks.sending import Answered, ResolvingBusy, Sender
from tonne.webhooks.signing import sign

IDLE_SECONDS = 1.0
EVERYBODY_SECONDS = 10.0
# After the time that a request may take, a claim lasts so much longer.
LEASE_MORE = timedelta(seconds=5)
PUT_ASIDE = timedelta(minutes=1)
RESOLVING_BUSY = timedelta(seconds=5)
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
    _traffic: Traffic = field(default_factory=Traffic)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def lease(self) -> timedelta:
        """How long a claim lasts: longer than a request may take."""
        return timedelta(seconds=self.sender.rules.timeout_seconds) + self.lease_more

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
        everybody_at = 0.0
        while True:
            heard.clear()
            # Where nobody waits for them, events are numbered when they are asked for, or now and then.
            waited_for = monotonic() - everybody_at < EVERYBODY_SECONDS
            if not waited_for:
                everybody_at = monotonic()
            number = partial(number_all, self.pool, with_webhooks=waited_for)
            for step in (number, partial(self._claim_all, heard)):
                try:
                    await step()
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
            traffic = self._traffic
            free = traffic.room(organisation_id)
            if not free:
                continue
            async with self.pool.acquire(timeout=30) as connection, connection.transaction():
                claims = await claim_due(
                    connection,
                    organisation_id,
                    claim_id=new_id(),
                    lease=self.lease,
                    busy=traffic.by_webhook,
                    quick=traffic.quick(organisation_id),
                    together_max=TOGETHER_MAX,
                    others_max=traffic.room_for_others(organisation_id),
                    limit=free,
                )
            for claim in claims:
                self._start(claim, heard)

    def _start(self, claim: Claim, heard: asyncio.Event) -> None:
        ended = self._traffic.begin(claim.webhook)
        task = asyncio.create_task(self._deliver(claim))
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            ended()
            # More of the same may be due, and there is room for it now.
            heard.set()

        task.add_done_callback(done)

    async def _deliver(self, claim: Claim) -> None:
        try:
            batch = await (self._gather(claim) if claim.batch is None else self._take_up(claim, claim.batch))
            if batch is not None:
                await self._send(claim, batch)
        except asyncio.CancelledError:
            with suppress(Exception):
                await self._give_back(claim)
            raise
        except ResolvingBusy:
            await self._put_aside(claim, RESOLVING_BUSY)
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
            if not await keep_batch(connection, claim, batch, lease=self.lease):
                await release(connection, claim)
                return None
        return batch

    async def _take_up(self, claim: Claim, batch: Batch) -> Batch | None:
        """A batch that was tried before, if it still is to be sent."""
        async with self.pool.acquire(timeout=30) as connection:
            if await renew(connection, claim, batch, lease=self.lease):
                return batch
            await release(connection, claim)
        return None

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
        self._traffic.learn(claim.webhook, quick=answered.duration_ms < QUICK_MS)
        async with self.pool.acquire(timeout=30) as connection, connection.transaction():
            if answered.is_acknowledged:
                attempt = _attempt(claim, batch, answered, sent_at=sent_at)
                await record_attempt(connection, claim.webhook, attempt)
                at = await database_time(connection)
                await move_on(connection, claim, batch=batch, to=batch.sequence_last + 1, at=at)
            else:
                await self._fail(connection, claim, batch, answered, sent_at=sent_at)

    async def _fail(
        self, connection: Connection, claim: Claim, batch: Batch, answered: Answered, *, sent_at: datetime
    ) -> None:
        at = await database_time(connection)
        wait = next_attempt_in(
            claim.attempts + 1,
            retry_after=answered.retry_after,
            chance_percent=self.chance_percent(),
            delays=self.retry_delays,
        )
        is_last = answered.is_gone or wait is None
        next_at = at if is_last or wait is None else at + wait
        webhook = claim.webhook
        if is_last:
            # Before its cursor: whoever changes or deletes it has them in this order, too.
            await find_webhook(connection, webhook.organisation_id, webhook.webhook_id, lock=True)
        # Of a webhook that is given up, the batch stays: it goes out first should it be enabled again.
        is_still_ours = await put_off(connection, claim, batch, until=next_at)
        if not is_still_ours:
            # Who was given another URL, or something else to get, meanwhile, has all attempts ahead, the first at once.
            is_last, next_at = False, at
        attempt = _attempt(claim, batch, answered, sent_at=sent_at, next_at=None if is_last else next_at)
        await record_attempt(connection, webhook, attempt)
        if is_last:
            await self._give_up(connection, claim, answered, at=at)

    async def _give_up(
        self, connection: Connection, claim: Claim, answered: Answered, *, at: datetime
    ) -> None:
        webhook = claim.webhook
        told = answered.error or f"answered {answered.status}"
        reason = f"{'asked for no more' if answered.is_gone else 'the last attempt failed'}: {told}"
        if not await disable_webhook(connection, webhook, reason=reason, at=at):
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

    async def _put_aside(self, claim: Claim, wait: timedelta = PUT_ASIDE) -> None:
        # What can't be done here and now is not tried again at once; others are not kept waiting by it.
        with suppress(Exception):
            async with self.pool.acquire(timeout=5) as connection:
                at = await database_time(connection)
                await put_aside(connection, claim, until=at + wait)


async def send_signed(
    sender: Sender, seal: Seal, webhook: Webhook, *, message_id: str, body: bytes, at: datetime
) -> Answered:
    """Sign a body with a webhook's secrets and send it.

    Raises:
        NotSealedWithThisKey: the secrets were encrypted with another key.
    """
    first, *former = webhook.sealed_secrets(at)
    # A former one that can't be read is of no use any more.
    secrets = [seal.open(first), *(seal.open(sealed) for sealed in former if seal.can_open(sealed))]
    signed = sign(
        body, message_id=message_id, organisation_id=webhook.organisation_id, secrets=secrets, at=at
    )
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signed}
    return await sender.send(webhook.url, headers=headers, body=body, organisation_id=webhook.organisation_id)


def _attempt(
    claim: Claim, batch: Batch, answered: Answered, *, sent_at: datetime, next_at: datetime | None = None
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

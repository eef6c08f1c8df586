"""Create, change, try out and replay webhooks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.deliver_events import send_signed
from tonne.application.identifiers import new_id, new_secret
from tonne.application.number_events import number_what_was
from tonne.domain.accounts import Account, Directory
from tonne.domain.audit import Actor, Change
from tonne.domain.errors import NotFound, RateLimited, ServiceUnavailable, ValidationFailed
from tonne.domain.times import format_time
from tonne.domain.webhooks import WEBHOOKS_MAX, Webhook
from tonne.storage.audit import record_changes
from tonne.storage.changes import announce_events
from tonne.storage.database import Connection, Pool
from tonne.storage.deliveries import Attempt, list_attempts, replay, resume
from tonne.storage.events import hold_numbers
from tonne.storage.webhooks import (
    delete_webhook,
    find_webhook,
    insert_webhook,
    list_webhooks,
    lock_webhooks_of,
    replace_webhook,
)
from tonne.webhooks.sealing import NotSealedWithThisKey, Seal
from tonne.webhooks.sending import Answered, ResolvingBusy, Sender, SendingRules, UrlNotUsable
from tonne.webhooks.signing import format_secret

OVERLAP_HOURS_MAX = 30 * 24
# At once, of an organisation, in a process: each may take as long as a delivery does.
PINGS_MAX = 8


@dataclass(frozen=True, slots=True)
class WebhookWishes:
    """What a webhook is to be; without `account_ids` it covers all accounts of its mode, without `enabled` as before."""

    url: str
    account_ids: tuple[UUID, ...] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A webhook whose secret is new: handed out this once."""

    webhook: Webhook
    secret: str


@dataclass(slots=True)
class WebhookDesk:
    """What handlers call for webhooks."""

    pool: Pool
    sender: Sender
    load_seal: Callable[[], Seal]
    _pings: Counter[UUID] = field(default_factory=Counter)

    @property
    def rules(self) -> SendingRules:
        return self.sender.rules

    async def create(
        self, account: Account, wishes: WebhookWishes, directory: Directory, *, actor: Actor, at: datetime
    ) -> NewSecret:
        """Create a webhook in an account's organisation and mode. It is told what happens from now on.

        Raises:
            ValidationFailed: the URL or an account can't be one of a webhook, or there are a hundred already.
            ServiceUnavailable: there are too many events of before, which it is not to be told; try again.
            Unauthorised: the key was disabled since.
        """
        self._check(account, wishes, directory)
        # What has no number yet when it is stored would be told to it.
        await number_what_was(self.pool, account.organisation_id, account.mode, wishes.account_ids)
        secret = format_secret(new_secret())
        webhook = Webhook(
            organisation_id=account.organisation_id,
            webhook_id=new_id(),
            mode=account.mode,
            url=wishes.url,
            account_ids=wishes.account_ids,
            secret=self.load_seal().seal(secret),
            secret_end=secret[-4:],
            enabled=True,
            created_at=at,
        )
        async with self.pool.acquire(timeout=5) as connection, connection.transaction():
            await refuse_disabled_key(connection, actor)
            await lock_webhooks_of(connection, account.organisation_id)
            known = await list_webhooks(connection, account.organisation_id, account.mode)
            if len(known) >= WEBHOOKS_MAX:
                raise ValidationFailed.at(
                    "", f"there are {WEBHOOKS_MAX} webhooks already: delete one of them"
                )
            await insert_webhook(connection, webhook)
            await _record(connection, actor, "create", new=webhook, at=at)
        return NewSecret(webhook, secret)

    async def change(
        self,
        account: Account,
        webhook_id: UUID,
        wishes: WebhookWishes,
        directory: Directory,
        *,
        actor: Actor,
        at: datetime,
    ) -> Webhook:
        """Replace a webhook's URL, accounts and whether it is enabled. Enabled again, it goes on where it stopped.

        Raises:
            NotFound: the organisation has no such webhook of this mode.
            ValidationFailed, ServiceUnavailable, Unauthorised: as `create`.
        """
        self._check(account, wishes, directory)
        await self._number_for_more(account, webhook_id, wishes)
        async with self.pool.acquire(timeout=5) as connection, connection.transaction():
            await refuse_disabled_key(connection, actor)
            old = await _lock(connection, account, webhook_id)
            enabled = old.enabled if wishes.enabled is None else wishes.enabled
            new = replace(
                old,
                url=wishes.url,
                account_ids=wishes.account_ids,
                enabled=enabled,
                disabled_at=None if enabled else old.disabled_at or at,
                disabled_reason=None if enabled else old.disabled_reason,
            )
            await replace_webhook(connection, new)
            if enabled and (not old.enabled or new.url != old.url):
                await resume(connection, new, at=at)
                await announce_events(connection)
            await _record(connection, actor, "replace", old=old, new=new, at=at)
        return new

    async def delete(self, account: Account, webhook_id: UUID, *, actor: Actor, at: datetime) -> None:
        """Delete a webhook.

        Raises:
            NotFound: the organisation has no such webhook of this mode.
            Unauthorised: the key was disabled since.
        """
        async with self.pool.acquire(timeout=5) as connection, connection.transaction():
            await refuse_disabled_key(connection, actor)
            old = await _lock(connection, account, webhook_id)
            await delete_webhook(connection, old)
            await _record(connection, actor, "delete", old=old, at=at)

    async def rotate_secret(
        self, account: Account, webhook_id: UUID, *, overlap: timedelta, actor: Actor, at: datetime
    ) -> NewSecret:
        """Give a webhook a new secret; with an overlap the old one signs, too, until that ends.

        Raises:
            NotFound: the organisation has no such webhook of this mode.
            Unauthorised: the key was disabled since.
        """
        secret = format_secret(new_secret())
        async with self.pool.acquire(timeout=5) as connection, connection.transaction():
            await refuse_disabled_key(connection, actor)
            old = await _lock(connection, account, webhook_id)
            # One that can't be read signs nothing.
            keeps = bool(overlap) and self.load_seal().can_open(old.secret)
            new = replace(
                old,
                secret=self.load_seal().seal(secret),
                secret_end=secret[-4:],
                former_secret=old.secret if keeps else None,
                former_until=at + overlap if keeps else None,
            )
            await replace_webhook(connection, new)
            await _record(connection, actor, "rotate_secret", old=old, new=new, at=at)
        return NewSecret(new, secret)

    async def find(self, account: Account, webhook_id: UUID | None) -> Webhook:
        """Find a webhook of an account's organisation and mode.

        Raises:
            NotFound: there is none.
        """
        async with self.pool.acquire(timeout=5) as connection:
            return await _find(connection, account, webhook_id)

    async def list(self, account: Account, *, covering: UUID | None) -> Sequence[Webhook]:
        """The webhooks of an account's organisation and mode, those that cover another account of it where named."""
        async with self.pool.acquire(timeout=5) as connection:
            return await list_webhooks(connection, account.organisation_id, account.mode, account_id=covering)

    async def ping(self, account: Account, webhook_id: UUID, body: bytes, *, at: datetime) -> Answered:
        """Send a body to a webhook now, once, whether it is enabled or not, and say what became of it.

        Raises:
            NotFound: the organisation has no such webhook of this mode.
            RateLimited: it is trying out as many as it may at once.
            ServiceUnavailable: its secret can't be read with the key that there is, or its name not be looked up now.
        """
        webhook = await self.find(account, webhook_id)
        try:
            with self._place_for_ping(account.organisation_id):
                return await send_signed(
                    self.sender, self.load_seal(), webhook, message_id=str(new_id()), body=body, at=at
                )
        except ResolvingBusy:
            raise ServiceUnavailable from None
        except NotSealedWithThisKey:
            raise ServiceUnavailable(
                "The webhook's secret was encrypted with another key than the service has now: rotate it."
            ) from None

    @contextmanager
    def _place_for_ping(self, organisation_id: UUID) -> Iterator[None]:
        if self._pings[organisation_id] >= PINGS_MAX:
            raise RateLimited(f"At most {PINGS_MAX} webhooks of an organisation can be tried out at once.")
        self._pings[organisation_id] += 1
        try:
            yield
        finally:
            self._pings[organisation_id] -= 1
            if not self._pings[organisation_id]:
                del self._pings[organisation_id]

    async def attempts(
        self, account: Account, webhook_id: UUID | None, *, after: UUID | None, limit: int
    ) -> Sequence[Attempt]:
        """Requests that were sent to a webhook, the newest first.

        Raises:
            NotFound: the organisation has no such webhook of this mode.
        """
        async with self.pool.acquire(timeout=5) as connection:
            webhook = await _find(connection, account, webhook_id)
            return await list_attempts(connection, webhook, after=after, limit=limit)

    async def replay(
        self, account: Account, webhook_id: UUID, *, sequence: int, actor: Actor, at: datetime
    ) -> int:
        """Deliver an account's events to a webhook again from a number on; returns how many are to come.

        Raises:
            NotFound: the organisation has no such webhook of this mode.
            ValidationFailed: the webhook doesn't cover the account, or no event has this number or a higher one.
            Unauthorised: the key was disabled since.
        """
        async with self.pool.acquire(timeout=5) as connection, connection.transaction():
            await refuse_disabled_key(connection, actor)
            # Before the webhook: whoever numbers has it in this order, too.
            kept = await hold_numbers(connection, account.organisation_id, account.account_id)
            webhook = await _lock(connection, account, webhook_id)
            if webhook.account_ids is not None and account.account_id not in webhook.account_ids:
                raise ValidationFailed.at("", f"this webhook doesn't cover the account {account.account_id}")
            first, last = kept or (1, 0)
            if not 0 < sequence <= last:
                raise ValidationFailed.at(
                    "/sequence",
                    f"must be one of this account's: {first} to {last}" if last else "there is no event yet",
                )
            await replay(connection, webhook, account.account_id, sequence=sequence, at=at)
            await announce_events(connection)
            await record_changes(
                connection,
                actor,
                [Change("webhook", webhook_id, "replay", after={"sequence": sequence})],
                at=at,
                organisation_id=webhook.organisation_id,
            )
        return last - max(first, sequence) + 1

    async def _number_for_more(self, account: Account, webhook_id: UUID, wishes: WebhookWishes) -> None:
        """Of accounts that a webhook did not cover before it is told what happens from now on, too."""
        covered = (await self.find(account, webhook_id)).account_ids
        if covered is None:
            return
        more = None if wishes.account_ids is None else set(wishes.account_ids) - set(covered)
        if more is None or more:
            await number_what_was(
                self.pool, account.organisation_id, account.mode, None if more is None else sorted(more)
            )

    def _check(self, account: Account, wishes: WebhookWishes, directory: Directory) -> None:
        try:
            self.rules.check_url(wishes.url)
        except UrlNotUsable as error:
            raise ValidationFailed.at("/url", str(error)) from None
        for position, account_id in enumerate(wishes.account_ids or ()):
            found = directory.accounts.get(account_id)
            if (
                found is None
                or found.organisation_id != account.organisation_id
                or found.mode is not account.mode
            ):
                raise ValidationFailed.at(
                    f"/account_ids/{position}",
                    f"{account_id} is no {account.mode.value} account of this organisation",
                )


async def _find(
    connection: Connection, account: Account, webhook_id: UUID | None, *, lock: bool = False
) -> Webhook:
    found = (
        None
        if webhook_id is None
        else await find_webhook(connection, account.organisation_id, webhook_id, lock=lock)
    )
    if found is None or found.mode is not account.mode:
        raise NotFound
    return found


async def _lock(connection: Connection, account: Account, webhook_id: UUID) -> Webhook:
    return await _find(connection, account, webhook_id, lock=True)


async def _record(
    connection: Connection,
    actor: Actor,
    action: str,
    *,
    old: Webhook | None = None,
    new: Webhook | None = None,
    at: datetime,
) -> None:
    webhook = new or old
    assert webhook is not None, "a change is of a webhook"
    change = Change("webhook", webhook.webhook_id, action, _facts(old), _facts(new))
    await record_changes(connection, actor, [change], at=at, organisation_id=webhook.organisation_id)


def _facts(webhook: Webhook | None) -> dict[str, Any] | None:
    if webhook is None:
        return None
    return {
        "url": webhook.url,
        "account_ids": None if webhook.account_ids is None else [str(each) for each in webhook.account_ids],
        "enabled": webhook.enabled,
        "secret_end": webhook.secret_end,
        "former_until": None if webhook.former_until is None else format_time(webhook.former_until),
    }

"""Create, rotate and disable API keys. What ends a key has ended it in every process when the call returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.identifiers import new_id, new_secret
from tonne.application.open_accounts import NewKey
from tonne.domain.accounts import BUYER_SCOPES, Account, ApiKey, Network, Scope
from tonne.domain.api_keys import format_api_key, hash_api_key
from tonne.domain.audit import Actor, Change
from tonne.domain.errors import NotFound, ValidationFailed
from tonne.storage.accounts import (
    KeyRow,
    disable_key,
    expire_key,
    find_key_row,
    insert_key,
    load_directory,
)
from tonne.storage.audit import record_changes
from tonne.storage.database import Connection, Pool
from tonne.storage.serving import until_everybody_knows

OVERLAP_DAYS_MAX = 366


@dataclass(frozen=True, slots=True)
class KeyWishes:
    """What a new key is to be; `daily_cap_minor` is in minor units of its account's currency."""

    name: str = ""
    rate_limit_per_second: int | None = None
    scopes: frozenset[Scope] = BUYER_SCOPES
    daily_cap_minor: int | None = None
    expires_at: datetime | None = None
    allowed_networks: tuple[Network, ...] = ()


async def issue_key(pool: Pool, account: Account, wishes: KeyWishes, *, at: datetime, actor: Actor) -> NewKey:
    """Create a key whose default account this is; it has the account's mode.

    Raises:
        ValidationFailed: it would have expired already, or could do nothing.
        Unauthorised: the actor's key was disabled since.
    """
    if wishes.expires_at is not None and wishes.expires_at <= at:
        raise ValidationFailed.at("/expires_at", "must be in the future")
    if not wishes.scopes:
        raise ValidationFailed.at(
            "/scopes", "must name at least one scope, or be left out for all of a buyer's"
        )
    key = ApiKey(
        new_id(),
        account.organisation_id,
        account.account_id,
        account.mode,
        wishes.rate_limit_per_second,
        wishes.scopes,
        wishes.daily_cap_minor,
        wishes.expires_at,
        wishes.allowed_networks,
    )
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        new = await _store(connection, account, key, wishes.name, at=at)
        change = Change("api_key", key.key_id, "create", after=key_facts(key, wishes.name))
        await record_changes(connection, actor, [change], at=at, organisation_id=key.organisation_id)
    # Known everywhere when it is handed out.
    await until_everybody_knows(pool)
    return new


async def rotate_key(
    pool: Pool, key_id: UUID, *, overlap: timedelta, at: datetime, actor: Actor
) -> tuple[NewKey, datetime]:
    """Make a new key like an old one, which works on for the overlap; returns also when the old one ends.

    Its own expiry stays where that is earlier. Without overlap the old key is disabled at once.

    Raises:
        NotFound: there is no such key.
        ValidationFailed: it is disabled or has expired, so there is nothing to rotate.
        Unauthorised: the actor's key was disabled since.
    """
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        row = await _found(connection, key_id, actor)
        old = row.key
        if row.disabled_at is not None or old.has_expired(at):
            raise ValidationFailed.at("", "this key is disabled or has expired: create a new one instead")
        account = (await load_directory(connection)).accounts[old.account_id]
        new = await _store(connection, account, replace(old, key_id=new_id()), row.name, at=at)
        ends_at = at + overlap if old.expires_at is None else min(at + overlap, old.expires_at)
        if overlap:
            await expire_key(connection, old, at=ends_at)
        else:
            await disable_key(connection, old, at=at)
        changes = [
            Change("api_key", new.key.key_id, "create", after=key_facts(new.key, new.name)),
            Change(
                "api_key",
                key_id,
                "rotate",
                key_facts(old, row.name),
                key_facts(old, row.name) | {"expires_at": ends_at, "replaced_by": str(new.key.key_id)},
            ),
        ]
        await record_changes(connection, actor, changes, at=at, organisation_id=old.organisation_id)
    await until_everybody_knows(pool)
    return new, ends_at


async def revoke_key(pool: Pool, key_id: UUID, *, at: datetime, actor: Actor) -> bool:
    """Disable a key for good; False where it was so before. From the return on no process lets it in.

    Raises:
        NotFound: there is no such key.
        Unauthorised: the actor's key was disabled since.
        ServiceUnavailable: it is disabled, but a process of the service may not know yet.
    """
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        row = await _found(connection, key_id, actor)
        changed = await disable_key(connection, row.key, at=at)
        if changed:
            change = Change(
                "api_key", key_id, "disable", {"disabled_at": None}, {"disabled_at": at.isoformat()}
            )
            await record_changes(connection, actor, [change], at=at, organisation_id=row.key.organisation_id)
    # Also where it was disabled before: who repeats it wants to be sure.
    await until_everybody_knows(pool)
    return changed


def key_facts(key: ApiKey, name: str) -> dict[str, Any]:
    """A key as the audit log has it."""
    return {
        "name": name,
        "account_id": str(key.account_id),
        "mode": key.mode.value,
        "scopes": sorted(key.scopes),
        "rate_limit_per_second": key.rate_limit_per_second,
        "daily_cap_minor": key.daily_cap_minor,
        "expires_at": key.expires_at,
        "allowed_networks": [str(network) for network in key.allowed_networks],
    }


async def _found(connection: Connection, key_id: UUID, actor: Actor) -> KeyRow:
    row = await find_key_row(connection, key_id, lock=True)
    # A key over HTTP acts on its own mode only.
    if row is None or (actor.key is not None and actor.key.mode is not row.key.mode):
        raise NotFound(f"There is no key {key_id}.")
    return row


async def _store(connection: Connection, account: Account, key: ApiKey, name: str, *, at: datetime) -> NewKey:
    api_key = format_api_key(new_secret(), key.mode)
    await insert_key(
        connection, key, name=name, key_hash=hash_api_key(api_key), last_characters=api_key[-4:], at=at
    )
    return NewKey(account, key, name, api_key)

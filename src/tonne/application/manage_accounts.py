"""Open accounts and client accounts, and change what they may change of themselves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg

from tonne.application.beneficiary_names import read_beneficiary_name
from tonne.application.callers import refuse_disabled_key
from tonne.application.identifiers import new_id
from tonne.application.images import clean_logo, store_image
from tonne.application.open_accounts import open_account_pair
from tonne.domain.accounts import Account, AccountScope, Billing, Mode, Organisation
from tonne.domain.audit import Actor, Change
from tonne.domain.errors import (
    AccountIdempotencyAlreadyExists,
    AccountSuspended,
    HandleTaken,
    ValidationFailed,
)
from tonne.domain.money import Currency
from tonne.storage.accounts import (
    find_client_by_key,
    insert_account,
    lock_account,
    lock_account_terms,
    set_suspended,
    update_account,
)
from tonne.storage.audit import record_changes
from tonne.storage.currencies import find_currency
from tonne.storage.database import Connection, Pool

HANDLE_LENGTH_MIN, HANDLE_LENGTH_MAX = 2, 40
_HANDLE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
VISIBILITIES = ("public", "hidden", "private")


@dataclass(frozen=True, slots=True)
class AccountWishes:
    """What a new account is to be."""

    name: str
    currency: str
    beneficiary: str | None = None
    handle: str | None = None
    idempotency_key: str | None = None


async def open_pair(
    pool: Pool, opener: Account | Organisation, wishes: AccountWishes, *, at: datetime, actor: Actor
) -> dict[Mode, Account]:
    """Open a live account and its test sibling, for the account that opens them or, by the operator, for an organisation.

    What an account opens pays as itself; what the operator opens is billed by invoice, until `tonne accounts billing`.

    Raises:
        ValidationFailed: a name, handle or currency can't be.
        HandleTaken: another account of the organisation has the handle.
        AccountSuspended: the opener is, or its sibling.
        Unauthorised: the actor's key was disabled since.
    """
    read = _read(wishes)
    try:
        async with pool.acquire(timeout=5) as connection, connection.transaction():
            await refuse_disabled_key(connection, actor)
            live_billing, organisation = Billing.INVOICE, opener
            if isinstance(opener, Account):
                # What is opened is trusted no more than who opens it.
                live_billing, organisation = await _live_billing(connection, opener), opener.organisation
            assert isinstance(organisation, Organisation)
            pair = await open_account_pair(
                connection,
                organisation,
                name=read.name,
                currency=_currency(wishes.currency),
                beneficiary=read.beneficiary,
                handle=read.handle,
                live_billing=live_billing,
                at=at,
            )
            changes = [
                Change("account", account.account_id, "create", after=account_facts(account))
                for account in pair.values()
            ]
            await record_changes(
                connection, actor, changes, at=at, organisation_id=organisation.organisation_id
            )
            return pair
    except asyncpg.UniqueViolationError:
        raise HandleTaken from None


async def open_client(
    pool: Pool, opener: Account, wishes: AccountWishes, *, at: datetime, actor: Actor
) -> Account:
    """Open a client account in the opener's organisation and mode.

    Raises:
        TonneError: as `open_pair`.
        AccountIdempotencyAlreadyExists: one was opened under the idempotency key before.
    """
    read = _read(wishes)
    account = Account(
        organisation=opener.organisation,
        account_id=new_id(),
        name=read.name,
        mode=opener.mode,
        currency=_currency(wishes.currency),
        handle=read.handle,
        beneficiary=read.beneficiary,
        scope=AccountScope.CLIENT_ACCOUNT,
        idempotency_key=wishes.idempotency_key,
    )
    try:
        async with pool.acquire(timeout=5) as connection, connection.transaction():
            await refuse_disabled_key(connection, actor)
            live_billing = await _live_billing(connection, opener)
            # It pays as the account that opened it.
            billing = live_billing if opener.mode is Mode.LIVE else Billing.AUTOMATIC
            account = replace(account, billing=billing)
            await insert_account(connection, account, at=at)
            change = Change("account", account.account_id, "create", after=account_facts(account))
            await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)
            return account
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "accounts_idempotency_key":
            raise HandleTaken from None
    assert wishes.idempotency_key is not None
    async with pool.acquire(timeout=5) as connection:
        original = await find_client_by_key(connection, opener, wishes.idempotency_key)
    raise AccountIdempotencyAlreadyExists(location=f"/v1/accounts/client/{original}")


async def _live_billing(connection: Connection, opener: Account) -> Billing:
    """How the opener, or its live sibling, pays; locked until the transaction ends."""
    terms = await lock_account_terms(connection, opener)
    if terms.is_suspended:
        raise AccountSuspended
    return terms.live_billing


async def change_account(
    pool: Pool, account: Account, changes: Mapping[str, str | None], *, at: datetime, actor: Actor
) -> Account:
    """Change an account's name, handle, beneficiary or visibility; what is not among the changes stays.

    A beneficiary counts from the next order on. Its sibling stays as it is: a test key changes nothing that is live.

    Raises:
        ValidationFailed: something can't be; a currency never changes.
        HandleTaken: another account of the organisation has the handle.
        Unauthorised: the actor's key was disabled since.
    """
    read = _read_changes(account, changes)
    try:
        return await _store(pool, account, read, "change", at=at, actor=actor)
    except asyncpg.UniqueViolationError:
        raise HandleTaken from None


async def set_logo(
    pool: Pool, account: Account, data: bytes | None, *, base_url: str, at: datetime, actor: Actor
) -> Account:
    """Give an account a logo, for its certificates; None takes it off. Certificates handed out stay as they are.

    Raises:
        TonneError: as `clean_logo`, or the actor's key was disabled since.
    """
    if data is None:
        return await _store(pool, account, {"logo": None}, "remove_logo", at=at, actor=actor)
    image, clean = await asyncio.to_thread(clean_logo, data)
    async with pool.acquire(timeout=5) as connection:
        await store_image(connection, image, clean, at=at)
    return await _store(pool, account, {"logo": base_url + image.path}, "set_logo", at=at, actor=actor)


async def suspend_account(
    pool: Pool, account: Account, *, suspended: bool, at: datetime, actor: Actor
) -> bool:
    """Stop an account from ordering, or let it order again; False where it was so before.

    Raises:
        Unauthorised: the actor's key was disabled since.
    """
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        changed = await set_suspended(connection, account, at=at if suspended else None)
        if changed:
            change = Change("account", account.account_id, "suspend" if suspended else "resume")
            await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)
        return changed


def account_facts(account: Account) -> dict[str, Any]:
    """What the audit log keeps of an account."""
    return {
        "name": account.name,
        "mode": account.mode,
        "currency": account.currency.code,
        "handle": account.handle,
        "beneficiary": account.beneficiary,
        "logo": account.logo,
        "external_pages_visibility": account.external_pages_visibility,
        "scope": account.scope,
    }


async def _store(
    pool: Pool, account: Account, changes: Mapping[str, Any], action: str, *, at: datetime, actor: Actor
) -> Account:
    """Change what is in the database, whatever others changed meanwhile."""
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        before = await lock_account(connection, account)
        after = replace(before, **changes)
        if after != before:
            await update_account(connection, after)
            await _record(connection, before, after, action, at=at, actor=actor)
        return after


async def _record(
    connection: Connection, before: Account, after: Account, action: str, *, at: datetime, actor: Actor
) -> None:
    old, new = account_facts(before), account_facts(after)
    names = [name for name in new if old[name] != new[name]]
    change = Change(
        "account",
        after.account_id,
        action,
        {name: old[name] for name in names},
        {name: new[name] for name in names},
    )
    await record_changes(connection, actor, [change], at=at, organisation_id=after.organisation_id)


def _read(wishes: AccountWishes) -> AccountWishes:
    return replace(
        wishes,
        name=read_beneficiary_name(wishes.name, "/name"),
        beneficiary=None
        if wishes.beneficiary is None
        else read_beneficiary_name(wishes.beneficiary, "/beneficiary"),
        handle=None if wishes.handle is None else _read_handle(wishes.handle),
    )


def _read_changes(account: Account, changes: Mapping[str, str | None]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in changes.items():
        if name == "currency":
            if value != account.currency.code:
                raise ValidationFailed.at(
                    "/currency", f"can't change: the account is in {account.currency.code}"
                )
        elif name == "name":
            if value is None:
                raise ValidationFailed.at("/name", "is required")
            read["name"] = read_beneficiary_name(value, "/name")
        elif name == "beneficiary":
            read["beneficiary"] = None if value is None else read_beneficiary_name(value, "/beneficiary")
        elif name == "handle":
            read["handle"] = None if value is None else _read_handle(value)
        else:
            assert name == "external_pages_visibility"
            read[name] = value or "private"
    return read


def _read_handle(text: str) -> str:
    if not HANDLE_LENGTH_MIN <= len(text) <= HANDLE_LENGTH_MAX or _HANDLE.fullmatch(text) is None:
        raise ValidationFailed.at(
            "/handle",
            f"must be {HANDLE_LENGTH_MIN} to {HANDLE_LENGTH_MAX} lower-case letters and digits, in words parted by "
            "hyphens",
        )
    return text


def _currency(code: str) -> Currency:
    try:
        return find_currency(code)
    except KeyError:
        raise ValidationFailed.at("/currency", f"{code!r} is no ISO 4217 currency") from None

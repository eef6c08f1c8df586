"""Open organisations, accounts and keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tonne.application.identifiers import new_id, new_secret
from tonne.domain.accounts import BUYER_SCOPES, Account, ApiKey, Billing, Mode, Organisation, Scope
from tonne.domain.api_keys import format_api_key, hash_api_key
from tonne.domain.money import Currency
from tonne.storage.accounts import insert_account, insert_key, insert_organisation
from tonne.storage.database import Connection


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which is shown once and stored nowhere."""

    account: Account
    key: ApiKey
    name: str
    api_key: str


async def open_organisation(
    connection: Connection,
    name: str,
    *,
    organisation_id: UUID | None = None,
    commission_rate: Decimal = Decimal("0.10"),
    at: datetime,
) -> Organisation:
    """Open an organisation without accounts."""
    organisation = Organisation(organisation_id or new_id(), name, "shipper", commission_rate)
    await insert_organisation(connection, organisation, at=at)
    return organisation


async def open_account_pair(
    connection: Connection,
    organisation: Organisation,
    *,
    name: str,
    currency: Currency,
    beneficiary: str | None = None,
    handle: str | None = None,
    live_billing: Billing = Billing.INVOICE,
    at: datetime,
) -> dict[Mode, Account]:
    """Open a live account and its test sibling."""
    ids: dict[Mode, UUID] = {mode: new_id() for mode in Mode}
    pair = {
        mode: Account(
            organisation=organisation,
            account_id=ids[mode],
            name=name,
            mode=mode,
            currency=currency,
            sibling_id=ids[Mode.TEST if mode is Mode.LIVE else Mode.LIVE],
            beneficiary=beneficiary,
            handle=handle,
            # Nobody pays for tests; whoever integrates sees an order through to its certificate.
            billing=live_billing if mode is Mode.LIVE else Billing.AUTOMATIC,
        )
        for mode in Mode
    }
    for account in pair.values():
        await insert_account(connection, account, at=at)
    return pair


async def create_key(
    connection: Connection,
    account: Account,
    *,
    name: str,
    rate_limit_per_second: int | None = None,
    scopes: frozenset[Scope] = BUYER_SCOPES,
    at: datetime,
) -> NewKey:
    """Create a key whose default account this is; it has the account's mode."""
    key = ApiKey(
        new_id(), account.organisation_id, account.account_id, account.mode, rate_limit_per_second, scopes
    )
    api_key = format_api_key(new_secret(), account.mode)
    await insert_key(
        connection, key, name=name, key_hash=hash_api_key(api_key), last_characters=api_key[-4:], at=at
    )
    return NewKey(account, key, name, api_key)

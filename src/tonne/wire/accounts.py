"""Accounts on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tonne.application.manage_accounts import AccountWishes
from tonne.domain.accounts import Account
from tonne.wire.common import NO_NUL, CurrencyCode, Id, IdempotencyKey


class AccountBody(msgspec.Struct, frozen=True):
    """An account. A live account has a test sibling and the other way round."""

    id: Id
    name: str
    organisation_id: Id
    organisation_type: Annotated[str, Meta(extra_json_schema={"enum": ["shipper", "supplier"]})]
    handle: str | None
    currency: CurrencyCode
    type: Annotated[str, Meta(extra_json_schema={"enum": ["live", "test"]})]
    logo: str | None
    beneficiary: str | None
    bundle_portfolio_id: str | None
    external_pages_visibility: Annotated[
        str,
        Meta(
            description="The public page of a complete order is shown to whoever has its address, which can't be "
            "guessed; only `public` pages are for search engines.",
            extra_json_schema={"enum": ["public", "hidden", "private"]},
        ),
    ]
    scope: Annotated[str, Meta(extra_json_schema={"enum": ["account", "client_account"]})]
    sibling_id: Annotated[
        str | None, Meta(description="A live account's test account and the other way round.")
    ]


class ClientAccountBody(AccountBody, frozen=True):
    """An account that you opened for a customer of yours: in one mode, without a sibling."""

    idempotency_key: str | None


class PairBody(msgspec.Struct, frozen=True):
    """A new account: its live and its test side."""

    live: AccountBody
    test: AccountBody


class AccountPage(msgspec.Struct, frozen=True):
    """A page of accounts, oldest first."""

    data: list[AccountBody]
    has_more: bool
    next_cursor: str | None


class ClientAccountPage(msgspec.Struct, frozen=True):
    """A page of client accounts, oldest first."""

    data: list[ClientAccountBody]
    has_more: bool
    next_cursor: str | None


AccountName = Annotated[
    str, Meta(min_length=1, max_length=200, extra_json_schema=NO_NUL, examples=["Example Freight"])
]
Handle = Annotated[
    str,
    Meta(
        max_length=40,
        extra_json_schema={"pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "minLength": 2},
        description="A short name: lower-case letters and digits, in words parted by hyphens. One account's in your "
        "organisation.",
        examples=["example-freight"],
    ),
]
BeneficiaryName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        extra_json_schema=NO_NUL,
        description="For whom credits are retired, where an order does not say otherwise.",
    ),
]
Visibility = Annotated[str, Meta(pattern="^(public|hidden|private)$")]


class CreateAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account to open."""

    name: AccountName
    currency: CurrencyCode
    beneficiary: BeneficiaryName | None = None
    handle: Handle | None = None

    def to_wishes(self) -> AccountWishes:
        """Read what it is to be."""
        return AccountWishes(self.name, self.currency, self.beneficiary, self.handle)


class CreateClientAccount(CreateAccount, frozen=True, forbid_unknown_fields=True):
    """A client account to open, in the mode of your key."""

    idempotency_key: IdempotencyKey | None = None

    def to_wishes(self) -> AccountWishes:
        """Read what it is to be."""
        return AccountWishes(self.name, self.currency, self.beneficiary, self.handle, self.idempotency_key)


class ReplaceAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account as it is to be from now on: what is left out is taken away. Its currency can't change."""

    name: AccountName
    currency: CurrencyCode | None = None
    beneficiary: BeneficiaryName | None = None
    handle: Handle | None = None
    external_pages_visibility: Visibility | None = None

    def to_changes(self) -> dict[str, str | None]:
        """Read the changes: all of it, but the currency where it is left out."""
        changes = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in changes.items() if name != "currency" or value is not None}


class ChangeAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to change of an account: what is left out stays, null takes away."""

    name: AccountName | UnsetType = UNSET
    currency: CurrencyCode | UnsetType = UNSET
    beneficiary: BeneficiaryName | UnsetType | None = UNSET
    handle: Handle | UnsetType | None = UNSET
    external_pages_visibility: Visibility | UnsetType | None = UNSET

    def to_changes(self) -> dict[str, str | None]:
        """Read the changes."""
        changes = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in changes.items() if value is not UNSET}


def client_account_body(account: Account) -> ClientAccountBody:
    """Print a client account."""
    return ClientAccountBody(
        **msgspec.structs.asdict(account_body(account)), idempotency_key=account.idempotency_key
    )


def account_body(account: Account) -> AccountBody:
    """Print an account."""
    return AccountBody(
        id=str(account.account_id),
        name=account.name,
        organisation_id=str(account.organisation_id),
        organisation_type=account.organisation.organisation_type,
        handle=account.handle,
        currency=account.currency.code,
        type=account.mode.value,
        logo=account.logo,
        beneficiary=account.beneficiary,
        bundle_portfolio_id=None if account.bundle_portfolio_id is None else str(account.bundle_portfolio_id),
        external_pages_visibility=account.external_pages_visibility,
        scope=account.scope.value,
        sibling_id=None if account.sibling_id is None else str(account.sibling_id),
    )

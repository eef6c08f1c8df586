"""Organisations, their accounts and keys, and who is calling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from uuid import UUID

from tonne.domain.errors import AccountScopeIncorrect, Unauthorised
from tonne.domain.money import Currency
from tonne.domain.selection import Choice


class Mode(StrEnum):
    """Test is a sandbox, live is the real thing; nothing of one is seen from the other."""

    LIVE = "live"
    TEST = "test"


class Billing(StrEnum):
    """How an account pays: on invoice, from its prepaid balance, or settled at once in a way not recorded here."""

    INVOICE = "invoice"
    PREPAID = "prepaid"
    AUTOMATIC = "automatic"


class SandboxBehaviour(StrEnum):
    """How things go for a test account, so that an integrator sees every path.

    `by_hand`: orders stay where they are until advanced. `slow`: the registry takes its time, until advanced.
    `out_of_stock`: no credits are found. `rejecting`: the registry rejects each retirement once. `unsure`: it does not
    say what became of a retirement, until advanced.
    """

    NORMAL = "normal"
    BY_HAND = "by_hand"
    SLOW = "slow"
    OUT_OF_STOCK = "out_of_stock"
    REJECTING = "rejecting"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Organisation:
    """A customer; `commission_rate` is the fee's share of the gross price, 0.10 unless set."""

    organisation_id: UUID
    name: str
    organisation_type: str
    commission_rate: Decimal


class AccountScope(StrEnum):
    """Accounts are an organisation's own, client accounts those of its customers."""

    ACCOUNT = "account"
    CLIENT_ACCOUNT = "client_account"


@dataclass(frozen=True, slots=True)
class Account:
    """What orders belong to. A live account has a test sibling and the other way round; a client account has none.

    `version` counts the changes of what orders take from it: an order decided with an older one is decided again.
    """

    organisation: Organisation
    account_id: UUID
    name: str
    mode: Mode
    currency: Currency
    sibling_id: UUID | None = None
    handle: str | None = None
    beneficiary: str | None = None
    logo: str | None = None
    bundle_portfolio_id: UUID | None = None
    external_pages_visibility: str = "private"
    suspended: bool = False
    selection: tuple[Choice, ...] = ()
    version: int = 0
    billing: Billing = Billing.INVOICE
    test_behaviour: SandboxBehaviour = SandboxBehaviour.NORMAL
    scope: AccountScope = AccountScope.ACCOUNT
    idempotency_key: str | None = None

    @property
    def organisation_id(self) -> UUID:
        return self.organisation.organisation_id


class Scope(StrEnum):
    """What a key may do; which operation takes which is in `tonne.http.scopes`.

    `operator`: run the service. It acts on the accounts and orders of every organisation, of its own mode.
    """

    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    CATALOGUE_READ = "catalogue:read"
    ACCOUNTS_WRITE = "accounts:write"
    WEBHOOKS_WRITE = "webhooks:write"
    OPERATOR = "operator"


# What a key may do unless it is said otherwise.
BUYER_SCOPES = frozenset(Scope) - {Scope.OPERATOR}

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `rate_limit_per_second` None means the service's default.

    `daily_cap_minor` is what may be ordered with it in a day (UTC), in minor units of its own account's currency.
    Without `allowed_networks` it may be used from anywhere; from `expires_at` on it opens nothing.
    """

    key_id: UUID
    organisation_id: UUID
    account_id: UUID
    mode: Mode
    rate_limit_per_second: int | None = None
    scopes: frozenset[Scope] = BUYER_SCOPES
    daily_cap_minor: int | None = None
    expires_at: datetime | None = None
    allowed_networks: tuple[Network, ...] = ()

    def has_expired(self, at: datetime) -> bool:
        """Whether the key opens nothing any more."""
        return self.expires_at is not None and at >= self.expires_at

    def may_come_from(self, address: Address | None) -> bool:
        """Whether the key may be used from an address; None where it is unknown."""
        if not self.allowed_networks:
            return True
        return address is not None and any(address in network for network in self.allowed_networks)


@dataclass(frozen=True)
class Caller:
    """Who asks: a key, and the account it acts for."""

    key: ApiKey
    account: Account


@dataclass(frozen=True, slots=True)
class Directory:
    """All accounts and all keys that are not disabled, as of one moment."""

    keys: Mapping[bytes, ApiKey] = field(default_factory=dict)
    accounts: Mapping[UUID, Account] = field(default_factory=dict)

    def key(self, key_hash: bytes) -> ApiKey:
        """Find a key by its hash.

        Raises:
            Unauthorised: there is none, or it is disabled.
        """
        key = self.keys.get(key_hash)
        if key is None:
            raise Unauthorised("This API key is unknown or disabled.")
        return key

    def caller(self, key: ApiKey, acting_for: UUID | str | None) -> Caller:
        """Let a key act for its own account or for another of its organisation and mode.

        Raises:
            AccountScopeIncorrect: the account is foreign, of the other mode, or does not exist; one answer for all.
        """
        if acting_for is None:
            return Caller(key, self.accounts[key.account_id])
        account = self.accounts.get(acting_for) if isinstance(acting_for, UUID) else None
        if account is None or account.organisation_id != key.organisation_id or account.mode is not key.mode:
            raise AccountScopeIncorrect
        return Caller(key, account)

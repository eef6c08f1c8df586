"""API keys on the wire, for operators."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.application.manage_keys import OVERLAP_DAYS_MAX, KeyWishes
from tonne.application.open_accounts import NewKey
from tonne.domain.accounts import BUYER_SCOPES, Account, ApiKey, Network, Scope
from tonne.domain.errors import ValidationFailed
from tonne.domain.times import format_time
from tonne.storage.accounts import KeyRow
from tonne.wire.common import NO_NUL, Amount, CurrencyCode, Id, Money, Time, read_time, read_value

NETWORKS_MAX = 100


KeyName = Annotated[str, Meta(max_length=100, extra_json_schema=NO_NUL, description="What you call it.")]
Scopes = Annotated[
    list[Scope],
    Meta(
        min_length=1, max_length=20, description="What it may do; all that buyers do unless said otherwise."
    ),
]
RequestsPerSecond = Annotated[int, Meta(ge=1, le=1_000_000_000)]
DailyCap = Annotated[
    Amount, Meta(description="How much may be ordered in a day (UTC), in the account's currency.")
]
Expiry = Annotated[
    str, Meta(description="From when on it opens nothing.", extra_json_schema={"format": "date-time"})
]
Networks = Annotated[
    list[Annotated[str, Meta(max_length=50, extra_json_schema=NO_NUL)]],
    Meta(
        max_length=NETWORKS_MAX,
        description="Where it may be used from: IPv4 and IPv6 networks or addresses. Without any: everywhere.",
    ),
]


class CreateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new key: its default account, and what it may do."""

    account_id: Annotated[
        str, Meta(min_length=1, max_length=100, extra_json_schema=NO_NUL, description="Its default account.")
    ]
    name: KeyName | None = None
    scopes: Scopes | None = None
    rate_limit_per_second: RequestsPerSecond | None = None
    daily_cap: DailyCap | None = None
    expires_at: Expiry | None = None
    allowed_networks: Networks | None = None

    def to_wishes(self, account: Account) -> KeyWishes:
        """Read what the key is to be.

        Raises:
            ValidationFailed: a network, time or amount that is none.
        """
        cap = None if self.daily_cap is None else read_value(self.daily_cap, "/daily_cap")
        cap_minor = None if cap is None else account.currency.exact_minor_from(cap)
        if cap is not None and cap_minor is None:
            raise ValidationFailed.at(
                "/daily_cap", f"must have no more decimals than {account.currency.code} has"
            )
        return KeyWishes(
            self.name or "",
            self.rate_limit_per_second,
            BUYER_SCOPES if self.scopes is None else frozenset(self.scopes),
            cap_minor,
            None if self.expires_at is None else read_time(self.expires_at, "/expires_at"),
            tuple(_network(text, i) for i, text in enumerate(self.allowed_networks or ())),
        )


class RotateKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old key works on beside the new one."""

    overlap_hours: Annotated[
        int, Meta(ge=0, le=OVERLAP_DAYS_MAX * 24, description="0 ends the old key at once.")
    ] = 24


class KeyBody(msgspec.Struct, frozen=True):
    """A key without its secret."""

    id: Id
    account_id: Id
    organisation_id: Id
    type: Annotated[str, Meta(extra_json_schema={"enum": ["live", "test"]})]
    name: str
    last_characters: str
    scopes: list[Scope]
    rate_limit_per_second: int | None
    daily_cap: Money | None
    currency: CurrencyCode
    allowed_networks: list[str]
    created_at: Time
    expires_at: Time | None
    disabled_at: Time | None


class NewKeyBody(msgspec.Struct, frozen=True):
    """A new key. `api_key` is shown this once, and stored nowhere."""

    api_key: str
    key: KeyBody


class RotatedKeyBody(msgspec.Struct, frozen=True):
    """A new key in place of an old one, and when that ends."""

    api_key: str
    key: KeyBody
    old_key_ends_at: Time


class KeyPage(msgspec.Struct, frozen=True):
    """Keys, oldest first."""

    data: list[KeyBody]
    has_more: bool
    next_cursor: str | None


class DisabledKeyBody(msgspec.Struct, frozen=True):
    """A key that opens nothing any more; `changed` is false where it was disabled before."""

    id: Id
    changed: bool


def key_body(row: KeyRow, account: Account) -> KeyBody:
    """Print a key."""
    key = row.key
    return KeyBody(
        id=str(key.key_id),
        account_id=str(key.account_id),
        organisation_id=str(key.organisation_id),
        type=key.mode.value,
        name=row.name,
        last_characters=row.last_characters,
        scopes=sorted(key.scopes),
        rate_limit_per_second=key.rate_limit_per_second,
        daily_cap=None if key.daily_cap_minor is None else account.currency.format(key.daily_cap_minor),
        currency=account.currency.code,
        allowed_networks=[str(network) for network in key.allowed_networks],
        created_at=format_time(row.created_at),
        expires_at=_time(key.expires_at),
        disabled_at=_time(row.disabled_at),
    )


def new_key_body(new: NewKey, *, at: datetime) -> NewKeyBody:
    """Print a new key with its secret."""
    return NewKeyBody(new.api_key, key_body(_row(new.key, new, at), new.account))


def rotated_key_body(new: NewKey, ends_at: datetime, *, at: datetime) -> RotatedKeyBody:
    """Print a new key with its secret, and when the old one ends."""
    return RotatedKeyBody(new.api_key, key_body(_row(new.key, new, at), new.account), format_time(ends_at))


def _row(key: ApiKey, new: NewKey, at: datetime) -> KeyRow:
    return KeyRow(key, new.name, new.api_key[-4:], at, None)


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)


def _network(text: str, position: int) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValidationFailed.at(
            f"/allowed_networks/{position}", f"must be a network such as 203.0.113.0/24: {error}"
        ) from None

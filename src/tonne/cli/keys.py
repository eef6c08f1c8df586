"""`tonne keys`: create, list, rotate and disable API keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from tonne.application.identifiers import utc_now
from tonne.application.manage_keys import OVERLAP_DAYS_MAX, KeyWishes, issue_key, revoke_key, rotate_key
from tonne.application.open_accounts import NewKey
from tonne.cli.db import new_key_facts, print_new_keys
from tonne.cli.session import (
    actor,
    console,
    database_options,
    json_option,
    print_json,
    print_table,
    settings_with,
    with_connection,
    with_pool,
)
from tonne.domain.accounts import BUYER_SCOPES, Account, Directory, Network, Scope
from tonne.domain.decimals import parse_decimal
from tonne.domain.errors import NotFound
from tonne.domain.money import VALUE_MAX
from tonne.storage.accounts import KeyRow, list_keys, load_directory
from tonne.storage.database import Connection, Pool

_SPAN = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _read_span(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    if value == "0":
        return timedelta()
    found = _SPAN.fullmatch(value)
    if found is None:
        msg = f"{value} is no span of time such as 30m, 24h or 7d"
        raise click.BadParameter(msg, ctx, param)
    span = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if span > timedelta(days=OVERLAP_DAYS_MAX):
        msg = f"{value} is more than {OVERLAP_DAYS_MAX} days"
        raise click.BadParameter(msg, ctx, param)
    return span


def _read_expiry(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    found = _SPAN.fullmatch(value)
    try:
        if found is not None:
            return utc_now() + timedelta(**{_UNITS[found[2]]: int(found[1])})
        at = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        msg = f"{value} is neither a span such as 90d nor a day such as 2027-01-31"
        raise click.BadParameter(msg, ctx, param) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _read_networks(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(text) for text in value)
    except ValueError as error:
        msg = f"{error}; name a network such as 203.0.113.0/24, or an address"
        raise click.BadParameter(msg, ctx, param) from None


def _read_cap(ctx: click.Context, param: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        cap = parse_decimal(value)
    except ValueError as error:
        msg = f"{value}: {error}"
        raise click.BadParameter(msg, ctx, param) from None
    if cap > VALUE_MAX:
        msg = f"{value} is more than {VALUE_MAX}"
        raise click.BadParameter(msg, ctx, param)
    return cap


@click.group()
def keys() -> None:
    """API keys. A key has its account's mode; only its hash is stored."""


def _wishes_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--name", default="", help="What you call it."),
        click.option(
            "--rate-limit",
            type=click.IntRange(1, 1_000_000_000),
            help="Requests per second; else the service's default.",
        ),
        click.option(
            "--scope",
            "scopes",
            multiple=True,
            type=click.Choice([scope.value for scope in Scope]),
            help="What it may do; repeat it for several. Without any: everything that buyers do. operator: pay "
            "orders, run the catalogue, accounts and keys of every organisation.",
        ),
        click.option(
            "--expires",
            callback=_read_expiry,
            metavar="SPAN|DATE",
            help="When it ends: after a span such as 90d, or as a day begins in UTC, such as 2027-01-31.",
        ),
        click.option(
            "--allow",
            multiple=True,
            callback=_read_networks,
            metavar="NETWORK",
            help="Where it may be used from, such as 203.0.113.0/24; repeat it for several. Without any: everywhere.",
        ),
        click.option(
            "--daily-cap",
            callback=_read_cap,
            metavar="AMOUNT",
            help="How much may be ordered with it in a day (UTC), in its account's currency.",
        ),
    ):
        command = option(command)
    return command


@keys.command()
@click.option("--account", "account_id", type=click.UUID, required=True, help="The key's default account.")
@_wishes_options
@database_options
@json_option
def create(
    *,
    account_id: UUID,
    name: str,
    rate_limit: int | None,
    scopes: tuple[str, ...],
    expires: datetime | None,
    allow: tuple[Network, ...],
    daily_cap: Decimal | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Create a key and show it, once."""

    async def work(pool: Pool) -> NewKey:
        async with pool.acquire(timeout=5) as connection:
            account = (await load_directory(connection)).accounts.get(account_id)
        if account is None:
            msg = f"There is no account {account_id}; `tonne accounts list` shows them."
            raise click.ClickException(msg)
        wishes = KeyWishes(
            name,
            rate_limit,
            frozenset(Scope(scope) for scope in scopes) or BUYER_SCOPES,
            _cap_minor(daily_cap, account),
            expires,
            allow,
        )
        return await issue_key(pool, account, wishes, at=utc_now(), actor=actor())

    _show_new(
        with_pool(settings_with(data_dir=data_dir, database_url=database_url), work), {}, as_json=as_json
    )


def _cap_minor(cap: Decimal | None, account: Account) -> int | None:
    if cap is None:
        return None
    minor = account.currency.exact_minor_from(cap)
    if minor is None:
        msg = f"{cap} has more decimals than {account.currency.code} has"
        raise click.BadParameter(msg, param_hint="--daily-cap")
    return minor


def _show_new(key: NewKey, more: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(new_key_facts(key) | more)
        return
    console.print("Keep this key now, it is not shown again:")
    print_new_keys([key])


@keys.command(name="list")
@database_options
@json_option
def list_all(data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """List all keys, the disabled ones too."""

    async def work(connection: Connection) -> tuple[list[KeyRow], Directory]:
        return await list_keys(connection), await load_directory(connection)

    found, directory = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json([_facts(row, directory.accounts[row.key.account_id]) for row in found])
        return
    print_table(
        [
            "key",
            "account",
            "mode",
            "ends in",
            "limit/s",
            "scopes",
            "cap/day",
            "from",
            "expires",
            "state",
            "name",
        ],
        [_cells(row, directory.accounts[row.key.account_id]) for row in found],
    )


def _cells(row: KeyRow, account: Account) -> list[str]:
    key = row.key
    return [
        str(key.key_id),
        str(key.account_id),
        key.mode.value,
        row.last_characters,
        str(key.rate_limit_per_second or "default"),
        "buyer" if key.scopes == BUYER_SCOPES else " ".join(sorted(key.scopes)),
        _cap(key.daily_cap_minor, account) or "-",
        " ".join(str(network) for network in key.allowed_networks) or "anywhere",
        "-" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}",
        _state(row),
        row.name,
    ]


def _state(row: KeyRow) -> str:
    if row.disabled_at is not None:
        return "disabled"
    return "expired" if row.key.has_expired(utc_now()) else "enabled"


def _cap(cap_minor: int | None, account: Account) -> str | None:
    return None if cap_minor is None else f"{account.currency.format(cap_minor)} {account.currency.code}"


@keys.command()
@click.argument("key_id", type=click.UUID, metavar="KEY")
@click.option(
    "--overlap",
    default="24h",
    show_default=True,
    callback=_read_span,
    metavar="SPAN",
    help="How long the old key works on, such as 30m, 24h or 7d; 0 ends it at once.",
)
@database_options
@json_option
def rotate(
    key_id: UUID, overlap: timedelta, data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Make a new key like an old one and show it, once. The old one works on for the overlap.

    The new key has the old one's account, name, scopes, limits, networks and expiry.
    """

    async def work(pool: Pool) -> tuple[NewKey, datetime]:
        try:
            return await rotate_key(pool, key_id, overlap=overlap, at=utc_now(), actor=actor())
        except NotFound:
            raise _no_key(key_id) from None

    key, ends_at = with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)
    _show_new(key, {"old_key_id": str(key_id), "old_key_ends_at": ends_at}, as_json=as_json)
    if not as_json:
        console.print(
            f"The old key ends at {ends_at:%Y-%m-%d %H:%M} UTC." if overlap else "The old key is disabled."
        )


@keys.command()
@click.argument("key_id", type=click.UUID, metavar="KEY")
@database_options
@json_option
def disable(key_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Disable a key for good. When this returns, no process of the service lets it in any more.

    It waits until every process knows, which takes a moment; up to 15 seconds where one does not respond.
    """

    async def work(pool: Pool) -> bool:
        try:
            return await revoke_key(pool, key_id, at=utc_now(), actor=actor())
        except NotFound:
            raise _no_key(key_id) from None

    changed = with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json({"key_id": str(key_id), "disabled": True, "changed": changed})
    else:
        console.print("Disabled." if changed else "It was disabled before.")


def _no_key(key_id: UUID) -> click.ClickException:
    return click.ClickException(f"There is no key {key_id}; `tonne keys list` shows them.")


def _facts(row: KeyRow, account: Account) -> dict[str, object]:
    key = row.key
    return {
        "key_id": str(key.key_id),
        "account_id": str(key.account_id),
        "mode": key.mode.value,
        "name": row.name,
        "last_characters": row.last_characters,
        "rate_limit_per_second": key.rate_limit_per_second,
        "scopes": sorted(key.scopes),
        "daily_cap": None if key.daily_cap_minor is None else account.currency.format(key.daily_cap_minor),
        "allowed_networks": [str(network) for network in key.allowed_networks],
        "created_at": row.created_at,
        "expires_at": key.expires_at,
        "disabled_at": row.disabled_at,
        "state": _state(row),
    }

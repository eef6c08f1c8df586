"""`tonne keys`: create, list and disable API keys."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from tonne.application.identifiers import utc_now
from tonne.application.open_accounts import NewKey, create_key
from tonne.cli.db import new_key_facts, print_new_keys
from tonne.cli.session import (
    console,
    database_options,
    json_option,
    print_json,
    print_table,
    settings_with,
    with_connection,
)
from tonne.domain.accounts import Scope
from tonne.storage.accounts import KeyRow, disable_key, list_keys, load_directory
from tonne.storage.database import Connection


@click.group()
def keys() -> None:
    """API keys. A key has its account's mode; only its hash is stored."""


@keys.command()
@click.option("--account", "account_id", type=click.UUID, required=True, help="The key's default account.")
@click.option("--name", default="", help="What you call it.")
@click.option(
    "--rate-limit",
    type=click.IntRange(1, 1_000_000_000),
    help="Requests per second; else the service's default.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="operator: it may also pay orders and change balances and billing, of every organisation.",
)
@database_options
@json_option
def create(
    *,
    account_id: UUID,
    name: str,
    rate_limit: int | None,
    scopes: tuple[str, ...],
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Create a key and show it, once."""

    async def work(connection: Connection) -> NewKey:
        account = (await load_directory(connection)).accounts.get(account_id)
        if account is None:
            msg = f"There is no account {account_id}; `tonne accounts list` shows them."
            raise click.ClickException(msg)
        async with connection.transaction():
            return await create_key(
                connection,
                account,
                name=name,
                rate_limit_per_second=rate_limit,
                scopes=frozenset(Scope(scope) for scope in scopes),
                at=utc_now(),
            )

    key = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json(new_key_facts(key))
        return
    console.print("Keep this key now, it is not shown again:")
    print_new_keys([key])


@keys.command(name="list")
@database_options
@json_option
def list_all(data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """List all keys, the disabled ones too."""
    found = with_connection(settings_with(data_dir=data_dir, database_url=database_url), list_keys)
    if as_json:
        print_json([_facts(row) for row in found])
        return
    print_table(
        ["key", "account", "mode", "ends in", "limit/s", "scopes", "created", "state", "name"],
        [
            [
                str(row.key.key_id),
                str(row.key.account_id),
                row.key.mode.value,
                row.last_characters,
                str(row.key.rate_limit_per_second or "default"),
                " ".join(sorted(row.key.scopes)) or "-",
                f"{row.created_at:%Y-%m-%d %H:%M}",
                "enabled" if row.disabled_at is None else "disabled",
                row.name,
            ]
            for row in found
        ],
    )


@keys.command()
@click.argument("key_id", type=click.UUID)
@database_options
@json_option
def disable(key_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Disable a key for good: it writes nothing from now on, and reads stop within moments (5 s at the very most)."""

    async def work(connection: Connection) -> bool:
        for row in await list_keys(connection):
            if row.key.key_id == key_id:
                return await disable_key(connection, row.key, at=utc_now())
        msg = f"There is no key {key_id}; `tonne keys list` shows them."
        raise click.ClickException(msg)

    changed = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json({"key_id": str(key_id), "disabled": True, "changed": changed})
    else:
        console.print("Disabled." if changed else "It was disabled before.")


def _facts(row: KeyRow) -> dict[str, object]:
    return {
        "key_id": str(row.key.key_id),
        "account_id": str(row.key.account_id),
        "mode": row.key.mode.value,
        "name": row.name,
        "last_characters": row.last_characters,
        "rate_limit_per_second": row.key.rate_limit_per_second,
        "scopes": sorted(row.key.scopes),
        "created_at": row.created_at,
        "disabled_at": row.disabled_at,
    }

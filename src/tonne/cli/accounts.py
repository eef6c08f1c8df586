"""`tonne accounts`: list, suspend and resume accounts. What is about money is in `billing`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import UUID

import click

from tonne.application.identifiers import utc_now
from tonne.cli.session import (
    console,
    database_options,
    json_option,
    print_json,
    print_table,
    settings_with,
    with_connection,
)
from tonne.settings import Settings
from tonne.storage.accounts import load_directory, set_suspended
from tonne.storage.database import Connection


@click.group()
def accounts() -> None:
    """Accounts: what orders belong to."""


@accounts.command(name="list")
@database_options
@json_option
def list_all(data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """List all accounts of all organisations."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    directory = with_connection(settings, load_directory)
    found = sorted(
        directory.accounts.values(), key=lambda account: (account.organisation.name, account.account_id)
    )
    if as_json:
        print_json(
            [
                {
                    "account_id": str(account.account_id),
                    "organisation_id": str(account.organisation_id),
                    "organisation": account.organisation.name,
                    "name": account.name,
                    "mode": account.mode.value,
                    "currency": account.currency.code,
                    "beneficiary": account.beneficiary,
                    "billing": account.billing.value,
                    "test_behaviour": account.test_behaviour.value,
                    "suspended": account.suspended,
                }
                for account in found
            ]
        )
        return
    print_table(
        ["account", "organisation", "name", "mode", "currency", "billing", "state"],
        [
            [
                str(account.account_id),
                account.organisation.name,
                account.name,
                account.mode.value,
                account.currency.code,
                account.billing.value,
                "suspended" if account.suspended else "active",
            ]
            for account in found
        ],
    )


@accounts.command()
@click.argument("account_id", type=click.UUID)
@database_options
@json_option
def suspend(account_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Stop an account from ordering. It can still be quoted and read."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    changed = _set_suspended(settings, account_id, at=utc_now())
    _say(account_id, "suspended", changed=changed, as_json=as_json)


@accounts.command()
@click.argument("account_id", type=click.UUID)
@database_options
@json_option
def resume(account_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Let a suspended account order again."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    changed = _set_suspended(settings, account_id, at=None)
    _say(account_id, "active", changed=changed, as_json=as_json)


def _set_suspended(settings: Settings, account_id: UUID, *, at: datetime | None) -> bool:
    async def work(connection: Connection) -> bool:
        account = (await load_directory(connection)).accounts.get(account_id)
        if account is None:
            msg = f"There is no account {account_id}; `tonne accounts list` shows them."
            raise click.ClickException(msg)
        return await set_suspended(connection, account, at=at)

    return with_connection(settings, work)


def _say(account_id: UUID, state: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"account_id": str(account_id), "state": state, "changed": changed})
    else:
        console.print(f"The account is now {state}." if changed else f"The account was {state} before.")

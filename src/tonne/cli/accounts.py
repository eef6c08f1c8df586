"""`tonne accounts`: open, list, change, suspend and resume accounts. What is about money is in `billing`."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from tonne.application.identifiers import utc_now
from tonne.application.manage_accounts import (
    VISIBILITIES,
    AccountWishes,
    account_facts,
    change_account,
    open_pair,
    suspend_account,
)
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
from tonne.domain.accounts import Account
from tonne.settings import Settings
from tonne.storage.accounts import load_directory
from tonne.storage.database import Pool


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
    changed = _set_suspended(settings, account_id, suspended=True)
    _say(account_id, "suspended", changed=changed, as_json=as_json)


@accounts.command()
@click.argument("account_id", type=click.UUID)
@database_options
@json_option
def resume(account_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Let a suspended account order again."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    changed = _set_suspended(settings, account_id, suspended=False)
    _say(account_id, "active", changed=changed, as_json=as_json)


@accounts.command()
@click.option(
    "--organisation", "organisation_id", type=click.UUID, required=True, help="Whose it is; see `list`."
)
@click.option("--name", required=True, help="What it is called.")
@click.option("--currency", required=True, help="ISO 4217; it never changes.")
@click.option("--beneficiary", help="For whom credits are retired, unless an order says otherwise.")
@click.option("--handle", help="A short name: lower-case letters, digits and hyphens.")
@database_options
@json_option
def create(
    *,
    organisation_id: UUID,
    name: str,
    currency: str,
    beneficiary: str | None,
    handle: str | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Open a live account of an organisation and its test sibling. Keys come after: `tonne keys create`."""

    async def work(pool: Pool) -> list[Account]:
        async with pool.acquire() as connection:
            known = (await load_directory(connection)).accounts.values()
        organisation = next(
            (each.organisation for each in known if each.organisation_id == organisation_id), None
        )
        if organisation is None:
            msg = f"There is no organisation {organisation_id} with an account; `tonne init` opens one."
            raise click.ClickException(msg)
        wishes = AccountWishes(name, currency.upper(), beneficiary, handle)
        pair = await open_pair(pool, organisation, wishes, at=utc_now(), actor=actor())
        return list(pair.values())

    opened = with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json(
            [{"account_id": a.account_id, "mode": a.mode, "currency": a.currency.code} for a in opened]
        )
        return
    print_table(
        ["account", "mode", "currency"],
        [[str(account.account_id), account.mode.value, account.currency.code] for account in opened],
    )


@accounts.command()
@click.argument("account_id", type=click.UUID, metavar="ACCOUNT")
@click.option("--name", help="What it is called.")
@click.option("--beneficiary", help='For whom credits are retired; "" for nobody in particular.')
@click.option("--handle", help='A short name; "" for none.')
@click.option(
    "--visibility",
    type=click.Choice(VISIBILITIES),
    help="Whether search engines may show public pages of its orders: only those of `public` accounts.",
)
@database_options
@json_option
def update(
    *,
    account_id: UUID,
    name: str | None,
    beneficiary: str | None,
    handle: str | None,
    visibility: str | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Change what an account says of itself; what is left out stays. Its sibling stays as it is."""
    said = {
        "name": name,
        "beneficiary": beneficiary,
        "handle": handle,
        "external_pages_visibility": visibility,
    }
    changes = {key: value or None for key, value in said.items() if value is not None}

    async def work(pool: Pool) -> tuple[Account, bool]:
        account = await _find(pool, account_id)
        changed = await change_account(pool, account, changes, at=utc_now(), actor=actor())
        return changed, changed != account

    account, changed = with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json({"account_id": account_id, "changed": changed, **account_facts(account)})
    else:
        console.print("Changed." if changed else "It was so already.")


def _set_suspended(settings: Settings, account_id: UUID, *, suspended: bool) -> bool:
    async def work(pool: Pool) -> bool:
        account = await _find(pool, account_id)
        return await suspend_account(pool, account, suspended=suspended, at=utc_now(), actor=actor())

    return with_pool(settings, work)


async def _find(pool: Pool, account_id: UUID) -> Account:
    async with pool.acquire() as connection:
        account = (await load_directory(connection)).accounts.get(account_id)
    if account is None:
        msg = f"There is no account {account_id}; `tonne accounts list` shows them."
        raise click.ClickException(msg)
    return account


def _say(account_id: UUID, state: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"account_id": str(account_id), "state": state, "changed": changed})
    else:
        console.print(f"The account is now {state}." if changed else f"The account was {state} before.")

"""Setting up: `tonne init` and `tonne db upgrade`."""

from __future__ import annotations

from pathlib import Path

import click

from tonne.application.beneficiary_names import read_beneficiary_name
from tonne.application.identifiers import utc_now
from tonne.application.open_accounts import NewKey, create_key, open_account_pair, open_organisation
from tonne.application.record_opening import record_opening
from tonne.cli.session import (
    actor,
    console,
    database,
    database_options,
    json_option,
    on_database,
    print_json,
    print_table,
    refuse_newer_schema,
    settings_with,
)
from tonne.domain.errors import ValidationFailed
from tonne.storage.currencies import find_currency
from tonne.storage.database import Connection
from tonne.storage.schema import upgrade_schema


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
@database_options
@json_option
def upgrade(data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Bring the schema to the newest revision. Harmless when it is there already."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    with database(settings, create=True) as url:
        # Asked first, so that an unreachable database is said plainly.
        on_database(url, refuse_newer_schema, check_schema=False)
        before, after = upgrade_schema(url)
    if as_json:
        print_json({"revision_before": before, "revision": after})
    elif before == after:
        console.print(f"The schema is current: revision {after}.")
    else:
        console.print(f"The schema is now at revision {after}; it was {before or 'empty'}.")


@click.command()
@database_options
@click.option("--organisation", help="Open an organisation of this name, with a live and a test account.")
@click.option("--currency", default="USD", show_default=True, help="The accounts' currency, ISO 4217.")
@click.option(
    "--beneficiary", help="For whom the accounts' credits are retired, unless an order says otherwise."
)
@json_option
def init(
    data_dir: Path | None,
    database_url: str | None,
    organisation: str | None,
    currency: str,
    beneficiary: str | None,
    *,
    as_json: bool,
) -> None:
    """Set up a database and, when named, an organisation with its accounts and keys.

    The keys are shown once and stored nowhere.
    """
    try:
        chosen = find_currency(currency.upper())
    except KeyError:
        raise click.BadParameter(f"{currency} is no ISO 4217 currency", param_hint="--currency") from None
    organisation = _read_name(organisation, "--organisation")
    beneficiary = _read_name(beneficiary, "--beneficiary")
    settings = settings_with(data_dir=data_dir, database_url=database_url)

    async def open_all(connection: Connection) -> list[NewKey]:
        if organisation is None:
            return []
        at = utc_now()
        async with connection.transaction():
            opened = await open_organisation(connection, organisation, at=at)
            pair = await open_account_pair(
                connection, opened, name=organisation, currency=chosen, beneficiary=beneficiary, at=at
            )
            keys = [await create_key(connection, account, name="first", at=at) for account in pair.values()]
            await record_opening(connection, opened, keys, at=at, actor=actor())
            return keys

    with database(settings, create=True) as url:
        on_database(url, refuse_newer_schema, check_schema=False)
        _, revision = upgrade_schema(url)
        new_keys = on_database(url, open_all)
    if as_json:
        print_json({"revision": revision, "accounts": [new_key_facts(key) for key in new_keys]})
        return
    console.print(f"The database is ready: revision {revision}.")
    if new_keys:
        console.print("Keep these keys now, they are not shown again:")
        print_new_keys(new_keys)
    else:
        console.print("Open an organisation next: tonne init --organisation NAME --currency USD")


def _read_name(text: str | None, option: str) -> str | None:
    """Read a name that certificates are to show: better refused when it is set than when it is to be framed."""
    if text is None:
        return None
    try:
        return read_beneficiary_name(text, "")
    except ValidationFailed as error:
        raise click.BadParameter(error.message, param_hint=option) from None


def new_key_facts(key: NewKey) -> dict[str, str]:
    """What a program is told of a new key."""
    return {
        "account_id": str(key.account.account_id),
        "mode": key.account.mode.value,
        "currency": key.account.currency.code,
        "key_id": str(key.key.key_id),
        "api_key": key.api_key,
    }


def print_new_keys(keys: list[NewKey]) -> None:
    """Show new keys."""
    print_table(
        ["account", "mode", "currency", "API key"],
        [
            [str(key.account.account_id), key.account.mode.value, key.account.currency.code, key.api_key]
            for key in keys
        ],
    )

"""`tonne retire`: carry paid orders on to retirement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import click

from tonne.application.fill_pools import fill_pools, plan_filling
from tonne.application.identifiers import utc_now
from tonne.application.worker import retire_all
from tonne.cli.session import (
    actor,
    console,
    database_options,
    json_option,
    print_json,
    print_table,
    settings_with,
    with_pool,
)
from tonne.domain.accounts import Account
from tonne.domain.mass import GRAMS_PER_TONNE, format_tonnes
from tonne.storage.accounts import load_directory
from tonne.storage.database import Pool
from tonne.storage.pools import PoolRest


@click.command()
@click.option(
    "--top-up",
    "account_id",
    type=click.UUID,
    metavar="ACCOUNT",
    help="First fill what is left of this account's pools to whole tonnes, with tonnes of your own.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be filled, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_options
@json_option
def retire(
    account_id: UUID | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Allocate credits to paid orders now, and retire what can be retired without a person.

    The service does so by itself every second. Orders fill whole tonnes together with others of the same account and
    beneficiary; --top-up fills the last one, so that the orders waiting in it complete.
    """
    if account_id is not None and as_json and not (dry_run or yes):
        msg = "With --json nobody is asked: say --yes to fill, or --dry-run to see what would be filled."
        raise click.UsageError(msg)
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    filled: list[PoolRest] = []
    if account_id is not None:
        account, rests = with_pool(settings, lambda pool: _plan(pool, account_id))
        if not as_json:
            _show(rests)
        if dry_run:
            if as_json:
                print_json({"dry_run": True, "pools": [_facts(rest) for rest in rests]})
            return
        if rests and not yes:
            click.confirm("Fill these with tonnes of your own?", abort=True)
        filled = with_pool(
            settings, lambda pool: fill_pools(pool, account, shown=rests, at=utc_now(), actor=actor())
        )
        if len(filled) < len(rests) and not as_json:
            left = len(rests) - len(filled)
            console.print(f"{left} of these changed meanwhile and were left as they are: look again.")
    elif dry_run:
        msg = "--dry-run shows what --top-up would fill: name an account with it."
        raise click.UsageError(msg)
    steps = with_pool(settings, lambda pool: retire_all(pool, utc_now, wait=True))
    if as_json:
        print_json({"dry_run": False, "pools": [_facts(rest) for rest in filled], "steps": steps})
    else:
        console.print("Done." if steps else "There was nothing to do.")


async def _plan(pool: Pool, account_id: UUID) -> tuple[Account, list[PoolRest]]:
    async with pool.acquire() as connection:
        account = (await load_directory(connection)).accounts.get(account_id)
    if account is None:
        msg = f"There is no account {account_id}; `tonne accounts list` shows them."
        raise click.ClickException(msg)
    return account, await plan_filling(pool, account)


def _show(rests: Sequence[PoolRest]) -> None:
    if not rests:
        console.print("Nothing is left over: every tonne of this account is whole.")
        return
    print_table(
        ["bundle", "beneficiary", "waiting (t)", "of your own (t)", "orders"],
        [
            [
                str(rest.bundle_id),
                rest.beneficiary,
                format_tonnes(rest.waiting_grams),
                format_tonnes(GRAMS_PER_TONNE - rest.waiting_grams),
                str(len(rest.order_ids)),
            ]
            for rest in rests
        ],
    )


def _facts(rest: PoolRest) -> dict[str, object]:
    return {
        "bundle_id": str(rest.bundle_id),
        "beneficiary": rest.beneficiary,
        "waiting": format_tonnes(rest.waiting_grams),
        "filled": format_tonnes(GRAMS_PER_TONNE - rest.waiting_grams),
        "order_ids": [str(order_id) for order_id in rest.order_ids],
    }

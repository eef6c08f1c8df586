"""`tonne accounts`, the part about money: billing, balances, top-ups and refunds; and how test accounts behave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from tonne.application.bill_accounts import (
    Balance,
    Payment,
    change_billing,
    change_test_behaviour,
    read_balance,
    refund,
    top_up,
)
from tonne.application.identifiers import utc_now
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
from tonne.domain.accounts import Account, Billing, SandboxBehaviour
from tonne.domain.decimals import parse_decimal
from tonne.domain.errors import TonneError
from tonne.storage.accounts import load_directory
from tonne.storage.database import Pool

Result = TypeVar("Result")

account_argument = click.argument("account_id", type=click.UUID, metavar="ACCOUNT")


def _read_amount(ctx: click.Context, param: click.Parameter, value: str) -> Decimal:
    try:
        return parse_decimal(value)
    except ValueError as error:
        msg = f"{value}: {error}"
        raise click.BadParameter(msg, ctx, param) from None


amount_argument = click.argument("amount", callback=_read_amount)


def reference_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that makes recording a payment repeatable."""
    return click.option(
        "--reference",
        help="What you call this payment, such as the bank's number for it: it is recorded once.",
    )(command)


@click.command()
@account_argument
@click.argument("billing", type=click.Choice([way.value for way in Billing]))
@database_options
@json_option
def billing(
    account_id: UUID, billing: str, data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Set how an account pays from its next order on.

    invoice: orders are placed, and paid when you record it. prepaid: they are paid from a balance that is topped up.
    automatic: they are paid at once, in a way that is not recorded here.
    """
    changed = _on_account(
        data_dir,
        database_url,
        account_id,
        lambda pool, account: change_billing(pool, account, Billing(billing), at=utc_now(), actor=actor()),
    )
    if as_json:
        print_json({"account_id": str(account_id), "billing": billing, "changed": changed})
    else:
        console.print(f"The account's billing {'is now' if changed else 'was before'}: {billing}.")


@click.command(name="test-behaviour")
@account_argument
@click.argument("behaviour", type=click.Choice([way.value for way in SandboxBehaviour]))
@database_options
@json_option
def test_behaviour(
    account_id: UUID, behaviour: str, data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Set how things go for a test account from now on.

    by_hand: orders stay received until advanced. slow: so do retirements. out_of_stock: no credits are found. rejecting:
    the registry rejects each retirement once. unsure: it does not say what became of one.
    """
    changed = _on_account(
        data_dir,
        database_url,
        account_id,
        lambda pool, account: change_test_behaviour(
            pool, account, SandboxBehaviour(behaviour), at=utc_now(), actor=actor()
        ),
    )
    if as_json:
        print_json({"account_id": str(account_id), "test_behaviour": behaviour, "changed": changed})
    else:
        console.print(f"The account's behaviour {'is now' if changed else 'was before'}: {behaviour}.")


@click.command(name="top-up")
@account_argument
@amount_argument
@reference_option
@database_options
@json_option
def top_up_account(
    account_id: UUID,
    amount: Decimal,
    reference: str | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    as_json: bool,
) -> None:
    """Add money that came in to an account's prepaid balance, in the account's currency."""
    payment = _on_account(
        data_dir,
        database_url,
        account_id,
        lambda pool, account: top_up(pool, account, amount, reference=reference, at=utc_now(), actor=actor()),
    )
    _show_payment(payment, as_json=as_json)


@click.command(name="refund")
@account_argument
@amount_argument
@reference_option
@database_options
@json_option
def refund_account(
    account_id: UUID,
    amount: Decimal,
    reference: str | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    as_json: bool,
) -> None:
    """Take money that went back out of an account's prepaid balance; never more than is there."""
    payment = _on_account(
        data_dir,
        database_url,
        account_id,
        lambda pool, account: refund(pool, account, amount, reference=reference, at=utc_now(), actor=actor()),
    )
    _show_payment(payment, as_json=as_json)


@click.command(name="balance")
@account_argument
@database_options
@json_option
def show_balance(account_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Show what an account has with you, what it owes, and what is held for orders that are not delivered yet."""
    balance = _on_account(data_dir, database_url, account_id, read_balance)
    if as_json:
        print_json(_facts(balance))
        return
    facts = _facts(balance)
    names = ("prepaid", "owed", "held", "currency", "billing")
    print_table(names, [[facts[name] for name in names]])


BILLING_COMMANDS = (billing, top_up_account, refund_account, show_balance, test_behaviour)


def _on_account(
    data_dir: Path | None,
    database_url: str | None,
    account_id: UUID,
    work: Callable[[Pool, Account], Awaitable[Result]],
) -> Result:
    async def run(pool: Pool) -> Result:
        async with pool.acquire() as connection:
            account = (await load_directory(connection)).accounts.get(account_id)
        if account is None:
            msg = f"There is no account {account_id}; `tonne accounts list` shows them."
            raise click.ClickException(msg)
        try:
            return await work(pool, account)
        except TonneError as error:
            raise click.ClickException(error.message) from None

    return with_pool(settings_with(data_dir=data_dir, database_url=database_url), run)


def _facts(balance: Balance) -> dict[str, str]:
    account = balance.account
    money = account.currency.format
    return {
        "account_id": str(account.account_id),
        "currency": account.currency.code,
        "billing": account.billing.value,
        "prepaid": money(balance.prepaid_minor),
        "owed": money(balance.owed_minor),
        "held": money(balance.held_minor),
    }


def _show_payment(payment: Payment, *, as_json: bool) -> None:
    facts = _facts(payment.balance)
    if as_json:
        print_json({"changed": payment.changed, "balance": facts})
        return
    if not payment.changed:
        console.print("This reference was recorded before: nothing was changed.")
    console.print(f"The prepaid balance is {facts['prepaid']} {facts['currency']}.")

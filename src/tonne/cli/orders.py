"""`tonne orders`: look at orders of all organisations, record that they are paid, cancel them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import click

from tonne.application.cancel_order import cancel_order
from tonne.application.identifiers import utc_now
from tonne.application.pay_orders import PayOutcome, PayResult, pay_orders
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
from tonne.domain.accounts import Account, Mode
from tonne.domain.errors import TonneError
from tonne.domain.mass import format_tonnes
from tonne.domain.orders import Order, OrderStatus
from tonne.storage.accounts import load_directory
from tonne.storage.database import Pool
from tonne.storage.order_moves import Located, locate_orders, newest_orders
from tonne.storage.orders import find_order, find_placing_key

Result = TypeVar("Result")


@click.group()
def orders() -> None:
    """Orders of all organisations: what they are, paying and cancelling them."""


@orders.command()
@click.argument("order_ids", nargs=-1, required=True, metavar="ORDER...")
@database_options
@json_option
def pay(
    order_ids: tuple[str, ...], data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Record that placed orders are paid; `-` reads their ids from standard input.

    Repeating it changes nothing. The exit status is 1 where an order was refused.
    """
    ids = _read_ids(order_ids)
    results = _run(data_dir, database_url, lambda pool: pay_orders(pool, ids, at=utc_now(), actor=actor()))
    if as_json:
        print_json([_result_facts(result) for result in results])
    else:
        _show_results(results)
    if any(result.outcome is PayOutcome.REFUSED for result in results):
        raise SystemExit(1)


@orders.command()
@click.argument("order_id", type=click.UUID, metavar="ORDER")
@database_options
@json_option
def cancel(order_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Cancel an order that is received or placed; what it holds is given back."""

    async def work(pool: Pool) -> Order:
        account = await _account_of(pool, order_id)
        return await cancel_order(pool, account, order_id, at=utc_now(), actor=actor())

    order = _run(data_dir, database_url, work)
    if as_json:
        print_json(_facts(order))
    else:
        console.print("Cancelled.")


@orders.command()
@click.argument("order_id", type=click.UUID, metavar="ORDER")
@database_options
@json_option
def show(order_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Show an order, and the API key that it was placed with."""

    async def work(pool: Pool) -> tuple[Order, UUID | None]:
        account = await _account_of(pool, order_id)
        async with pool.acquire(timeout=5) as connection:
            key_id = await find_placing_key(connection, account, order_id)
        return await _load(pool, account, order_id), key_id

    order, key_id = _run(data_dir, database_url, work)
    facts = _facts(order) | {"key_id": None if key_id is None else str(key_id)}
    if as_json:
        print_json(facts)
        return
    rows: list[list[str]] = [
        [name, str(value)]
        for name, value in facts.items()
        if value is not None and not isinstance(value, list)
    ]
    rows += [[status.value, f"{at:%Y-%m-%d %H:%M:%S}"] for status, at in order.history]
    print_table(["", ""], rows)


@orders.command(name="list")
@click.option("--account", "account_id", type=click.UUID, help="Only those of this account.")
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="Only live or only test ones.")
@click.option("--status", type=click.Choice([status.value for status in OrderStatus]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@database_options
@json_option
def list_all(
    *,
    account_id: UUID | None,
    mode: str | None,
    status: str | None,
    limit: int,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """List the newest orders."""

    async def work(pool: Pool) -> list[Order]:
        async with pool.acquire() as connection:
            accounts = (await load_directory(connection)).accounts
            newest: Sequence[Located] = await newest_orders(
                connection,
                account_id=account_id,
                mode=None if mode is None else Mode(mode),
                status=None if status is None else OrderStatus(status),
                limit=limit,
            )
        return [await _load(pool, accounts[found.account_id], found.order_id) for found in newest]

    found = _run(data_dir, database_url, work)
    if as_json:
        print_json([_facts(order) for order in found])
        return
    print_table(
        ["order", "account", "mode", "status", "billing", "tonnes", "total", "created"],
        [
            [
                str(order.order_id),
                str(order.account_id),
                order.mode.value,
                order.status.value,
                order.billing.value,
                format_tonnes(order.quantity_grams),
                f"{order.currency.format(order.total_cost_minor)} {order.currency.code}",
                f"{order.created_at:%Y-%m-%d %H:%M}",
            ]
            for order in found
        ],
    )


def _read_ids(texts: Sequence[str]) -> list[UUID]:
    words: list[str] = []
    for text in texts:
        words += sys.stdin.read().split() if text == "-" else [text]
    ids: list[UUID] = []
    for word in words:
        try:
            ids.append(UUID(word))
        except ValueError:
            msg = f"{word!r} is no order's id."
            raise click.UsageError(msg) from None
    return ids


def _run(
    data_dir: Path | None, database_url: str | None, work: Callable[[Pool], Awaitable[Result]]
) -> Result:
    async def run(pool: Pool) -> Result:
        try:
            return await work(pool)
        except TonneError as error:
            raise click.ClickException(error.message) from None

    return with_pool(settings_with(data_dir=data_dir, database_url=database_url), run)


async def _account_of(pool: Pool, order_id: UUID) -> Account:
    async with pool.acquire() as connection:
        located = (await locate_orders(connection, [order_id], mode=None)).get(order_id)
        if located is None:
            msg = f"There is no order {order_id}; `tonne orders list` shows the newest."
            raise click.ClickException(msg)
        return (await load_directory(connection)).accounts[located.account_id]


async def _load(pool: Pool, account: Account, order_id: UUID) -> Order:
    async with pool.acquire() as connection:
        order = await find_order(connection, account, order_id)
    assert order is not None, "orders are never deleted"
    return order


def _show_results(results: Sequence[PayResult]) -> None:
    for result in results:
        if result.outcome is PayOutcome.REFUSED:
            console.print(f"{result.order_id}: {result.reason}", markup=False)
    counts = Counter(result.outcome for result in results)
    console.print(
        f"{counts[PayOutcome.PAID]} paid now, {counts[PayOutcome.PAID_BEFORE]} paid before, "
        f"{counts[PayOutcome.REFUSED]} refused."
    )


def _result_facts(result: PayResult) -> dict[str, str | None]:
    return {
        "order_id": str(result.order_id),
        "outcome": result.outcome.value,
        "reason": result.reason,
    }


def _facts(order: Order) -> dict[str, object]:
    money = order.currency.format
    return {
        "id": str(order.order_id),
        "account_id": str(order.account_id),
        "organisation_id": str(order.organisation_id),
        "mode": order.mode.value,
        "status": order.status.value,
        "billing": order.billing.value,
        "currency": order.currency.code,
        "offset_cost": money(order.offset_cost_minor),
        "commission": money(order.commission_minor),
        "total_cost": money(order.total_cost_minor),
        "quantity": format_tonnes(order.quantity_grams),
        "beneficiary": order.beneficiary,
        "idempotency_key": order.idempotency_key,
        "created_at": order.created_at,
        "status_history": [{"status": status.value, "at": at} for status, at in order.history],
    }

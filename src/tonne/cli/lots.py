"""`tonne lots`: look at lots, and say what became of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from tonne.application.change_lots import Withdrawal, suspend_lot, withdraw_lot
from tonne.application.identifiers import utc_now
from tonne.application.replace_retirements import Replaced
from tonne.cli.inventory_imports import import_lot_file, import_project_file, import_retirement_file
from tonne.cli.replacements import replace_credits, show_replaced
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
from tonne.domain.decimals import plain
from tonne.domain.mass import format_tonnes
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.inventory import LotFacts, find_lots


@click.group()
def projects() -> None:
    """Projects, from files as they are published; `tonne catalogue` changes them one by one."""


@click.group()
def lots() -> None:
    """Lots: blocks of serial numbers in stock, where they came from and what became of them."""


@lots.command(name="list")
@click.option("--project", help="Only those of this project: its slug, or its id at the registry.")
@database_options
@json_option
def list_all(project: str | None, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """List live lots, oldest first."""
    found = with_connection(
        settings_with(data_dir=data_dir, database_url=database_url),
        lambda connection: find_lots(connection, project=project),
    )
    if as_json:
        print_json(found)
        return
    print_table(
        [
            "lot",
            "project",
            "vintage",
            "serial block",
            "issued",
            "available",
            "allocated",
            "retired",
            "gone",
            "cost",
        ],
        [_cells(lot) for lot in found],
    )


projects.add_command(import_project_file)
for command in (import_lot_file, import_retirement_file):
    lots.add_command(command)


def lot_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """The lot that a command is about."""
    return click.argument("lot_id", type=click.UUID, metavar="LOT")(command)


@lots.command()
@lot_argument
@click.option("--reason", required=True, help="Why; for the audit log.")
@database_options
@json_option
def suspend(
    lot_id: UUID, reason: str, data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Keep a lot from being sold until it is released. What is allocated or retired stays so."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    changed = with_pool(settings, lambda pool: suspend_lot(pool, lot_id, reason, at=utc_now(), actor=actor()))
    _say_state(lot_id, "suspended", changed=changed, as_json=as_json)


@lots.command()
@lot_argument
@database_options
@json_option
def release(lot_id: UUID, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Let a suspended lot be sold again."""
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    changed = with_pool(settings, lambda pool: suspend_lot(pool, lot_id, None, at=utc_now(), actor=actor()))
    _say_state(lot_id, "active", changed=changed, as_json=as_json)


def _read_serials(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    first, _, last = value.partition("-")
    if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        msg = f"{value!r} is no range of serial numbers, such as 101-250"
        raise click.BadParameter(msg, ctx, param)
    return int(first), int(last)


def withdrawal_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what takes serial numbers out."""
    command = json_option(database_options(command))
    command = click.option(
        "--replace", is_flag=True, help="Retire other credits in place of retired ones, if in stock."
    )(command)
    command = click.option("--dry-run", is_flag=True, help="Say whom it concerns, and change nothing.")(
        command
    )
    command = click.option(
        "--reason", required=True, help="What happened; for the audit log and the buyers."
    )(command)
    command = click.option(
        "--serials",
        callback=_read_serials,
        help="Only these serial numbers, such as 101-250; else the whole lot.",
    )(command)
    return lot_argument(command)


@lots.command()
@withdrawal_options
def reverse(lot_id: UUID, reason: str, serials: tuple[int, int] | None, **rest: Any) -> None:
    """Record that what a lot's credits stand for was undone, such as a forest that burnt.

    What is in stock of them is not sold any more. Retirements that hold some of them are listed, with orders and
    beneficiaries.
    """
    _withdraw(lot_id, WithdrawalKind.REVERSED, reason, serials, **rest)


@lots.command()
@withdrawal_options
def invalidate(lot_id: UUID, reason: str, serials: tuple[int, int] | None, **rest: Any) -> None:
    """Record that a registry or regulator declared a lot's credits void.

    What is in stock of them is not sold any more. Retirements that hold some of them are listed, with orders and
    beneficiaries.
    """
    _withdraw(lot_id, WithdrawalKind.INVALIDATED, reason, serials, **rest)


def _withdraw(
    lot_id: UUID,
    kind: WithdrawalKind,
    reason: str,
    serials: tuple[int, int] | None,
    *,
    dry_run: bool,
    replace: bool,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    done = with_pool(
        settings,
        lambda pool: withdraw_lot(
            pool, lot_id, kind, reason, serials=serials, dry_run=dry_run, at=utc_now(), actor=actor()
        ),
    )
    if not as_json:
        _show_withdrawal(done, kind, dry_run=dry_run)
    replaced: list[Replaced] = []
    try:
        if replace and not dry_run:
            replace_credits(settings, lot_id, replaced)
    finally:
        # What is done is told, whatever came after it.
        if as_json:
            facts = {
                "replaced": replaced,
                "lot_id": lot_id,
                "dry_run": dry_run,
                "serial_first": done.serial_first,
                "serial_last": done.serial_last,
                "tonnes_in_stock": done.stock_tonnes,
                "affected": done.affected,
            }
            print_json(facts)
        else:
            show_replaced(replaced)


def _show_withdrawal(done: Withdrawal, kind: WithdrawalKind, *, dry_run: bool) -> None:
    numbers = f"{done.serial_first} to {done.serial_last}"
    would = "would be" if dry_run else "are"
    console.print(
        f"Serial numbers {numbers} {would} {kind.value}: {done.stock_tonnes} tonnes of them were in stock."
    )
    if not done.affected:
        console.print("No retirement holds any of them.")
        return
    console.print("These retirements hold some of them:")
    print_table(
        [
            "retirement",
            "state",
            "tonnes",
            "reference",
            "organisation",
            "beneficiary",
            "order",
            "of the order (t)",
        ],
        [
            [
                str(each.retirement_id),
                each.state,
                str(each.tonnes),
                each.registry_reference or "-",
                each.organisation_name,
                each.beneficiary,
                "your own" if each.order_id is None else str(each.order_id),
                format_tonnes(each.order_grams),
            ]
            for each in done.affected
        ],
    )


def _cells(lot: LotFacts) -> list[str]:
    block = lot.serial_raw or f"{lot.serial_prefix} {lot.serial_first}-{lot.serial_last}"
    cost = (
        "-"
        if lot.cost_per_tonne is None
        else f"{plain(lot.cost_per_tonne)} {lot.cost_currency or ''}".strip()
    )
    state = "" if lot.suspended_for is None else " (suspended)"
    return [
        str(lot.lot_id),
        lot.registry_project_id,
        str(lot.vintage_year),
        block,
        str(lot.issued_tonnes),
        f"{lot.available_tonnes}{state}",
        str(lot.allocated_tonnes),
        str(lot.retired_tonnes),
        str(lot.cancelled_tonnes),
        cost,
    ]


def _say_state(lot_id: UUID, state: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"lot_id": lot_id, "state": state, "changed": changed})
    else:
        console.print(f"The lot is now {state}." if changed else f"The lot was {state} before.")

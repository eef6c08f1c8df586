"""`tonne projects` and `tonne lots`: bring them in from files, look at lots, and say what became of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tonne.application.change_lots import Withdrawal, suspend_lot, withdraw_lot
from tonne.application.identifiers import utc_now
from tonne.application.import_inventory import (
    Imported,
    Purchase,
    file_hash,
    import_lots,
    import_projects,
    import_retirements,
)
from tonne.application.inventory_files import (
    FileRead,
    FileRefused,
    LotFormat,
    ProjectFormat,
    RowProblem,
    read_lots,
    read_projects,
    read_retirements,
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
from tonne.domain.decimals import parse_decimal, plain
from tonne.domain.mass import format_tonnes
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.currencies import find_currency
from tonne.storage.inventory import LotFacts, find_lots

SHOWN_MAX = 10


@click.group()
def projects() -> None:
    """Projects, from files as they are published; `tonne catalogue` changes them one by one."""


@click.group()
def lots() -> None:
    """Lots: blocks of serial numbers in stock, where they came from and what became of them."""


def import_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that imports of rows share."""
    command = click.option(
        "--errors",
        "errors_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Where rows that were not taken are written, with why. [default: FILE.errors.csv, in this folder]",
    )(command)
    command = click.option("--dry-run", is_flag=True, help="Read, check and count, and change nothing.")(
        command
    )
    return click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))(command)


@projects.command(name="import")
@import_options
@click.option(
    "--format",
    "layout",
    required=True,
    type=click.Choice([each.value for each in ProjectFormat]),
    help="carb: offset projects of the California Air Resources Board. klima: projects by vintage. cdr: offers of carbon "
    "removal. csv: name, project_type, registry_name, registry_project_id, country_code, and any field of a catalogue file.",
)
@database_options
@json_option
def import_project_file(
    file: Path,
    layout: str,
    errors_file: Path | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Create the projects of a file that are not there; those that are stay as they are.

    Rows that can't be taken are written to a file with the reason, and the exit status is 1; the others go in.
    """
    read = _read(file, lambda text: read_projects(text, ProjectFormat(layout)))
    done = _import(
        read,
        lambda progressed: with_pool(
            settings_with(data_dir=data_dir, database_url=database_url),
            lambda pool: import_projects(
                pool, read, dry_run=dry_run, progressed=progressed, at=utc_now(), actor=actor()
            ),
        ),
    )
    _finish(done, read.rows, file, errors_file, dry_run=dry_run, as_json=as_json)


def _read_cost(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[Decimal, str] | None:
    if value is None:
        return None
    amount, _, code = value.partition(" ")
    try:
        return parse_decimal(amount), find_currency(code.strip().upper()).code
    except (ValueError, KeyError):
        msg = f'{value!r} is no cost of a tonne with its currency, such as "9.50 USD"'
        raise click.BadParameter(msg, ctx, param) from None


@lots.command(name="import")
@import_options
@click.option(
    "--format",
    "layout",
    required=True,
    type=click.Choice([each.value for each in LotFormat]),
    help="carb: issuances of the California Air Resources Board. verra: blocks of serial numbers. csv: registry_name, "
    "registry_project_id, vintage_year, and serial_number or serial_prefix, serial_first and serial_last; optional: "
    "quantity, cost_per_tonne, cost_currency, seller, acquired_on.",
)
@click.option(
    "--create-projects",
    is_flag=True,
    help="Create projects that are not there, as far as the file tells of them.",
)
@click.option(
    "--cost", callback=_read_cost, help='What a tonne cost, such as "9.50 USD", where the file does not say.'
)
@click.option("--seller", help="Who sold them, where the file does not say.")
@click.option("--acquired-on", type=click.DateTime(["%Y-%m-%d"]), help="When, where the file does not say.")
@database_options
@json_option
def import_lot_file(
    *,
    file: Path,
    layout: str,
    errors_file: Path | None,
    cost: tuple[Decimal, str] | None,
    seller: str | None,
    acquired_on: datetime | None,
    data_dir: Path | None,
    database_url: str | None,
    create_projects: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring a file's lots into stock. Importing it again changes nothing, and goes on where it was interrupted.

    A serial number is in one lot, for ever: rows that share some with another lot are refused. Rows that can't be taken
    are written to a file with the reason, and the exit status is 1; the others go in.
    """
    text: list[str] = []

    def read_text(found: str) -> FileRead[Any]:
        text.append(found)
        return read_lots(found, LotFormat(layout))

    read = _read(file, read_text)
    purchase = Purchase(
        None if cost is None else cost[0],
        None if cost is None else cost[1],
        seller,
        None if acquired_on is None else acquired_on.date(),
    )
    done = _import(
        read,
        lambda progressed: with_pool(
            settings_with(data_dir=data_dir, database_url=database_url),
            lambda pool: import_lots(
                pool,
                read,
                purchase,
                sha256=file_hash(text[0]),
                create_projects=create_projects,
                dry_run=dry_run,
                progressed=progressed,
                at=utc_now(),
                actor=actor(),
            ),
        ),
    )
    _finish(done, read.rows, file, errors_file, dry_run=dry_run, as_json=as_json)


@lots.command(name="import-retirements")
@import_options
@database_options
@json_option
def import_retirement_file(
    file: Path,
    errors_file: Path | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Note what others surrendered of lots, from the compliance reports of the California Air Resources Board.

    Stock does not change by it: `tonne lots import --format carb` has left those credits out already. It shows whether the
    reports and the issuances agree.
    """
    read = _read(file, read_retirements)
    done = _import(
        read,
        lambda progressed: with_pool(
            settings_with(data_dir=data_dir, database_url=database_url),
            lambda pool: import_retirements(
                pool, read, dry_run=dry_run, progressed=progressed, at=utc_now(), actor=actor()
            ),
        ),
    )
    _finish(done, read.rows, file, errors_file, dry_run=dry_run, as_json=as_json)


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
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    done = with_pool(
        settings_with(data_dir=data_dir, database_url=database_url),
        lambda pool: withdraw_lot(
            pool, lot_id, kind, reason, serials=serials, dry_run=dry_run, at=utc_now(), actor=actor()
        ),
    )
    if as_json:
        facts = {
            "lot_id": lot_id,
            "dry_run": dry_run,
            "serial_first": done.serial_first,
            "serial_last": done.serial_last,
            "tonnes_in_stock": done.stock_tonnes,
            "affected": done.affected,
        }
        print_json(facts)
        return
    _show_withdrawal(done, kind, dry_run=dry_run)


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


def _read(file: Path, read: Callable[[str], FileRead[Any]]) -> FileRead[Any]:
    try:
        return read(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text: save it as CSV UTF-8"
    except (FileRefused, OSError) as error:
        reason = str(error)
    raise _Unreadable(f"{file} can't be read: {reason}")


class _Unreadable(click.ClickException):
    """Not one row of the file could be read."""

    exit_code = 2


def _import(read: FileRead[Any], work: Callable[[Callable[[int], None]], Imported]) -> Imported:
    # On standard error, so that what is printed for programs stays whole; nothing is drawn where nobody watches.
    watching = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=watching, disable=not watching.is_terminal, transient=True) as progress:
        task = progress.add_task("rows", total=len(read.good))
        return work(lambda rows: progress.advance(task, rows))


def _finish(
    done: Imported, rows: int, file: Path, errors_file: Path | None, *, dry_run: bool, as_json: bool
) -> None:
    target = errors_file or Path(f"{file.name}.errors.csv")
    if done.problems:
        _write_problems(target, done.problems)
    by_code: dict[str, int] = {}
    for problem in done.problems:
        by_code[problem.code] = by_code.get(problem.code, 0) + 1
    if as_json:
        facts = {
            "rows": rows,
            "imported": done.added,
            "unchanged": done.unchanged,
            "refused": len(done.problems),
        }
        print_json({"dry_run": dry_run, **facts, "refused_by_reason": by_code})
    else:
        would = " (dry run: nothing was changed)" if dry_run else ""
        console.print(
            f"{rows} rows: {done.added} imported, {done.unchanged} unchanged, {len(done.problems)} refused{would}."
        )
        for problem in done.problems[:SHOWN_MAX]:
            console.print(f"  line {problem.line}: {problem.message}", markup=False)
        if done.problems:
            console.print(f"All rows that were refused are in {target}, with the reason.", markup=False)
    if done.problems:
        raise SystemExit(1)


def _write_problems(target: Path, problems: Sequence[RowProblem]) -> None:
    columns = ["line", "code", "message", *problems[0].row]
    try:
        with target.open("w", encoding="utf-8", newline="") as written:
            writer = csv.DictWriter(written, columns, extrasaction="ignore")
            writer.writeheader()
            for problem in problems:
                told = {"line": problem.line, "code": problem.code, "message": problem.message}
                writer.writerow({**problem.row, **told})
    except OSError as error:
        msg = f"The refused rows can't be written to {target}: {error.strerror}."
        raise click.ClickException(msg) from None


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

"""Projects and lots from files: `tonne projects import`, `tonne lots import` and `import-retirements`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
    settings_with,
    with_pool,
)
from tonne.domain.decimals import parse_decimal
from tonne.storage.currencies import find_currency

SHOWN_MAX = 10


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


@click.command(name="import")
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


@click.command(name="import")
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


@click.command(name="import-retirements")
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

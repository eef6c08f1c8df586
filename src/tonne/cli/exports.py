"""`tonne orders export` and `tonne retirements report`: everything as a file, row by row."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tonne.application.export_credits import CREDIT_COLUMNS, credit_row
from tonne.application.export_orders import ORDER_COLUMNS, order_row, stream_orders
from tonne.application.tables import TableFormat, TableWriter
from tonne.cli.moments import day, moment, moment_after
from tonne.cli.session import console, database_options, settings_with, with_connection
from tonne.domain.accounts import Mode
from tonne.domain.orders import OrderStatus
from tonne.domain.retirement import RetirementState
from tonne.storage.accounts import load_directory
from tonne.storage.database import Connection
from tonne.storage.orders import OrderFilter, count_orders
from tonne.storage.retired_credits import CreditsFilter, count_credits, stream_credits

Advance = Callable[[], None]

format_option = click.option(
    "--format",
    "kind",
    type=click.Choice([kind.value for kind in TableFormat]),
    default=TableFormat.CSV.value,
    show_default=True,
    help="CSV with a header row, or one JSON object a line.",
)
output_option = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file, written whole or not at all; else standard output.",
)
mode_option = click.option(
    "--mode", type=click.Choice([mode.value for mode in Mode]), help="Only live or only test ones."
)


@click.command("export")
@format_option
@click.option("--from", "created_from", type=moment, help="Created then or later: a day (UTC), or a time.")
@click.option(
    "--to", "created_to", type=moment_after, help="Created by the end of that day (UTC), or before that time."
)
@click.option("--account", "account_id", type=click.UUID, help="Only those of this account.")
@mode_option
@click.option("--status", type=click.Choice([status.value for status in OrderStatus]))
@output_option
@database_options
def export_orders(
    *,
    kind: str,
    created_from: datetime | None,
    created_to: datetime | None,
    account_id: UUID | None,
    mode: str | None,
    status: str | None,
    output: Path | None,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """Write orders to a file, any number of them, as of one moment: account by account, newest first.

    Quantities are tonnes, costs money of the order's currency, times UTC. In CSV a text that a spreadsheet would take
    for a formula (it begins with = + - @ or a tab) gets an apostrophe in front; take JSON lines to have it unchanged.
    """
    wanted = OrderFilter(None if status is None else OrderStatus(status), created_from, created_to)

    async def work(connection: Connection) -> int:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            known = (await load_directory(connection)).accounts
            if account_id is not None and account_id not in known:
                msg = f"There is no account {account_id}; `tonne accounts list` shows them."
                raise click.ClickException(msg)
            accounts = {
                key: account
                for key, account in known.items()
                if account_id in (None, key) and mode in (None, account.mode.value)
            }

            total = None
            if sys.stderr.isatty():
                total = await count_orders(connection, list(accounts), wanted=wanted)
            rows = stream_orders(connection, accounts, wanted=wanted)
            return await _write_rows(
                (order_row(account, order) async for account, order in rows),
                output,
                TableFormat(kind),
                ORDER_COLUMNS,
                total=total,
            )

    _say(with_connection(settings_with(data_dir=data_dir, database_url=database_url), work), "orders", output)


@click.command("report")
@format_option
@click.option("--from", "first_day", type=day, help="Retired at the registry on that day or later.")
@click.option("--to", "last_day", type=day, help="Retired at the registry on that day or before.")
@click.option("--account", "account_id", type=click.UUID, help="Only those of this account.")
@click.option(
    "--beneficiary", "beneficiaries", multiple=True, help="Only for this one; may be given several times."
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in RetirementState]),
    help="Those in this state; may be given several times. Confirmed ones unless said otherwise.",
)
@mode_option
@output_option
@database_options
def report_retirements(
    *,
    kind: str,
    first_day: date | None,
    last_day: date | None,
    account_id: UUID | None,
    beneficiaries: tuple[str, ...],
    states: tuple[str, ...],
    mode: str | None,
    output: Path | None,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """Write retirements to a file with the column names of the CAD Trust data model (2.0), any number of them.

    Nothing is changed by it; the worklist to file at registries is `tonne retirements export`.
    """
    wanted = CreditsFilter(
        [RetirementState(state) for state in states] or [RetirementState.CONFIRMED],
        None if mode is None else Mode(mode),
        account_id,
        list(beneficiaries) or None,
        first_day,
        last_day,
    )

    async def work(connection: Connection) -> int:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            total = await count_credits(connection, wanted=wanted) if sys.stderr.isatty() else None
            rows = stream_credits(connection, wanted=wanted)
            return await _write_rows(
                (credit_row(credits_) async for credits_ in rows),
                output,
                TableFormat(kind),
                CREDIT_COLUMNS,
                total=total,
            )

    count = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    _say(count, "retirements", output)


@contextmanager
def writing_to(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears when it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    temporary = output.with_name(output.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(output)
    except OSError as error:
        msg = f"{output} can't be written: {error.strerror}"
        raise click.ClickException(msg) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def progress_of(what: str, total: int | None) -> Iterator[Advance]:
    """A progress bar on standard error where somebody looks at it; yields what moves it by one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


async def _write_rows(
    rows: AsyncIterator[dict[str, Any]],
    output: Path | None,
    kind: TableFormat,
    columns: Sequence[str],
    *,
    total: int | None,
) -> int:
    count = 0
    with writing_to(output) as file, progress_of("Writing", total) as advance:
        table = TableWriter(file, kind, columns)
        async for row in rows:
            table.write(row)
            advance()
            count += 1
    return count


def _say(count: int, what: str, output: Path | None) -> None:
    if output is not None:
        console.print(f"{count} {what} are in {output}.", markup=False)

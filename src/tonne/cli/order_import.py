"""`tonne orders import`: the orders of a file, placed directly on the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from tonne.application.bulk_rows import BulkFormat, read_rows
from tonne.application.import_orders import OrderFile, describe_file, find_caller, import_orders, quote_file
from tonne.application.order_in_bulk import RowResult, RowStatus
from tonne.application.tables import TableFormat, TableWriter
from tonne.cli.exports import progress_of
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
from tonne.domain.accounts import Account, Caller
from tonne.domain.errors import TonneError
from tonne.domain.mass import format_tonnes
from tonne.storage.database import Pool

SHOWN_MAX = 20
RESULT_COLUMNS = (
    "row", "idempotency_key", "status", "order_id", "quantity", "total_cost", "currency", "error_code", "message",
)  # fmt: skip


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", "account_id", type=click.UUID, help="Whose orders they are.")
@click.option(
    "--key",
    "key_id",
    type=click.UUID,
    help="The id of the API key to place them with, as `tonne keys list` shows it; its caps count. "
    "Without --account the orders are its account's.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice([kind.value for kind in BulkFormat]),
    help="What the file is; known by its name where that ends with .csv, .ndjson or .jsonl.",
)
@click.option("--dry-run", is_flag=True, help="Quote every row, and place nothing.")
@click.option(
    "--results",
    "results_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file for what became of each row: CSV, or JSON lines where its name ends with .jsonl or .ndjson.",
)
@database_options
@json_option
def import_file(
    *,
    file: Path,
    account_id: UUID | None,
    key_id: UUID | None,
    kind: str | None,
    dry_run: bool,
    results_file: Path | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Place the orders of FILE: NDJSON or CSV, a row each, with its own idempotency_key.

    The simplest file has the header idempotency_key,mass,unit and rows like invoice-1042,12.07,kg.

    A row has mass and unit (g, kg, t), or value, or estimate_id; and may have bundle_selection (id:percentage;…),
    quantity_trunc, beneficiary and beneficiary_email, _country, _registration_number, _hidden_until, max_unit_price,
    min_vintage_year, excluded_countries and excluded_projects (separated by ;). NDJSON is as POST /v1/orders/bulk takes it.

    Rows are independent. Stopped anywhere and started again, it goes on where it was: the same file places nothing twice.
    The exit status is 1 where a row was refused.
    """
    content = file.read_bytes()
    try:
        order_file = describe_file(file.name, content, read_rows(content, _format(file, kind)))
    except TonneError as error:
        raise click.ClickException(f"{file}: {error.message}") from None

    async def work(pool: Pool) -> tuple[Caller, list[RowResult]]:
        caller = await find_caller(pool, account_id=account_id, key_id=key_id)
        if dry_run:
            results = quote_file(pool, order_file, caller=caller)
        else:
            results = import_orders(pool, order_file, caller=caller, actor=actor())
        return caller, await _follow(results, order_file, caller.account, results_file)

    try:
        caller, results = with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)
    except TonneError as error:
        raise click.ClickException(error.message) from None
    facts = _facts(results, caller.account)
    if as_json:
        print_json({"dry_run": dry_run, "account_id": str(caller.account.account_id), **facts})
    else:
        _show(results, facts, caller.account, has_file=results_file is not None)
    if any(result.status is RowStatus.REFUSED for result in results):
        raise SystemExit(1)


async def _follow(
    results: AsyncGenerator[RowResult], file: OrderFile, account: Account, results_file: Path | None
) -> list[RowResult]:
    seen: list[RowResult] = []
    with _table(results_file) as table, progress_of("Orders", len(file.rows)) as advance:
        async with aclosing(results) as following:
            async for result in following:
                seen.append(result)
                advance()
                if table is not None:
                    table.write(_row(result, account))
    return seen


@contextmanager
def _table(path: Path | None) -> Iterator[TableWriter | None]:
    """Written row by row as things happen, so that an import that is killed leaves what it did."""
    if path is None:
        yield None
        return
    kind = TableFormat.JSONL if path.suffix in (".jsonl", ".ndjson") else TableFormat.CSV
    try:
        with path.open("wb", buffering=0) as written:
            yield TableWriter(written, kind, RESULT_COLUMNS)
    except OSError as error:
        msg = f"{path} can't be written: {error.strerror}"
        raise click.ClickException(msg) from None


def _format(file: Path, kind: str | None) -> BulkFormat:
    if kind is not None:
        return BulkFormat(kind)
    known = {".csv": BulkFormat.CSV, ".ndjson": BulkFormat.NDJSON, ".jsonl": BulkFormat.NDJSON}
    found = known.get(file.suffix.lower())
    if found is None:
        msg = f"What is {file.name}? Say --format csv or --format ndjson."
        raise click.UsageError(msg)
    return found


def _row(result: RowResult, account: Account) -> dict[str, Any]:
    grams, cost, error = result.quantity_grams, result.total_cost_minor, result.error
    return {
        "row": result.row,
        "idempotency_key": result.idempotency_key,
        "status": result.status.value,
        "order_id": None if result.order is None else str(result.order.order_id),
        "quantity": None if grams is None else format_tonnes(grams),
        "total_cost": None if cost is None else account.currency.format(cost),
        "currency": account.currency.code,
        "error_code": None if error is None else error.code,
        "message": None if error is None else error.message,
    }


def _facts(results: list[RowResult], account: Account) -> dict[str, Any]:
    counts = Counter(result.status for result in results)
    new = [result for result in results if result.is_new]
    return {
        "rows": len(results),
        **{status.value: counts[status] for status in RowStatus},
        "currency": account.currency.code,
        "quantity": format_tonnes(sum(result.quantity_grams or 0 for result in new)),
        "total_cost": account.currency.format(sum(result.total_cost_minor or 0 for result in new)),
    }


def _show(results: list[RowResult], facts: dict[str, Any], account: Account, *, has_file: bool) -> None:
    quoted = [result for result in results if result.status is RowStatus.QUOTED]
    refused = [result for result in results if result.status is RowStatus.REFUSED]
    if quoted and not has_file:
        rows = [_row(result, account) for result in quoted[:SHOWN_MAX]]
        columns = ["row", "idempotency_key", "quantity", "total_cost", "currency"]
        print_table(columns, [[str(row[column] or "") for column in columns] for row in rows])
        _say_more(len(quoted))
    for result in refused[:SHOWN_MAX]:
        assert result.error is not None
        key = "" if result.idempotency_key is None else f" ({result.idempotency_key})"
        console.print(f"row {result.row}{key}: {result.error.message}", markup=False)
    _say_more(len(refused))
    console.print(
        f"{facts['placed']} placed, {facts['exists']} placed before, {facts['quoted']} quoted, "
        f"{facts['refused']} refused; {facts['quantity']} t for {facts['total_cost']} {facts['currency']}."
    )


def _say_more(count: int) -> None:
    if count > SHOWN_MAX:
        console.print(f"and {count - SHOWN_MAX} more: --results FILE has all of them.")

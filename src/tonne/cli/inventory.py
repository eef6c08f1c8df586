"""`tonne inventory`: what is in stock, and what it cost."""

from __future__ import annotations

import csv
import io
import sys
from collections import defaultdict
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path

import click

from tonne.application.csv_cells import safe_cell
from tonne.application.identifiers import utc_now
from tonne.cli.session import (
    console,
    database_options,
    json_option,
    print_json,
    print_table,
    settings_with,
    with_connection,
)
from tonne.domain.catalogue import Bundle
from tonne.domain.decimals import plain
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import Connection
from tonne.storage.inventory import StockLine, sum_stock

_COUNTS = ("issued", "available", "set_aside", "allocated", "retired", "cancelled")


@click.group()
def inventory() -> None:
    """The credits that you hold."""


@inventory.command()
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@database_options
@json_option
def report(data_dir: Path | None, database_url: str | None, *, as_csv: bool, as_json: bool) -> None:
    """Sum up live lots by project, vintage and state: tonnes issued, available, allocated, retired, and what they cost.

    Bundles with less in stock than their `low_stock_tonnes` are named.
    """
    if as_csv and as_json:
        msg = "Say --csv or --json, not both."
        raise click.UsageError(msg)

    async def work(connection: Connection) -> tuple[list[StockLine], list[Bundle]]:
        catalogue = await load_catalogue(connection, on=utc_now().date())
        return await sum_stock(connection), [b for b in catalogue.bundles.values() if b.is_low]

    lines, low = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    if as_json:
        print_json(
            {
                "lines": lines,
                "low_stock": [
                    {
                        "bundle": b.identifier,
                        "available_tonnes": b.available_tonnes,
                        "low_stock_tonnes": b.low_stock_tonnes,
                    }
                    for b in low
                ],
            }
        )
    elif as_csv:
        sys.stdout.write(_csv(lines))
    else:
        _show(lines, low)


def _csv(lines: list[StockLine]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(StockLine)])
    writer.writeheader()
    for line in lines:
        cells = asdict(line)
        for name in ("registry_name", "registry_project_id", "project_name"):
            cells[name] = safe_cell(cells[name])
        cost = cells["cost_in_stock"]
        writer.writerow(cells | {"cost_in_stock": None if cost is None else plain(cost)})
    return text.getvalue()


def _show(lines: list[StockLine], low: list[Bundle]) -> None:
    print_table(
        [
            "registry",
            "project",
            "vintage",
            "state",
            "lots",
            *(name.replace("_", " ") for name in _COUNTS),
            "cost in stock",
        ],
        [
            [
                line.registry_name,
                line.registry_project_id,
                str(line.vintage_year),
                line.state,
                str(line.lots),
                *(str(getattr(line, f"{name}_tonnes")) for name in _COUNTS),
                "-"
                if line.cost_in_stock is None
                else f"{plain(line.cost_in_stock)} {line.cost_currency or ''}".strip(),
            ]
            for line in lines
        ],
    )
    totals = ", ".join(f"{sum(getattr(line, f'{name}_tonnes') for line in lines)} {name}" for name in _COUNTS)
    console.print(f"In all: {totals.replace('_', ' ')} tonnes.")
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.cost_in_stock is not None:
            costs[line.cost_currency or ""] += line.cost_in_stock
    for currency, cost in sorted(costs.items()):
        console.print(f"What is available cost {plain(cost)} {currency}.".replace(" .", "."))
    for bundle in low:
        console.print(
            f"Low: {bundle.name} has {bundle.available_tonnes} tonnes in stock, less than {bundle.low_stock_tonnes}.",
            style="yellow",
            markup=False,
        )

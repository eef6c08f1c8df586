"""`tonne rates`: exchange rates, dated and with their source."""

from __future__ import annotations

from pathlib import Path

import click

from tonne.application.identifiers import utc_now
from tonne.application.import_rates import RateFormat, import_rates, read_rates
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
from tonne.domain.errors import ValidationFailed
from tonne.storage.catalogue import list_rates

SHOWN_MAX = 20


@click.group()
def rates() -> None:
    """Exchange rates. The latest one on or before a day counts; where only the other way round is known, its inverse."""


@rates.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "layout",
    type=click.Choice([each.value for each in RateFormat]),
    default=RateFormat.CSV.value,
    show_default=True,
    help="csv: base_currency, quote_currency, as_of, rate, source. monthly: month, currency, units_per_usd.",
)
@click.option("--source", help="Where the rates come from, when the file does not say.")
@click.option("--replace", is_flag=True, help="Replace rates that are there for the same pair and day.")
@click.option("--dry-run", is_flag=True, help="Read and compare, and change nothing.")
@database_options
@json_option
def import_file(
    file: Path,
    layout: str,
    source: str | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    replace: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import exchange rates from a CSV file: all of it, or nothing. Importing it again changes nothing."""
    try:
        found = read_rates(file.read_text(encoding="utf-8"), layout=RateFormat(layout), source=source)
    except UnicodeDecodeError:
        msg = f"{file} is not UTF-8 text: save it as CSV UTF-8."
        raise click.ClickException(msg) from None
    except ValidationFailed as error:
        lines = [f"{violation.pointer}: {violation.message}" for violation in error.violations]
        more = [f"and {len(lines) - SHOWN_MAX} more"] if len(lines) > SHOWN_MAX else []
        raise click.ClickException(
            "\n  ".join(["Nothing was imported:", *lines[:SHOWN_MAX], *more])
        ) from None
    done = with_pool(
        settings_with(data_dir=data_dir, database_url=database_url),
        lambda pool: import_rates(pool, found, replace=replace, dry_run=dry_run, at=utc_now(), actor=actor()),
    )
    if as_json:
        counts = {"added": done.added, "unchanged": done.unchanged, "replaced": done.replaced}
        print_json({"dry_run": dry_run, **counts})
        return
    would = " (dry run: nothing was changed)" if dry_run else ""
    console.print(f"{done.added} added, {done.unchanged} unchanged, {done.replaced} replaced{would}.")


@rates.command(name="list")
@click.option("--all", "every", is_flag=True, help="The history too, not only the latest of each pair.")
@database_options
@json_option
def list_all(data_dir: Path | None, database_url: str | None, *, every: bool, as_json: bool) -> None:
    """List exchange rates, the latest of each pair first."""
    found = with_connection(
        settings_with(data_dir=data_dir, database_url=database_url),
        lambda connection: list_rates(connection, latest=not every),
    )
    if as_json:
        print_json(found)
        return
    print_table(
        ["from", "to", "as of", "rate", "source"],
        [[r.base_currency, r.quote_currency, r.as_of.isoformat(), plain(r.rate), r.source] for r in found],
    )

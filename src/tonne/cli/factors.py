"""`tonne factors`: editions of emission factors, and the factors in them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from tonne.application.factor_book import factor_book
from tonne.application.factor_cells import YEAR_MAX, YEAR_MIN
from tonne.application.factor_files import FactorFile, FactorFormat, Stated, read_factors
from tonne.application.factor_tables import BYTES_MAX, Damage
from tonne.application.find_factors import find_factors
from tonne.application.identifiers import utc_now
from tonne.application.import_factors import (
    ImportedEdition,
    import_factors,
    restore_edition,
    withdraw_edition,
)
from tonne.application.inventory_files import FileRefused
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
from tonne.domain.factors import Edition, Factor
from tonne.estimates.builtin_factors import builtin_editions, builtin_factors
from tonne.storage.database import Connection, Pool
from tonne.storage.factors import ImportedFactors, StoredEdition, load_imported_factors

SHOWN_MAX = 20
FOUND_MAX = 1000
_YEARS = click.IntRange(YEAR_MIN, YEAR_MAX)


@click.group()
def factors() -> None:
    """Emission factors. Of each activity the newest edition's counts; an estimate keeps the one it was made with."""


def _stated_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What may have to be said of an edition."""
    for name, told in (
        ("url", "Where it is published."),
        ("licence", "What its licence is called."),
        ("attribution", "How its publisher wants to be named."),
        ("title", "What it is called."),
    ):
        command = click.option(f"--{name}", help=told)(command)
    command = click.option("--source", help="Whose factors they are, for csv; such as our-suppliers.")(
        command
    )
    return click.option("--year", type=_YEARS, help="When it was published, where the file does not say.")(
        command
    )


@factors.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "layout",
    required=True,
    type=click.Choice([each.value for each in FactorFormat]),
    help="desnz: conversion factors of the UK Government. epa: the emission factors hub of the US EPA, or its spend factors "
    "by industry. owid: grid intensity by Our World in Data. csv: activity, name, region, unit, kg_co2e; optional: "
    "price_year, source, year, title, attribution, licence, url.",
)
@_stated_options
@click.option("--dry-run", is_flag=True, help="Read, check and compare, and change nothing.")
@click.option(
    "--errors",
    "errors_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where all rows that are damaged are written, with why.",
)
@database_options
@json_option
def import_file(
    *,
    file: Path,
    layout: str,
    errors_file: Path | None,
    data_dir: Path | None,
    database_url: str | None,
    dry_run: bool,
    as_json: bool,
    **stated: Any,
) -> None:
    """Load a file of emission factors as a new edition: all of it, or nothing where a row is damaged.

    An edition never changes: other figures for the same year are its next revision. Importing the same again changes
    nothing.
    """
    read = _read(file, FactorFormat(layout), Stated(**stated))
    if read.damages:
        raise _refusal(read.damages, errors_file)
    done = with_pool(
        settings_with(data_dir=data_dir, database_url=database_url),
        lambda pool: import_factors(pool, read, dry_run=dry_run, at=utc_now(), actor=actor()),
    )
    if as_json:
        print_json(_import_facts(done, dry_run=dry_run))
    else:
        _say_imported(done, dry_run=dry_run)


def _read(file: Path, layout: FactorFormat, stated: Stated) -> FactorFile:
    try:
        with file.open("rb") as opened:
            content = opened.read(BYTES_MAX + 1)
        if len(content) <= BYTES_MAX:
            return read_factors(content.decode("utf-8"), layout, stated)
        reason = f"it is larger than {BYTES_MAX // 1_000_000} MB"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text: save it as CSV UTF-8"
    except OSError as error:
        reason = error.strerror or str(error)
    except FileRefused as error:
        reason = str(error)
    raise _Unreadable(f"{file} can't be read: {reason}")


class _Unreadable(click.ClickException):
    """Not one row of the file could be read."""

    exit_code = 2


def _refusal(damages: Sequence[Damage], errors_file: Path | None) -> click.ClickException:
    lines = [f"line {damage.line}: {damage.message}" for damage in damages[:SHOWN_MAX]]
    if len(damages) > SHOWN_MAX:
        lines.append(f"and {len(damages) - SHOWN_MAX} more")
    if errors_file is not None:
        try:
            with errors_file.open("w", encoding="utf-8", newline="") as written:
                writer = csv.writer(written)
                writer.writerow(["line", "message"])
                writer.writerows([damage.line, damage.message] for damage in damages)
        except OSError as error:
            lines.append(f"They can't be written to {errors_file}: {error.strerror}.")
        else:
            lines.append(f"All of them are in {errors_file}.")
    return click.ClickException("\n  ".join(["Nothing was imported:", *lines]))


def _import_facts(done: ImportedEdition, *, dry_run: bool) -> dict[str, object]:
    compared = done.compared
    return {
        "dry_run": dry_run,
        "edition": done.edition.edition_id,
        "is_new": done.is_new,
        "withdrawn": done.withdrawn,
        "factors": done.factor_count,
        "left_out": done.left_out,
        "compared_with": compared.edition_id,
        "new": compared.new,
        "changed": compared.changed,
        "unchanged": compared.unchanged,
        "gone": compared.gone,
    }


def _say_imported(done: ImportedEdition, *, dry_run: bool) -> None:
    name, compared = done.edition.edition_id, done.compared
    if not done.is_new:
        restore = f"; it is withdrawn: `tonne factors restore {name}`" if done.withdrawn else ""
        console.print(
            f"Nothing was changed: {name} says the same, loaded at {_moment(done.edition)}{restore}.",
            markup=False,
        )
        return
    would = " (dry run: nothing was changed)" if dry_run else ""
    console.print(f"{name}: {done.factor_count} factors of {done.edition.title}{would}.", markup=False)
    for reason, count in done.left_out.items():
        console.print(f"  {count} rows left out: {reason}", markup=False)
    if compared.edition_id is not None:
        console.print(
            f"  Against {compared.edition_id}: {compared.new} new, {compared.changed} changed, "
            f"{compared.unchanged} unchanged, {compared.gone} gone.",
            markup=False,
        )


@dataclass(frozen=True, slots=True)
class _Listed:
    """An edition for a list; `stored` is None for one that comes with Tonne."""

    edition: Edition
    factor_count: int
    stored: StoredEdition | None

    @property
    def state(self) -> str:
        if self.stored is None:
            return "comes with Tonne"
        return "in use" if self.stored.withdrawn_at is None else "withdrawn"

    def facts(self) -> dict[str, object]:
        """What there is to know of it, for programs."""
        return {
            "edition": self.edition.edition_id,
            **_edition_facts(self.edition),
            "factors": self.factor_count,
            "builtin": self.stored is None,
            "withdrawn_at": None if self.stored is None else self.stored.withdrawn_at,
        }


@factors.command(name="list")
@database_options
@json_option
def list_all(data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """List the editions, those that come with Tonne and those that were imported; of a source the newest first."""
    imported = _on_factors(data_dir, database_url)
    listed = _every_edition(imported)
    if as_json:
        print_json([each.facts() for each in listed])
        return
    print_table(
        ["edition", "factors", "loaded at", "state", "title"],
        [
            [e.edition.edition_id, str(e.factor_count), _moment(e.edition), e.state, e.edition.title]
            for e in listed
        ],
    )


@factors.command()
@click.argument("wanted", metavar="EDITION_OR_FACTOR")
@database_options
@json_option
def show(wanted: str, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Show an edition, or one factor by its id, such as desnz-2025/21_316_3170_11_1."""
    imported = _on_factors(data_dir, database_url)
    by_id = {each.edition.edition_id: each for each in _every_edition(imported)}
    facts: dict[str, Any]
    if wanted in by_id:
        units = Counter(factor.unit for factor in _factors_of(by_id[wanted], imported))
        facts = {**by_id[wanted].facts(), "units": dict(units.most_common())}
    else:
        factor = factor_book(imported).by_id.get(wanted)
        if factor is None:
            kind = "factor" if "/" in wanted else "edition"
            searched = "search TEXT` finds" if kind == "factor" else "list` shows"
            msg = f"There is no {kind} {wanted}; `tonne factors {searched} them."
            raise click.ClickException(msg)
        listed = by_id[factor.edition.edition_id].facts()
        facts = {**_factor_facts(factor), **_edition_facts(factor.edition)}
        facts["withdrawn_at"] = listed["withdrawn_at"]
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        console.print(f"{name:<17} {_told(value)}", markup=False)


@factors.command()
@click.argument("text", nargs=-1)
@click.option("--source", "sources", multiple=True, help="Only of this source; may be given several times.")
@click.option("--region", "regions", multiple=True, help="Only of this region: a country's code or name.")
@click.option("--unit", help="Only those that count by this unit or currency.")
@click.option(
    "--year", "years", multiple=True, type=_YEARS, help="Only published in this year; older ones too."
)
@click.option(
    "--limit", type=click.IntRange(1, FOUND_MAX), default=20, show_default=True, help="At most so many."
)
@database_options
@json_option
def search(
    *,
    text: tuple[str, ...],
    sources: tuple[str, ...],
    regions: tuple[str, ...],
    unit: str | None,
    years: tuple[int, ...],
    limit: int,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Find factors by words of their names, regions and activities, or by beginnings of words; the best match first.

    Of each activity only the newest factor is found, unless a year is given.
    """
    imported = _on_factors(data_dir, database_url)
    found = find_factors(
        factor_book(imported),
        text=" ".join(text),
        sources=sources,
        regions=regions,
        unit=unit,
        years=years,
    )
    if as_json:
        print_json({"found": len(found), "factors": [_factor_facts(factor) for factor in found[:limit]]})
        return
    if not found:
        console.print("No factor matches.")
        return
    print_table(
        ["factor", "kg CO2e", "per", "region", "name"],
        [[f.factor_id, plain(f.kg_co2e), _unit(f), f.region, f.name] for f in found[:limit]],
    )
    if len(found) > limit:
        console.print(f"{len(found) - limit} more: add words, or a --limit.")


@factors.command()
@click.argument("edition_id", metavar="EDITION")
@database_options
@json_option
def withdraw(edition_id: str, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Use an imported edition for no new estimate; those that were made with it stay as they are."""
    changed = _on_pool(
        data_dir,
        database_url,
        lambda pool: withdraw_edition(pool, edition_id, at=utc_now(), actor=actor()),
    )
    if as_json:
        print_json({"edition": edition_id, "withdrawn": True, "changed": changed})
    else:
        console.print("Withdrawn." if changed else "It was withdrawn before.")


@factors.command()
@click.argument("edition_id", metavar="EDITION")
@database_options
@json_option
def restore(edition_id: str, data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Use an edition again that was withdrawn."""
    changed = _on_pool(
        data_dir,
        database_url,
        lambda pool: restore_edition(pool, edition_id, at=utc_now(), actor=actor()),
    )
    if as_json:
        print_json({"edition": edition_id, "withdrawn": False, "changed": changed})
    else:
        console.print("Restored." if changed else "It was in use before.")


def _on_factors(data_dir: Path | None, database_url: str | None) -> ImportedFactors:
    async def work(connection: Connection) -> ImportedFactors:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await load_imported_factors(connection, ImportedFactors())

    return with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)


def _on_pool(
    data_dir: Path | None, database_url: str | None, work: Callable[[Pool], Awaitable[bool]]
) -> bool:
    return with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)


def _every_edition(imported: ImportedFactors) -> list[_Listed]:
    counts = Counter(factor.edition.edition_id for factor in builtin_factors().by_id.values())
    listed = [_Listed(each, counts[each.edition_id], None) for each in builtin_editions().values()]
    listed += [_Listed(stored.edition, stored.factor_count, stored) for stored in imported.editions]
    newest_first = sorted(listed, key=lambda each: each.edition.rank, reverse=True)
    return sorted(newest_first, key=lambda each: each.edition.source)


def _factors_of(listed: _Listed, imported: ImportedFactors) -> list[Factor]:
    return [
        f for f in factor_book(imported).by_id.values() if f.edition.edition_id == listed.edition.edition_id
    ]


def _factor_facts(factor: Factor) -> dict[str, Any]:
    return {
        "factor": factor.factor_id,
        "name": factor.name,
        "kg_co2e": plain(factor.kg_co2e),
        "unit": factor.unit,
        "price_year": factor.price_year,
        "region": factor.region,
        "activity": factor.activity,
        "edition": factor.edition.edition_id,
    }


def _edition_facts(edition: Edition) -> dict[str, Any]:
    return {
        "source": edition.source,
        "publication_year": edition.publication_year,
        "revision": edition.revision,
        "title": edition.title,
        "attribution": edition.attribution,
        "licence": edition.licence,
        "url": edition.url,
        "loaded_at": edition.loaded_at,
    }


def _unit(factor: Factor) -> str:
    return factor.unit if factor.price_year is None else f"{factor.unit} of {factor.price_year}"


def _moment(edition: Edition) -> str:
    return "-" if edition.loaded_at is None else f"{edition.loaded_at:%Y-%m-%d %H:%M}"


def _told(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{count} by {unit}" for unit, count in value.items())
    return "-" if value in (None, "") else str(value)

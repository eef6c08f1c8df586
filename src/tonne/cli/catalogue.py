"""`tonne catalogue`: what is sold, as a file that can be kept, changed and applied."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from tonne.application.catalogue_files import FILE_BYTES_MAX, read_catalogue, write_catalogue
from tonne.application.catalogue_plan import Planned
from tonne.application.change_catalogue import change_from_file
from tonne.application.identifiers import utc_now
from tonne.cli.session import (
    actor,
    console,
    database_options,
    json_option,
    print_json,
    settings_with,
    with_pool,
)
from tonne.domain.catalogue_changes import Difference, difference_of
from tonne.domain.errors import ValidationFailed
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import Pool

SHOWN_MAX = 20


@click.group()
def catalogue() -> None:
    """Projects, bundles with their prices, portfolios and the default selection, as a YAML file."""


@catalogue.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@database_options
def export(file: Path | None, data_dir: Path | None, database_url: str | None) -> None:
    """Write the catalogue to FILE, or to standard output. Applying it again changes nothing."""

    async def work(pool: Pool) -> str:
        at = utc_now()
        async with pool.acquire() as connection:
            return write_catalogue(await load_catalogue(connection, on=at.date()), at=at)

    text = with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")
        console.print(f"The catalogue is in {file}.")


@catalogue.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@database_options
@json_option
def apply(
    file: Path, data_dir: Path | None, database_url: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Change the catalogue to what FILE says: shows the difference first, then applies all of it or nothing.

    Projects are known by their slug, bundles and portfolios by their identifier. What is not in the file stays as it is;
    `disabled: true` takes something off sale. A price that differs begins now and is kept in the history;
    `planned_prices` begin by themselves at their time.
    """
    if as_json and not (dry_run or yes):
        msg = "With --json nobody is asked: say --yes to apply, or --dry-run to see what would change."
        raise click.UsageError(msg)
    wanted = _read(file)
    settings = settings_with(data_dir=data_dir, database_url=database_url)

    def change(*, really: bool) -> Planned:
        try:
            return with_pool(
                settings,
                lambda pool: _change(pool, wanted, really=really),
            )
        except _Refused as error:
            raise click.ClickException(error.text) from None

    planned = change(really=False)
    if not as_json:
        _show(planned.differences)
    applies = bool(planned.differences) and not dry_run
    if applies and not yes:
        click.confirm("Apply this?", abort=True)
    if applies:
        planned = change(really=True)
    if as_json:
        print_json({"applied": applies, "changes": [_facts(d) for d in planned.differences]})
    elif applies:
        console.print("Applied.")


class _Refused(Exception):
    def __init__(self, error: ValidationFailed) -> None:
        lines = [f"{violation.pointer}: {violation.message}" for violation in error.violations]
        more = [f"and {len(lines) - SHOWN_MAX} more"] if len(lines) > SHOWN_MAX else []
        self.text = (
            "\n  ".join(["Nothing was changed:", *lines[:SHOWN_MAX], *more]) if lines else error.message
        )
        super().__init__(self.text)


async def _change(pool: Pool, wanted: Any, *, really: bool) -> Planned:
    try:
        return await change_from_file(pool, wanted, now=utc_now, actor=actor(), dry_run=not really)
    except ValidationFailed as error:
        raise _Refused(error) from None


def _read(file: Path) -> Any:
    if file.stat().st_size > FILE_BYTES_MAX:
        msg = f"{file} is larger than {FILE_BYTES_MAX // 10**6} MB."
        raise click.ClickException(msg)
    try:
        return read_catalogue(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        msg = f"{file} is not UTF-8 text."
        raise click.ClickException(msg) from None
    except ValidationFailed as error:
        raise click.ClickException(error.message) from None


def _show(differences: list[Difference]) -> None:
    if not differences:
        console.print("No changes.")
    for difference in differences:
        before, after = difference_of(difference.before, difference.after)
        is_new = difference.before is None
        style, sign = ("green", "+") if is_new else ("yellow", "~")
        title = f"{sign} {difference.object_type} {difference.key}".rstrip()
        console.print(title, style=style, markup=False)
        for name, value in after.items():
            if is_new and value in (None, [], {}, False, ""):
                continue
            was = "" if is_new else f"{_text(before[name])} → "
            console.print(f"    {name}: {was}{_text(value)}", markup=False)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 100 else f"{text[:97]}…"


def _facts(difference: Difference) -> dict[str, Any]:
    before, after = difference_of(difference.before, difference.after)
    return {
        "type": difference.object_type,
        "key": difference.key,
        "action": "create" if difference.before is None else "change",
        "before": None if difference.before is None else before,
        "after": after,
    }

"""`tonne report`: the disclosure pack of a beneficiary."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click
import msgspec

from tonne.application.disclosures import (
    DisclosureTable,
    compile_disclosure,
    disclosure_csv,
    disclosure_facts,
    disclosure_pdf,
)
from tonne.application.identifiers import utc_now
from tonne.cli.exports import writing_to
from tonne.cli.moments import day
from tonne.cli.session import console, database_options, settings_with, with_connection
from tonne.domain.accounts import Mode
from tonne.domain.disclosure import Disclosure
from tonne.domain.errors import TonneError
from tonne.domain.mass import format_tonnes
from tonne.storage.database import Connection


@click.command()
@click.option(
    "--beneficiary",
    "beneficiaries",
    multiple=True,
    required=True,
    help="For whom credits were retired; give it again for other spellings of the name, or for parts of a group.",
)
@click.option("--from", "first_day", type=day, required=True, help="The first day, such as 2026-01-01.")
@click.option("--to", "last_day", type=day, required=True, help="The last day, such as 2026-12-31.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json", "pdf"]),
    default="csv",
    show_default=True,
    help="json and pdf have everything, csv has one --table.",
)
@click.option(
    "--table",
    type=click.Choice([table.value for table in DisclosureTable]),
    default=DisclosureTable.RETIREMENTS.value,
    show_default=True,
    help="Of csv: each retirement, each project (AB 1305), or sums and shares (ESRS E1-7).",
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.LIVE.value,
    show_default=True,
    help="Of test orders nothing was retired; the report says so.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file, written whole or not at all; else standard output.",
)
@database_options
def report(
    *,
    beneficiaries: tuple[str, ...],
    first_day: date,
    last_day: date,
    kind: str,
    table: str,
    mode: str,
    output: Path | None,
    data_dir: Path | None,
    database_url: str | None,
) -> None:
    """Tell what was retired for a beneficiary, with the fields that AB 1305 and ESRS E1-7 ask for.

    Confirmed retirements count, by the day of the retirement at the registry, with the grams that the beneficiary's own
    orders hold of them. What the records do not say is "not stated". The seller is TONNE_OPERATOR_NAME.
    """
    settings = settings_with(data_dir=data_dir, database_url=database_url)

    async def work(connection: Connection) -> Disclosure:
        return await compile_disclosure(
            connection,
            beneficiaries,
            first_day=first_day,
            last_day=last_day,
            mode=Mode(mode),
            seller=settings.operator_name,
            at=utc_now(),
        )

    try:
        disclosure = with_connection(settings, work)
        written = _render(disclosure, kind, DisclosureTable(table))
    except TonneError as error:
        raise click.ClickException(error.message) from None
    with writing_to(output) as file:
        file.write(written)
    if output is not None:
        console.print(
            f"{len(disclosure.credits)} retirements, {format_tonnes(disclosure.grams)} t, are in {output}.",
            markup=False,
        )


def _render(disclosure: Disclosure, kind: str, table: DisclosureTable) -> bytes:
    if kind == "pdf":
        return disclosure_pdf(disclosure)
    if kind == "csv":
        return disclosure_csv(disclosure, table)
    return msgspec.json.format(msgspec.json.encode(disclosure_facts(disclosure)), indent=2) + b"\n"

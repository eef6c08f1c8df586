"""`tonne retirements replace`: other credits in place of withdrawn ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import click

from tonne.application.identifiers import utc_now
from tonne.application.replace_retirements import Replaced, replace_withdrawn
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
from tonne.settings import Settings


@click.command(name="replace")
@click.option(
    "--lot", "lot_id", type=click.UUID, help="Only credits of this lot; else all that were withdrawn."
)
@database_options
@json_option
def replace_retirements(
    lot_id: UUID | None, data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Retire credits in stock in place of retired ones that were reversed or invalidated.

    Each is filed like any other retirement (`tonne retirements export`). The orders stay complete; their public pages and
    newest certificates say what was withdrawn, and what stands in for it. What stock does not cover stays missing: run it
    again.
    """
    replaced: list[Replaced] = []
    try:
        replace_credits(settings_with(data_dir=data_dir, database_url=database_url), lot_id, replaced)
    finally:
        # What is done is told, whatever came after it.
        if as_json:
            print_json(replaced)
        else:
            show_replaced(replaced)
    if not (replaced or as_json):
        console.print("Nothing is missing.")


def replace_credits(settings: Settings, lot_id: UUID | None, replaced: list[Replaced]) -> None:
    """Replace withdrawn credits, of one lot or of all; `replaced` has what is done, even where the rest fails."""
    with_pool(
        settings,
        lambda pool: replace_withdrawn(
            pool, lot_id=lot_id, progressed=replaced.extend, at=utc_now(), actor=actor()
        ),
    )


def show_replaced(replaced: Sequence[Replaced]) -> None:
    """Show what stands in for what, if anything."""
    if not replaced:
        return
    print_table(
        ["retirement", "beneficiary", "missing (t)", "being replaced (t)"],
        [
            [str(each.retirement_id), each.beneficiary, str(each.missing_tonnes), str(each.planned_tonnes)]
            for each in replaced
        ],
    )

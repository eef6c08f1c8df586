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
    replaced = with_pool(
        settings_with(data_dir=data_dir, database_url=database_url),
        lambda pool: replace_withdrawn(pool, lot_id=lot_id, at=utc_now(), actor=actor()),
    )
    if as_json:
        print_json(replaced)
    elif not replaced:
        console.print("Nothing is missing.")
    else:
        show_replaced(replaced)


def show_replaced(replaced: Sequence[Replaced]) -> None:
    """Show what stands in for what."""
    print_table(
        ["retirement", "beneficiary", "missing (t)", "being replaced (t)"],
        [
            [str(each.retirement_id), each.beneficiary, str(each.missing_tonnes), str(each.planned_tonnes)]
            for each in replaced
        ],
    )

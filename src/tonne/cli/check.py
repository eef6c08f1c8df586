"""`tonne check`: does everything that must be true hold?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tonne.cli.session import (
    console,
    database_options,
    json_option,
    print_json,
    settings_with,
    with_connection,
)
from tonne.storage.checks import Checked, run_checks
from tonne.storage.database import Connection


@click.command()
@database_options
@json_option
def check(data_dir: Path | None, database_url: str | None, *, as_json: bool) -> None:
    """Check every rule of the books over the whole database; exits with 1 where one is broken.

    Reads only, as of one moment; the service may be running.
    """

    async def work(connection: Connection) -> list[Checked]:
        checked = []
        async for result in run_checks(connection):
            checked.append(result)
            if not as_json:
                _say(result)
        return checked

    checked = with_connection(settings_with(data_dir=data_dir, database_url=database_url), work)
    sound = not any(result.findings for result in checked)
    if as_json:
        rules = [{"rule": result.rule, "findings": result.findings} for result in checked]
        print_json({"sound": sound, "rules": rules})
    sys.exit(0 if sound else 1)


def _say(result: Checked) -> None:
    if not result.findings:
        console.print(f"[green]holds[/]   {result.rule}")
        return
    console.print(f"[red]broken[/]  {result.rule}")
    for finding in result.findings:
        console.print(f"        {finding}", markup=False)

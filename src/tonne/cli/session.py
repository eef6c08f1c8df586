"""What the commands share: settings, a database to work on, and output for people or for programs."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click
import msgspec
from rich.console import Console

from tonne.domain.audit import Actor
from tonne.domain.errors import TonneError
from tonne.settings import SettingInvalid, Settings, read_settings
from tonne.storage.database import Connection, Pool, open_pool
from tonne.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tonne.storage.schema import current_revision, newest_revision

Result = TypeVar("Result")

console = Console(highlight=False, soft_wrap=True)


def database_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which database a command works on."""
    command = click.option(
        "--database-url",
        help="A PostgreSQL 15 or newer, postgresql://…; without it the embedded one. [TONNE_DATABASE_URL]",
    )(command)
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where the embedded PostgreSQL keeps its data. [TONNE_DATA_DIR, default: tonne-data]",
    )(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def actor() -> Actor:
    """Whoever runs this command, as the audit log has it."""
    try:
        return Actor.at_command_line(getpass.getuser())
    except (KeyError, OSError):
        # A user without a name, as in some containers.
        return Actor.at_command_line(str(os.getuid()))


def settings_with(**chosen: Any) -> Settings:
    """The settings of the environment, overridden by the options that were given."""
    try:
        settings = read_settings()
    except SettingInvalid as error:
        raise click.ClickException(str(error)) from None
    return replace(settings, **{name: value for name, value in chosen.items() if value not in (None, "")})


@contextmanager
def database(settings: Settings, *, create: bool = False) -> Iterator[str]:
    """A database to work on; the embedded one is started for as long as needed, or shared with who has it running."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    if not create and not (settings.data_dir / "postgres").is_dir():
        msg = f"There is no data in {settings.data_dir}: name another --data-dir, or make one with `tonne init`."
        raise click.ClickException(msg)
    try:
        with EmbeddedPostgres(settings.data_dir.absolute()) as server:
            yield server.url
    except EmbeddedPostgresError as error:
        raise click.ClickException(str(error)) from None


def with_connection(settings: Settings, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Do something on one connection to a database whose schema is current."""
    with database(settings) as url:
        return on_database(url, work)


def on_database(
    url: str, work: Callable[[Connection], Awaitable[Result]], *, check_schema: bool = True
) -> Result:
    """Do something on one connection to the database at `url`."""

    async def run() -> Result:
        connection = await _connect(url)
        try:
            if check_schema:
                await _refuse_other_schema(connection)
            return await work(connection)
        except TonneError as error:
            raise click.ClickException(error.message) from None
        finally:
            await connection.close()

    return asyncio.run(run())


def with_pool(settings: Settings, work: Callable[[Pool], Awaitable[Result]]) -> Result:
    """Do something on a pool of connections to a database whose schema is current."""

    async def run(url: str) -> Result:
        async with await open_pool(url, connections_max=4) as pool:
            try:
                return await work(pool)
            except TonneError as error:
                raise click.ClickException(error.message) from None

    with database(settings) as url:
        # Asked first, so that an unreachable database is said plainly.
        on_database(url, _refuse_other_schema, check_schema=False)
        return asyncio.run(run(url))


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        msg = f"The database can't be reached: {str(error) or type(error).__name__}"
        raise click.ClickException(msg) from None


async def refuse_newer_schema(connection: Connection) -> None:
    """Refuse a database that a newer version of Tonne made."""
    found = await current_revision(connection)
    if found is not None and found > newest_revision():
        msg = f"The database is at revision {found}, made by a newer version of Tonne than this: install that one."
        raise click.ClickException(msg)


async def _refuse_other_schema(connection: Connection) -> None:
    await refuse_newer_schema(connection)
    found = await current_revision(connection)
    if found != newest_revision():
        has = "has no schema yet" if found is None else f"is at revision {found}"
        msg = f"The database {has}, this version needs {newest_revision()}: run `tonne db upgrade`."
        raise click.ClickException(msg)


def print_json(value: Any) -> None:
    """Print a value as JSON to standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows for people. Values are never cut or wrapped: keys and ids are there to be copied."""
    widths = [max(len(cell) for cell in cells) for cells in zip(columns, *rows, strict=True)]
    for number, row in enumerate([columns, *rows]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(line.rstrip(), markup=False, style="bold" if number == 0 else "")

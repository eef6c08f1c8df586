"""`tonne retirements`: the worklist of credits to retire at registries, and what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from tonne.application.identifiers import utc_now
from tonne.application.registry_answers import (
    Answers,
    AnswersRefused,
    give_answers,
    read_answers,
    read_confirmation,
    read_reason,
)
from tonne.application.worklist import format_worklist, hand_out, release_rejected
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
from tonne.domain.accounts import Mode
from tonne.domain.progress import Retirement
from tonne.domain.retirement import Rejected, RetirementState, Unknown
from tonne.storage.accounts import list_organisation_ids
from tonne.storage.database import Pool
from tonne.storage.progress import RetirementFilter, list_retirements

UNDECIDED = (RetirementState.PENDING, RetirementState.SUBMITTED, RetirementState.UNKNOWN)


@click.group()
def retirements() -> None:
    """Retirements: whole tonnes to be retired at registries, for whom, and what the registry said.

    Test accounts' retirements are simulated and decide themselves.
    """


@retirements.command(name="list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in RetirementState]),
    help="Only those in this state; may be given several times. Undecided ones unless said otherwise.",
)
@click.option("--all", "every", is_flag=True, help="Those in every state.")
@click.option("--account", "account_id", type=click.UUID, help="Only those of this account.")
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="Only live or only test ones.")
@database_options
@json_option
def list_all(
    states: tuple[str, ...],
    account_id: UUID | None,
    mode: str | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """List retirements, oldest first."""
    chosen = None if every else [RetirementState(state) for state in states] or list(UNDECIDED)
    wanted = RetirementFilter(states=chosen, account_id=account_id, mode=Mode(mode) if mode else None)
    found = _run(data_dir, database_url, lambda pool: _list(pool, wanted))
    if as_json:
        print_json(found)
        return
    print_table(
        ["retirement", "state", "tonnes", "vintage", "project", "serial numbers", "beneficiary", "reference"],
        [
            [
                str(r.retirement_id),
                r.state.value,
                str(r.tonnes),
                str(r.vintage_year),
                r.registry_project_id,
                f"{r.serial_first} … {r.serial_last}",
                r.beneficiary,
                r.registry_reference or r.reason or "",
            ]
            for r in found
        ],
    )
    tonnes = sum(r.tonnes for r in found)
    console.print(f"{len(found)} retirements, {tonnes} tonnes.")


@retirements.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; else standard output."
)
@click.option("--account", "account_id", type=click.UUID, help="Only those of this account.")
@click.option("--again", is_flag=True, help="Those handed out before and not decided yet, too.")
@click.option("--dry-run", is_flag=True, help="Write the list, and leave their state as it is.")
@database_options
def export(
    output: Path | None,
    account_id: UUID | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    again: bool,
    dry_run: bool,
) -> None:
    """Write the worklist as CSV: what to file at registries. What is on it counts as submitted from then on.

    Retirements of unknown outcome are never on it: look them up at the registry, then confirm or reject them.
    """
    if dry_run:
        states = [RetirementState.PENDING, *([RetirementState.SUBMITTED] if again else [])]
        wanted = RetirementFilter(states=states, account_id=account_id, mode=Mode.LIVE)
        found = _run(data_dir, database_url, lambda pool: _list(pool, wanted))
        _write(output, format_worklist(found))
    else:
        # A file is whole on the disk before its list counts as handed out. What is printed comes after, since whoever
        # reads it may take their time; where that is lost, --again prints it anew.
        keep = _keeper(output)
        found = _run(
            data_dir,
            database_url,
            lambda pool: hand_out(
                pool, keep, account_id=account_id, again=again, at=utc_now(), actor=actor()
            ),
        )
        if output is None:
            _write(None, format_worklist(found))
    if output is not None:
        tonnes = sum(r.tonnes for r in found)
        console.print(f"{len(found)} retirements, {tonnes} tonnes, are in {output}.")


@retirements.command()
@click.argument("retirement_id", type=click.UUID, required=False)
@click.option("--reference", help="The registry's reference of the retirement.")
@click.option("--date", "day", help="The day on which the registry retired, such as 2026-01-31.")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV with the columns retirement_id, registry_reference and retired_on: the worklist, completed.",
)
@database_options
@json_option
def confirm(
    retirement_id: UUID | None,
    reference: str | None,
    day: str | None,
    *,
    file: Path | None,
    data_dir: Path | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Record that a registry retired: one RETIREMENT_ID, or all rows of a CSV file. All of them, or none."""
    answers = _confirmations(retirement_id, reference, day, file)
    _answer(data_dir, database_url, answers, as_json=as_json)


@retirements.command()
@click.argument("retirement_ids", metavar="RETIREMENT_ID...", type=click.UUID, nargs=-1, required=True)
@click.option("--reason", required=True, help="What the registry said.")
@click.option(
    "--credits-are-good",
    is_flag=True,
    help="Put the serial numbers back in stock; else they are set aside until `tonne retirements release`.",
)
@database_options
@json_option
def reject(
    retirement_ids: tuple[UUID, ...],
    reason: str,
    data_dir: Path | None,
    database_url: str | None,
    *,
    credits_are_good: bool,
    as_json: bool,
) -> None:
    """Record that a registry retired nothing. Other credits are taken for the orders instead."""
    answer = Rejected(_read_reason(reason), credits_are_good=credits_are_good)
    _answer(data_dir, database_url, Answers(dict.fromkeys(retirement_ids, answer)), as_json=as_json)


@retirements.command()
@click.argument("retirement_ids", metavar="RETIREMENT_ID...", type=click.UUID, nargs=-1, required=True)
@click.option("--reason", required=True, help="Why nobody knows.")
@database_options
@json_option
def unknown(
    retirement_ids: tuple[UUID, ...],
    reason: str,
    data_dir: Path | None,
    database_url: str | None,
    *,
    as_json: bool,
) -> None:
    """Record that nobody knows what the registry did. Confirm or reject it when you do; it is not filed again."""
    answer = Unknown(_read_reason(reason))
    _answer(data_dir, database_url, Answers(dict.fromkeys(retirement_ids, answer)), as_json=as_json)


@retirements.command()
@click.argument("retirement_ids", metavar="RETIREMENT_ID...", type=click.UUID, nargs=-1, required=True)
@database_options
@json_option
def release(
    retirement_ids: tuple[UUID, ...], data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Put serial numbers back in stock that were set aside when their retirement was rejected."""
    tonnes = _run(
        data_dir,
        database_url,
        lambda pool: release_rejected(pool, retirement_ids, at=utc_now(), actor=actor()),
    )
    if as_json:
        print_json({"tonnes": tonnes})
    else:
        console.print(f"{tonnes} tonnes are back in stock.")


def _confirmations(
    retirement_id: UUID | None, reference: str | None, day: str | None, file: Path | None
) -> Answers:
    today = utc_now().date()
    if file is not None:
        if retirement_id or reference or day:
            msg = "Give a file, or one retirement with --reference and --date."
            raise click.UsageError(msg)
        try:
            return read_answers(file.read_text(encoding="utf-8"), today=today)
        except UnicodeDecodeError:
            msg = f"{file} is not UTF-8 text: save it as CSV UTF-8."
            raise click.ClickException(msg) from None
        except AnswersRefused as error:
            raise _refused(error) from None
    if retirement_id is None or reference is None or day is None:
        msg = "Name a RETIREMENT_ID with --reference and --date, or a --file."
        raise click.UsageError(msg)
    try:
        return Answers({retirement_id: read_confirmation(reference, day, today=today)})
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _answer(
    data_dir: Path | None,
    database_url: str | None,
    answers: Answers,
    *,
    as_json: bool,
) -> None:
    async def work(pool: Pool) -> dict[str, int]:
        recorded = await give_answers(pool, answers, at=utc_now(), actor=actor())
        return {
            "confirmed": sum(len(r.confirmed) for r in recorded),
            "rejected": sum(len(r.rejected) for r in recorded),
            "unknown": sum(len(r.unknown) for r in recorded),
            "orders_completed": sum(r.orders_completed for r in recorded),
        }

    try:
        counts = _run(data_dir, database_url, work)
    except AnswersRefused as error:
        raise _refused(error) from None
    if as_json:
        print_json(counts)
        return
    changed = {name: count for name, count in counts.items() if count}
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in changed.items())
    console.print(f"{said}." if said else "Nothing new: all of this was recorded before.")


def _refused(error: AnswersRefused) -> click.ClickException:
    shown = [
        problem.message if problem.line is None else f"line {problem.line}: {problem.message}"
        for problem in error.problems[:20]
    ]
    more = len(error.problems) - len(shown)
    text = "\n  ".join([*shown, *([f"and {more} more"] if more else [])])
    return click.ClickException(f"Nothing was recorded:\n  {text}")


def _run(data_dir: Path | None, database_url: str | None, work: Callable[[Pool], Awaitable[Any]]) -> Any:
    return with_pool(settings_with(data_dir=data_dir, database_url=database_url), work)


async def _list(pool: Pool, wanted: RetirementFilter) -> list[Retirement]:
    async with pool.acquire() as connection:
        return await list_retirements(connection, await list_organisation_ids(connection), wanted=wanted)


def _keeper(output: Path | None) -> Callable[[Sequence[Retirement]], None]:
    def keep(found: Sequence[Retirement]) -> None:
        if output is not None:
            _write(output, format_worklist(found))

    return keep


def _write(output: Path | None, text: str) -> None:
    try:
        if output is None:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        temporary = output.with_name(output.name + ".tmp")
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(output)
    except OSError as error:
        msg = f"The worklist can't be written: {error.strerror or error}. `tonne retirements export --again` has all of it."
        raise click.ClickException(msg) from None


def _read_reason(text: str) -> str:
    try:
        return read_reason(text)
    except ValueError as error:
        raise click.ClickException(str(error)) from None

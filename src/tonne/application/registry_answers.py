"""What registries that people file at have answered, singly or from a completed worklist."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec

from tonne.application.contention import carried_out
from tonne.application.record_answers import Recorded, record_answers_on
from tonne.domain.audit import SERVICE, Actor, Change
from tonne.domain.progress import Retirement
from tonne.domain.retirement import OPEN_STATES, Confirmed, RegistryAnswer, RetirementState
from tonne.storage.accounts import list_organisation_ids
from tonne.storage.audit import record_changes
from tonne.storage.database import Connection, Pool
from tonne.storage.pools import claim_organisation
from tonne.storage.progress import RetirementFilter, list_retirements

ANSWER_COLUMNS = ("retirement_id", "registry_reference", "retired_on")
REFERENCE_LENGTH_MAX = 200
REASON_LENGTH_MAX = 500
ANSWERS_MAX = 100_000
# Somewhere it is still yesterday.
EARLY_MAX = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an answer can't be taken; `line` is the one of the file that it stands in, counted from 1, the header's."""

    line: int | None
    message: str


class AnswersRefused(Exception):
    """Some answers can't be taken, so none was; `problems` names each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} answers can't be taken")
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Answers:
    """What registries said, by retirement, and the lines of a file that it was read from."""

    said: Mapping[UUID, RegistryAnswer]
    lines: Mapping[UUID, int] = field(default_factory=dict)


def read_answers(text: str, *, today: date) -> Answers:
    """Read a registry's confirmations from CSV with the columns retirement_id, registry_reference and retired_on.

    Other columns are ignored, so that the exported worklist can be completed and given back.

    Raises:
        AnswersRefused: a column is missing or there twice, there are no rows, or a row is damaged or names a retirement
            twice.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    said: dict[UUID, RegistryAnswer] = {}
    lines: dict[UUID, int] = {}
    problems: list[Problem] = []
    try:
        _refuse_columns(reader.fieldnames or ())
        for row in reader:
            try:
                retirement_id, answer = _read_answer(row, said, today)
            except ValueError as error:
                problems.append(Problem(reader.line_num, str(error)))
            else:
                said[retirement_id], lines[retirement_id] = answer, reader.line_num
    except csv.Error as error:
        raise AnswersRefused([*problems, Problem(reader.line_num, f"this is no CSV: {error}")]) from None
    if not said and not problems:
        problems.append(Problem(1, "no row follows the header"))
    if problems:
        raise AnswersRefused(problems)
    return Answers(said, lines)


def read_confirmation(reference: str, day: str, *, today: date) -> Confirmed:
    """Read a registry's reference and the day on which it retired.

    Raises:
        ValueError: saying what is wrong.
    """
    if not 1 <= len(reference) <= REFERENCE_LENGTH_MAX or not reference.isprintable():
        msg = f"registry_reference must have 1 to {REFERENCE_LENGTH_MAX} printable characters"
        raise ValueError(msg)
    try:
        retired_on = date.fromisoformat(day)
    except ValueError:
        retired_on = None
    if retired_on is None or retired_on.isoformat() != day:
        msg = f"retired_on must be a date such as {today.isoformat()}; it is {day!r}"
        raise ValueError(msg)
    if retired_on > today + EARLY_MAX:
        msg = f"retired_on {day} is in the future"
        raise ValueError(msg)
    return Confirmed(reference, retired_on)


def read_reason(text: str) -> str:
    """Read why something did not go as it should.

    Raises:
        ValueError: saying what is wrong.
    """
    reason = text.strip()
    if not 1 <= len(reason) <= REASON_LENGTH_MAX or not reason.isprintable():
        msg = f"the reason must have 1 to {REASON_LENGTH_MAX} printable characters"
        raise ValueError(msg)
    return reason


async def give_answers(
    pool: Pool, answers: Answers, *, at: datetime, actor: Actor = SERVICE
) -> list[Recorded]:
    """Record what registries said about retirements of any organisation: all of them, or none where one can't be taken.

    Saying again what was said before changes nothing.

    Raises:
        AnswersRefused: there is no such retirement, it was decided otherwise before, or it can't have been that day.
    """
    return await carried_out(partial(_give, pool, answers, at=at, actor=actor))


async def _give(pool: Pool, answers: Answers, *, at: datetime, actor: Actor) -> list[Recorded]:
    wanted = RetirementFilter(retirement_ids=list(answers.said))
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        organisation_ids = await list_organisation_ids(connection)
        concerned = {
            r.organisation_id for r in await list_retirements(connection, organisation_ids, wanted=wanted)
        }
        for organisation_id in sorted(concerned):
            await claim_organisation(connection, organisation_id, wait=True)
        # Read again: nobody decides anything of them any more.
        found = await list_retirements(connection, list(concerned), wanted=wanted)
        known = {retirement.retirement_id: retirement for retirement in found}
        _refuse_contradictions(known, answers)
        by_organisation: dict[UUID, dict[UUID, RegistryAnswer]] = defaultdict(dict)
        for retirement_id, answer in answers.said.items():
            by_organisation[known[retirement_id].organisation_id][retirement_id] = answer
        return [
            await _record(
                connection, organisation_id, by_organisation[organisation_id], known, at=at, actor=actor
            )
            for organisation_id in sorted(by_organisation)
        ]


async def _record(
    connection: Connection,
    organisation_id: UUID,
    answers: Mapping[UUID, RegistryAnswer],
    known: Mapping[UUID, Retirement],
    *,
    at: datetime,
    actor: Actor,
) -> Recorded:
    recorded = await record_answers_on(connection, organisation_id, answers, at=at)
    said = [(key, "confirm", RetirementState.CONFIRMED) for key in recorded.confirmed]
    said += [(key, "reject", RetirementState.REJECTED) for key in recorded.rejected]
    said += [(key, "mark_unknown", RetirementState.UNKNOWN) for key in recorded.unknown]
    changes = [
        Change(
            "retirement",
            key,
            action,
            {"state": known[key].state},
            {"state": state, "said": msgspec.to_builtins(answers[key])},
        )
        for key, action, state in said
    ]
    await record_changes(connection, actor, changes, at=at, organisation_id=organisation_id)
    return recorded


def _refuse_columns(columns: Sequence[str]) -> None:
    problems = [
        Problem(1, f"the column {column} is {'missing' if columns.count(column) == 0 else 'there twice'}")
        for column in ANSWER_COLUMNS
        if columns.count(column) != 1
    ]
    if problems:
        raise AnswersRefused(problems)


def _read_answer(
    row: Mapping[str, str | None], before: Mapping[UUID, RegistryAnswer], today: date
) -> tuple[UUID, Confirmed]:
    retirement_id, reference, day = ((row[column] or "").strip() for column in ANSWER_COLUMNS)
    try:
        known_id = UUID(retirement_id)
    except ValueError:
        msg = f"retirement_id {retirement_id!r} is no id"
        raise ValueError(msg) from None
    if known_id in before:
        msg = f"{known_id} is named twice"
        raise ValueError(msg)
    if len(before) >= ANSWERS_MAX:
        msg = f"a file may have at most {ANSWERS_MAX} rows"
        raise ValueError(msg)
    return known_id, read_confirmation(reference, day, today=today)


def _refuse_contradictions(known: Mapping[UUID, Retirement], answers: Answers) -> None:
    problems = [
        Problem(answers.lines.get(retirement_id), problem)
        for retirement_id, answer in answers.said.items()
        if (problem := _contradiction(retirement_id, known.get(retirement_id), answer)) is not None
    ]
    if problems:
        raise AnswersRefused(problems)


def _contradiction(retirement_id: UUID, retirement: Retirement | None, answer: RegistryAnswer) -> str | None:
    if retirement is None:
        return f"there is no retirement {retirement_id}"
    if retirement.state in OPEN_STATES:
        return _too_early(retirement, answer)
    is_same = (
        retirement.state is RetirementState.CONFIRMED
        and isinstance(answer, Confirmed)
        and (retirement.registry_reference, retirement.retired_on) == (answer.reference, answer.retired_on)
    )
    if is_same:
        return None
    told = f" with the reference {retirement.registry_reference}" if retirement.registry_reference else ""
    return f"{retirement_id} is {retirement.state.value}{told} since {retirement.decided_at:%Y-%m-%d}"


def _too_early(retirement: Retirement, answer: RegistryAnswer) -> str | None:
    if not isinstance(answer, Confirmed) or answer.retired_on >= retirement.created_at.date() - EARLY_MAX:
        return None
    return (
        f"{retirement.retirement_id} was planned on {retirement.created_at:%Y-%m-%d}: it can't have been retired on "
        f"{answer.retired_on}"
    )

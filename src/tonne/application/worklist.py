"""The worklist of a registry that people file at: what to retire there, and what came of it."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import msgspec

from tonne.application.record_answers import Recorded, record_answers_on
from tonne.domain.audit import SERVICE, Actor, Change
from tonne.domain.progress import Retirement
from tonne.domain.retirement import OPEN_STATES, Confirmed, RegistryAnswer, RetirementState
from tonne.storage.audit import record_changes
from tonne.storage.database import Pool
from tonne.storage.lots import release_set_aside
from tonne.storage.pools import claim_organisation
from tonne.storage.progress import RetirementFilter, list_retirements
from tonne.storage.retirements import mark_submitted

WORKLIST_COLUMNS = (
    "retirement_id",
    "registry",
    "registry_project_id",
    "project",
    "vintage_year",
    "serial_first",
    "serial_last",
    "quantity",
    "beneficiary",
    "beneficiary_country",
    "beneficiary_registration_number",
    "reason",
    "note",
)
ANSWER_COLUMNS = ("retirement_id", "registry_reference", "retired_on")
REFERENCE_LENGTH_MAX = 200
ANSWERS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a row of a file; `line` counts from 1, the header's."""

    line: int
    message: str


class AnswersRefused(Exception):
    """Some rows can't be taken, so none was; `problems` names each."""

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        super().__init__(f"{len(problems)} rows can't be taken")
        self.problems = tuple(problems)


def format_worklist(retirements: Sequence[Retirement]) -> str:
    """Write a worklist as CSV (RFC 4180), with what a registry's retirement form asks for. Quantities are tonnes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, WORKLIST_COLUMNS)
    writer.writeheader()
    for retirement in retirements:
        writer.writerow(
            {
                "retirement_id": retirement.retirement_id,
                "registry": retirement.registry_name,
                "registry_project_id": retirement.registry_project_id,
                "project": retirement.project_name,
                "vintage_year": retirement.vintage_year,
                "serial_first": retirement.serial_first,
                "serial_last": retirement.serial_last,
                "quantity": retirement.tonnes,
                "beneficiary": retirement.beneficiary,
                "beneficiary_country": retirement.beneficiary_country,
                "beneficiary_registration_number": retirement.beneficiary_registration_number,
                "reason": f"Retired on behalf of {retirement.beneficiary}",
                "note": f"Tonne retirement {retirement.retirement_id}",
            }
        )
    return text.getvalue()


def read_answers(text: str, *, today: date) -> dict[UUID, Confirmed]:
    """Read a registry's confirmations from CSV with the columns retirement_id, registry_reference and retired_on.

    Other columns are ignored, so that the exported worklist can be completed and given back.

    Raises:
        AnswersRefused: a column is missing, or a row is damaged or names a retirement twice.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = [column for column in ANSWER_COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise AnswersRefused([RowProblem(1, f"the column {column} is missing") for column in missing])
    answers: dict[UUID, Confirmed] = {}
    problems = []
    for row in reader:
        try:
            retirement_id, answer = _read_answer(row, answers, today)
        except ValueError as error:
            problems.append(RowProblem(reader.line_num, str(error)))
        else:
            answers[retirement_id] = answer
    if problems:
        raise AnswersRefused(problems)
    return answers


async def give_answers(
    pool: Pool,
    organisation_ids: Sequence[UUID],
    answers: Mapping[UUID, RegistryAnswer],
    *,
    at: datetime,
    actor: Actor = SERVICE,
) -> list[Recorded]:
    """Record what registries said about retirements of any organisation; all of them, or none where one is unknown.

    Saying again what was said before changes nothing.

    Raises:
        AnswersRefused: there is no such retirement, or it was decided otherwise before.
    """
    async with pool.acquire(timeout=30) as connection:
        found = await list_retirements(
            connection, organisation_ids, wanted=RetirementFilter(retirement_ids=list(answers))
        )
    known = {retirement.retirement_id: retirement for retirement in found}
    problems = [
        RowProblem(line, problem)
        for line, (retirement_id, answer) in enumerate(answers.items(), start=2)
        if (problem := _contradiction(retirement_id, known.get(retirement_id), answer)) is not None
    ]
    if problems:
        raise AnswersRefused(problems)
    by_organisation: dict[UUID, dict[UUID, RegistryAnswer]] = defaultdict(dict)
    for retirement_id, answer in answers.items():
        by_organisation[known[retirement_id].organisation_id][retirement_id] = answer
    return [
        await _record(pool, organisation_id, theirs, known, at=at, actor=actor)
        for organisation_id, theirs in by_organisation.items()
    ]


async def hand_out(
    pool: Pool, retirements: Sequence[Retirement], *, at: datetime, actor: Actor = SERVICE
) -> int:
    """Note that retirements are being filed by hand; returns how many were pending until now."""
    by_organisation: dict[UUID, list[UUID]] = defaultdict(list)
    for retirement in retirements:
        by_organisation[retirement.organisation_id].append(retirement.retirement_id)
    submitted = 0
    for organisation_id, retirement_ids in by_organisation.items():
        async with pool.acquire(timeout=30) as connection, connection.transaction():
            await claim_organisation(connection, organisation_id, wait=True)
            now_submitted = await mark_submitted(connection, organisation_id, retirement_ids, at=at)
            changes = [
                Change("retirement", key, "submit", {"state": "pending"}, {"state": "submitted"})
                for key in now_submitted
            ]
            await record_changes(connection, actor, changes, at=at, organisation_id=organisation_id)
            submitted += len(now_submitted)
    return submitted


async def release_rejected(
    pool: Pool, retirement_ids: Sequence[UUID], *, at: datetime, actor: Actor = SERVICE
) -> int:
    """Put serial numbers back in stock that rejected retirements set aside; returns the tonnes."""
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        tonnes = await release_set_aside(connection, retirement_ids)
        if tonnes:
            changes = [Change("retirement", key, "release_serial_numbers") for key in retirement_ids]
            await record_changes(connection, actor, changes, at=at)
        return tonnes


async def _record(
    pool: Pool,
    organisation_id: UUID,
    answers: Mapping[UUID, RegistryAnswer],
    known: Mapping[UUID, Retirement],
    *,
    at: datetime,
    actor: Actor,
) -> Recorded:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await claim_organisation(connection, organisation_id, wait=True)
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


def _read_answer(
    row: Mapping[str, str | None], before: Mapping[UUID, Confirmed], today: date
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
        msg = f"retired_on must be a date such as {today.isoformat()}; it is {day!r}"
        raise ValueError(msg) from None
    if retired_on > today:
        msg = f"retired_on {day} is in the future"
        raise ValueError(msg)
    return Confirmed(reference, retired_on)


def _contradiction(retirement_id: UUID, retirement: Retirement | None, answer: RegistryAnswer) -> str | None:
    if retirement is None:
        return f"there is no retirement {retirement_id}"
    if retirement.state in OPEN_STATES:
        return None
    is_same = (
        retirement.state is RetirementState.CONFIRMED
        and isinstance(answer, Confirmed)
        and (retirement.registry_reference, retirement.retired_on) == (answer.reference, answer.retired_on)
    )
    if is_same:
        return None
    told = f" with the reference {retirement.registry_reference}" if retirement.registry_reference else ""
    return f"{retirement_id} is {retirement.state.value}{told} since {retirement.decided_at:%Y-%m-%d}"

"""Bring projects and lots in from files: some rows at a time, each time complete, and never twice.

An import that was interrupted is started again with the same file: what is there is unchanged, the rest goes in.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from tonne.application.catalogue_entries import ProjectEntry
from tonne.application.catalogue_plan import Wanted, Wishes
from tonne.application.change_catalogue import change_catalogue
from tonne.application.identifiers import new_id
from tonne.application.inventory_files import FileRead, Good, LotRow, RetirementRow, RowProblem
from tonne.domain.audit import Actor, Change
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import count_change
from tonne.storage.database import Connection, Pool
from tonne.storage.inventory import (
    KnownLot,
    NewLot,
    find_known_lots,
    find_lots_by_raw,
    find_project_ids,
    insert_new_lots,
    insert_retirements_elsewhere,
)
from tonne.storage.lot_changes import withdraw_numbers

Item = TypeVar("Item")

LOTS_AT_ONCE = 5000
PROJECTS_AT_ONCE = 100
# Stands for the id of a project that would be created.
NOT_YET = UUID(int=0)


@dataclass(slots=True)
class Imported:
    """What became of a file's rows; `problems` are those that were not taken."""

    added: int = 0
    unchanged: int = 0
    problems: list[RowProblem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Purchase:
    """What all lots of a file have in common, where the file itself does not say."""

    cost_per_tonne: Decimal | None = None
    cost_currency: str | None = None
    seller: str | None = None
    acquired_on: date | None = None


async def import_projects(
    pool: Pool,
    read: FileRead[ProjectEntry],
    *,
    dry_run: bool = False,
    progressed: Callable[[int], None] = lambda _: None,
    at: datetime,
    actor: Actor,
) -> Imported:
    """Create the projects that are not there; those that are stay as they are.

    Several rows of one project (by registry and its id) are one project: the first is taken.

    Raises:
        CatalogueConflict: a project has the slug, but another id.
    """
    done = Imported(problems=list(read.problems))
    seen: set[tuple[str, str]] = set()
    for chunk in _chunks(read.good, PROJECTS_AT_ONCE):
        async with pool.acquire(timeout=30) as connection:
            known = await find_project_ids(connection, [_registry_key(row.read) for row in chunk])
        new = []
        for row in chunk:
            key = _registry_key(row.read)
            if key in known or key in seen:
                done.unchanged += 1
            else:
                seen.add(key)
                new.append(row.read)
        if new:
            wishes = Wishes(projects=[Wanted(entry) for entry in new])
            await change_catalogue(pool, wishes, now=lambda: at, actor=actor, dry_run=dry_run)
            done.added += len(new)
        progressed(len(chunk))
    return done


async def import_lots(
    pool: Pool,
    read: FileRead[LotRow],
    purchase: Purchase,
    *,
    sha256: bytes,
    create_projects: bool = False,
    dry_run: bool = False,
    progressed: Callable[[int], None] = lambda _: None,
    at: datetime,
    actor: Actor,
) -> Imported:
    """Store the lots that are not there, in stock at once; some thousand rows are one transaction.

    A lot that is there with the same serial numbers is unchanged. One that shares some of them with another is refused,
    whoever stores that other, and when.
    """
    done = Imported(problems=list(read.problems))
    if create_projects:
        await _create_projects(pool, read, dry_run=dry_run, at=at, actor=actor)
    seen = _Blocks()
    for chunk in _chunks(read.good, LOTS_AT_ONCE):
        fresh = [row for row in chunk if _is_first(row, seen, done)]
        rows = [replace(row, read=_bought(row.read, purchase)) for row in fresh]
        await _import_chunk(
            pool, rows, done, sha256, create_projects=create_projects, dry_run=dry_run, at=at, actor=actor
        )
        progressed(len(chunk))
    done.problems.sort(key=lambda problem: problem.line)
    return done


async def import_retirements(
    pool: Pool,
    read: FileRead[RetirementRow],
    *,
    dry_run: bool = False,
    progressed: Callable[[int], None] = lambda _: None,
    at: datetime,
    actor: Actor,
) -> Imported:
    """Note what others surrendered of lots that are known by the name their source gives them."""
    done = Imported(problems=list(read.problems))
    seen: Counter[RetirementRow] = Counter()
    for chunk in _chunks(read.good, LOTS_AT_ONCE):
        async with pool.acquire(timeout=30) as connection, connection.transaction():
            lots = await find_lots_by_raw(connection, [row.read.raw for row in chunk])
            rows = []
            for row in chunk:
                seen[row.read] += 1
                lot = lots.get(row.read.raw)
                if lot is None:
                    problem = _not_matched(row, "issuance_unknown", f"there is no issuance {row.read.raw}")
                    done.problems.append(problem)
                elif lot[2] != row.read.vintage_year:
                    message = f"the issuance's vintage is {lot[2]}, the row says {row.read.vintage_year}"
                    done.problems.append(_not_matched(row, "vintage_differs", message))
                else:
                    rows.append(_elsewhere(lot[0], lot[1], row.read, seen[row.read]))
            added = 0 if dry_run or not rows else await insert_retirements_elsewhere(connection, rows)
            if added:
                change = Change("inventory", "retirements elsewhere", "import", None, {"rows": added})
                await record_changes(connection, actor, [change], at=at)
            done.added += len(rows) if dry_run else added
            done.unchanged += 0 if dry_run else len(rows) - added
        progressed(len(chunk))
    done.problems.sort(key=lambda problem: problem.line)
    return done


def _elsewhere(
    project_id: UUID, lot_id: UUID, row: RetirementRow, occurrence: int
) -> tuple[UUID, UUID, str, str, int, int | None, str | None, date | None]:
    # A report may have two rows that are alike: which of them it is makes the key.
    facts = (row.period, row.beneficiary, row.tonnes, row.retired_on, row.vintage_year, occurrence)
    key = hashlib.sha256(repr(facts).encode()).hexdigest()
    return (
        project_id,
        lot_id,
        key,
        row.beneficiary,
        row.tonnes,
        row.vintage_year,
        row.period,
        row.retired_on,
    )


def _not_matched(row: Good[RetirementRow], code: str, message: str) -> RowProblem:
    return RowProblem(row.line, code, message, row.row)


async def _import_chunk(
    pool: Pool,
    rows: Sequence[Good[LotRow]],
    done: Imported,
    sha256: bytes,
    *,
    create_projects: bool,
    dry_run: bool,
    at: datetime,
    actor: Actor,
) -> None:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        projects = await find_project_ids(
            connection, [(r.read.registry_name, r.read.registry_project_id) for r in rows]
        )
        if create_projects and dry_run:
            # They would have been created.
            projects |= {
                _registry_key(r.read.project): NOT_YET for r in rows if r.read.project is not None
            } | projects
        blocks = [(r.read.block.space, r.read.block.first, r.read.block.last) for r in rows]
        known = await find_known_lots(connection, blocks)
        new = _sort_out(rows, projects, known, done)
        if dry_run:
            done.added += len(new)
            return
        lots = [_new_lot(lot_id, row.read, projects) for lot_id, row in new.items()]
        if not lots:
            return
        await count_change(connection)
        stored = await insert_new_lots(connection, lots, at=at)
        done.problems += [
            _refused(row, "serial_overlap", "its serial numbers were stored by another import just now")
            for lot_id, row in new.items()
            if lot_id not in stored
        ]
        done.added += len(stored)
        if stored:
            await _after_import(
                connection, [lot for lot in lots if lot.lot_id in stored], new, sha256, at=at, actor=actor
            )


def _sort_out(
    rows: Sequence[Good[LotRow]],
    projects: Mapping[tuple[str, str], UUID],
    known: Mapping[int, Sequence[KnownLot]],
    done: Imported,
) -> dict[UUID, Good[LotRow]]:
    """Count rows that are there and those that can't be taken; returns the others, under ids of their own."""
    new: dict[UUID, Good[LotRow]] = {}
    for position, row in enumerate(rows):
        project_id = projects.get((row.read.registry_name, row.read.registry_project_id))
        problem = _problem(row, project_id, known.get(position, []))
        if problem is not None:
            done.problems.append(problem)
        elif position in known:
            done.unchanged += 1
        else:
            new[new_id()] = row
    return new


async def _after_import(
    connection: Connection,
    stored: Sequence[NewLot],
    new: Mapping[UUID, Good[LotRow]],
    sha256: bytes,
    *,
    at: datetime,
    actor: Actor,
) -> None:
    for lot in stored:
        kind = new[lot.lot_id].read.withdrawn
        if kind is not None:
            await withdraw_numbers(
                connection,
                lot.project_id,
                lot.lot_id,
                first=lot.serial_first,
                last=lot.serial_last,
                kind=kind,
                reason="As its source says.",
                at=at,
            )
    tonnes = sum(new[lot.lot_id].read.block.tonnes for lot in stored)
    facts = {"lots": len(stored), "file_sha256": sha256.hex(), "tonnes": tonnes}
    await record_changes(connection, actor, [Change("inventory", "lots", "import", None, facts)], at=at)


def _problem(row: Good[LotRow], project_id: UUID | None, known: Sequence[KnownLot]) -> RowProblem | None:
    read = row.read
    if project_id is None:
        name = f"{read.registry_name} {read.registry_project_id}"
        return _refused(row, "project_unknown", f"there is no project {name}: import its project first")
    for lot in known:
        is_same = (lot.serial_first, lot.serial_last) == (read.block.first, read.block.last)
        if not is_same:
            numbers = f"{lot.serial_first} to {lot.serial_last}"
            return _refused(
                row, "serial_overlap", f"lot {lot.lot_id} has some of its serial numbers ({numbers})"
            )
        if (lot.project_id, lot.vintage_year) != (project_id, read.vintage_year):
            return _refused(
                row,
                "lot_differs",
                f"lot {lot.lot_id} has its serial numbers, with another project or vintage",
            )
        if read.withdrawn is not None and lot.withdrawn_tonnes < read.block.tonnes:
            return _refused(
                row,
                "lot_changed",
                f"its source has it as {read.withdrawn.value} by now: record that with `tonne lots "
                f"{'reverse' if read.withdrawn is WithdrawalKind.REVERSED else 'invalidate'} {lot.lot_id}`",
            )
        if read.withdrawn is None and read.gone_tonnes > lot.cancelled_tonnes and lot.in_stock_tonnes > 0:
            return _refused(
                row,
                "lot_changed",
                f"its source counts {read.gone_tonnes} tonnes as used by now, lot {lot.lot_id} has "
                f"{lot.cancelled_tonnes}: record which with `tonne lots invalidate --serials`",
            )
    return None


class _Blocks:
    """The blocks of a file so far, to find those that share a number."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int, int], int] = {}
        self._spaces: dict[str, list[tuple[int, int]]] = {}

    def add(self, row: Good[LotRow]) -> tuple[int, bool] | None:
        """The line of an earlier row that shares a number, and whether it is the same block; None where there is none."""
        block = row.read.block
        same = self._lines.get((block.space, block.first, block.last))
        if same is not None:
            return same, True
        blocks = self._spaces.setdefault(block.space, [])
        position = bisect_left(blocks, (block.first, block.last))
        for first, last in blocks[max(position - 1, 0) : position + 1]:
            if first <= block.last and block.first <= last:
                return self._lines[block.space, first, last], False
        blocks.insert(position, (block.first, block.last))
        self._lines[block.space, block.first, block.last] = row.line
        return None


def _is_first(row: Good[LotRow], seen: _Blocks, done: Imported) -> bool:
    earlier = seen.add(row)
    if earlier is None:
        return True
    line, is_same = earlier
    if is_same:
        done.problems.append(_refused(row, "serial_repeated", f"line {line} has the same serial numbers"))
    else:
        done.problems.append(_refused(row, "serial_overlap", f"line {line} has some of its serial numbers"))
    return False


async def _create_projects(
    pool: Pool, read: FileRead[LotRow], *, dry_run: bool, at: datetime, actor: Actor
) -> None:
    entries: FileRead[ProjectEntry] = FileRead(
        [Good(row.line, row.row, row.read.project) for row in read.good if row.read.project is not None]
    )
    await import_projects(pool, entries, dry_run=dry_run, at=at, actor=actor)


def _bought(row: LotRow, purchase: Purchase) -> LotRow:
    has_cost = row.cost_per_tonne is not None
    return replace(
        row,
        cost_per_tonne=row.cost_per_tonne if has_cost else purchase.cost_per_tonne,
        cost_currency=row.cost_currency if has_cost else purchase.cost_currency,
        seller=row.seller or purchase.seller,
        acquired_on=row.acquired_on or purchase.acquired_on,
    )


def _new_lot(lot_id: UUID, row: LotRow, projects: dict[tuple[str, str], UUID]) -> NewLot:
    return NewLot(
        project_id=projects[row.registry_name, row.registry_project_id],
        lot_id=lot_id,
        vintage_year=row.vintage_year,
        serial_space=row.block.space,
        serial_prefix=row.block.prefix,
        serial_first=row.block.first,
        serial_last=row.block.last,
        serial_raw=row.raw,
        gone_tonnes=0 if row.withdrawn else row.gone_tonnes,
        cost_per_tonne=row.cost_per_tonne,
        cost_currency=row.cost_currency,
        seller=row.seller,
        acquired_on=row.acquired_on,
    )


def _refused(row: Good[LotRow], code: str, message: str) -> RowProblem:
    return RowProblem(row.line, code, message, row.row)


def _registry_key(entry: ProjectEntry) -> tuple[str, str]:
    return (str(entry.registry_name), str(entry.registry_project_id))


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def file_hash(text: str) -> bytes:
    """The SHA-256 of a file's text."""
    return hashlib.sha256(text.encode()).digest()

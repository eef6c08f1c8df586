"""Editions of emission factors, loaded whole and never changed; withdrawn, and restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tonne.application.callers import refuse_disabled_key
from tonne.application.factor_book import factor_book
from tonne.application.factor_files import FactorFile
from tonne.domain.audit import Actor, Change
from tonne.domain.errors import NotFound, ValidationFailed, Violation
from tonne.domain.factors import Edition, Factor, FactorBook
from tonne.estimates.builtin_factors import builtin_editions
from tonne.storage.audit import record_changes
from tonne.storage.database import Connection, Pool
from tonne.storage.factors import (
    ImportedFactors,
    StoredEdition,
    content_of,
    insert_edition,
    load_imported_factors,
    lock_editions,
    set_withdrawn,
)

OBJECT_TYPE = "emission factor edition"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many figures of an edition are new, other than and the same as in an earlier one, and how many it lacks."""

    edition_id: str | None
    new: int
    changed: int
    unchanged: int
    gone: int


@dataclass(frozen=True, slots=True)
class ImportedEdition:
    """What became of a file: the edition that says what it says, and whether that one is new.

    `withdrawn` is true where it was there before and is withdrawn.
    """

    edition: Edition
    is_new: bool
    withdrawn: bool
    factor_count: int
    left_out: Mapping[str, int]
    compared: Comparison


async def import_factors(
    pool: Pool, file: FactorFile, *, dry_run: bool = False, at: datetime, actor: Actor
) -> ImportedEdition:
    """Load a file as a new edition, all of it or nothing; what an edition says already changes nothing.

    Its figures are compared with those of the newest edition of its source that is not withdrawn.

    Raises:
        ValidationFailed: a row is damaged; each violation's pointer is `line N`.
        Unauthorised: the actor's key was disabled since.
    """
    if file.damages:
        violations = [Violation(f"line {damage.line}", damage.message) for damage in file.damages]
        raise ValidationFailed(f"{len(violations)} rows are damaged.", violations=violations)
    content = content_of(file.edition, file.factors)
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        editions = await lock_editions(connection)
        book = factor_book(await load_imported_factors(connection, ImportedFactors()))
        compared = compare(file.factors, book, file.edition.source)
        known = next((stored for stored in editions if stored.content_sha256 == content), None)
        if known is not None:
            withdrawn = known.withdrawn_at is not None
            return ImportedEdition(
                known.edition, False, withdrawn, len(file.factors), file.left_out, compared
            )
        edition = replace(file.edition, revision=_next_revision(file.edition, editions), loaded_at=at)
        if not dry_run:
            await insert_edition(connection, edition, file.factors, at=at)
            told = _facts(edition, len(file.factors), content)
            change = Change(OBJECT_TYPE, edition.edition_id, "import", after=told)
            await record_changes(connection, actor, [change], at=at)
        return ImportedEdition(edition, True, False, len(file.factors), file.left_out, compared)


async def withdraw_edition(pool: Pool, edition_id: str, *, at: datetime, actor: Actor) -> bool:
    """Use an edition for no new estimate any more; false where it was withdrawn before.

    Raises:
        NotFound: there is no such edition.
        ValidationFailed: it comes with Tonne.
        Unauthorised: the actor's key was disabled since.
    """
    return await _set(pool, edition_id, at=at, withdrawn=True, actor=actor)


async def restore_edition(pool: Pool, edition_id: str, *, at: datetime, actor: Actor) -> bool:
    """Use an edition again that was withdrawn; false where it was not.

    Raises:
        NotFound: there is no such edition.
        ValidationFailed: it comes with Tonne.
        Unauthorised: the actor's key was disabled since.
    """
    return await _set(pool, edition_id, at=at, withdrawn=False, actor=actor)


def compare(factors: Sequence[Factor], book: FactorBook, source: str) -> Comparison:
    """Compare an edition with the newest one of its source; what is withdrawn does not count."""
    newest = max((factor.edition for factor in book.of_source(source)), key=lambda e: e.rank, default=None)
    if newest is None:
        return Comparison(None, len(factors), 0, 0, 0)
    before = {f.activity: _figure(f) for f in book.by_id.values() if f.edition == newest}
    after = {factor.activity: _figure(factor) for factor in factors}
    both = before.keys() & after.keys()
    unchanged = sum(before[activity] == after[activity] for activity in both)
    return Comparison(
        newest.edition_id, len(after) - len(both), len(both) - unchanged, unchanged, len(before) - len(both)
    )


def _figure(factor: Factor) -> tuple[Any, ...]:
    return (factor.kg_co2e, factor.unit, factor.region, factor.price_year)


def _next_revision(edition: Edition, editions: Sequence[StoredEdition]) -> int:
    of = (edition.source, edition.publication_year)
    ours = builtin_editions().get(of)
    taken = [
        stored.edition.revision
        for stored in editions
        if (stored.edition.source, stored.edition.publication_year) == of
    ]
    return max([*taken, *([] if ours is None else [ours.revision])], default=0) + 1


async def _set(pool: Pool, edition_id: str, *, at: datetime, withdrawn: bool, actor: Actor) -> bool:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        stored = await _find(connection, edition_id)
        if (stored.withdrawn_at is not None) == withdrawn:
            return False
        await set_withdrawn(connection, edition_id, at if withdrawn else None)
        change = Change(
            OBJECT_TYPE,
            edition_id,
            "withdraw" if withdrawn else "restore",
            {"withdrawn": not withdrawn},
            {"withdrawn": withdrawn},
        )
        await record_changes(connection, actor, [change], at=at)
        return True


async def _find(connection: Connection, edition_id: str) -> StoredEdition:
    for stored in await lock_editions(connection):
        if stored.edition.edition_id == edition_id:
            return stored
    if any(edition.edition_id == edition_id for edition in builtin_editions().values()):
        raise ValidationFailed(
            f"{edition_id} comes with Tonne and can't be withdrawn: import a newer edition, which is used instead."
        )
    raise NotFound(f"There is no edition {edition_id}; `tonne factors list` shows them.")


def _facts(edition: Edition, factor_count: int, content: bytes) -> dict[str, Any]:
    return {
        "source": edition.source,
        "publication_year": edition.publication_year,
        "revision": edition.revision,
        "title": edition.title,
        "attribution": edition.attribution,
        "licence": edition.licence,
        "url": edition.url,
        "factor_count": factor_count,
        "content_sha256": content.hex(),
    }

"""Change the catalogue: projects, bundles, portfolios and the default selection, in one transaction and with an audit trail.

Files and the operator's API say the same things in the same words (`catalogue_entries`) and come through here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from tonne.application.callers import refuse_disabled_key
from tonne.application.catalogue_entries import CatalogueFile, given
from tonne.application.catalogue_plan import (
    Planned,
    Wanted,
    Wishes,
    plan_bundle,
    plan_default,
    plan_portfolio,
    plan_project,
)
from tonne.domain.audit import Actor, Change
from tonne.domain.catalogue import Catalogue
from tonne.domain.catalogue_changes import Difference, difference_of
from tonne.domain.errors import CatalogueConflict, ValidationFailed, Violation
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import (
    count_change,
    load_catalogue,
    set_default_selection,
    store_bundles,
    store_portfolios,
    store_projects,
)
from tonne.storage.commitments import track_commitments
from tonne.storage.database import Connection, Pool

_WHAT_IS_TAKEN = {
    "projects_slug_key": "Another project has this slug.",
    "projects_registry_name_registry_project_id_key": "Another project has this id at this registry.",
    "bundles_name_key": "Another bundle has this name.",
    "bundles_identifier_key": "Another bundle has this identifier.",
    "bundle_portfolios_identifier_key": "Another portfolio has this identifier.",
}


async def change_catalogue(
    pool: Pool,
    wishes: Wishes | Callable[[Catalogue, datetime], Wishes],
    *,
    now: Callable[[], datetime],
    actor: Actor,
    dry_run: bool = False,
) -> Planned:
    """Change the catalogue as wished, all of it or nothing; the next order anywhere is decided with it.

    Wishes that depend on the catalogue as it is, such as one more price, are made from it and the time while nobody else
    changes it. `now` is asked then, not before: what was waited for is over, and a price that begins now begins after it.

    Raises:
        ValidationFailed: something can't be; every violation is named.
        CatalogueConflict: a name, slug, identifier or registry's id is another's.
        Unauthorised: the actor's key was disabled since.
    """
    async with pool.acquire(timeout=30) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            planned = await _change(connection, wishes, now=now, actor=actor)
        except asyncpg.UniqueViolationError as error:
            await transaction.rollback()
            raise CatalogueConflict(_WHAT_IS_TAKEN.get(error.constraint_name or "")) from None
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.rollback() if dry_run else transaction.commit())
        return planned


async def change_from_file(
    pool: Pool, file: CatalogueFile, *, now: Callable[[], datetime], actor: Actor, dry_run: bool = False
) -> Planned:
    """Change the catalogue to what a file says of it; objects are known by slug and identifier.

    Raises:
        TonneError: as `change_catalogue`.
    """
    async with pool.acquire(timeout=30) as connection:
        catalogue = await load_catalogue(connection, on=now().date())
    projects = {project.slug: key for key, project in catalogue.projects.items()}
    bundles = {bundle.identifier: key for key, bundle in catalogue.bundles.items()}
    portfolios = {portfolio.identifier: key for key, portfolio in catalogue.portfolios.items()}
    missing = [
        *(
            _unnamed("projects", n, "slug")
            for n, entry in enumerate(file.projects)
            if "slug" not in given(entry)
        ),
        *(
            _unnamed("bundles", n, "identifier")
            for n, e in enumerate(file.bundles)
            if "identifier" not in given(e)
        ),
        *(
            _unnamed("portfolios", n, "identifier")
            for n, e in enumerate(file.portfolios)
            if "identifier" not in given(e)
        ),
        *_repeated("projects", "slug", file.projects),
        *_repeated("bundles", "identifier", file.bundles),
        *_repeated("portfolios", "identifier", file.portfolios),
    ]
    if missing:
        raise _refused(missing)
    wishes = Wishes(
        [Wanted(e, projects.get(str(e.slug)), f"/projects/{n}") for n, e in enumerate(file.projects)],
        [Wanted(e, bundles.get(str(e.identifier)), f"/bundles/{n}") for n, e in enumerate(file.bundles)],
        [
            Wanted(e, portfolios.get(str(e.identifier)), f"/portfolios/{n}")
            for n, e in enumerate(file.portfolios)
        ],
        file.default_selection if isinstance(file.default_selection, list) else None,
    )
    return await change_catalogue(pool, wishes, now=now, actor=actor, dry_run=dry_run)


async def _change(
    connection: Connection,
    wishes: Wishes | Callable[[Catalogue, datetime], Wishes],
    *,
    now: Callable[[], datetime],
    actor: Actor,
) -> Planned:
    await refuse_disabled_key(connection, actor)
    # One change at a time, from here on.
    await count_change(connection)
    at = now()
    catalogue = await load_catalogue(connection, on=at.date())
    if callable(wishes):
        wishes = wishes(catalogue, at)
    planned = Planned(catalogue, at)
    for project in wishes.projects:
        plan_project(planned, project)
    for bundle in wishes.bundles:
        plan_bundle(planned, bundle)
    for portfolio in wishes.portfolios:
        plan_portfolio(planned, portfolio)
    plan_default(planned, wishes.default_selection)
    if planned.violations:
        raise _refused(planned.violations)
    await store_projects(connection, list(planned.projects.values()), at=at)
    await store_bundles(connection, list(planned.bundles.values()), at=at)
    await store_portfolios(connection, list(planned.portfolios.values()), at=at)
    if planned.default_selection is not None:
        await set_default_selection(connection, planned.default_selection)
    await track_commitments(connection)
    changes = [
        Change(d.object_type, d.object_id, "create" if d.before is None else "change", *_told(d))
        for d in planned.differences
    ]
    await record_changes(connection, actor, changes, at=at)
    return planned


def _told(difference: Difference) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    before, after = difference_of(difference.before, difference.after)
    return None if difference.before is None else before, after


def _unnamed(kind: str, position: int, name: str) -> Violation:
    return Violation(f"/{kind}/{position}/{name}", "is required: by it the object is known")


def _repeated(kind: str, name: str, entries: Sequence[Any]) -> list[Violation]:
    keys = [getattr(entry, name) for entry in entries]
    return [
        Violation(f"/{kind}/{position}/{name}", f"{key!r} is named twice")
        for position, key in enumerate(keys)
        if isinstance(key, str) and key in keys[:position]
    ]


def _refused(violations: Sequence[Violation]) -> ValidationFailed:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return ValidationFailed(f"{first.pointer}: {first.message}{more}", violations=violations)

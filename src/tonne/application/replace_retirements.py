"""Retire other credits in place of withdrawn ones, for the same orders and beneficiaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.contention import carried_out
from tonne.application.identifiers import new_id
from tonne.domain.accounts import Mode
from tonne.domain.audit import Actor, Change
from tonne.domain.catalogue import Catalogue
from tonne.domain.commitments import Commitments, Demand, Supply
from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.retirement import RetirementPolicy, Take, plan_takes
from tonne.storage.accounts import list_organisation_ids
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import hold_catalogue, load_catalogue
from tonne.storage.changes import announce_change
from tonne.storage.commitments import load_commitments, lock_commitments
from tonne.storage.database import Connection, Pool
from tonne.storage.lots import load_policies, load_stock, take_from_lots
from tonne.storage.pools import claim_organisation
from tonne.storage.replacements import (
    Shortfall,
    find_shortfalls,
    insert_replacements,
    supersede_certificates,
)
from tonne.storage.retirements import NewRetirement, registry_for

RETIREMENTS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Replaced:
    """A retirement that was short of credits: tonnes that were missing, and those that others stand in for now."""

    retirement_id: UUID
    beneficiary: str
    missing_tonnes: int
    planned_tonnes: int


async def replace_withdrawn(
    pool: Pool,
    *,
    lot_id: UUID | None = None,
    progressed: Callable[[Sequence[Replaced]], None] = lambda _: None,
    at: datetime,
    actor: Actor,
) -> list[Replaced]:
    """Take credits in stock for withdrawn ones that are retired, of one lot or of all; each is pending like any other.

    Where stock does not cover it, or it is promised to others, some stay missing: call it again. A hundred retirements
    are decided together; those are complete whatever happens to later ones, and `progressed` is told of them first.

    Raises:
        Unauthorised: the actor's key was disabled since.
        ServiceUnavailable: others took from the same lots all the time.
    """
    async with pool.acquire(timeout=30) as connection:
        organisation_ids = await list_organisation_ids(connection)
    done: list[Replaced] = []
    for organisation_id in organisation_ids:
        last: UUID | None = None
        while True:
            work = partial(_replace_some, pool, organisation_id, lot_id, after=last, at=at, actor=actor)
            together = await carried_out(work)
            progressed(together)
            done += together
            if len(together) < RETIREMENTS_AT_ONCE:
                break
            last = together[-1].retirement_id
    return done


async def _replace_some(
    pool: Pool, organisation_id: UUID, lot_id: UUID | None, *, after: UUID | None, at: datetime, actor: Actor
) -> list[Replaced]:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        await claim_organisation(connection, organisation_id, wait=True)
        short = await find_shortfalls(
            connection, organisation_id, lot_id=lot_id, after=after, limit=RETIREMENTS_AT_ONCE
        )
        if not short:
            return []
        # Which bundles refuse shortages stays as it is read here: what is taken beside them is checked.
        await hold_catalogue(connection)
        catalogue = await load_catalogue(connection, on=at.date())
        # Whoever promises credits waits: what is free stays free until it is taken.
        await lock_commitments(connection, catalogue.tracked_bundles())
        commitments = await load_commitments(connection, catalogue, wanted=_tracked(short, catalogue))
        policies = await load_policies(connection, [each.bundle_id for each in short])
        done: list[Replaced] = []
        planned: list[NewRetirement] = []
        for each in short:
            takes = await _take(connection, each, policies[each.bundle_id], commitments)
            if each.mode is Mode.LIVE:
                commitments = commitments.without(_grams(takes))
            planned += [_stand_in(organisation_id, each, take, at) for take in takes]
            tonnes = sum(take.tonnes for take in takes)
            done.append(Replaced(each.retirement_id, each.beneficiary, each.missing_tonnes, tonnes))
        if planned:
            await insert_replacements(connection, planned)
            replaced = [each.retirement_id for each in done if each.planned_tonnes]
            await supersede_certificates(connection, organisation_id, replaced, at=at)
            await announce_change(connection)
            changes = [
                Change("retirement", each.retirement_id, "replace", after={"tonnes": each.planned_tonnes})
                for each in done
                if each.planned_tonnes
            ]
            await record_changes(connection, actor, changes, at=at, organisation_id=organisation_id)
        return done


def _tracked(short: Sequence[Shortfall], catalogue: Catalogue) -> set[Demand]:
    """What live retirements are short of that others may have been promised."""
    tracked = catalogue.tracked_bundles()
    return {each.demand for each in short if each.mode is Mode.LIVE and each.bundle_id in tracked}


def _grams(takes: Sequence[Take]) -> Mapping[Supply, int]:
    taken: dict[Supply, int] = defaultdict(int)
    for take in takes:
        taken[take.lot.project_id, take.lot.vintage_year] += take.tonnes * GRAMS_PER_TONNE
    return taken


async def _take(
    connection: Connection, short: Shortfall, policy: RetirementPolicy, commitments: Commitments
) -> Sequence[Take]:
    """Take what there is, one retirement after the other, so that the next one's stock is read after these takes."""
    tonnes = short.missing_tonnes
    if short.mode is Mode.LIVE and short.demand in commitments.reach:
        tonnes = commitments.free_tonnes(short.demand, tonnes)
    if not tonnes:
        return []
    stock = await load_stock(
        connection, short.bundle_id, mode=short.mode, policy=policy, restrictions=short.restrictions
    )
    takes = plan_takes(stock, tonnes=tonnes, policy=policy)
    await take_from_lots(connection, takes)
    return takes


def _stand_in(organisation_id: UUID, short: Shortfall, take: Take, at: datetime) -> NewRetirement:
    return NewRetirement(
        organisation_id=organisation_id,
        retirement_id=new_id(),
        account_id=short.account_id,
        pool_id=short.pool_id,
        gram_first=short.gram_first,
        tonnes=take.tonnes,
        bundle_id=short.bundle_id,
        beneficiary=short.beneficiary,
        terms=short.terms,
        mode=short.mode.value,
        project_id=take.lot.project_id,
        lot_id=take.lot.lot_id,
        vintage_year=take.lot.vintage_year,
        serial_prefix=take.lot.serial_prefix,
        serial_first=take.serial_first,
        serial_last=take.serial_last,
        registry=registry_for(short.mode),
        replaces_rejected=False,
        created_at=at,
        replaces_id=short.retirement_id,
    )

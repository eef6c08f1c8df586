"""Retire other credits in place of withdrawn ones, for the same orders and beneficiaries."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from tonne.application.identifiers import new_id
from tonne.domain.accounts import Mode
from tonne.domain.audit import Actor, Change
from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.retirement import RetirementPolicy, Take, plan_takes
from tonne.storage.accounts import list_organisation_ids
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import load_catalogue
from tonne.storage.changes import announce_change
from tonne.storage.commitments import load_commitments, lock_commitments
from tonne.storage.database import Connection, Pool
from tonne.storage.lots import LotChanged, load_policies, load_stock, take_from_lots
from tonne.storage.pools import claim_organisation
from tonne.storage.replacements import (
    Shortfall,
    find_shortfalls,
    insert_replacements,
    supersede_certificates,
)
from tonne.storage.retirements import NewRetirement, registry_for

TRIES_MAX = 10


@dataclass(frozen=True, slots=True)
class Replaced:
    """A retirement that was short of credits: tonnes that were missing, and those that others stand in for now."""

    retirement_id: UUID
    beneficiary: str
    missing_tonnes: int
    planned_tonnes: int


async def replace_withdrawn(
    pool: Pool, *, lot_id: UUID | None = None, at: datetime, actor: Actor
) -> list[Replaced]:
    """Take credits in stock for withdrawn ones that are retired, of one lot or of all; each is pending like any other.

    Where stock does not cover it, or it is promised to others, some stay missing: call it again.
    """
    async with pool.acquire(timeout=30) as connection:
        organisation_ids = await list_organisation_ids(connection)
    done: list[Replaced] = []
    for organisation_id in organisation_ids:
        done += await _replace_for(pool, organisation_id, lot_id, at=at, actor=actor)
    return done


async def _replace_for(
    pool: Pool, organisation_id: UUID, lot_id: UUID | None, *, at: datetime, actor: Actor
) -> list[Replaced]:
    for attempt in range(1, TRIES_MAX):
        try:
            return await _try(pool, organisation_id, lot_id, at=at, actor=actor)
        except (LotChanged, asyncpg.DeadlockDetectedError):
            # Somebody else takes from the same lots.
            await asyncio.sleep(0.01 * attempt)
    return await _try(pool, organisation_id, lot_id, at=at, actor=actor)


async def _try(
    pool: Pool, organisation_id: UUID, lot_id: UUID | None, *, at: datetime, actor: Actor
) -> list[Replaced]:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await claim_organisation(connection, organisation_id, wait=True)
        short = await find_shortfalls(connection, organisation_id, lot_id=lot_id)
        if not short:
            return []
        await lock_commitments(connection, {each.bundle_id for each in short if each.mode is Mode.LIVE})
        policies = await load_policies(connection, [each.bundle_id for each in short])
        done: list[Replaced] = []
        planned: list[NewRetirement] = []
        for each in short:
            takes = await _take(connection, each, policies[each.bundle_id], at=at)
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


async def _take(
    connection: Connection, short: Shortfall, policy: RetirementPolicy, *, at: datetime
) -> Sequence[Take]:
    stock = await load_stock(
        connection, short.bundle_id, mode=short.mode, policy=policy, restrictions=short.restrictions
    )
    takes = plan_takes(stock, tonnes=short.missing_tonnes, policy=policy)
    if not takes or (short.mode is Mode.LIVE and await _is_promised(connection, short, takes, at=at)):
        return []
    # One after the other, so that the next one's stock is read after these takes.
    await take_from_lots(connection, takes)
    return takes


async def _is_promised(
    connection: Connection, short: Shortfall, takes: Sequence[Take], *, at: datetime
) -> bool:
    catalogue = await load_catalogue(connection, on=at.date())
    if short.bundle_id not in catalogue.tracked_bundles():
        return False
    demand = (short.bundle_id, short.restrictions)
    commitments = await load_commitments(connection, catalogue, wanted=[demand])
    grams = sum(take.tonnes for take in takes) * GRAMS_PER_TONNE
    return commitments.shortage({demand: grams}) is not None


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

"""From paid to retired, step by step: pool paid orders, cover pools with credits, file what can be filed by itself.

Each step is a transaction of its own, complete or not there at all; whoever comes next goes on where the last one
stopped. A step that another is doing for the same organisation is left to that other,
unless one is to `wait`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from tonne.application.contention import carried_out
from tonne.application.identifiers import new_id
from tonne.application.record_answers import record_answers
from tonne.application.registries import Registry
from tonne.domain.accounts import Mode
from tonne.domain.errors import ServiceUnavailable
from tonne.domain.events import EventType
from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.retirement import Cover, Gap, LotStock, RetirementPolicy, cover_gaps, plan_takes, without
from tonne.storage.changes import announce_change
from tonne.storage.commitments import commit_pools, lock_commitments
from tonne.storage.database import Connection, Pool
from tonne.storage.lots import (
    count_projects,
    ensure_test_lots,
    load_policies,
    load_stock,
    take_from_lots,
)
from tonne.storage.pools import (
    DueBundle,
    DuePool,
    claim_organisation,
    due_bundles,
    due_pools,
    enter_paid_orders,
    mark_covered,
)
from tonne.storage.retirements import (
    NewRetirement,
    insert_retirements,
    registry_for,
    start_retiring,
    submit_simulated,
    tell_allocations,
    unanswered_simulated,
)

ORDERS_AT_ONCE = 10_000
POOLS_AT_ONCE = 100
RETIREMENTS_AT_ONCE = 2_000
# A registry that has not answered by then is asked what became of the request.
ANSWER_WITHIN = timedelta(seconds=10)


async def pool_paid_orders(
    pool: Pool,
    organisation_id: UUID,
    *,
    only: Sequence[UUID] | None = None,
    wait: bool = False,
    at: datetime,
) -> int:
    """Put an organisation's paid orders into their pools; returns how many, at most 10,000 at a time."""
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        if not await claim_organisation(connection, organisation_id, wait=wait or only is not None):
            return 0
        return await enter_paid_orders(connection, organisation_id, only=only, limit=ORDERS_AT_ONCE, at=at)


async def cover_pools(
    pool: Pool,
    organisation_id: UUID,
    *,
    only: Sequence[UUID] | None = None,
    wait: bool = False,
    at: datetime,
) -> int:
    """Take credits for every whole tonne that waits and is in stock; returns how many retirements that makes.

    Each of them is pending, with its serial numbers and its orders' parts. What is out of stock waits.
    """
    async with pool.acquire(timeout=30) as connection:
        due = await due_bundles(connection, organisation_id)
    made = 0
    for bundle in due:
        if made >= RETIREMENTS_AT_ONCE:
            break
        made += await _cover_bundle(pool, organisation_id, bundle, only=only, wait=wait, at=at)
    return made


async def file_retirements(
    pool: Pool,
    organisation_id: UUID,
    registry: Registry,
    *,
    only: Sequence[UUID] | None = None,
    wait: bool = False,
    at: datetime,
) -> int:
    """Submit pending retirements to the simulated registry and record its answers; returns how many were decided.

    What was submitted and never answered (the service ended in between) is looked up, not submitted again.
    """
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        if not await claim_organisation(connection, organisation_id, wait=wait or only is not None):
            return 0
        filed = await submit_simulated(
            connection, organisation_id, only=only, limit=RETIREMENTS_AT_ONCE, at=at
        )
        unanswered = await unanswered_simulated(
            connection, organisation_id, before=at - ANSWER_WITHIN, limit=RETIREMENTS_AT_ONCE
        )
    answers = {**await registry.submit(filed, at=at), **await registry.look_up(unanswered, at=at)}
    if not answers:
        return 0
    recorded = await record_answers(pool, organisation_id, answers, at=at)
    return len(recorded.confirmed) + len(recorded.rejected) + len(recorded.unknown)


async def _cover_bundle(
    pool: Pool,
    organisation_id: UUID,
    due: DueBundle,
    *,
    only: Sequence[UUID] | None,
    wait: bool,
    at: datetime,
) -> int:
    """Cover a bundle's pools in a transaction of its own: lots are locked once in it, in the order of their ids."""

    async def work() -> int:
        async with pool.acquire(timeout=30) as connection, connection.transaction():
            if not await claim_organisation(connection, organisation_id, wait=wait or only is not None):
                return 0
            return await _cover(connection, organisation_id, due, only=only, at=at)

    try:
        return await carried_out(work)
    except ServiceUnavailable:
        # Another organisation takes from the same lots all the time: the next round comes soon.
        return 0


async def _cover(
    connection: Connection,
    organisation_id: UUID,
    due: DueBundle,
    *,
    only: Sequence[UUID] | None,
    at: datetime,
) -> int:
    if due.mode is Mode.LIVE:
        # Before any lot or order: what is covered is not promised any more.
        await lock_commitments(connection, [due.bundle_id])
    policy = (await load_policies(connection, [due.bundle_id]))[due.bundle_id]
    stock = await _load_stock(connection, due, policy, at=at)
    if not stock:
        return 0
    pools = await due_pools(connection, organisation_id, due, only=only, limit=POOLS_AT_ONCE)
    covers = _plan(pools, stock, policy)
    if not covers:
        return 0
    await take_from_lots(connection, [cover.take for _, cover in covers])
    gaps = [
        (pool.pool_id, Gap(cover.gram_first, cover.take.tonnes, was_covered=cover.was_covered))
        for pool, cover in covers
    ]
    await mark_covered(connection, organisation_id, gaps)
    await commit_pools(
        connection, organisation_id, [(pool_id, -gap.tonnes * GRAMS_PER_TONNE) for pool_id, gap in gaps]
    )
    await _store(
        connection,
        organisation_id,
        [_new_retirement(organisation_id, pool, cover, at) for pool, cover in covers],
        at,
    )
    return len(covers)


async def _load_stock(
    connection: Connection, due: DueBundle, policy: RetirementPolicy, *, at: datetime
) -> list[LotStock]:
    load = partial(
        load_stock, connection, due.bundle_id, mode=due.mode, policy=policy, restrictions=due.restrictions
    )
    stock = await load()
    if not stock and due.mode is Mode.TEST:
        new_ids = [new_id() for _ in range(await count_projects(connection, due.bundle_id))]
        oldest = due.restrictions.min_vintage_year
        await ensure_test_lots(connection, due.bundle_id, new_ids=new_ids, vintage_year_min=oldest, at=at)
        stock = await load()
    return stock


def _plan(
    pools: Sequence[DuePool], stock: Sequence[LotStock], policy: RetirementPolicy
) -> list[tuple[DuePool, Cover]]:
    covers: list[tuple[DuePool, Cover]] = []
    for pool in pools:
        takes = plan_takes(stock, tonnes=pool.tonnes, policy=policy)
        if not takes:
            break
        stock = without(stock, takes)
        covers += [(pool, cover) for cover in cover_gaps(pool.gaps, takes)]
    return covers


def _new_retirement(organisation_id: UUID, pool: DuePool, cover: Cover, at: datetime) -> NewRetirement:
    take = cover.take
    return NewRetirement(
        organisation_id=organisation_id,
        retirement_id=new_id(),
        account_id=pool.account_id,
        pool_id=pool.pool_id,
        gram_first=cover.gram_first,
        tonnes=take.tonnes,
        bundle_id=pool.bundle_id,
        beneficiary=pool.beneficiary,
        terms=pool.terms,
        mode=pool.mode.value,
        project_id=take.lot.project_id,
        lot_id=take.lot.lot_id,
        vintage_year=take.lot.vintage_year,
        serial_prefix=take.lot.serial_prefix,
        serial_first=take.serial_first,
        serial_last=take.serial_last,
        registry=registry_for(pool.mode),
        replaces_rejected=cover.was_covered,
        created_at=at,
    )


async def _store(
    connection: Connection, organisation_id: UUID, retirements: Sequence[NewRetirement], at: datetime
) -> None:
    await insert_retirements(connection, retirements)
    retirement_ids = [retirement.retirement_id for retirement in retirements]
    await tell_allocations(
        connection,
        organisation_id,
        retirement_ids,
        event_type=EventType.ALLOCATION_NEW,
        chunk_base=new_id(),
        at=at,
    )
    await start_retiring(connection, organisation_id, retirement_ids, chunk_base=new_id(), at=at)
    if any(retirement.mode == Mode.LIVE.value for retirement in retirements):
        # What is in stock has changed; nobody is shown how many test credits there are.
        await announce_change(connection)

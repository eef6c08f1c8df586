"""Fill what is left of pools to a whole tonne with the operator's own, so that the orders waiting in it complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tonne.application.afford_orders import out_of_stock
from tonne.domain.accounts import Account, Mode
from tonne.domain.audit import SERVICE, Actor, Change
from tonne.domain.commitments import Demand
from tonne.domain.retirement import grams_to_fill
from tonne.storage.audit import record_changes
from tonne.storage.catalogue import hold_catalogue, load_catalogue
from tonne.storage.commitments import commit_pools, load_commitments, lock_commitments
from tonne.storage.database import Connection, Pool
from tonne.storage.pools import PoolRest, claim_organisation, fill_rests, find_rests


async def plan_filling(pool: Pool, account: Account) -> list[PoolRest]:
    """What filling an account's pools would take, and for which orders."""
    async with pool.acquire(timeout=30) as connection:
        return await find_rests(connection, account.organisation_id, account_id=account.account_id)


async def fill_pools(
    pool: Pool,
    account: Account,
    *,
    shown: Sequence[PoolRest] | None = None,
    at: datetime,
    actor: Actor = SERVICE,
) -> list[PoolRest]:
    """Fill an account's pools; returns what was filled.

    With `shown`, only pools that still are as they were shown: what has changed since is left for another look.

    Raises:
        StockInsufficient: the operator's own would take credits that are promised to others.
    """
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await claim_organisation(connection, account.organisation_id, wait=True)
        rests = await find_rests(connection, account.organisation_id, account_id=account.account_id)
        if shown is not None:
            as_shown = {(rest.pool_id, rest.entered_grams) for rest in shown}
            rests = [rest for rest in rests if (rest.pool_id, rest.entered_grams) in as_shown]
        if account.mode is Mode.LIVE:
            await _promise(connection, account.organisation_id, rests, at=at)
        await fill_rests(connection, account.organisation_id, rests, at=at)
        changes = [
            Change("pool", rest.pool_id, "fill", after={"filled_grams": grams_to_fill(rest.waiting_grams)})
            for rest in rests
        ]
        await record_changes(connection, actor, changes, at=at, organisation_id=account.organisation_id)
        return rests


async def fill_order(pool: Pool, organisation_id: UUID, order_id: UUID, *, at: datetime) -> None:
    """Fill the pools that hold an order's last grams."""
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        await claim_organisation(connection, organisation_id, wait=True)
        rests = await find_rests(connection, organisation_id, order_id=order_id)
        own = [rest for rest in rests if order_id in rest.order_ids]
        await fill_rests(connection, organisation_id, own, at=at)


async def _promise(
    connection: Connection, organisation_id: UUID, rests: Sequence[PoolRest], *, at: datetime
) -> None:
    await hold_catalogue(connection)
    catalogue = await load_catalogue(connection, on=at.date())
    # As whoever orders does: bundles that share projects wait for each other.
    tracked = await lock_commitments(connection, catalogue.tracked_bundles())
    if tracked.isdisjoint(rest.bundle_id for rest in rests):
        return
    more: dict[Demand, int] = defaultdict(int)
    for rest in rests:
        if rest.bundle_id in tracked:
            more[rest.bundle_id, rest.restrictions] += grams_to_fill(rest.waiting_grams)
    commitments = await load_commitments(connection, catalogue, wanted=list(more))
    short = commitments.shortage(more)
    if short is not None:
        raise out_of_stock(catalogue, short)
    await commit_pools(
        connection, organisation_id, [(rest.pool_id, grams_to_fill(rest.waiting_grams)) for rest in rests]
    )

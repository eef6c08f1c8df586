"""Record what registries say of retirements, and what follows for orders, lots, pools and money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from tonne.application.contention import carried_out
from tonne.application.identifiers import new_id
from tonne.domain.events import EventType
from tonne.domain.mass import GRAMS_PER_TONNE
from tonne.domain.retirement import Confirmed, RegistryAnswer, Rejected, Unknown
from tonne.storage.commitments import commit_pools, lock_commitments_of_retirements
from tonne.storage.database import Connection, Pool
from tonne.storage.lots import Returned, retire_allocated, return_to_lots
from tonne.storage.pools import claim_organisation, reopen_gaps
from tonne.storage.replacements import supersede_certificates
from tonne.storage.retirements import (
    complete_orders,
    confirm,
    mark_unknown,
    reject,
    tell_allocations,
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Which answers changed something: the others were about retirements that were decided before."""

    confirmed: tuple[UUID, ...]
    rejected: tuple[UUID, ...]
    unknown: tuple[UUID, ...]
    orders_completed: int


async def record_answers(
    pool: Pool, organisation_id: UUID, answers: Mapping[UUID, RegistryAnswer], *, at: datetime
) -> Recorded:
    """Record a registry's answers about an organisation's retirements in one transaction.

    Repeating an answer, or giving another one later, changes nothing: what is decided is decided.
    """
    return await carried_out(partial(_record_answers, pool, organisation_id, answers, at=at))


async def _record_answers(
    pool: Pool, organisation_id: UUID, answers: Mapping[UUID, RegistryAnswer], *, at: datetime
) -> Recorded:
    async with pool.acquire(timeout=30) as connection, connection.transaction():
        # One at a time: two halves of an order that are confirmed at once must see each other.
        await claim_organisation(connection, organisation_id, wait=True)
        return await record_answers_on(connection, organisation_id, answers, at=at)


async def record_answers_on(
    connection: Connection, organisation_id: UUID, answers: Mapping[UUID, RegistryAnswer], *, at: datetime
) -> Recorded:
    """As `record_answers`, in a transaction that has the organisation's claim."""
    confirmed = [(key, a.reference, a.retired_on) for key, a in answers.items() if isinstance(a, Confirmed)]
    rejected = {key: answer for key, answer in answers.items() if isinstance(answer, Rejected)}
    unknown = [(key, answer.reason) for key, answer in answers.items() if isinstance(answer, Unknown)]
    if rejected:
        # What is rejected is promised anew. Locked before any lot.
        await lock_commitments_of_retirements(connection, organisation_id, list(rejected))
    now_confirmed: Sequence[UUID] = ()
    completed = 0
    if confirmed:
        decided = await confirm(connection, organisation_id, confirmed, at=at)
        now_confirmed = [retirement.retirement_id for retirement in decided]
        if decided:
            await retire_allocated(connection, [retirement.moved for retirement in decided])
            stand_ins = [r.retirement_id for r in decided if r.stands_in]
            await supersede_certificates(connection, organisation_id, stand_ins, at=at)
            completed = await _tell_confirmed(connection, organisation_id, now_confirmed, at)
    now_rejected = await _reject(connection, organisation_id, rejected, at) if rejected else ()
    now_unknown = await mark_unknown(connection, organisation_id, unknown, at=at) if unknown else ()
    return Recorded(tuple(now_confirmed), tuple(now_rejected), tuple(now_unknown), completed)


async def _tell_confirmed(
    connection: Connection, organisation_id: UUID, retirement_ids: Sequence[UUID], at: datetime
) -> int:
    await tell_allocations(
        connection,
        organisation_id,
        retirement_ids,
        event_type=EventType.ALLOCATION_RETIRED,
        chunk_base=new_id(),
        at=at,
    )
    return await complete_orders(connection, organisation_id, retirement_ids, chunk_base=new_id(), at=at)


async def _reject(
    connection: Connection, organisation_id: UUID, rejected: Mapping[UUID, Rejected], at: datetime
) -> Sequence[UUID]:
    decided = await reject(
        connection, organisation_id, [(key, answer.reason) for key, answer in rejected.items()], at=at
    )
    if decided:
        await return_to_lots(
            connection,
            [
                Returned(
                    retirement.moved.project_id,
                    retirement.moved.lot_id,
                    retirement.serial_first,
                    retirement.moved.tonnes,
                    retirement.retirement_id,
                    rejected[retirement.retirement_id].credits_are_good,
                )
                for retirement in decided
            ],
        )
        # What stood in for another leaves no gap: the other one is short of credits again.
        stand_ins = [r.retirement_id for r in decided if r.stands_in]
        await supersede_certificates(connection, organisation_id, stand_ins, at=at)
        gaps = [(r.pool_id, r.gap) for r in decided if not r.stands_in]
        grams = [(pool_id, gap.tonnes * GRAMS_PER_TONNE) for pool_id, gap in gaps]
        await commit_pools(connection, organisation_id, grams)
        await reopen_gaps(connection, organisation_id, gaps, at=at)
    return [retirement.retirement_id for retirement in decided]

"""Replace an emission estimate by a new calculation, as long as nothing was ordered by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.make_estimate import EstimateDraft, key_taken_by
from tonne.domain.accounts import Account
from tonne.domain.audit import Actor, Change
from tonne.domain.decimals import plain
from tonne.domain.errors import EstimateOrderAlreadyPlaced, NotFound, ValidationFailed
from tonne.domain.estimates import Calculation, Estimate
from tonne.storage.audit import record_changes
from tonne.storage.database import Pool
from tonne.storage.estimates import (
    find_estimate_by_idempotency_key,
    is_ordered,
    lock_estimate,
    replace_estimate,
)


async def change_estimate(
    pool: Pool,
    account: Account,
    estimate_id: UUID,
    draft: EstimateDraft,
    calculation: Calculation,
    *,
    actor: Actor,
    at: datetime,
) -> Estimate:
    """Replace what an estimate says; its id, its time and, where none is given, its idempotency key stay.

    What it said before is in the audit log.

    Raises:
        Unauthorised: the key was disabled since.
        NotFound: the account has no such estimate of this kind.
        EstimateOrderAlreadyPlaced: an order stands on what it says.
        EstimateIdempotencyAlreadyExists: another estimate has this idempotency key.
    """
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        new = draft.estimate(calculation, account, at=at)
        old = await lock_estimate(connection, account, estimate_id)
        if old is None or old.kind is not new.kind:
            raise NotFound
        if (
            None not in (old.idempotency_key, new.idempotency_key)
            and old.idempotency_key != new.idempotency_key
        ):
            raise ValidationFailed.at("/idempotency_key", "stays what it is for the life of the estimate")
        if await is_ordered(connection, account, estimate_id):
            raise EstimateOrderAlreadyPlaced(
                "An order was placed by this emission estimate: it can't be changed any more. Make another one."
            )
        changed = replace(
            new,
            estimate_id=estimate_id,
            created_at=old.created_at,
            # Taken before waiting for others: never before what they stored meanwhile.
            changed_at=max(at, old.changed_at or at),
            idempotency_key=new.idempotency_key or old.idempotency_key,
        )
        if not await replace_estimate(connection, changed):
            assert changed.idempotency_key is not None
            other = await find_estimate_by_idempotency_key(connection, account, changed.idempotency_key)
            assert other is not None
            raise key_taken_by(other)
        change = Change("estimate", estimate_id, "replace", _facts(old), _facts(changed))
        await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)
    return changed


def _facts(estimate: Estimate) -> dict[str, object]:
    return {
        "tonnes": plain(estimate.tonnes),
        "request": dict(estimate.request),
        "factors": [step.factor_id for step in estimate.calculation if step.factor_id is not None],
    }

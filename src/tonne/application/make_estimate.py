"""Store an emission estimate, once per idempotency key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tonne.application.callers import refuse_disabled_key
from tonne.domain.accounts import Account
from tonne.domain.audit import Actor
from tonne.domain.errors import EstimateIdempotencyAlreadyExists, IdempotencyKeyReused, TonneError
from tonne.domain.estimates import Estimate
from tonne.storage.database import Connection, Pool
from tonne.storage.estimates import find_estimate_by_idempotency_key, insert_estimate
from tonne.storage.idempotent_requests import (
    RequestKey,
    RequestKeyTaken,
    StoredAnswer,
    find_answers,
    keep_answers,
)


@dataclass(frozen=True, slots=True)
class RepeatableEstimate:
    """A request sent with an `Idempotency-Key`; `answer` writes the answer that is kept for its repeats."""

    key: RequestKey
    answer: Callable[[Estimate | TonneError], StoredAnswer]


async def make_estimate(
    pool: Pool,
    account: Account,
    estimate: Estimate,
    *,
    actor: Actor,
    repeatable: RepeatableEstimate | None,
) -> Estimate | StoredAnswer:
    """Store an estimate; returns it, or the stored answer where the request was answered before.

    Raises:
        Unauthorised: the key was disabled since.
        EstimateIdempotencyAlreadyExists: the account has an estimate with this idempotency key.
        IdempotencyKeyReused: the `Idempotency-Key` was sent before with another payload.
    """
    try:
        return await _make(pool, account, estimate, actor, repeatable)
    except RequestKeyTaken:
        # Another process was quicker; now its answer is there to be found.
        return await _make(pool, account, estimate, actor, repeatable)


async def _make(
    pool: Pool, account: Account, estimate: Estimate, actor: Actor, repeatable: RepeatableEstimate | None
) -> Estimate | StoredAnswer:
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        if repeatable is not None:
            answers = await find_answers(connection, [repeatable.key])
            answer = answers.get((account.account_id, repeatable.key.request_key))
            if answer is not None:
                if answer.fingerprint != repeatable.key.fingerprint:
                    raise IdempotencyKeyReused
                return answer
        outcome = await _store(connection, estimate, account)
        if repeatable is not None:
            await keep_answers(
                connection, [(repeatable.key, repeatable.answer(outcome))], at=estimate.created_at
            )
    if isinstance(outcome, TonneError):
        raise outcome
    return outcome


async def _store(
    connection: Connection, estimate: Estimate, account: Account
) -> Estimate | EstimateIdempotencyAlreadyExists:
    if await insert_estimate(connection, estimate):
        return estimate
    assert estimate.idempotency_key is not None
    original = await find_estimate_by_idempotency_key(connection, account, estimate.idempotency_key)
    assert original is not None
    return EstimateIdempotencyAlreadyExists(location=f"/v1/estimates/{original.kind}/{original.estimate_id}")

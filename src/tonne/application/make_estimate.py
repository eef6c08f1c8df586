"""Make an emission estimate: calculate it, and store it once per idempotency key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from tonne.application.calculate import Estimated, calculate, kind_of, outcome_of
from tonne.application.calculate_apart import calculate_apart
from tonne.application.callers import refuse_disabled_key
from tonne.application.dollar_rates import dollar_rates, needs_rate, rate_of
from tonne.application.identifiers import new_id
from tonne.domain.accounts import Account
from tonne.domain.audit import Actor
from tonne.domain.decimals import shifted
from tonne.domain.errors import EstimateIdempotencyAlreadyExists, IdempotencyKeyReused, TonneError
from tonne.domain.estimates import Calculation, Estimate
from tonne.domain.factors import FactorBook
from tonne.domain.mass import MassUnit
from tonne.domain.selection import Choice
from tonne.estimates.spending import Transaction
from tonne.storage.database import Connection, Pool
from tonne.storage.estimates import find_estimate_by_idempotency_key, insert_estimates
from tonne.storage.idempotent_requests import (
    RequestKey,
    RequestKeyTaken,
    StoredAnswer,
    find_answers,
    keep_answers,
)


@dataclass(frozen=True, slots=True)
class EstimateDraft:
    """What is to be estimated and how it is to be kept. `request` is what the caller sent."""

    wanted: Estimated
    request: Mapping[str, Any]
    precision: MassUnit = MassUnit.G
    selection: tuple[Choice, ...] | None = None
    name: str | None = None
    metadata: Mapping[str, str] | None = None
    idempotency_key: str | None = None

    def estimate(self, calculation: Calculation, account: Account, *, at: datetime) -> Estimate:
        """The estimate with its mass."""
        return Estimate(
            organisation_id=account.organisation_id,
            account_id=account.account_id,
            estimate_id=new_id(),
            kind=kind_of(self.wanted),
            tonnes=shifted(calculation.grams, -6),
            request=self.request,
            calculation=calculation.steps,
            precision=self.precision,
            created_at=at,
            selection=self.selection,
            name=self.name,
            metadata=self.metadata,
            idempotency_key=self.idempotency_key,
            outcome=outcome_of(calculation),
        )


@dataclass(frozen=True, slots=True)
class RepeatableEstimate:
    """A request sent with an `Idempotency-Key`; `answer` writes the answer that is kept for its repeats."""

    key: RequestKey
    answer: Callable[[Estimate | TonneError], StoredAnswer]


async def read_and_calculate(
    pool: Pool, read: Callable[[], Estimated], book: FactorBook
) -> tuple[Estimated, Calculation]:
    """Read what is to be estimated, and estimate it.

    Raises:
        TonneError: as `read` or the calculator; ExchangeRateNotFound where a purchase's currency has no rate;
            ServiceUnavailable where too many others are at it.
    """

    def at_once() -> tuple[Estimated, Calculation | None]:
        wanted = read()
        return wanted, None if needs_rate(wanted) else calculate(wanted, book)

    wanted, calculation = await calculate_apart(at_once)
    if calculation is None:
        assert isinstance(wanted, Transaction)
        rate = rate_of(wanted, await dollar_rates(pool, [wanted]))
        calculation = await calculate_apart(partial(calculate, wanted, book, rate))
    return wanted, calculation


async def find_stored_answer(pool: Pool, key: RequestKey, *, actor: Actor) -> StoredAnswer | None:
    """The answer of a request that was answered before: it stays the same, whatever changed since.

    Raises:
        Unauthorised: the key was disabled since.
        IdempotencyKeyReused: the `Idempotency-Key` was sent before with another payload.
    """
    async with pool.acquire(timeout=5) as connection:
        await refuse_disabled_key(connection, actor)
        return await _answered(connection, key)


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
    if repeatable is None:
        return await _make_at_once(pool, account, estimate, actor)
    try:
        return await _make(pool, account, estimate, actor, repeatable)
    except RequestKeyTaken:
        # Another process was quicker; now its answer is there to be found.
        return await _make(pool, account, estimate, actor, repeatable)


async def _answered(connection: Connection, key: RequestKey) -> StoredAnswer | None:
    answer = (await find_answers(connection, [key])).get((key.account_id, key.request_key))
    if answer is not None and answer.fingerprint != key.fingerprint:
        raise IdempotencyKeyReused
    return answer


async def _make_at_once(pool: Pool, account: Account, estimate: Estimate, actor: Actor) -> Estimate:
    """Store an estimate with one statement, which is all that most need."""
    async with pool.acquire(timeout=5) as connection:
        if await insert_estimates(connection, account, [estimate], key=actor.key):
            return estimate
        await refuse_disabled_key(connection, actor)
        raise await _taken(connection, estimate, account)


async def _make(
    pool: Pool, account: Account, estimate: Estimate, actor: Actor, repeatable: RepeatableEstimate
) -> Estimate | StoredAnswer:
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        answer = await _answered(connection, repeatable.key)
        if answer is not None:
            return answer
        stored = await insert_estimates(connection, account, [estimate])
        outcome = estimate if stored else await _taken(connection, estimate, account)
        await keep_answers(connection, [(repeatable.key, repeatable.answer(outcome))], at=estimate.created_at)
    if isinstance(outcome, TonneError):
        raise outcome
    return outcome


async def _taken(
    connection: Connection, estimate: Estimate, account: Account
) -> EstimateIdempotencyAlreadyExists:
    assert estimate.idempotency_key is not None, "only a key that is taken keeps an estimate out"
    original = await find_estimate_by_idempotency_key(connection, account, estimate.idempotency_key)
    assert original is not None
    return key_taken_by(original)


def key_taken_by(original: Estimate) -> EstimateIdempotencyAlreadyExists:
    """The refusal of a second estimate with an idempotency key; it names the first."""
    return EstimateIdempotencyAlreadyExists(location=estimate_path(original))


def estimate_path(estimate: Estimate) -> str:
    """Where an estimate is found."""
    return f"/v1/estimates/{estimate.kind.path}/{estimate.estimate_id}"

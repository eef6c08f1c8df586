"""Estimate many transactions at once: each on its own, so that one that is refused keeps no other from being made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tonne.application.calculate import calculate
from tonne.application.calculate_apart import calculate_apart
from tonne.application.callers import refuse_disabled_key
from tonne.application.dollar_rates import dollar_rates, rate_of
from tonne.application.make_estimate import EstimateDraft, key_taken_by
from tonne.domain.accounts import Account
from tonne.domain.audit import Actor
from tonne.domain.errors import TonneError
from tonne.domain.estimates import Estimate
from tonne.domain.factors import FactorBook
from tonne.estimates.spending import Transaction
from tonne.storage.database import Connection, Pool
from tonne.storage.estimates import find_estimates_by_keys, insert_estimates

Outcome = Estimate | TonneError
_ROWS_A_STATEMENT = 1_000


async def estimate_in_batch(
    pool: Pool,
    account: Account,
    drafts: Sequence[EstimateDraft | TonneError],
    book: FactorBook,
    *,
    actor: Actor,
    at: datetime,
) -> list[Outcome]:
    """Calculate and store many estimates in one transaction; one outcome for each, in order.

    What could not be read is given as the error that says so, and comes back as it is.

    Raises:
        Unauthorised: the key was disabled since; nothing is stored.
        ServiceUnavailable: too many others are being calculated.
    """
    transactions = [
        draft.wanted
        for draft in drafts
        if isinstance(draft, EstimateDraft) and isinstance(draft.wanted, Transaction)
    ]
    rates = await dollar_rates(pool, transactions)

    def calculate_all() -> list[Outcome]:
        return [_calculated(draft) for draft in drafts]

    def _calculated(draft: EstimateDraft | TonneError) -> Outcome:
        if isinstance(draft, TonneError):
            return draft
        try:
            rate = rate_of(draft.wanted, rates) if isinstance(draft.wanted, Transaction) else None
            return draft.estimate(calculate(draft.wanted, book, rate), account, at=at)
        except TonneError as error:
            return error

    outcomes = await calculate_apart(calculate_all)
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        return await _store(connection, account, outcomes)


async def _store(connection: Connection, account: Account, outcomes: Sequence[Outcome]) -> list[Outcome]:
    # By their keys, so that two batches with the same ones wait for each other and never both; of the same key the first.
    estimates = sorted(
        (each for each in outcomes if isinstance(each, Estimate)), key=lambda each: each.idempotency_key or ""
    )
    stored = set()
    for first in range(0, len(estimates), _ROWS_A_STATEMENT):
        some = estimates[first : first + _ROWS_A_STATEMENT]
        stored |= await insert_estimates(connection, account, some)
    keys = [
        each.idempotency_key
        for each in estimates
        if each.estimate_id not in stored and each.idempotency_key is not None
    ]
    originals = await find_estimates_by_keys(connection, account, keys) if keys else {}

    def told(outcome: Outcome) -> Outcome:
        if isinstance(outcome, TonneError) or outcome.estimate_id in stored:
            return outcome
        assert outcome.idempotency_key is not None, "only a key that is taken keeps an estimate out"
        return key_taken_by(originals[outcome.idempotency_key])

    return [told(outcome) for outcome in outcomes]

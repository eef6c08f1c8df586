"""Place orders, many in one transaction. One order is a batch of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tonne.application.afford_orders import out_of_stock, store_orders
from tonne.domain.accounts import Caller, Mode, SandboxBehaviour
from tonne.domain.catalogue import Catalogue, OnShortage
from tonne.domain.errors import (
    AccountSuspended,
    EstimateOrderAlreadyPlaced,
    IdempotencyKeyReused,
    OrderIdempotencyAlreadyExists,
    TonneError,
    Unauthorised,
)
from tonne.domain.orders import Order, OrderType, first_statuses
from tonne.domain.purchase import ByEstimate, ByValue, Purchase, Quote, price_purchase
from tonne.storage.accounts import load_accounts
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import Connection
from tonne.storage.estimates import find_estimated_tonnes
from tonne.storage.group_commit import Rerun
from tonne.storage.idempotent_requests import RequestKey, StoredAnswer, find_answers, keep_answers
from tonne.storage.new_orders import NewOrder, WhyNotInserted, why_not_inserted
from tonne.storage.orders import find_order, find_order_ids_by_key


@dataclass(frozen=True)
class Placed:
    """The order is stored."""

    order: Order


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was stored, and why."""

    error: TonneError


@dataclass(frozen=True, slots=True)
class Replayed:
    """The request was answered before, and is answered the same again."""

    answer: StoredAnswer


Outcome = Placed | Refused | Replayed


@dataclass(frozen=True, slots=True)
class RepeatableRequest:
    """A request sent with an `Idempotency-Key`; `answer` writes the answer that is kept for its repeats."""

    key: RequestKey
    answer: Callable[[Placed | Refused], StoredAnswer]


@dataclass(frozen=True)
class PlaceOrder:
    """One wish to order, with all that decides it but the database.

    The id and the catalogue are given with it, so that carrying it out again, after a commit of which nobody knows
    whether it went through, decides the same and stores one order.
    """

    order_id: UUID
    caller: Caller
    purchase: Purchase
    catalogue: Catalogue
    at: datetime
    idempotency_key: str | None = None
    metadata: Mapping[str, str] | None = None
    repeatable: RepeatableRequest | None = None


async def place_orders(connection: Connection, commands: Sequence[PlaceOrder]) -> list[Outcome]:
    """Price and store many orders in one transaction; one outcome per command, in order."""
    if not any(command.repeatable or isinstance(command.purchase.wanted, ByEstimate) for command in commands):
        # One insert is a transaction of its own, and all that is written: two round trips are spared. An estimate,
        # though, must stay as it is from when its mass is read until its order is stored.
        return await _place(connection, commands)
    async with connection.transaction():
        return await _place(connection, commands)


async def _place(connection: Connection, commands: Sequence[PlaceOrder]) -> list[Outcome]:
    answered = await _find_answered(connection, commands)
    tonnes = await _load_estimates(connection, commands)
    open_commands = [command for command in commands if command.order_id not in answered]
    outcomes, overtaken = await _decide_and_store(connection, open_commands, tonnes)
    if overtaken:
        decided_again, overtaken = await _decide_and_store(
            connection, await _as_things_are_now(connection, overtaken), tonnes
        )
        outcomes |= decided_again
    if overtaken:
        raise Rerun
    await _keep_answers(connection, commands, outcomes)
    return [answered.get(command.order_id) or outcomes[command.order_id] for command in commands]


def _decide(command: PlaceOrder, tonnes: Mapping[tuple[UUID, UUID], Decimal]) -> Order | Refused:
    account = command.caller.account
    purchase = command.purchase
    wanted = purchase.wanted
    if isinstance(wanted, ByEstimate):
        known = ByEstimate(wanted.estimate_id, tonnes.get((account.account_id, wanted.estimate_id)))
        purchase = replace(purchase, wanted=known)
    try:
        quote = price_purchase(purchase, account=account, catalogue=command.catalogue, at=command.at)
    except TonneError as error:
        return Refused(error)
    refusal = _refuse_in_sandbox(command, quote)
    if refusal is not None:
        return refusal
    reached = first_statuses(account)
    terms = purchase.terms
    return Order(
        organisation_id=account.organisation_id,
        account_id=account.account_id,
        order_id=command.order_id,
        mode=account.mode,
        type=OrderType.VALUE if isinstance(wanted, ByValue) else OrderType.QUANTITY,
        currency=quote.currency,
        status=reached[-1],
        quantity_grams=quote.priced.quantity_grams,
        offset_cost_minor=quote.priced.offset_cost_minor,
        total_cost_minor=quote.priced.total_cost_minor,
        lines=quote.priced.lines,
        created_at=command.at,
        history=tuple((status, command.at) for status in reached),
        requested_tonnes=quote.requested_tonnes,
        requested_value_minor=quote.requested_value_minor,
        estimate_id=wanted.estimate_id if isinstance(wanted, ByEstimate) else None,
        idempotency_key=command.idempotency_key,
        metadata=command.metadata,
        beneficiary=account.beneficiary if terms.beneficiary is None else terms.beneficiary.name,
        billing=account.billing,
        terms=terms,
    )


def _refuse_in_sandbox(command: PlaceOrder, quote: Quote) -> Refused | None:
    """Test orders find the stock that is shown, or none where the account's switch says so; nothing is promised to them."""
    account = command.caller.account
    if account.mode is not Mode.TEST:
        return None
    for line in quote.priced.lines:
        bundle = command.catalogue.bundles[line.bundle_id]
        is_out = account.test_behaviour is SandboxBehaviour.OUT_OF_STOCK
        short = line.quantity_grams and (is_out or not bundle.covers(line.quantity_grams))
        if bundle.on_shortage is OnShortage.REJECT and short:
            return Refused(out_of_stock(command.catalogue, line.bundle_id))
    return None


async def _decide_and_store(
    connection: Connection, commands: Sequence[PlaceOrder], tonnes: Mapping[tuple[UUID, UUID], Decimal]
) -> tuple[dict[UUID, Placed | Refused], list[PlaceOrder]]:
    """Returns outcomes by order id, and the commands decided with an account or catalogue of before its last change."""
    outcomes: dict[UUID, Placed | Refused] = {}
    refusals: dict[UUID, Refused] = {}
    new: list[NewOrder] = []
    for command in commands:
        decided = _decide(command, tonnes)
        if isinstance(decided, Refused):
            refusals[command.order_id] = decided
        else:
            versions = (command.caller.account.version, command.catalogue.version)
            capped = command.caller.key.daily_cap_minor is not None
            new.append(NewOrder(decided, command.caller.key.key_id, *versions, is_capped=capped))
    inserted, unaffordable = await store_orders(connection, new, _newest_catalogue(commands))
    outcomes |= {
        wanted.order.order_id: Placed(wanted.order) for wanted in new if wanted.order.order_id in inserted
    }
    left_out = [wanted for wanted in new if wanted.order.order_id not in inserted]
    overtaken: list[PlaceOrder] = []
    if left_out:
        by_id = {command.order_id: command for command in commands}
        for order_id, why in (await why_not_inserted(connection, left_out)).items():
            outcome = await _outcome_of(connection, by_id[order_id], why, unaffordable.get(order_id))
            if outcome is None:
                overtaken.append(by_id[order_id])
            else:
                outcomes[order_id] = outcome
    if refusals:
        outcomes |= await _prefer_the_original(connection, commands, refusals)
    return outcomes, overtaken


def _newest_catalogue(commands: Sequence[PlaceOrder]) -> Catalogue:
    # Orders decided with an older one stay out in any case.
    return max(
        (command.catalogue for command in commands),
        key=lambda catalogue: catalogue.version,
        default=Catalogue(),
    )


async def _as_things_are_now(connection: Connection, commands: Sequence[PlaceOrder]) -> list[PlaceOrder]:
    accounts = await load_accounts(connection, [command.caller.account for command in commands])
    catalogue = await load_catalogue(connection, on=commands[0].at.date())
    return [
        replace(
            command,
            caller=Caller(command.caller.key, accounts[command.caller.account.account_id]),
            catalogue=catalogue,
        )
        for command in commands
    ]


async def _outcome_of(
    connection: Connection, command: PlaceOrder, why: WhyNotInserted, short: TonneError | None
) -> Placed | Refused | None:
    """What to answer for an order that was not inserted; None to decide it again as things are now."""
    if why.is_stored:
        # An earlier attempt at this very command was committed, and its answer got lost.
        stored = await find_order(connection, command.caller.account, command.order_id)
        assert stored is not None
        return Placed(stored)
    if why.key_is_disabled:
        return Refused(Unauthorised("This API key is unknown or disabled."))
    if why.same_key_order_id is not None:
        return Refused(OrderIdempotencyAlreadyExists(order_id=why.same_key_order_id))
    if why.account_is_suspended:
        return Refused(AccountSuspended())
    if why.account_is_changed or why.catalogue_is_changed:
        return None
    refusal = EstimateOrderAlreadyPlaced() if why.estimate_is_ordered else short
    if refusal is not None:
        return Refused(refusal)
    # What stood in the way is gone since (the account was resumed): the next attempt goes through.
    raise Rerun


async def _prefer_the_original(
    connection: Connection, commands: Sequence[PlaceOrder], refusals: Mapping[UUID, Refused]
) -> dict[UUID, Refused]:
    """A repeat that would be refused today (a bundle was disabled since) still finds the order it repeats."""
    keyed = [
        (command.order_id, command.caller.account, command.idempotency_key)
        for command in commands
        if command.order_id in refusals and command.idempotency_key is not None
    ]
    outcomes = dict(refusals)
    if keyed:
        originals = await find_order_ids_by_key(
            connection, [(account.organisation_id, account.account_id, key) for _, account, key in keyed]
        )
        for order_id, account, key in keyed:
            original = originals.get((account.account_id, key))
            if original is not None:
                outcomes[order_id] = Refused(OrderIdempotencyAlreadyExists(order_id=original))
    return outcomes


async def _find_answered(
    connection: Connection, commands: Sequence[PlaceOrder]
) -> dict[UUID, Replayed | Refused]:
    repeatable = [(command, command.repeatable.key) for command in commands if command.repeatable is not None]
    if not repeatable:
        return {}
    answers = await find_answers(connection, [key for _, key in repeatable])
    answered: dict[UUID, Replayed | Refused] = {}
    for command, key in repeatable:
        answer = answers.get((key.account_id, key.request_key))
        if answer is not None:
            same = answer.fingerprint == key.fingerprint
            answered[command.order_id] = Replayed(answer) if same else Refused(IdempotencyKeyReused())
    return answered


async def _keep_answers(
    connection: Connection, commands: Sequence[PlaceOrder], outcomes: Mapping[UUID, Placed | Refused]
) -> None:
    # A key that was disabled decides nothing: the request may come again with a good one.
    decided = {
        order_id: outcome
        for order_id, outcome in outcomes.items()
        if not (isinstance(outcome, Refused) and isinstance(outcome.error, Unauthorised))
    }
    answers = [
        (command.repeatable.key, command.repeatable.answer(decided[command.order_id]))
        for command in commands
        if command.repeatable is not None and command.order_id in decided
    ]
    if answers:
        await keep_answers(connection, answers, at=commands[0].at)


async def _load_estimates(
    connection: Connection, commands: Sequence[PlaceOrder]
) -> Mapping[tuple[UUID, UUID], Decimal]:
    wanted = [
        (
            command.caller.account.organisation_id,
            command.caller.account.account_id,
            command.purchase.wanted.estimate_id,
        )
        for command in commands
        if isinstance(command.purchase.wanted, ByEstimate)
    ]
    return await find_estimated_tonnes(connection, wanted, lock=True) if wanted else {}

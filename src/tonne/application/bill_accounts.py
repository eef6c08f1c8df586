"""How accounts pay, what they have with us and what they owe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tonne.application.callers import refuse_disabled_key
from tonne.application.identifiers import new_id
from tonne.domain.accounts import Account, Billing, Mode, SandboxBehaviour
from tonne.domain.audit import SERVICE, Actor, Change
from tonne.domain.errors import InsufficientCredits, PaymentReferenceReused, ValidationFailed
from tonne.domain.ledger import Place, Transfer, TransferKind
from tonne.domain.money import VALUE_MAX
from tonne.storage.accounts import set_billing, set_test_behaviour
from tonne.storage.audit import record_changes
from tonne.storage.balances import change_balances, lock_balances
from tonne.storage.database import Connection, Pool
from tonne.storage.ledger import find_payment_minor, record_payment, sum_places

REFERENCE_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money, in minor units.

    `prepaid`: its own, with us. `owed`: invoiced and not paid. `held`: for orders whose credits are not delivered yet.
    """

    account: Account
    prepaid_minor: int
    owed_minor: int
    held_minor: int


@dataclass(frozen=True, slots=True)
class Payment:
    """What a top-up or refund came to; not `changed` where its reference was recorded before."""

    balance: Balance
    changed: bool


async def read_balance(pool: Pool, account: Account) -> Balance:
    """An account's money as the ledger has it."""
    async with pool.acquire(timeout=5) as connection:
        return await _balance(connection, account)


async def top_up(
    pool: Pool,
    account: Account,
    amount: Decimal,
    *,
    reference: str | None,
    at: datetime,
    actor: Actor = SERVICE,
) -> Payment:
    """Add money that came in to an account's prepaid balance; repeating a reference changes nothing.

    Raises:
        ValidationFailed: the amount is not positive, or no whole number of minor units.
        PaymentReferenceReused: the reference was used for another amount.
        Unauthorised: the actor's key was disabled since.
    """
    transfer = _transfer(
        account,
        TransferKind.TOP_UP,
        debit=Place.CASH,
        credit=Place.PREPAID,
        amount=amount,
        reference=reference,
    )
    return await _pay(pool, account, transfer, gain_minor=transfer.amount_minor, at=at, actor=actor)


async def refund(
    pool: Pool,
    account: Account,
    amount: Decimal,
    *,
    reference: str | None,
    at: datetime,
    actor: Actor = SERVICE,
) -> Payment:
    """Take money that went back out of an account's prepaid balance; repeating a reference changes nothing.

    Raises:
        InsufficientCredits: the balance is less than that.
        TonneError: as `top_up`.
    """
    transfer = _transfer(
        account,
        TransferKind.REFUND,
        debit=Place.PREPAID,
        credit=Place.CASH,
        amount=amount,
        reference=reference,
    )
    return await _pay(pool, account, transfer, gain_minor=-transfer.amount_minor, at=at, actor=actor)


async def change_billing(
    pool: Pool, account: Account, billing: Billing, *, at: datetime, actor: Actor = SERVICE
) -> bool:
    """Let an account pay otherwise from its next order on; False where it does so already.

    Raises:
        Unauthorised: the actor's key was disabled since.
    """
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        changed = await set_billing(connection, account, billing)
        if changed:
            before, after = {"billing": account.billing.value}, {"billing": billing.value}
            await _record(connection, account, "set_billing", before, after, actor=actor, at=at)
        return changed


async def change_test_behaviour(
    pool: Pool, account: Account, behaviour: SandboxBehaviour, *, at: datetime, actor: Actor = SERVICE
) -> bool:
    """Let things go otherwise for a test account; False where they go so already.

    Raises:
        ValidationFailed: the account is live.
        Unauthorised: the actor's key was disabled since.
    """
    if account.mode is not Mode.TEST:
        raise ValidationFailed.at("/test_behaviour", "is for test accounts only; this one is live")
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        changed = await set_test_behaviour(connection, account, behaviour)
        if changed:
            before = {"test_behaviour": account.test_behaviour.value}
            after = {"test_behaviour": behaviour.value}
            await _record(connection, account, "set_test_behaviour", before, after, actor=actor, at=at)
        return changed


async def _pay(
    pool: Pool, account: Account, transfer: Transfer, *, gain_minor: int, at: datetime, actor: Actor
) -> Payment:
    key = (account.organisation_id, account.account_id)
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        balance_minor = (await lock_balances(connection, [key]))[key]
        changed = await record_payment(connection, transfer, transfer_id=new_id(), at=at)
        if changed:
            if balance_minor + gain_minor < 0:
                money = account.currency.format
                msg = (
                    f"The prepaid balance is {money(balance_minor)} {account.currency.code}: "
                    f"{money(-gain_minor)} can't be taken from it."
                )
                raise InsufficientCredits(msg)
            await change_balances(connection, {key: gain_minor})
            money = account.currency.format
            before = {"prepaid_balance": money(balance_minor)}
            after = {"prepaid_balance": money(balance_minor + gain_minor), "reference": transfer.reference}
            await _record(connection, account, transfer.kind.value, before, after, actor=actor, at=at)
        else:
            await _refuse_other_amount(connection, account, transfer)
        return Payment(await _balance(connection, account), changed)


async def _record(
    connection: Connection,
    account: Account,
    action: str,
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    actor: Actor,
    at: datetime,
) -> None:
    change = Change("account", account.account_id, action, before, after)
    await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)


async def _refuse_other_amount(connection: Connection, account: Account, transfer: Transfer) -> None:
    assert transfer.reference is not None
    before_minor = await find_payment_minor(connection, account, transfer.kind, transfer.reference)
    assert before_minor is not None
    if before_minor != transfer.amount_minor:
        money = f"{account.currency.format(before_minor)} {account.currency.code}"
        msg = f"The reference {transfer.reference!r} stands for {money} already: take a new one for a new payment."
        raise PaymentReferenceReused(msg)


def _transfer(
    account: Account,
    kind: TransferKind,
    *,
    debit: Place,
    credit: Place,
    amount: Decimal,
    reference: str | None,
) -> Transfer:
    if reference is not None and (
        not reference.isprintable() or not 0 < len(reference.strip()) <= REFERENCE_LENGTH_MAX
    ):
        raise ValidationFailed.at(
            "/reference", f"must have 1 to {REFERENCE_LENGTH_MAX} printable characters; leave it out for none"
        )
    currency = account.currency
    amount_minor = currency.exact_minor_from(amount)
    if amount_minor is None or not 0 < amount <= VALUE_MAX:
        digits = f"at most {currency.minor_digits} decimals" if currency.minor_digits else "no decimals"
        raise ValidationFailed.at(
            "/amount", f"must be above 0, at most {VALUE_MAX}, with {digits} in {currency.code}"
        )
    return Transfer(
        organisation_id=account.organisation_id,
        account_id=account.account_id,
        kind=kind,
        debit=debit,
        credit=credit,
        currency=currency,
        amount_minor=amount_minor,
        reference=reference,
    )


async def _balance(connection: Connection, account: Account) -> Balance:
    debited = await sum_places(connection, account)
    return Balance(
        account=account,
        prepaid_minor=-debited.get(Place.PREPAID, 0),
        owed_minor=debited.get(Place.RECEIVABLE, 0),
        held_minor=-debited.get(Place.HELD, 0),
    )

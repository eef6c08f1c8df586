"""Advance orders: their money has come in, or a person moves a test order by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.move_orders import TOGETHER_MAX, move_and_tell
from tonne.domain.accounts import Account, Mode
from tonne.domain.audit import SERVICE, Actor, Change
from tonne.domain.orders import OrderStatus
from tonne.storage.audit import record_changes
from tonne.storage.balances import lock_balances
from tonne.storage.commitments import lock_commitments_of_order
from tonne.storage.database import Connection, Pool
from tonne.storage.order_moves import Located, OrderMoney, locate_orders

_PAID = frozenset({OrderStatus.PAID, OrderStatus.RETIRING, OrderStatus.COMPLETE})


class PayOutcome(StrEnum):
    """What became of an order that was to be paid."""

    PAID = "paid"
    PAID_BEFORE = "paid_before"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PayResult:
    """What became of one order; `reason` says why it was refused, else it is None."""

    order_id: UUID
    outcome: PayOutcome
    reason: str | None = None


async def pay_orders(
    pool: Pool,
    order_ids: Sequence[UUID],
    *,
    mode: Mode | None = None,
    at: datetime,
    actor: Actor = SERVICE,
) -> list[PayResult]:
    """Record that placed orders of any organisation are paid; one result per id, in order. Repeating changes nothing.

    With a mode, orders of the other one are unknown. Each thousand orders of an organisation are one transaction: where
    it fails halfway, what came before stays paid.

    Raises:
        Unauthorised: the actor's key was disabled since.
    """
    found: dict[UUID, PayResult] = {}
    wanted = list(dict.fromkeys(order_ids))
    async with pool.acquire(timeout=5) as connection:
        await refuse_disabled_key(connection, actor)
        for first in range(0, len(wanted), TOGETHER_MAX):
            found |= await _pay_some(
                connection, wanted[first : first + TOGETHER_MAX], mode=mode, at=at, actor=actor
            )
    return [found[order_id] for order_id in order_ids]


async def place_received(
    pool: Pool, account: Account, order_id: UUID, *, at: datetime, actor: Actor = SERVICE
) -> bool:
    """Move a received order to placed; False where it is not received."""
    return await _advance(pool, account, order_id, target=OrderStatus.PLACED, at=at, actor=actor)


async def fail_received(
    pool: Pool, account: Account, order_id: UUID, *, at: datetime, actor: Actor = SERVICE
) -> bool:
    """Let a received order fail, and give back what it holds; False where it is not received."""
    return await _advance(pool, account, order_id, target=OrderStatus.FAILED, at=at, actor=actor)


async def _advance(
    pool: Pool, account: Account, order_id: UUID, *, target: OrderStatus, at: datetime, actor: Actor
) -> bool:
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await lock_commitments_of_order(connection, account, order_id)
        await lock_balances(connection, [(account.organisation_id, account.account_id)])
        moved = await move_and_tell(
            connection,
            account.organisation_id,
            [(account.account_id, order_id)],
            sources=[OrderStatus.RECEIVED],
            target=target,
            at=at,
        )
        await _record(connection, account.organisation_id, moved, "advance", target, actor=actor, at=at)
    return bool(moved)


async def _record(
    connection: Connection,
    organisation_id: UUID,
    moved: Sequence[OrderMoney],
    action: str,
    target: OrderStatus,
    *,
    actor: Actor,
    at: datetime,
) -> None:
    changes = [Change("order", order.order_id, action, after={"status": target.value}) for order in moved]
    await record_changes(connection, actor, changes, at=at, organisation_id=organisation_id)


async def _pay_some(
    connection: Connection, order_ids: Sequence[UUID], *, mode: Mode | None, at: datetime, actor: Actor
) -> dict[UUID, PayResult]:
    by_organisation: dict[UUID, list[tuple[UUID, UUID]]] = defaultdict(list)
    for located in (await locate_orders(connection, order_ids, mode=mode)).values():
        by_organisation[located.organisation_id].append((located.account_id, located.order_id))
    results: dict[UUID, PayResult] = {}
    for organisation_id, orders in sorted(by_organisation.items()):
        async with connection.transaction():
            moved = await move_and_tell(
                connection,
                organisation_id,
                orders,
                sources=[OrderStatus.PLACED],
                target=OrderStatus.PAID,
                at=at,
            )
            await _record(connection, organisation_id, moved, "pay", OrderStatus.PAID, actor=actor, at=at)
        results |= {order.order_id: PayResult(order.order_id, PayOutcome.PAID) for order in moved}
    others = [order_id for order_id in order_ids if order_id not in results]
    if others:
        # Asked after the attempt: whoever moved them meanwhile is done by now.
        stand = await locate_orders(connection, others, mode=mode)
        results |= {order_id: _not_paid(order_id, stand) for order_id in others}
    return results


def _not_paid(order_id: UUID, stand: Mapping[UUID, Located]) -> PayResult:
    located = stand.get(order_id)
    if located is None:
        return PayResult(order_id, PayOutcome.REFUSED, "There is no such order.")
    if located.status in _PAID:
        return PayResult(order_id, PayOutcome.PAID_BEFORE)
    if located.status is OrderStatus.PLACED:
        return PayResult(order_id, PayOutcome.REFUSED, "The order was placed this very moment: repeat this.")
    return PayResult(
        order_id,
        PayOutcome.REFUSED,
        f"The order is {located.status.value}: only a placed order can be paid.",
    )

"""Move a test order by hand, to see every path before going live. What it moves through is the real thing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.cancel_order import cancel_order
from tonne.application.fill_pools import fill_order
from tonne.application.pay_orders import fail_received, pay_orders, place_received
from tonne.application.record_answers import record_answers
from tonne.application.registries import simulated_confirmation
from tonne.application.retire_pools import cover_pools, pool_paid_orders
from tonne.domain.accounts import Account, Mode
from tonne.domain.audit import Actor
from tonne.domain.errors import NotFound, OrderNotAdvanceable
from tonne.domain.orders import NEXT, Order, OrderStatus
from tonne.storage.database import Pool
from tonne.storage.orders import find_order
from tonne.storage.pools import pools_of_order
from tonne.storage.retirements import open_retirements_of_order

# The way of an order for which all goes well.
_WAY = (
    OrderStatus.RECEIVED,
    OrderStatus.PLACED,
    OrderStatus.PAID,
    OrderStatus.RETIRING,
    OrderStatus.COMPLETE,
)
# A registry may still be rejecting: so often are credits tried.
_TRIES_MAX = 5


async def advance_order(
    pool: Pool,
    account: Account,
    order_id: UUID,
    *,
    target: OrderStatus | None,
    now: Callable[[], datetime],
    actor: Actor,
) -> Order:
    """Move a test order to a status, through all that lie between, or to the next one; returns it as it is then.

    What is left of a tonne is filled by the sandbox, and its registry confirms, whatever the account's switch says.

    Raises:
        NotFound: the account has no such order, or is not a test account.
        OrderNotAdvanceable: the status can't be reached from where the order is.
    """
    if account.mode is not Mode.TEST:
        raise NotFound("Only test orders are moved by hand: send a test key.")
    async with pool.acquire(timeout=5) as connection:
        await refuse_disabled_key(connection, actor)
    order = await _find(pool, account, order_id)
    wanted = target or _next(order)
    while order.status is not wanted:
        before = order.status
        _refuse_unreachable(order, wanted)
        if wanted is OrderStatus.CANCELLED:
            return await cancel_order(pool, account, order_id, at=now(), actor=actor)
        await _step(pool, account, order, wanted, now=now, actor=actor)
        order = await _find(pool, account, order_id)
        if order.status is before:
            raise OrderNotAdvanceable(
                f"The order stays {before.value}: its bundles have no project with credits to retire."
            )
        if target is None or _is_past(order, wanted):
            # Somebody else may have moved it further meanwhile.
            break
    return order


def _next(order: Order) -> OrderStatus:
    if order.status not in _WAY or order.status is OrderStatus.COMPLETE:
        raise OrderNotAdvanceable(f"The order is {order.status.value}, and stays so.")
    return _WAY[_WAY.index(order.status) + 1]


def _refuse_unreachable(order: Order, wanted: OrderStatus) -> None:
    if wanted in NEXT[order.status]:
        return
    if order.status in _WAY and wanted in _WAY and _WAY.index(order.status) < _WAY.index(wanted):
        return
    reachable = [status.value for status in (*_WAY, OrderStatus.CANCELLED, OrderStatus.FAILED)]
    raise OrderNotAdvanceable(
        f"An order that is {order.status.value} can't become {wanted.value}. "
        f"Statuses follow each other like this: {', '.join(reachable[:5])}; received orders may fail, and received or "
        "placed ones may be cancelled."
    )


def _is_past(order: Order, wanted: OrderStatus) -> bool:
    return order.status not in _WAY or _WAY.index(order.status) >= _WAY.index(wanted)


async def _step(
    pool: Pool,
    account: Account,
    order: Order,
    wanted: OrderStatus,
    *,
    now: Callable[[], datetime],
    actor: Actor,
) -> None:
    match order.status:
        case OrderStatus.RECEIVED if wanted is OrderStatus.FAILED:
            await fail_received(pool, account, order.order_id, at=now(), actor=actor)
        case OrderStatus.RECEIVED:
            await place_received(pool, account, order.order_id, at=now(), actor=actor)
        case OrderStatus.PLACED:
            await pay_orders(pool, [order.order_id], mode=Mode.TEST, at=now(), actor=actor)
        case OrderStatus.PAID:
            await _allocate(pool, account, order.order_id, now)
        case _:
            await _retire(pool, account, order.order_id, now)


async def _allocate(pool: Pool, account: Account, order_id: UUID, now: Callable[[], datetime]) -> None:
    organisation_id = account.organisation_id
    await pool_paid_orders(pool, organisation_id, only=[order_id], at=now())
    await fill_order(pool, organisation_id, order_id, at=now())
    async with pool.acquire(timeout=5) as connection:
        pools = await pools_of_order(connection, organisation_id, order_id)
    while await cover_pools(pool, organisation_id, only=pools, at=now()):
        pass


async def _retire(pool: Pool, account: Account, order_id: UUID, now: Callable[[], datetime]) -> None:
    for _ in range(_TRIES_MAX):
        # Something of it may still be without credits: part of a tonne, or rejected.
        await _allocate(pool, account, order_id, now)
        async with pool.acquire(timeout=5) as connection:
            undecided = await open_retirements_of_order(connection, account.organisation_id, order_id)
        answers = {key: simulated_confirmation(key, now()) for key in undecided}
        await record_answers(pool, account.organisation_id, answers, at=now())
        if (await _find(pool, account, order_id)).status is OrderStatus.COMPLETE:
            return


async def _find(pool: Pool, account: Account, order_id: UUID) -> Order:
    async with pool.acquire(timeout=5) as connection:
        order = await find_order(connection, account, order_id)
    if order is None:
        raise NotFound
    return order

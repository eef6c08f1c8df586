"""Cancel an order that is not paid."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tonne.application.callers import refuse_disabled_key
from tonne.application.move_orders import move_and_tell
from tonne.domain.accounts import Account, Billing
from tonne.domain.audit import SERVICE, Actor, Change
from tonne.domain.errors import NotFound, OrderNotCancellable
from tonne.domain.orders import Order, OrderStatus
from tonne.storage.audit import record_changes
from tonne.storage.balances import lock_balances
from tonne.storage.commitments import lock_commitments_of_order
from tonne.storage.database import Connection, Pool
from tonne.storage.orders import find_order

_WHY = {
    OrderStatus.PAID: "it is paid, and its credits are about to be retired",
    OrderStatus.RETIRING: "its credits are being retired, which can't be undone",
    OrderStatus.COMPLETE: "its credits are retired, which can't be undone",
    OrderStatus.CANCELLED: "it was cancelled before",
    OrderStatus.FAILED: "it failed, so that there is nothing to cancel",
}


async def cancel_order(
    pool: Pool, account: Account, order_id: UUID, *, at: datetime, actor: Actor = SERVICE
) -> Order:
    """Cancel a received or placed order, and give back what it holds; returns it as it is now.

    Its estimate may be ordered again.

    Raises:
        Unauthorised: the actor's key was disabled since.
        NotFound: the account has no such order.
        OrderNotCancellable: it is paid, or it is over.
    """
    async with pool.acquire(timeout=5) as connection, connection.transaction():
        await refuse_disabled_key(connection, actor)
        order = await _find(connection, account, order_id)
        await lock_commitments_of_order(connection, account, order_id)
        if order.billing is Billing.PREPAID:
            # Whoever orders from the balance holds it before any order: the same way round here.
            await lock_balances(connection, [(account.organisation_id, account.account_id)])
        moved = await move_and_tell(
            connection,
            account.organisation_id,
            [(account.account_id, order_id)],
            sources=[OrderStatus.RECEIVED, OrderStatus.PLACED],
            target=OrderStatus.CANCELLED,
            at=at,
        )
        order = await _find(connection, account, order_id)
        if not moved:
            msg = f"An order that is {order.status.value} can't be cancelled: {_WHY.get(order.status, 'it changed')}."
            raise OrderNotCancellable(msg)
        change = Change("order", order_id, "cancel", after={"status": order.status.value})
        await record_changes(connection, actor, [change], at=at, organisation_id=account.organisation_id)
        return order


async def _find(connection: Connection, account: Account, order_id: UUID) -> Order:
    order = await find_order(connection, account, order_id)
    if order is None:
        raise NotFound
    return order

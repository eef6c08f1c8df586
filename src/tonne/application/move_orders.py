"""Move orders along their lifecycle, with the events and the money that go with it: contract, section 8."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from tonne.application.identifiers import new_id
from tonne.domain.accounts import Billing
from tonne.domain.events import EventType, Happened
from tonne.domain.ledger import MOVEMENTS, Place, Transfer
from tonne.domain.orders import OrderStatus
from tonne.storage.balances import AccountKey, change_balances
from tonne.storage.commitments import release_orders
from tonne.storage.database import Connection
from tonne.storage.events import record_events
from tonne.storage.ledger import record_transfers
from tonne.storage.order_moves import OrderMoney, move_orders

# A row of events or of the ledger holds at most as many orders.
TOGETHER_MAX = 1000

_EVENTS: Mapping[OrderStatus, EventType] = {
    OrderStatus.PLACED: EventType.ORDER_PLACED,
    OrderStatus.PAID: EventType.ORDER_PAID,
    OrderStatus.CANCELLED: EventType.ORDER_CANCELLED,
    OrderStatus.FAILED: EventType.ORDER_FAILED,
}


async def move_and_tell(
    connection: Connection,
    organisation_id: UUID,
    orders: Sequence[tuple[UUID, UUID]],
    *,
    sources: Sequence[OrderStatus],
    target: OrderStatus,
    at: datetime,
) -> list[OrderMoney]:
    """Move an organisation's (account, order) pairs that are in one of `sources` to `target`; returns those moved.

    Call it in a transaction. Where money goes back to a prepaid balance, lock that balance first; where orders are over
    with that, what their bundles have promised before it.
    """
    moved = await move_orders(connection, organisation_id, orders, sources=sources, target=target, at=at)
    if moved and target in (OrderStatus.CANCELLED, OrderStatus.FAILED):
        await release_orders(connection, organisation_id, _ids(moved))
    groups = list(_groups(moved))
    happened = [
        Happened(organisation_id, group[0].account_id, (_EVENTS[target],), _ids(group)) for group in groups
    ]
    await record_events(connection, happened, chunk_ids=[new_id() for _ in happened], at=at)
    transfers = list(_transfers(groups, target))
    await record_transfers(connection, transfers, transfer_ids=[new_id() for _ in transfers], at=at)
    back: dict[AccountKey, int] = defaultdict(int)
    for transfer in transfers:
        if transfer.credit is Place.PREPAID:
            back[transfer.organisation_id, transfer.account_id] += transfer.amount_minor
    await change_balances(connection, back)
    return moved


def _groups(moved: Sequence[OrderMoney]) -> Iterator[Sequence[OrderMoney]]:
    alike: dict[tuple[UUID, Billing, str], list[OrderMoney]] = defaultdict(list)
    for order in sorted(moved, key=lambda order: order.order_id):
        alike[order.account_id, order.billing, order.currency.code].append(order)
    for group in alike.values():
        for first in range(0, len(group), TOGETHER_MAX):
            yield group[first : first + TOGETHER_MAX]


def _transfers(groups: Sequence[Sequence[OrderMoney]], target: OrderStatus) -> Iterator[Transfer]:
    for group in groups:
        one = group[0]
        movement = MOVEMENTS.get((target, one.billing))
        if movement is not None:
            yield Transfer(
                organisation_id=one.organisation_id,
                account_id=one.account_id,
                kind=movement.kind,
                debit=movement.debit,
                credit=movement.credit,
                currency=one.currency,
                amount_minor=sum(order.total_cost_minor for order in group),
                order_ids=_ids(group),
            )


def _ids(group: Sequence[OrderMoney]) -> list[UUID]:
    return [order.order_id for order in group]

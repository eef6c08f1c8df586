"""Read orders for many callers at once: those who ask while one statement runs share the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.domain.orders import Order
from tonne.domain.progress import Progress
from tonne.storage.database import Connection
from tonne.storage.orders import find_orders
from tonne.storage.progress import UNDER_WAY, load_progress

NOT_UNDER_WAY = Progress()


@dataclass(frozen=True, slots=True)
class WantedOrder:
    """An account's order, by its id."""

    account: Account
    order_id: UUID


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order and how far it has come."""

    order: Order
    progress: Progress


async def read_orders(connection: Connection, wanted: Sequence[WantedOrder]) -> list[FoundOrder | None]:
    """Find orders, each of an account that asks for it; None for those that the account has not."""
    by_account: dict[UUID, list[WantedOrder]] = defaultdict(list)
    for each in wanted:
        by_account[each.account.account_id].append(each)
    found: dict[tuple[UUID, UUID], FoundOrder] = {}
    for account_id, own in by_account.items():
        account = own[0].account
        orders = await find_orders(connection, account, list({each.order_id for each in own}))
        progress = {}
        if any(order.status in UNDER_WAY for order in orders.values()):
            progress = await load_progress(connection, account, list(orders.values()))
        for order_id, order in orders.items():
            found[account_id, order_id] = FoundOrder(order, progress.get(order_id, NOT_UNDER_WAY))
    return [found.get((each.account.account_id, each.order_id)) for each in wanted]

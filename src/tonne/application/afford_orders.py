"""Store new orders, those of prepaid accounts as far as their balances go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from tonne.domain.accounts import Billing
from tonne.domain.errors import InsufficientCredits
from tonne.domain.orders import Order
from tonne.storage.balances import AccountKey, change_balances, lock_balances
from tonne.storage.database import Connection
from tonne.storage.orders import NewOrder, insert_orders


async def store_orders(
    connection: Connection, new: Sequence[NewOrder]
) -> tuple[set[UUID], dict[UUID, InsufficientCredits]]:
    """Store orders: returns the ids of those that went in, and the refusals of those that are not affordable.

    The first come are served first. What stayed out for another reason is in neither: ask `why_not_inserted`.
    """
    accounts = {_account(wanted.order) for wanted in new if wanted.order.billing is Billing.PREPAID}
    if not accounts:
        return (await insert_orders(connection, new) if new else set()), {}
    # All that order from a balance queue for its row, so that it is never charged twice.
    async with connection.transaction():
        return await _store_affordable(connection, new, await lock_balances(connection, accounts))


async def _store_affordable(
    connection: Connection, new: Sequence[NewOrder], balances: Mapping[AccountKey, int]
) -> tuple[set[UUID], dict[UUID, InsufficientCredits]]:
    left = dict(balances)
    inserted: set[UUID] = set()
    waiting = new
    # Orders that turn out to be repeats free their money for later ones. Every round tries one at least.
    while True:
        tried, waiting = split_affordable(waiting, left)
        if not tried:
            break
        went_in = await insert_orders(connection, tried)
        for wanted in tried:
            order = wanted.order
            if order.billing is Billing.PREPAID and order.order_id in went_in:
                left[_account(order)] -= order.total_cost_minor
        inserted |= went_in
    await change_balances(connection, {account: left[account] - balances[account] for account in balances})
    return inserted, {
        wanted.order.order_id: _too_expensive(wanted.order, left[_account(wanted.order)])
        for wanted in waiting
    }


def split_affordable(
    orders: Sequence[NewOrder], balances: Mapping[AccountKey, int]
) -> tuple[list[NewOrder], list[NewOrder]]:
    """Split orders into those that their accounts' balances (minor units) cover, in turn, and the others."""
    spent: dict[AccountKey, int] = defaultdict(int)
    affordable: list[NewOrder] = []
    others: list[NewOrder] = []
    for wanted in orders:
        order = wanted.order
        if order.billing is Billing.PREPAID:
            account = _account(order)
            if spent[account] + order.total_cost_minor > balances[account]:
                others.append(wanted)
                continue
            spent[account] += order.total_cost_minor
        affordable.append(wanted)
    return affordable, others


def _account(order: Order) -> AccountKey:
    return (order.organisation_id, order.account_id)


def _too_expensive(order: Order, balance_minor: int) -> InsufficientCredits:
    cost, balance = order.currency.format(order.total_cost_minor), order.currency.format(balance_minor)
    return InsufficientCredits(
        f"The order costs {cost} {order.currency.code}, the prepaid balance is {balance} {order.currency.code}: "
        "have it topped up, or order less."
    )

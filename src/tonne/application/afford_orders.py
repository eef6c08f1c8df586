"""Store new orders, as far as balances, keys' daily caps and bundles that refuse shortages go.

Whatever an order takes from is locked first, always in this order: what is promised of bundles, balances, what keys have
spent. So none of it is ever promised twice, and two batches never wait for each other in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from uuid import UUID

from tonne.domain.accounts import Billing, Mode
from tonne.domain.catalogue import Catalogue
from tonne.domain.commitments import Commitments, Demand
from tonne.domain.errors import InsufficientCredits, SpendingCapExceeded, StockInsufficient, TonneError
from tonne.domain.orders import Order
from tonne.storage.balances import AccountKey, change_balances, lock_balances
from tonne.storage.commitments import change_commitments, load_commitments, lock_commitments
from tonne.storage.database import Connection
from tonne.storage.key_spending import KeyDay, add_spending, find_caps, lock_spending
from tonne.storage.new_orders import NewOrder, insert_orders


@dataclass(slots=True)
class Budgets:
    """What orders take from, as it was when it was locked: balances and spending in minor units, stock in grams.

    `caps` are by key: the cap, and the currency that it is in.
    """

    catalogue: Catalogue
    tracked: frozenset[UUID] = frozenset()
    commitments: Commitments | None = None
    balances: Mapping[AccountKey, int] = field(default_factory=dict)
    spent: Mapping[KeyDay, int] = field(default_factory=dict)
    caps: Mapping[UUID, tuple[int | None, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Taken:
    """What orders of a batch take from budgets."""

    budgets: Budgets
    minor: dict[AccountKey, int] = field(default_factory=lambda: defaultdict(int))
    key_minor: dict[KeyDay, int] = field(default_factory=lambda: defaultdict(int))
    grams: dict[Demand, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, new: NewOrder) -> TonneError | None:
        """Take what an order needs; where a budget does not cover it, take nothing and say which."""
        refusal = self._too_expensive(new.order) or self._above_cap(new) or self._out_of_stock(new.order)
        if refusal is None:
            order = new.order
            if order.billing is Billing.PREPAID:
                self.minor[_account(order)] += order.total_cost_minor
            if _key_day(new) in self.budgets.spent:
                self.key_minor[_key_day(new)] += order.total_cost_minor
            for demand, grams in self._demands(order).items():
                self.grams[demand] += grams
        return refusal

    def _too_expensive(self, order: Order) -> InsufficientCredits | None:
        if order.billing is not Billing.PREPAID:
            return None
        left = self.budgets.balances[_account(order)] - self.minor[_account(order)]
        if order.total_cost_minor <= left:
            return None
        cost, balance = order.currency.format(order.total_cost_minor), order.currency.format(left)
        return InsufficientCredits(
            f"The order costs {cost} {order.currency.code}, the prepaid balance is {balance} {order.currency.code}: "
            "have it topped up, or order less."
        )

    def _above_cap(self, new: NewOrder) -> SpendingCapExceeded | None:
        spent = self.budgets.spent.get(_key_day(new))
        if spent is None:
            return None
        cap, currency = self.budgets.caps[new.key_id]
        if cap is None:
            return None
        order = new.order
        if order.currency.code != currency:
            return SpendingCapExceeded(
                f"This key has a daily cap in {currency}: with it, order for accounts in {currency} only."
            )
        left = max(cap - spent - self.key_minor[_key_day(new)], 0)
        if order.total_cost_minor <= left:
            return None
        cost, rest = order.currency.format(order.total_cost_minor), order.currency.format(left)
        return SpendingCapExceeded(
            f"The order costs {cost} {currency}, and {rest} {currency} of this key's daily cap of "
            f"{order.currency.format(cap)} {currency} are left today (UTC)."
        )

    def _out_of_stock(self, order: Order) -> StockInsufficient | None:
        demands = self._demands(order)
        rejecting = (
            [d for d in demands if self._commitments.rejecting.intersection({d[0]})] if demands else []
        )
        if not rejecting:
            return None
        more = dict(self.grams)
        for demand, grams in demands.items():
            more[demand] = more.get(demand, 0) + grams
        short = self._commitments.shortage(more)
        return None if short is None else out_of_stock(self.budgets.catalogue, short)

    @property
    def _commitments(self) -> Commitments:
        assert self.budgets.commitments is not None
        return self.budgets.commitments

    def _demands(self, order: Order) -> dict[Demand, int]:
        if order.mode is not Mode.LIVE:
            return {}
        tracked = self.budgets.tracked
        return {
            (line.bundle_id, order.terms.restrictions): line.quantity_grams
            for line in order.lines
            if line.bundle_id in tracked and line.quantity_grams
        }


async def store_orders(
    connection: Connection, new: Sequence[NewOrder], catalogue: Catalogue
) -> tuple[set[UUID], dict[UUID, TonneError]]:
    """Store orders: returns the ids of those that went in, and the refusals of those that no budget covers.

    The first come are served first. What stayed out for another reason is in neither: ask `why_not_inserted`.
    """
    prepaid = {_account(wanted.order) for wanted in new if wanted.order.billing is Billing.PREPAID}
    capped = [wanted for wanted in new if wanted.is_capped]
    tracked = _tracked(new, catalogue)
    if not (prepaid or capped or tracked):
        return (await insert_orders(connection, new) if new else set()), {}
    async with connection.transaction():
        budgets = Budgets(catalogue)
        if tracked:
            # Whoever promises of one of them waits for whoever promises of another that shares its projects.
            budgets.tracked = await lock_commitments(connection, catalogue.tracked_bundles())
            wanted_demands = {(b, w.order.terms.restrictions) for w in new for b in budgets.tracked}
            budgets.commitments = await load_commitments(connection, catalogue, wanted=wanted_demands)
        if prepaid:
            budgets.balances = await lock_balances(connection, prepaid)
        if capped:
            budgets.spent = await lock_spending(connection, {_key_day(wanted) for wanted in capped})
            keys = {(wanted.order.organisation_id, wanted.key_id) for wanted in capped}
            budgets.caps = await find_caps(connection, keys)
        return await _store_affordable(connection, new, budgets)


async def _store_affordable(
    connection: Connection, new: Sequence[NewOrder], budgets: Budgets
) -> tuple[set[UUID], dict[UUID, TonneError]]:
    inserted: set[UUID] = set()
    waiting = list(new)
    refusals: dict[UUID, TonneError] = {}
    stored: list[NewOrder] = []
    # Orders that turn out to be repeats free what they would have taken for later ones. Every round tries one at least.
    while waiting:
        taken = _taken(budgets, stored)
        refusals = {}
        tried: list[NewOrder] = []
        for wanted in waiting:
            refusal = taken.add(wanted)
            if refusal is None:
                tried.append(wanted)
            else:
                refusals[wanted.order.order_id] = refusal
        if not tried:
            break
        went_in = await insert_orders(connection, tried)
        inserted |= went_in
        stored += [wanted for wanted in tried if wanted.order.order_id in went_in]
        waiting = [wanted for wanted in waiting if wanted.order.order_id in refusals]
        if len(went_in) == len(tried):
            break
    taken = _taken(budgets, stored)
    await change_commitments(connection, taken.grams)
    await change_balances(connection, {account: -minor for account, minor in taken.minor.items()})
    await add_spending(connection, taken.key_minor)
    return inserted, refusals


def _taken(budgets: Budgets, stored: Sequence[NewOrder]) -> Taken:
    taken = Taken(budgets)
    for wanted in stored:
        refusal = taken.add(wanted)
        assert refusal is None, "what was covered with others is covered without them"
    return taken


def _tracked(new: Sequence[NewOrder], catalogue: Catalogue) -> bool:
    tracked = catalogue.tracked_bundles()
    return bool(tracked) and any(
        wanted.order.mode is Mode.LIVE
        and not tracked.isdisjoint(line.bundle_id for line in wanted.order.lines)
        for wanted in new
    )


def out_of_stock(catalogue: Catalogue, bundle_id: UUID) -> StockInsufficient:
    """The refusal of an order that a bundle's stock does not cover."""
    return StockInsufficient(
        f"{catalogue.bundles[bundle_id].name} has not enough in stock for this order, and takes no orders that would "
        "have to wait: order less (GET /v1/bundles says what is available), or choose another bundle."
    )


def _account(order: Order) -> AccountKey:
    return (order.organisation_id, order.account_id)


def _key_day(new: NewOrder) -> KeyDay:
    return (new.order.organisation_id, new.key_id, new.order.created_at.astimezone(UTC).date())

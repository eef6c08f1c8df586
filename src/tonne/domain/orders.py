"""Orders and their lifecycle: contract, sections 4 and 8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from tonne.domain.accounts import Account, Billing, Mode, SandboxBehaviour
from tonne.domain.money import Currency
from tonne.domain.pricing import Line
from tonne.domain.terms import NO_TERMS, Terms


class OrderType(StrEnum):
    """Orders by mass and by estimate ask for a quantity, orders by value for a value."""

    QUANTITY = "quantity"
    VALUE = "value"


class OrderStatus(StrEnum):
    RECEIVED = "received"
    PLACED = "placed"
    PAID = "paid"
    RETIRING = "retiring"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    FAILED = "failed"


NEXT: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.RECEIVED: frozenset({OrderStatus.PLACED, OrderStatus.FAILED, OrderStatus.CANCELLED}),
    OrderStatus.PLACED: frozenset({OrderStatus.PAID, OrderStatus.CANCELLED}),
    OrderStatus.PAID: frozenset({OrderStatus.RETIRING}),
    OrderStatus.RETIRING: frozenset({OrderStatus.COMPLETE}),
    OrderStatus.COMPLETE: frozenset(),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.FAILED: frozenset(),
}


def first_statuses(account: Account) -> tuple[OrderStatus, ...]:
    """The statuses that a new order of an account goes through at once, the last of them its status.

    On invoice the money is still to come; a prepaid or automatic account has paid by ordering. Where things are done by
    hand, the order waits to be advanced.
    """
    if account.test_behaviour is SandboxBehaviour.BY_HAND:
        return (OrderStatus.RECEIVED,)
    if account.billing is Billing.INVOICE:
        return (OrderStatus.RECEIVED, OrderStatus.PLACED)
    return (OrderStatus.RECEIVED, OrderStatus.PLACED, OrderStatus.PAID)


@dataclass(frozen=True)
class Order:
    """One order. Quantities are grams, costs are minor units of `currency`; `requested_tonnes` is exact.

    `history` holds each status the order has had with the time it was reached, oldest first. `beneficiary` is the name
    for which credits are retired: the one that the order asks for in its terms, else the account's.
    """

    organisation_id: UUID
    account_id: UUID
    order_id: UUID
    mode: Mode
    type: OrderType
    currency: Currency
    status: OrderStatus
    quantity_grams: int
    offset_cost_minor: int
    total_cost_minor: int
    lines: tuple[Line, ...]
    created_at: datetime
    history: tuple[tuple[OrderStatus, datetime], ...]
    requested_tonnes: Decimal | None = None
    requested_value_minor: int | None = None
    estimate_id: UUID | None = None
    idempotency_key: str | None = None
    metadata: Mapping[str, str] | None = None
    beneficiary: str | None = None
    billing: Billing = Billing.INVOICE
    terms: Terms = NO_TERMS

    def as_of(self, status: OrderStatus) -> Order:
        """The order as it was when it had just reached a status that it has had."""
        reached = [each for each, _ in self.history]
        kept = self.history[: reached.index(status) + 1] if status in reached else self.history
        return replace(self, status=status, history=kept)

    @property
    def commission_minor(self) -> int:
        return self.total_cost_minor - self.offset_cost_minor

"""The books: where money is, and every movement of it from one place to another.

Each movement takes an amount from one place and puts it in another, so the books of a currency always add up to zero.
Source of the method: double-entry bookkeeping; a debit and a credit of the same amount in every entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from tonne.domain.accounts import Billing
from tonne.domain.money import Currency
from tonne.domain.orders import OrderStatus


class Place(StrEnum):
    """A place of the books, one of each for every account.

    `receivable`: owed to us. `cash`: received. `settled`: paid in a way that is not recorded here. `prepaid`: the
    account's own money with us. `held`: for orders that are not delivered yet. `credits`, `commission`: earned.
    """

    RECEIVABLE = "receivable"
    CASH = "cash"
    SETTLED = "settled"
    PREPAID = "prepaid"
    HELD = "held"
    CREDITS = "credits"
    COMMISSION = "commission"


class TransferKind(StrEnum):
    ORDER_PLACED = "order_placed"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_PAID = "order_paid"
    CREDITS_DELIVERED = "credits_delivered"
    COMMISSION_EARNED = "commission_earned"
    TOP_UP = "top_up"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Transfer:
    """`amount_minor` units of a currency, debited to one place and credited to another; of which orders, if of any."""

    organisation_id: UUID
    account_id: UUID
    kind: TransferKind
    debit: Place
    credit: Place
    currency: Currency
    amount_minor: int
    order_ids: Sequence[UUID] | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """Which place is debited and which is credited."""

    kind: TransferKind
    debit: Place
    credit: Place


# What moves when a stored order reaches a status. Where nothing stands, nothing moves: a prepaid order is paid from what
# is held for it already, and an automatic one is settled only when it is paid.
MOVEMENTS: Mapping[tuple[OrderStatus, Billing], Movement] = {
    (OrderStatus.PAID, Billing.INVOICE): Movement(TransferKind.ORDER_PAID, Place.CASH, Place.RECEIVABLE),
    (OrderStatus.PAID, Billing.AUTOMATIC): Movement(TransferKind.ORDER_PAID, Place.SETTLED, Place.HELD),
    (OrderStatus.CANCELLED, Billing.INVOICE): Movement(
        TransferKind.ORDER_CANCELLED, Place.HELD, Place.RECEIVABLE
    ),
    (OrderStatus.CANCELLED, Billing.PREPAID): Movement(
        TransferKind.ORDER_CANCELLED, Place.HELD, Place.PREPAID
    ),
    (OrderStatus.FAILED, Billing.INVOICE): Movement(
        TransferKind.ORDER_CANCELLED, Place.HELD, Place.RECEIVABLE
    ),
    (OrderStatus.FAILED, Billing.PREPAID): Movement(TransferKind.ORDER_CANCELLED, Place.HELD, Place.PREPAID),
}

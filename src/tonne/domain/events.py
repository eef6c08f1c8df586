"""What happens to orders and their credits: contract, section 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class EventType(StrEnum):
    """Written in the transaction in which it happens."""

    ORDER_RECEIVED = "order.received"
    ORDER_PLACED = "order.placed"
    ORDER_PAID = "order.paid"
    ORDER_RETIRING = "order.retiring"
    ORDER_COMPLETED = "order.completed"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_FAILED = "order.failed"
    ALLOCATION_NEW = "allocation.new"
    ALLOCATION_RETIRED = "allocation.retired"


@dataclass(frozen=True, slots=True)
class Happened:
    """The same events, in that order, of each of an account's orders.

    `retirement_ids` and `quantities_grams` go with `order_ids` one by one, for events of allocations.
    """

    organisation_id: UUID
    account_id: UUID
    event_types: tuple[EventType, ...]
    order_ids: Sequence[UUID]
    retirement_ids: Sequence[UUID] | None = None
    quantities_grams: Sequence[int] | None = None

"""What happens to orders and their credits: contract, section 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from tonne.domain.orders import OrderStatus

_SEQUENCE_DIGITS = 20
_SEQUENCE_BITS = 48
_ID_BITS = 128
_HASH_MASK = (1 << (_ID_BITS - _SEQUENCE_BITS)) - 1
# RFC 9562: version 8, for ids that are made of what one likes; variant 10.
_VERSION_AND_VARIANT = (8 << 76) | (0b10 << 62)
_FREE_MASK = _HASH_MASK & ~((0xF << 76) | (0b11 << 62))


class EventType(StrEnum):
    """Written in the transaction in which it happens; a ping is never written."""

    ORDER_RECEIVED = "order.received"
    ORDER_PLACED = "order.placed"
    ORDER_PAID = "order.paid"
    ORDER_RETIRING = "order.retiring"
    ORDER_COMPLETED = "order.completed"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_FAILED = "order.failed"
    ALLOCATION_NEW = "allocation.new"
    ALLOCATION_RETIRED = "allocation.retired"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_PING = "webhook.ping"


# The status that an order has with an event.
STATUS_OF = {
    EventType.ORDER_RECEIVED: OrderStatus.RECEIVED,
    EventType.ORDER_PLACED: OrderStatus.PLACED,
    EventType.ORDER_PAID: OrderStatus.PAID,
    EventType.ORDER_RETIRING: OrderStatus.RETIRING,
    EventType.ORDER_COMPLETED: OrderStatus.COMPLETE,
    EventType.ORDER_CANCELLED: OrderStatus.CANCELLED,
    EventType.ORDER_FAILED: OrderStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class Happened:
    """The same events, in that order, of each of an account's orders, or one of a webhook.

    `retirement_ids` and `quantities_grams` go with `order_ids` one by one, for events of allocations.
    """

    organisation_id: UUID
    account_id: UUID
    event_types: tuple[EventType, ...]
    order_ids: Sequence[UUID] = ()
    retirement_ids: Sequence[UUID] | None = None
    quantities_grams: Sequence[int] | None = None
    webhook_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an account. Sequence numbers begin at 1, without gaps, in the order of commits."""

    account_id: UUID
    sequence: int
    event_type: EventType
    at: datetime
    order_id: UUID | None = None
    retirement_id: UUID | None = None
    quantity_grams: int | None = None
    webhook_id: UUID | None = None

    @property
    def event_id(self) -> UUID:
        """A UUID that no other event has, and from which the event can be found again."""
        return event_id(self.account_id, self.sequence)


def event_id(account_id: UUID, sequence: int) -> UUID:
    """The id of an account's event: its sequence number, and a hash of that and the account."""
    digest = sha256(account_id.bytes + sequence.to_bytes(8)).digest()
    free = int.from_bytes(digest[:10]) & _FREE_MASK
    return UUID(int=(sequence << (_ID_BITS - _SEQUENCE_BITS)) | _VERSION_AND_VARIANT | free)


def sequence_of(account_id: UUID, wanted: UUID) -> int | None:
    """The sequence number in the id of an account's event; None for any other id."""
    sequence = wanted.int >> (_ID_BITS - _SEQUENCE_BITS)
    return sequence if sequence > 0 and event_id(account_id, sequence) == wanted else None


def format_sequence(sequence: int) -> str:
    """Twenty digits, so that texts compare as the numbers do."""
    return f"{sequence:0{_SEQUENCE_DIGITS}}"


def parse_sequence(text: str) -> int | None:
    """Read a sequence number, with or without its leading zeros; None where it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= _SEQUENCE_DIGITS):
        return None
    sequence = int(text)
    return sequence if sequence >> _SEQUENCE_BITS == 0 else None

"""What events tell about: their orders as they were then, and the credits that were allocated by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.domain.events import STATUS_OF, Event
from tonne.domain.orders import Order, OrderStatus
from tonne.domain.progress import Progress
from tonne.domain.webhooks import Webhook
from tonne.storage.database import Connection
from tonne.storage.orders import find_orders
from tonne.storage.progress import AllocatedOf, load_progress_as_of, load_retirements_of
from tonne.storage.webhooks import list_webhooks

# Before these, no credits are allocated.
_WITH_PARTS = frozenset({OrderStatus.RETIRING, OrderStatus.COMPLETE})
NOTHING_ALLOCATED = Progress()


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What is known of the objects of some events of an account."""

    orders: Mapping[UUID, Order]
    progress: Mapping[tuple[UUID, datetime], Progress]
    retirements: Mapping[UUID, AllocatedOf]
    webhooks: Mapping[UUID, Webhook]

    def order(self, event: Event) -> Order:
        """The order of an event, as it was then."""
        assert event.order_id is not None, "an event of an order names it"
        return self.orders[event.order_id].as_of(STATUS_OF[event.event_type])

    def progress_of(self, event: Event) -> Progress:
        """How far the order of an event had come then."""
        assert event.order_id is not None, "an event of an order names it"
        return self.progress.get((event.order_id, event.at), NOTHING_ALLOCATED)


async def load_event_facts(connection: Connection, account: Account, events: Sequence[Event]) -> EventFacts:
    """Read what some events of an account tell about."""
    of_orders = [event for event in events if event.event_type in STATUS_OF and event.order_id is not None]
    order_ids = list({event.order_id for event in of_orders if event.order_id is not None})
    with_parts = {
        (event.order_id, event.at)
        for event in of_orders
        if event.order_id is not None and STATUS_OF[event.event_type] in _WITH_PARTS
    }
    retirement_ids = list({event.retirement_id for event in events if event.retirement_id is not None})
    webhooks = []
    if any(event.webhook_id is not None for event in events):
        webhooks = await list_webhooks(connection, account.organisation_id, account.mode)
    return EventFacts(
        await find_orders(connection, account, order_ids) if order_ids else {},
        await load_progress_as_of(connection, account, sorted(with_parts)) if with_parts else {},
        await load_retirements_of(connection, account, retirement_ids) if retirement_ids else {},
        {webhook.webhook_id: webhook for webhook in webhooks},
    )

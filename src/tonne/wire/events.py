"""Events on the wire: contract, section 9. What is pulled and what is delivered is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from tonne.application.event_facts import EventFacts, load_event_facts
from tonne.application.proofs import Links
from tonne.domain.accounts import Account
from tonne.domain.catalogue import Catalogue
from tonne.domain.events import Event, EventType, event_id, format_sequence
from tonne.domain.mass import format_tonnes
from tonne.domain.times import format_time
from tonne.storage.database import Connection
from tonne.storage.snapshot import SnapshotKeeper
from tonne.wire.common import Id, Time, Tonnes
from tonne.wire.orders import OrderBody, order_body

API_VERSION = "v1"
Sequence_ = Annotated[
    str,
    Meta(
        description="Twenty digits. Within an account they follow each other without gaps, in the order of commits.",
        extra_json_schema={"pattern": "^[0-9]{20}$"},
        examples=["00000000000000000042"],
    ),
]


class EventAllocation(msgspec.Struct, frozen=True):
    """An order's part in a retirement."""

    id: Annotated[str, Meta(description="Unique identifier.")]
    order_id: Id
    project_id: Id
    quantity: Tonnes
    status: Annotated[
        str,
        Meta(
            description="`retired` once the registry confirmed.",
            extra_json_schema={"enum": ["new", "retired"]},
        ),
    ]
    created_at: Time


class EventWebhook(msgspec.Struct, frozen=True):
    """A webhook that was disabled since an endpoint did not acknowledge."""

    id: Id
    url: Annotated[str | None, Meta(description="null where it was deleted since.")]
    disabled_at: Time


class OrderEventData(msgspec.Struct, frozen=True):
    """The order as it was when the event happened."""

    order: OrderBody


class AllocationEventData(msgspec.Struct, frozen=True):
    """An allocation; `split_from` is the one that it was a part of, if any."""

    allocation: EventAllocation
    split_from: EventAllocation | None


class WebhookEventData(msgspec.Struct, frozen=True):
    """A webhook."""

    webhook: EventWebhook


class NoEventData(msgspec.Struct, frozen=True):
    """Nothing: a ping."""


_EVENT_DATA = {
    "description": "What it happened to: of order events an order, of allocation events an allocation.",
    "anyOf": [
        *(
            {"$ref": f"#/components/schemas/{name}"}
            for name in ("OrderEventData", "AllocationEventData", "WebhookEventData")
        ),
        {"type": "object", "maxProperties": 0},
    ],
}


class EventBody(msgspec.Struct, frozen=True):
    """Something that happened to an account's orders."""

    api_version: Annotated[str, Meta(extra_json_schema={"enum": [API_VERSION]})]
    event_id: Id
    account_id: Id
    event_type: EventType
    sequence: Annotated[Sequence_ | None, Meta(description="null of a ping.")]
    created_at: Time
    # A union, which is told apart by `event_type`: more than msgspec can say.
    data: Annotated[Any, Meta(extra_json_schema=_EVENT_DATA)]


class EventPage(msgspec.Struct, frozen=True):
    """A page of events, the oldest first."""

    data: list[EventBody]
    has_more: Annotated[bool, Meta(description="Whether more events are there already.")]
    next_cursor: Annotated[str | None, Meta(description="Pass it as `after`; null when there is no more.")]


class _Delivered(msgspec.Struct, frozen=True):
    events: list[EventBody]


@dataclass(frozen=True, slots=True)
class EventWriter:
    """Writes the bodies that are delivered."""

    snapshots: SnapshotKeeper
    links: Links

    async def write(self, connection: Connection, account_id: UUID, events: Sequence[Event]) -> bytes:
        """The body that delivers some events of an account."""
        if account_id not in self.snapshots.current.directory.accounts:
            # Opened a moment ago.
            await self.snapshots.refresh()
        current = self.snapshots.current
        account = current.directory.accounts[account_id]
        bodies = await event_bodies(connection, account, events, current.catalogue, self.links)
        return encode_delivery(bodies)


def encode_delivery(events: list[EventBody]) -> bytes:
    """A body that delivers events."""
    return msgspec.json.encode(_Delivered(events))


async def event_bodies(
    connection: Connection, account: Account, events: Sequence[Event], catalogue: Catalogue, links: Links
) -> list[EventBody]:
    """Print events of an account."""
    facts = await load_event_facts(connection, account, events)
    return [_event_body(event, facts, catalogue, links) for event in events]


def ping_body(account: Account, *, at: datetime) -> EventBody:
    """An event that says nothing but that the endpoint is reached."""
    return EventBody(
        API_VERSION,
        str(event_id(account.account_id, int(at.timestamp() * 1000))),
        str(account.account_id),
        EventType.WEBHOOK_PING,
        None,
        format_time(at),
        NoEventData(),
    )


def _event_body(event: Event, facts: EventFacts, catalogue: Catalogue, links: Links) -> EventBody:
    return EventBody(
        API_VERSION,
        str(event.event_id),
        str(event.account_id),
        event.event_type,
        format_sequence(event.sequence),
        format_time(event.at),
        _data(event, facts, catalogue, links),
    )


def _data(
    event: Event, facts: EventFacts, catalogue: Catalogue, links: Links
) -> OrderEventData | AllocationEventData | WebhookEventData:
    if event.webhook_id is not None:
        webhook = facts.webhooks.get(event.webhook_id)
        url = None if webhook is None else webhook.url
        return WebhookEventData(EventWebhook(str(event.webhook_id), url, format_time(event.at)))
    if event.retirement_id is None:
        return OrderEventData(order_body(facts.order(event), catalogue, links, facts.progress_of(event)))
    assert event.quantity_grams is not None, "an allocation has grams"
    retirement = facts.retirements[event.retirement_id]
    return AllocationEventData(
        EventAllocation(
            id=f"{event.retirement_id}.{event.order_id}",
            order_id=str(event.order_id),
            project_id=str(retirement.project_id),
            quantity=format_tonnes(event.quantity_grams),
            status="retired" if event.event_type is EventType.ALLOCATION_RETIRED else "new",
            created_at=format_time(retirement.created_at),
        ),
        split_from=None,
    )

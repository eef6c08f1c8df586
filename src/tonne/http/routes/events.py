"""An account's events, to be pulled: what webhooks deliver."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from tonne.application.identifiers import read_id
from tonne.application.number_events import number_own
from tonne.domain.errors import IdInvalid, NotFound, PaginationLimitInvalid, ValidationFailed
from tonne.domain.events import EventType, format_sequence, parse_sequence, sequence_of
from tonne.http.answers import answer
from tonne.http.documentation import Limit, refusals
from tonne.http.paging import read_limit
from tonne.http.request import ApiRequest
from tonne.storage.events import EventFilter, read_events
from tonne.wire.common import NO_NUL, read_time
from tonne.wire.events import EventBody, EventPage, event_bodies

TAGS = ["Events and webhooks"]
# Pings are never stored.
LISTED_TYPES = [each for each in EventType if each is not EventType.WEBHOOK_PING]


def _parameter(description: str, **schema: str) -> object:
    return QueryParameter(required=False, description=description, schema_extra=schema or NO_NUL)


AfterSequence = Annotated[
    str | None,
    _parameter(
        "The `sequence` of the event before the first to list: `next_cursor`, or the last that you know."
    ),
]
EventTypes = Annotated[str | None, _parameter("Types, separated by commas.")]
OfOrder = Annotated[str | None, _parameter("Events of an order.")]
CreatedFrom = Annotated[str | None, _parameter("Events of then or later.", format="date-time")]
CreatedTo = Annotated[str | None, _parameter("Events of before.", format="date-time")]


@get(
    "/events",
    tags=TAGS,
    operation_id="listEvents",
    summary="List events",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid),
)
async def list_events(
    request: ApiRequest,
    limit: Limit = None,
    after: AfterSequence = None,
    event_type: EventTypes = None,
    order_id: OfOrder = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response[EventPage]:
    """List the account's events, the oldest first: what webhooks deliver, in the same order.

    They are kept for 30 days, or longer where the operator says so. To follow them, ask again with the last `sequence` as `after`.
    """
    query = request.query("limit", "after", "event_type", "order_id", "created_from", "created_to")
    page_size = read_limit(query)
    after_sequence = _read_after(query.get("after"))
    wanted = _read_filter(query)
    if "order_id" in query and wanted.order_id is None:
        # No order has such an id.
        return answer(EventPage([], has_more=False, next_cursor=None))
    account = request.account
    await number_own(request.services.pool, account)
    async with request.services.pool.acquire(timeout=5) as connection:
        found = await read_events(
            connection,
            account.organisation_id,
            account.account_id,
            first=after_sequence + 1,
            limit=page_size + 1,
            wanted=wanted,
        )
        page = found[:page_size]
        bodies = await event_bodies(connection, account, page, request.catalogue, request.services.links)
    has_more = len(found) > page_size
    return answer(
        EventPage(
            bodies, has_more=has_more, next_cursor=format_sequence(page[-1].sequence) if has_more else None
        )
    )


@get(
    "/events/{id:str}",
    tags=TAGS,
    operation_id="getEvent",
    summary="Get an event",
    responses=refusals(NotFound),
)
async def get_event(request: ApiRequest) -> Response[EventBody]:
    """Get an event by its id."""
    account = request.account
    event_id = read_id(request.path_params["id"])
    sequence = None if event_id is None else sequence_of(account.account_id, event_id)
    if sequence is None:
        raise NotFound
    async with request.services.pool.acquire(timeout=5) as connection:
        found = await read_events(
            connection, account.organisation_id, account.account_id, first=sequence, limit=1
        )
        if not found or found[0].sequence != sequence:
            raise NotFound
        [body] = await event_bodies(connection, account, found, request.catalogue, request.services.links)
    return answer(body)


def _read_after(text: str | None) -> int:
    if text is None:
        return 0
    sequence = parse_sequence(text)
    if sequence is None:
        raise IdInvalid("after: must be the `sequence` of an event.")
    return sequence


def _read_filter(query: dict[str, str]) -> EventFilter:
    types = None
    if "event_type" in query:
        types = [text.strip() for text in query["event_type"].split(",") if text.strip()]
        unknown = [text for text in types if text not in LISTED_TYPES]
        if unknown or not types:
            raise ValidationFailed.at("event_type", f"must be of {', '.join(LISTED_TYPES)}")
    return EventFilter(
        None if types is None else [EventType(text) for text in types],
        read_id(query.get("order_id", "")),
        read_time(query["created_from"], "created_from") if "created_from" in query else None,
        read_time(query["created_to"], "created_to") if "created_to" in query else None,
    )

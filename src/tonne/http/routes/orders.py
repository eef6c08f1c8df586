"""Orders: placing them and reading them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import JSONBody, QueryParameter

from tonne.application.identifiers import new_id, read_id, utc_now
from tonne.application.place_orders import Outcome, Placed, PlaceOrder, Refused, RepeatableRequest, Replayed
from tonne.application.proofs import Links
from tonne.domain.catalogue import Catalogue
from tonne.domain.errors import (
    EstimateNotFound,
    EstimateOrderAlreadyPlaced,
    IdInvalid,
    NotFound,
    OrderValueInvalid,
    PaginationLimitInvalid,
    ValidationFailed,
)
from tonne.domain.orders import Order, OrderStatus
from tonne.domain.progress import Progress
from tonne.http.answers import answer, stored_answer
from tonne.http.documentation import ORDERING, WITH_BODY, After, Limit, refusals
from tonne.http.paging import first_page, read_cursor, read_limit
from tonne.http.repeatable import answer_to_keep, read_request_key
from tonne.http.request import ApiRequest
from tonne.storage.idempotent_requests import RequestKey, StoredAnswer
from tonne.storage.orders import (
    OrderFilter,
    WantedOrder,
    find_order,
    find_order_by_idempotency_key,
    list_orders,
)
from tonne.storage.progress import UNDER_WAY, load_progress
from tonne.wire.common import NO_NUL, read_time
from tonne.wire.orders import (
    NOT_UNDER_WAY,
    CreateOrder,
    CreateOrderByEstimate,
    CreateOrderByMass,
    CreateOrderByValue,
    OrderBody,
    OrderPage,
    order_body,
)

TAGS = ["Orders"]
BY_KEY_PATH = "/v1/orders/by-idempotency-key/"


@post(
    "/orders/by-mass",
    status_code=200,
    tags=TAGS,
    operation_id="createOrderByMass",
    summary="Order by mass",
    responses=refusals(*WITH_BODY, *ORDERING),
)
async def create_order_by_mass(request: ApiRequest, data: JSONBody[CreateOrderByMass]) -> Response[OrderBody]:
    """Order offsets for a mass, over a bundle selection or bundle by bundle."""
    return await _place(request, data)


@post(
    "/orders/by-value",
    status_code=200,
    tags=TAGS,
    operation_id="createOrderByValue",
    summary="Order by value",
    responses=refusals(*WITH_BODY, *ORDERING, OrderValueInvalid),
)
async def create_order_by_value(
    request: ApiRequest, data: JSONBody[CreateOrderByValue]
) -> Response[OrderBody]:
    """Order as much as a value pays for, commission included."""
    return await _place(request, data)


@post(
    "/orders/by-estimate",
    status_code=200,
    tags=TAGS,
    operation_id="createOrderByEstimate",
    summary="Order by estimate",
    responses=refusals(*WITH_BODY, *ORDERING, EstimateNotFound, EstimateOrderAlreadyPlaced),
)
async def create_order_by_estimate(
    request: ApiRequest, data: JSONBody[CreateOrderByEstimate]
) -> Response[OrderBody]:
    """Order the mass of an emission estimate, once.

    The order's own bundle selection counts, else the account's: the selection and precision that an estimate was made
    with are those of the quote inside it only.
    """
    return await _place(request, data)


@get(
    "/orders",
    tags=TAGS,
    operation_id="listOrders",
    summary="List orders",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid),
)
async def list_account_orders(
    request: ApiRequest,
    limit: Limit = None,
    after: After = None,
    offset_link_id: Annotated[
        str | None,
        QueryParameter(
            required=False, description="Orders made through this offset link.", schema_extra=NO_NUL
        ),
    ] = None,
    status: Annotated[
        str | None,
        QueryParameter(
            required=False,
            description="Orders with this status.",
            schema_extra={"enum": [status.value for status in OrderStatus]},
        ),
    ] = None,
    created_from: Annotated[
        str | None,
        QueryParameter(
            required=False, description="Orders created then or later.", schema_extra={"format": "date-time"}
        ),
    ] = None,
    created_to: Annotated[
        str | None,
        QueryParameter(
            required=False, description="Orders created before.", schema_extra={"format": "date-time"}
        ),
    ] = None,
    project_id: Annotated[
        str | None,
        QueryParameter(
            required=False,
            description="Orders that were allocated credits of this project.",
            schema_extra=NO_NUL,
        ),
    ] = None,
) -> Response[OrderPage]:
    """List the account's orders, newest first. Filter by metadata with `metadata[key]=value`."""
    return await _list(request)


@get(
    "/orders/{id:str}",
    tags=TAGS,
    operation_id="getOrder",
    summary="Get an order",
    responses=refusals(NotFound),
)
async def get_order(request: ApiRequest) -> Response[OrderBody]:
    """Get an order by its id."""
    order_id = read_id(request.path_params["id"])
    if order_id is None:
        raise NotFound
    order = await request.services.orders.submit(WantedOrder(request.account, order_id))
    if order is None:
        raise NotFound
    [body] = await show_orders(request, [order])
    return answer(body)


@get(
    "/orders/by-idempotency-key/{idempotency_key:path}",
    tags=TAGS,
    operation_id="getOrderByIdempotencyKey",
    summary="Get an order by its idempotency key",
    responses=refusals(NotFound),
)
async def get_order_by_idempotency_key(request: ApiRequest) -> Response[OrderBody]:
    """Get an order by the idempotency_key it was placed with: any characters, percent-encoded."""
    # All that follows is the key, slashes too: taken from the whole path, since the router trims them.
    key = request.scope["path"].removeprefix(BY_KEY_PATH)
    if "\x00" in key:
        raise NotFound
    async with request.services.pool.acquire(timeout=5) as connection:
        order = await find_order_by_idempotency_key(connection, request.account, key)
    if order is None:
        raise NotFound
    [body] = await show_orders(request, [order])
    return answer(body)


async def _place(request: ApiRequest, data: CreateOrder) -> Response[Any]:
    key = await read_request_key(request)
    catalogue = request.catalogue
    links = request.services.links
    command = PlaceOrder(
        order_id=new_id(),
        caller=request.caller,
        purchase=data.to_purchase(),
        catalogue=catalogue,
        at=utc_now(),
        idempotency_key=data.idempotency_key,
        metadata=data.metadata,
        repeatable=None
        if key is None
        else RepeatableRequest(
            key, partial(_answer, key=key, path=request.scope["path"], catalogue=catalogue, links=links)
        ),
    )
    outcome = await request.services.desk.place(command)
    return _render(outcome, catalogue, links)


def _render(outcome: Outcome, catalogue: Catalogue, links: Links) -> Response[Any]:
    match outcome:
        case Placed(order):
            return answer(order_body(order, catalogue, links))
        case Replayed(stored):
            return stored_answer(stored)
        case Refused(error):
            raise error


def _answer(
    outcome: Placed | Refused, *, key: RequestKey, path: str, catalogue: Catalogue, links: Links
) -> StoredAnswer:
    body = outcome.error if isinstance(outcome, Refused) else order_body(outcome.order, catalogue, links)
    return answer_to_keep(body, key, path)


async def _list(request: ApiRequest) -> Response[OrderPage]:
    query = request.query(
        "limit", "after", "offset_link_id", "status", "created_from", "created_to", "metadata[]", "project_id"
    )
    page_size = read_limit(query)
    cursor = read_cursor(query)
    wanted = _read_filter(query)
    if "offset_link_id" in query or ("project_id" in query and wanted.project_id is None):
        # No order has come from an offset link, and no project has such an id.
        return answer(OrderPage([], has_more=False, next_cursor=None))
    async with request.services.pool.acquire(timeout=5) as connection:
        found = await list_orders(
            connection, request.account, wanted=wanted, after=cursor, limit=page_size + 1
        )
    orders, has_more = first_page(found, page_size)
    page = OrderPage(
        await show_orders(request, orders),
        has_more=has_more,
        next_cursor=str(orders[-1].order_id) if has_more else None,
    )
    return answer(page)


async def show_orders(request: ApiRequest, orders: Sequence[Order]) -> list[OrderBody]:
    """Print orders of the account with how far they have come."""
    progress: Mapping[UUID, Progress] = {}
    if any(order.status in UNDER_WAY for order in orders):
        async with request.services.pool.acquire(timeout=5) as connection:
            progress = await load_progress(connection, request.account, orders)
    links = request.services.links
    return [
        order_body(order, request.catalogue, links, progress.get(order.order_id, NOT_UNDER_WAY))
        for order in orders
    ]


async def find_own_order(request: ApiRequest) -> Order:
    """Find the order that the path names.

    Raises:
        NotFound: the account has no such order.
    """
    order_id = read_id(request.path_params["id"])
    if order_id is None:
        raise NotFound
    async with request.services.pool.acquire(timeout=5) as connection:
        order = await find_order(connection, request.account, order_id)
    if order is None:
        raise NotFound
    return order


def _read_filter(query: dict[str, str]) -> OrderFilter:
    status = query.get("status")
    if status is not None and status not in list(OrderStatus):
        raise ValidationFailed.at("status", f"must be one of {', '.join(OrderStatus)}")
    times = {
        name: read_time(query[name], name) if name in query else None
        for name in ("created_from", "created_to")
    }
    metadata = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in query.items()
        if name.startswith("metadata[")
    }
    return OrderFilter(
        status=None if status is None else OrderStatus(status),
        created_from=times["created_from"],
        created_to=times["created_to"],
        metadata=metadata or None,
        project_id=read_id(query.get("project_id", "")),
    )

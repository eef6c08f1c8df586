"""The sandbox: test orders are moved by hand, and a switch says how things go for a test account."""

from __future__ import annotations

from litestar import Response, get, post, put
from litestar.params import JSONBody

from tonne.application.advance_order import advance_order
from tonne.application.bill_accounts import change_test_behaviour
from tonne.application.identifiers import read_id, utc_now
from tonne.domain.accounts import Account, Mode
from tonne.domain.errors import NotFound, OrderNotAdvanceable, OrderNotCancellable
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.request import ApiRequest
from tonne.http.routes.orders import show_orders
from tonne.wire.orders import OrderBody
from tonne.wire.sandbox import AdvanceOrder, ChangeTestBehaviour

TAGS = ["Sandbox"]


@post(
    "/test/orders/{id:str}/advance",
    status_code=200,
    tags=TAGS,
    operation_id="advanceOrder",
    summary="Advance a test order",
    responses=refusals(*WITH_BODY, NotFound, OrderNotAdvanceable, OrderNotCancellable),
)
async def advance_own_order(request: ApiRequest) -> Response[OrderBody]:
    """Move a test order to its next status or, with `to`, to a named one through all that lie between.

    What is left of a tonne is filled, and the simulated registry confirms. Without a body the next status is meant. A
    received order may also be moved to `failed`, a received or placed one to `cancelled`.
    """
    order_id = read_id(request.path_params["id"])
    data = await request.optional_body(AdvanceOrder)
    if order_id is None:
        raise NotFound
    target = None if data is None else data.to
    order = await advance_order(
        request.services.pool, request.account, order_id, target=target, now=utc_now, actor=request.actor
    )
    [body] = await show_orders(request, [order])
    return answer(body)


@get(
    "/test/behaviour",
    tags=TAGS,
    operation_id="getBehaviour",
    summary="Get how things go for the test account",
    responses=refusals(NotFound),
)
async def get_behaviour(request: ApiRequest) -> ChangeTestBehaviour:
    """Get the test account's switch."""
    return ChangeTestBehaviour(_test_account(request).test_behaviour)


@put(
    "/test/behaviour",
    tags=TAGS,
    operation_id="putBehaviour",
    summary="Set how things go for the test account",
    responses=refusals(*WITH_BODY, NotFound),
)
async def put_behaviour(request: ApiRequest, data: JSONBody[ChangeTestBehaviour]) -> ChangeTestBehaviour:
    """Set the test account's switch, to see every path before going live. It counts for all that follows."""
    account = _test_account(request)
    await change_test_behaviour(
        request.services.pool, account, data.test_behaviour, at=utc_now(), actor=request.actor
    )
    # The next order here goes as this answer says; other processes hear of it within milliseconds.
    await request.services.snapshots.refresh()
    return data


def _test_account(request: ApiRequest) -> Account:
    if request.account.mode is not Mode.TEST:
        raise NotFound("Only test accounts have a switch: send a test key.")
    return request.account

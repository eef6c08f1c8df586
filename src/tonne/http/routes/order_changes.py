"""Orders: changing one's mind."""

from __future__ import annotations

from litestar import Response, post

from tonne.application.cancel_order import cancel_order
from tonne.application.identifiers import read_id, utc_now
from tonne.domain.errors import NotFound, OrderNotCancellable
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.request import ApiRequest
from tonne.wire.orders import OrderBody, order_body


@post(
    "/orders/{id:str}/cancel",
    status_code=200,
    tags=["Orders"],
    operation_id="cancelOrder",
    summary="Cancel an order",
    responses=refusals(*WITH_BODY, NotFound, OrderNotCancellable),
)
async def cancel_own_order(request: ApiRequest) -> Response[OrderBody]:
    """Cancel an order that is received or placed. The request needs no body; `{}` is fine.

    What was charged to a prepaid balance is there again, and an estimate may be ordered anew.
    """
    await request.refuse_content()
    order_id = read_id(request.path_params["id"])
    if order_id is None:
        raise NotFound
    order = await cancel_order(
        request.services.pool, request.account, order_id, at=utc_now(), actor=request.actor
    )
    return answer(order_body(order, request.catalogue, request.services.links))

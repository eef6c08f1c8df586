"""Quotes. A quote writes nothing."""

from __future__ import annotations

from litestar import Response, post
from litestar.params import JSONBody

from tonne.application.identifiers import utc_now
from tonne.application.quote import quote_estimate
from tonne.domain.errors import EstimateNotFound, OrderValueInvalid
from tonne.domain.purchase import price_purchase
from tonne.http.answers import answer
from tonne.http.documentation import PRICING, WITH_BODY, refusals
from tonne.http.request import ApiRequest
from tonne.wire.orders import QuoteByEstimate, QuoteByMass, QuoteByValue
from tonne.wire.quotes import QuoteBody, quote_body

TAGS = ["Quotes"]


@post(
    "/orders/by-mass/quote",
    status_code=200,
    tags=TAGS,
    operation_id="quoteOrderByMass",
    summary="Quote by mass",
    responses=refusals(*WITH_BODY, *PRICING),
)
async def quote_by_mass(request: ApiRequest, data: JSONBody[QuoteByMass]) -> Response[QuoteBody]:
    """Quote offsets for a mass: an order with the same inputs, placed now, has the same numbers."""
    quote = price_purchase(
        data.to_purchase(), account=request.account, catalogue=request.catalogue, at=utc_now()
    )
    return answer(quote_body(quote, request.catalogue))


@post(
    "/orders/by-value/quote",
    status_code=200,
    tags=TAGS,
    operation_id="quoteOrderByValue",
    summary="Quote by value",
    responses=refusals(*WITH_BODY, *PRICING, OrderValueInvalid),
)
async def quote_by_value(request: ApiRequest, data: JSONBody[QuoteByValue]) -> Response[QuoteBody]:
    """Quote as much as a value pays for, commission included."""
    quote = price_purchase(
        data.to_purchase(), account=request.account, catalogue=request.catalogue, at=utc_now()
    )
    return answer(quote_body(quote, request.catalogue))


@post(
    "/orders/by-estimate/quote",
    status_code=200,
    tags=TAGS,
    operation_id="quoteOrderByEstimate",
    summary="Quote by estimate",
    responses=refusals(*WITH_BODY, *PRICING, EstimateNotFound),
)
async def quote_by_estimate(request: ApiRequest, data: JSONBody[QuoteByEstimate]) -> Response[QuoteBody]:
    """Quote the mass of an emission estimate, ordered already or not."""
    quote = await quote_estimate(
        request.services.pool,
        data.to_purchase(),
        account=request.account,
        catalogue=request.catalogue,
        at=utc_now(),
    )
    return answer(quote_body(quote, request.catalogue))

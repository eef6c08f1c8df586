"""Emission estimates."""

from __future__ import annotations

from functools import partial

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody

from tonne.application.error_body import ErrorBody, error_body
from tonne.application.identifiers import new_id, utc_now
from tonne.application.make_estimate import RepeatableEstimate, make_estimate
from tonne.domain.errors import (
    BundleSelectionBundleInvalid,
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    EstimateIdempotencyAlreadyExists,
    IdempotencyKeyReused,
    NotFound,
    TonneError,
)
from tonne.domain.estimates import Estimate
from tonne.domain.mass import MassUnit
from tonne.domain.purchase import ByEstimate, Purchase, price_purchase
from tonne.domain.times import format_time
from tonne.estimates.electricity import estimate_electricity
from tonne.http.answers import answer, stored_answer
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.repeatable import answer_to_keep, read_request_key
from tonne.http.request import ApiRequest
from tonne.http.wire.common import read_id, read_selection
from tonne.http.wire.estimates import CreateElectricityEstimate, EstimateBody, estimate_body
from tonne.http.wire.quotes import QuoteBody, quote_body
from tonne.storage.estimates import find_estimate
from tonne.storage.idempotent_requests import RequestKey, StoredAnswer

TAGS = ["Estimates"]
ELECTRICITY = "electricity"


@post(
    "/estimates/electricity",
    status_code=200,
    tags=TAGS,
    operation_id="createElectricityEstimate",
    summary="Estimate electricity",
    responses=refusals(
        *WITH_BODY,
        BundleSelectionBundleInvalid,
        BundleSelectionRatiosInvalid,
        BundleSelectionRatiosInvalidFormat,
        EstimateIdempotencyAlreadyExists,
        IdempotencyKeyReused,
    ),
)
async def create_electricity_estimate(
    request: ApiRequest, data: JSONBody[CreateElectricityEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of electricity, from the carbon intensity of a country's grid."""
    key = await read_request_key(request)
    estimate = _estimate(data, request)
    repeatable = None if key is None else RepeatableEstimate(key, partial(_answer, key=key, request=request))
    made = await make_estimate(
        request.services.pool, request.account, estimate, actor=request.actor, repeatable=repeatable
    )
    if isinstance(made, StoredAnswer):
        return stored_answer(made)
    return answer(_render(made, request))


@get(
    "/estimates/electricity/{id:str}",
    tags=TAGS,
    operation_id="getElectricityEstimate",
    summary="Get an electricity estimate",
    responses=refusals(NotFound),
)
async def get_electricity_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    estimate_id = read_id(request.path_params["id"])
    if estimate_id is None:
        raise NotFound
    async with request.services.pool.acquire(timeout=5) as connection:
        estimate = await find_estimate(connection, request.account, estimate_id, kind=ELECTRICITY)
    if estimate is None:
        raise NotFound
    return _render(estimate, request)


def _estimate(data: CreateElectricityEstimate, request: ApiRequest) -> Estimate:
    selection = read_selection(data.bundle_selection)
    for choice in selection or ():
        request.catalogue.buyable(choice.bundle_id)
    tonnes, calculation = estimate_electricity(data.consumption.to_consumption(), data.country_code)
    return Estimate(
        organisation_id=request.account.organisation_id,
        account_id=request.account.account_id,
        estimate_id=new_id(),
        kind=ELECTRICITY,
        tonnes=tonnes,
        request=msgspec.to_builtins(data),
        calculation=calculation,
        precision=data.quantity_trunc or MassUnit.G,
        created_at=utc_now(),
        selection=selection,
        name=data.name,
        metadata=data.metadata,
        idempotency_key=data.idempotency_key,
    )


def _render(estimate: Estimate, request: ApiRequest) -> EstimateBody:
    return estimate_body(estimate, _quote(estimate, request), format_time(estimate.created_at))


def _quote(estimate: Estimate, request: ApiRequest) -> QuoteBody | ErrorBody:
    wanted = ByEstimate(estimate.estimate_id, estimate.tonnes)
    purchase = Purchase(wanted, estimate.selection, estimate.precision)
    try:
        quote = price_purchase(purchase, account=request.account, catalogue=request.catalogue, at=utc_now())
    except TonneError as error:
        return error_body(error, instance=request.scope["path"])
    return quote_body(quote, request.catalogue)


def _answer(made: Estimate | TonneError, *, key: RequestKey, request: ApiRequest) -> StoredAnswer:
    body = made if isinstance(made, TonneError) else _render(made, request)
    return answer_to_keep(body, key, request.scope["path"])

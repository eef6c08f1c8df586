"""Emission estimates: each kind is made, fetched and, where it can be, replaced."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from litestar import Response, get, post, put
from litestar.params import JSONBody

from tonne.application.calculate import Estimated
from tonne.application.change_estimate import change_estimate
from tonne.application.error_body import ErrorBody, error_body
from tonne.application.factor_book import factor_book
from tonne.application.identifiers import read_id, utc_now
from tonne.application.make_estimate import (
    EstimateDraft,
    RepeatableEstimate,
    find_stored_answer,
    make_estimate,
    read_and_calculate,
)
from tonne.domain.errors import (
    AddressNotFound,
    AirportInvalid,
    BundleSelectionBundleInvalid,
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    DistanceInvalid,
    EmissionFactorIdInvalid,
    EmissionFactorUnitMismatch,
    EstimateIdempotencyAlreadyExists,
    EstimateOrderAlreadyPlaced,
    ExchangeRateNotFound,
    IdempotencyKeyReused,
    LocodeNotFound,
    NotFound,
    PortNotFound,
    TonneError,
)
from tonne.domain.estimates import Estimate, EstimateKind
from tonne.domain.factors import FactorBook
from tonne.domain.mass import MassUnit
from tonne.domain.purchase import ByEstimate, Purchase, price_purchase
from tonne.http.answers import answer, stored_answer
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.repeatable import answer_to_keep, read_request_key
from tonne.http.request import ApiRequest
from tonne.storage.estimates import find_estimate
from tonne.storage.idempotent_requests import RequestKey, StoredAnswer
from tonne.wire.common import read_selection
from tonne.wire.estimate_requests import (
    CreateDeclaredEstimate,
    CreateElectricityEstimate,
    CreateEmissionFactorEstimate,
    CreateTransactionEstimate,
    EstimateRequest,
    request_of,
)
from tonne.wire.estimates import EstimateBody, estimate_body
from tonne.wire.quotes import QuoteBody, quote_body
from tonne.wire.transport_requests import (
    CreateFlightEstimate,
    CreateMultiLegShippingEstimate,
    CreatePassengerTransportationEstimate,
    CreateShippingEstimate,
)

TAGS = ["Estimates"]
KEPT = (
    *WITH_BODY,
    BundleSelectionBundleInvalid,
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    EstimateIdempotencyAlreadyExists,
)
MADE = (*KEPT, IdempotencyKeyReused)
CHANGED = (*KEPT, NotFound, EstimateOrderAlreadyPlaced)
ROUTED = (AirportInvalid, LocodeNotFound, PortNotFound, AddressNotFound, DistanceInvalid)
BY_FACTOR = (EmissionFactorIdInvalid, EmissionFactorUnitMismatch)


@post(
    "/estimates/electricity",
    status_code=200,
    tags=TAGS,
    operation_id="createElectricityEstimate",
    summary="Estimate electricity",
    responses=refusals(*MADE),
)
async def create_electricity_estimate(
    request: ApiRequest, data: JSONBody[CreateElectricityEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of electricity, from the carbon intensity of a country's grid."""
    return await _make(request, data, data.to_estimated)


@get(
    "/estimates/electricity/{id:str}",
    tags=TAGS,
    operation_id="getElectricityEstimate",
    summary="Get an electricity estimate",
    responses=refusals(NotFound),
)
async def get_electricity_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.ELECTRICITY)


@put(
    "/estimates/electricity/{id:str}",
    tags=TAGS,
    operation_id="updateElectricityEstimate",
    summary="Replace an electricity estimate",
    responses=refusals(*CHANGED),
)
async def put_electricity_estimate(
    request: ApiRequest, data: JSONBody[CreateElectricityEstimate]
) -> EstimateBody:
    """Calculate an estimate anew, as long as nothing was ordered by it."""
    return await _replace(request, data, data.to_estimated)


@post(
    "/estimates/flight",
    status_code=200,
    tags=TAGS,
    operation_id="createFlightEstimate",
    summary="Estimate a flight",
    responses=refusals(*MADE, *ROUTED),
)
async def create_flight_estimate(
    request: ApiRequest, data: JSONBody[CreateFlightEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of passengers on a flight, with radiative forcing unless said otherwise."""
    return await _make(request, data, data.to_estimated)


@get(
    "/estimates/flight/{id:str}",
    tags=TAGS,
    operation_id="getFlightEstimate",
    summary="Get a flight estimate",
    responses=refusals(NotFound),
)
async def get_flight_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.FLIGHT)


@post(
    "/estimates/passenger-transportation",
    status_code=200,
    tags=TAGS,
    operation_id="createPassengerTransportationEstimate",
    summary="Estimate a journey",
    responses=refusals(*MADE, *ROUTED),
)
async def create_passenger_transportation_estimate(
    request: ApiRequest, data: JSONBody[CreatePassengerTransportationEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of a journey by air, rail, road and ferry, leg by leg: all of it, or nothing."""
    return await _make(request, data, data.to_estimated)


@get(
    "/estimates/passenger-transportation/{id:str}",
    tags=TAGS,
    operation_id="getPassengerTransportationEstimate",
    summary="Get a journey's estimate",
    responses=refusals(NotFound),
)
async def get_passenger_transportation_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.PASSENGER_TRANSPORTATION)


@post(
    "/estimates/shipping",
    status_code=200,
    tags=TAGS,
    operation_id="createShippingEstimate",
    summary="Estimate a shipment",
    responses=refusals(*MADE, *ROUTED),
)
async def create_shipping_estimate(
    request: ApiRequest, data: JSONBody[CreateShippingEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of a shipment on one way: tonnes times kilometres times the factor of what carries it."""
    return await _make(request, data, data.to_estimated)


@get(
    "/estimates/shipping/{id:str}",
    tags=TAGS,
    operation_id="getShippingEstimate",
    summary="Get a shipment's estimate",
    responses=refusals(NotFound),
)
async def get_shipping_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.SHIPPING)


@put(
    "/estimates/shipping/{id:str}",
    tags=TAGS,
    operation_id="updateShippingEstimate",
    summary="Replace a shipment's estimate",
    responses=refusals(*CHANGED, *ROUTED),
)
async def put_shipping_estimate(request: ApiRequest, data: JSONBody[CreateShippingEstimate]) -> EstimateBody:
    """Calculate an estimate anew, as long as nothing was ordered by it."""
    return await _replace(request, data, data.to_estimated)


@post(
    "/estimates/shipping/multi-leg",
    status_code=200,
    tags=TAGS,
    operation_id="createMultiLegShippingEstimate",
    summary="Estimate a shipment over several legs",
    responses=refusals(*MADE, *ROUTED),
)
async def create_multi_leg_shipping_estimate(
    request: ApiRequest, data: JSONBody[CreateMultiLegShippingEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of a shipment over several legs: of each and of all, or of none."""
    return await _make(request, data, data.to_estimated)


@get(
    "/estimates/shipping/multi-leg/{id:str}",
    tags=TAGS,
    operation_id="getMultiLegShippingEstimate",
    summary="Get the estimate of a shipment over several legs",
    responses=refusals(NotFound),
)
async def get_multi_leg_shipping_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.MULTI_LEG_SHIPPING)


@put(
    "/estimates/shipping/multi-leg/{id:str}",
    tags=TAGS,
    operation_id="updateMultiLegShippingEstimate",
    summary="Replace the estimate of a shipment over several legs",
    responses=refusals(*CHANGED, *ROUTED),
)
async def put_multi_leg_shipping_estimate(
    request: ApiRequest, data: JSONBody[CreateMultiLegShippingEstimate]
) -> EstimateBody:
    """Calculate an estimate anew, as long as nothing was ordered by it."""
    return await _replace(request, data, data.to_estimated)


@post(
    "/estimates/transactions",
    status_code=200,
    tags=TAGS,
    operation_id="createTransactionEstimate",
    summary="Estimate a purchase",
    responses=refusals(*MADE, ExchangeRateNotFound),
)
async def create_transaction_estimate(
    request: ApiRequest, data: JSONBody[CreateTransactionEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of what money was spent on, by the industry that it paid.

    The value is taken to US dollars at the exchange rate of its day, and to the prices of the factor's year.
    """
    return await _make(request, data, partial(data.to_estimated, utc_now().date()))


@get(
    "/estimates/transactions/{id:str}",
    tags=TAGS,
    operation_id="getTransactionEstimate",
    summary="Get a purchase's estimate",
    responses=refusals(NotFound),
)
async def get_transaction_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.TRANSACTION)


@put(
    "/estimates/transactions/{id:str}",
    tags=TAGS,
    operation_id="updateTransactionEstimate",
    summary="Replace a purchase's estimate",
    responses=refusals(*CHANGED, ExchangeRateNotFound),
)
async def put_transaction_estimate(
    request: ApiRequest, data: JSONBody[CreateTransactionEstimate]
) -> EstimateBody:
    """Calculate an estimate anew, as long as nothing was ordered by it."""
    return await _replace(request, data, partial(data.to_estimated, utc_now().date()))


@post(
    "/estimates/emission-factor",
    status_code=200,
    tags=TAGS,
    operation_id="createEmissionFactorEstimate",
    summary="Estimate by an emission factor",
    responses=refusals(*MADE, *BY_FACTOR),
)
async def create_emission_factor_estimate(
    request: ApiRequest, data: JSONBody[CreateEmissionFactorEstimate]
) -> Response[EstimateBody]:
    """Estimate the emissions of any activity with a factor of your choice: see `GET /v1/emission-factors`."""
    return await _make(request, data, data.to_estimated)


@get(
    "/estimates/emission-factor/{id:str}",
    tags=TAGS,
    operation_id="getEmissionFactorEstimate",
    summary="Get an estimate by an emission factor",
    responses=refusals(NotFound),
)
async def get_emission_factor_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.EMISSION_FACTOR)


@post(
    "/estimates/declared",
    status_code=200,
    tags=TAGS,
    operation_id="createDeclaredEstimate",
    summary="Declare a mass",
    responses=refusals(*MADE),
)
async def create_declared_estimate(
    request: ApiRequest, data: JSONBody[CreateDeclaredEstimate]
) -> Response[EstimateBody]:
    """Keep a mass that was calculated elsewhere, with how and by whom, to order offsets by."""
    return await _make(request, data, data.to_estimated)


@get(
    "/estimates/declared/{id:str}",
    tags=TAGS,
    operation_id="getDeclaredEstimate",
    summary="Get a declared mass",
    responses=refusals(NotFound),
)
async def get_declared_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate by its id, priced now."""
    return await _get(request, EstimateKind.DECLARED)


def book_of(request: ApiRequest) -> FactorBook:
    """The emission factors that are known now."""
    return factor_book(request.services.snapshots.current.factors)


def draft_of(data: EstimateRequest, wanted: Estimated, request: ApiRequest) -> EstimateDraft:
    """What is to be estimated, and how it is to be kept.

    Raises:
        TonneError: its bundle selection can't be one.
    """
    selection = read_selection(data.bundle_selection)
    for choice in selection or ():
        request.catalogue.buyable(choice.bundle_id)
    return EstimateDraft(
        wanted,
        request_of(data),
        data.quantity_trunc or MassUnit.G,
        selection,
        data.name,
        data.metadata,
        data.idempotency_key,
    )


def show_estimate(estimate: Estimate, request: ApiRequest) -> EstimateBody:
    """Print an estimate, priced now."""
    return estimate_body(estimate, _quote(estimate, request))


async def _make(
    request: ApiRequest, data: EstimateRequest, read: Callable[[], Estimated]
) -> Response[EstimateBody]:
    key = await read_request_key(request)
    services, account = request.services, request.account
    stored = None if key is None else await find_stored_answer(services.pool, key, actor=request.actor)
    if stored is not None:
        return stored_answer(stored)
    wanted, calculation = await read_and_calculate(services.pool, read, book_of(request))
    draft = draft_of(data, wanted, request)
    estimate = draft.estimate(calculation, account, at=utc_now())
    repeatable = None if key is None else RepeatableEstimate(key, partial(_answer, key=key, request=request))
    made = await make_estimate(services.pool, account, estimate, actor=request.actor, repeatable=repeatable)
    if isinstance(made, StoredAnswer):
        return stored_answer(made)
    return answer(show_estimate(made, request))


async def _replace(request: ApiRequest, data: EstimateRequest, read: Callable[[], Estimated]) -> EstimateBody:
    estimate_id = read_id(request.path_params["id"])
    if estimate_id is None:
        raise NotFound
    wanted, calculation = await read_and_calculate(request.services.pool, read, book_of(request))
    draft = draft_of(data, wanted, request)
    changed = await change_estimate(
        request.services.pool,
        request.account,
        estimate_id,
        draft,
        calculation,
        actor=request.actor,
        at=utc_now(),
    )
    return show_estimate(changed, request)


async def _get(request: ApiRequest, kind: EstimateKind | None) -> EstimateBody:
    estimate_id = read_id(request.path_params["id"])
    if estimate_id is None:
        raise NotFound
    async with request.services.pool.acquire(timeout=5) as connection:
        estimate = await find_estimate(connection, request.account, estimate_id, kind=kind)
    if estimate is None:
        raise NotFound
    return show_estimate(estimate, request)


def _quote(estimate: Estimate, request: ApiRequest) -> QuoteBody | ErrorBody:
    wanted = ByEstimate(estimate.estimate_id, estimate.tonnes)
    purchase = Purchase(wanted, estimate.selection, estimate.precision)
    try:
        quote = price_purchase(purchase, account=request.account, catalogue=request.catalogue, at=utc_now())
    except TonneError as error:
        return error_body(error, instance=request.scope["path"])
    return quote_body(quote, request.catalogue)


def _answer(made: Estimate | TonneError, *, key: RequestKey, request: ApiRequest) -> StoredAnswer:
    body = made if isinstance(made, TonneError) else show_estimate(made, request)
    return answer_to_keep(body, key, request.scope["path"])

"""Emission estimates of every kind: by id, as a list, and many purchases at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import QueryParameter

from tonne.application.calculate_apart import calculate_apart
from tonne.application.error_body import ErrorBody, error_body
from tonne.application.estimate_in_batch import Outcome, estimate_in_batch
from tonne.application.identifiers import read_id, utc_now
from tonne.application.make_estimate import EstimateDraft
from tonne.domain.errors import IdInvalid, NotFound, PaginationLimitInvalid, TonneError, ValidationFailed
from tonne.domain.estimates import Estimate, EstimateKind
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, After, Limit, refusals
from tonne.http.paging import first_page, read_cursor, read_limit
from tonne.http.request import ApiRequest
from tonne.http.routes.estimates import TAGS, book_of, draft_of, show_estimate
from tonne.http.strict_json import read_json
from tonne.storage.estimates import (
    EstimateFilter,
    find_estimate,
    find_estimate_by_idempotency_key,
    list_estimates,
)
from tonne.wire.common import NO_NUL, read_time
from tonne.wire.estimate_requests import CreateTransactionEstimate
from tonne.wire.estimates import EstimateBody, EstimatePage

BY_KEY_PATH = "/v1/estimates/transactions/by-idempotency-key/"
BATCH_ROWS_MAX = 10_000
BATCH_BYTES_MAX = 10_000_000
_rows = msgspec.json.Decoder(list[msgspec.Raw])


@get(
    "/estimates",
    tags=TAGS,
    operation_id="listEstimates",
    summary="List estimates",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid),
)
async def list_account_estimates(
    request: ApiRequest,
    limit: Limit = None,
    after: After = None,
    kind: Annotated[
        str | None,
        QueryParameter(
            required=False,
            description="Estimates of this kind.",
            schema_extra={"enum": [each.value for each in EstimateKind]},
        ),
    ] = None,
    name: Annotated[
        str | None,
        QueryParameter(required=False, description="Estimates of exactly this name.", schema_extra=NO_NUL),
    ] = None,
    created_from: Annotated[
        str | None,
        QueryParameter(
            required=False,
            description="Estimates made then or later.",
            schema_extra={"format": "date-time"},
        ),
    ] = None,
    created_to: Annotated[
        str | None,
        QueryParameter(
            required=False, description="Estimates made before.", schema_extra={"format": "date-time"}
        ),
    ] = None,
) -> Response[EstimatePage]:
    """List the account's estimates, newest first, priced now. Filter by metadata with `metadata[key]=value`."""
    query = request.query("limit", "after", "kind", "name", "created_from", "created_to", "metadata[]")
    page_size, cursor, wanted = read_limit(query), read_cursor(query), _read_filter(query)
    async with request.services.pool.acquire(timeout=5) as connection:
        found = await list_estimates(
            connection, request.account, wanted=wanted, after=cursor, limit=page_size + 1
        )
    estimates, has_more = first_page(found, page_size)
    return answer(
        EstimatePage(
            [show_estimate(estimate, request) for estimate in estimates],
            has_more,
            str(estimates[-1].estimate_id) if has_more else None,
        )
    )


@get(
    "/estimates/{id:str}",
    tags=TAGS,
    operation_id="getEstimate",
    summary="Get an estimate",
    responses=refusals(NotFound),
)
async def get_estimate(request: ApiRequest) -> EstimateBody:
    """Get an estimate of any kind by its id, priced now."""
    estimate_id = read_id(request.path_params["id"])
    if estimate_id is None:
        raise NotFound
    async with request.services.pool.acquire(timeout=5) as connection:
        estimate = await find_estimate(connection, request.account, estimate_id, kind=None)
    return _shown(estimate, request)


@get(
    "/estimates/transactions/by-idempotency-key/{idempotency_key:path}",
    tags=TAGS,
    operation_id="getTransactionEstimateByIdempotencyKey",
    summary="Get a purchase's estimate by its idempotency key",
    responses=refusals(NotFound),
)
async def get_transaction_estimate_by_key(request: ApiRequest) -> Response[EstimateBody]:
    """Get the estimate that was made with an `idempotency_key`."""
    # All that follows is the key, slashes too: taken from the whole path, since the router trims them.
    key = request.scope["path"].removeprefix(BY_KEY_PATH)
    if "\x00" in key:
        raise NotFound
    async with request.services.pool.acquire(timeout=5) as connection:
        estimate = await find_estimate_by_idempotency_key(connection, request.account, key)
    is_one = estimate is not None and estimate.kind is EstimateKind.TRANSACTION
    return answer(_shown(estimate if is_one else None, request))


@post(
    "/estimates/transactions/batch",
    status_code=200,
    tags=TAGS,
    operation_id="createBatchTransactionEstimate",
    summary="Estimate many purchases",
    responses=refusals(*WITH_BODY),
    request_max_body_size=BATCH_BYTES_MAX,
)
async def create_batch_transaction_estimate(request: ApiRequest) -> Response[list[Any]]:
    """Estimate up to 10,000 purchases, each as `POST /v1/estimates/transactions` takes it.

    Each is on its own: the answer has an estimate or an error for each, in order. Give each an `idempotency_key` to send
    the batch again safely: what was made before is answered with 409.
    """
    if "idempotency-key" in request.headers:
        raise ValidationFailed.at(
            "Idempotency-Key", "is not for batches: give each purchase an idempotency_key"
        )
    body, _ = await request.file(["application/json"], bytes_max=BATCH_BYTES_MAX)
    rows = _read_rows(body)
    outcomes = await estimate_in_batch(
        request.services.pool,
        request.account,
        await calculate_apart(partial(_drafts, rows, request)),
        book_of(request),
        actor=request.actor,
        at=utc_now(),
    )
    # Priced and written in a thread: ten thousand are some 27 MB.
    return await asyncio.to_thread(lambda: answer(_told(outcomes, request)))


def _read_rows(body: bytes) -> list[msgspec.Raw]:
    try:
        rows = _rows.decode(body)
    except (msgspec.DecodeError, RecursionError):
        # A body of a million brackets is read no further than the decoder goes.
        raise ValidationFailed.at("", "the body must be a JSON array of purchases") from None
    if not 1 <= len(rows) <= BATCH_ROWS_MAX:
        raise ValidationFailed.at("", f"a batch has 1 to {BATCH_ROWS_MAX} purchases; this has {len(rows)}")
    return rows


def _drafts(rows: Sequence[msgspec.Raw], request: ApiRequest) -> list[EstimateDraft | TonneError]:
    today = utc_now().date()

    def draft(row: msgspec.Raw) -> EstimateDraft | TonneError:
        try:
            data: CreateTransactionEstimate = read_json(bytes(row), CreateTransactionEstimate)
            return draft_of(data, data.to_estimated(today), request)
        except TonneError as error:
            return error

    return [draft(row) for row in rows]


def _told(outcomes: Sequence[Outcome], request: ApiRequest) -> list[EstimateBody | ErrorBody]:
    path = request.scope["path"]
    return [
        show_estimate(outcome, request)
        if isinstance(outcome, Estimate)
        else error_body(outcome, instance=path)
        for outcome in outcomes
    ]


def _shown(estimate: Estimate | None, request: ApiRequest) -> EstimateBody:
    if estimate is None:
        raise NotFound
    return show_estimate(estimate, request)


def _read_filter(query: dict[str, str]) -> EstimateFilter:
    kind = query.get("kind")
    if kind is not None and kind not in list(EstimateKind):
        raise ValidationFailed.at("kind", f"must be one of {', '.join(EstimateKind)}")
    metadata = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in query.items()
        if name.startswith("metadata[")
    }
    return EstimateFilter(
        None if kind is None else EstimateKind(kind),
        query.get("name"),
        read_time(query["created_from"], "created_from") if "created_from" in query else None,
        read_time(query["created_to"], "created_to") if "created_to" in query else None,
        metadata or None,
    )

"""The OpenAPI description: generated from the code, then completed with what the code says more precisely."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Components, Example, SecurityScheme, Server, Tag
from litestar.params import QueryParameter

import tonne
from tonne.application.error_body import ErrorBody, error_body
from tonne.domain.errors import (
    AccountScopeIncorrect,
    AccountSuspended,
    AddressNotAllowed,
    ApiVersionInvalid,
    BundleSelectionBundleInvalid,
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    ExchangeRateNotFound,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InsufficientCredits,
    InsufficientScope,
    InternalError,
    NotFound,
    OrderIdempotencyAlreadyExists,
    OrderQuantityInvalid,
    PayloadTooLarge,
    RateLimited,
    RestrictionsUnmet,
    ServiceUnavailable,
    SpendingCapExceeded,
    StockInsufficient,
    TonneError,
    Unauthorised,
    UnitPriceAboveMaximum,
    UnsupportedMediaType,
    ValidationFailed,
)

EVERYWHERE = (
    ApiVersionInvalid,
    Unauthorised,
    AccountScopeIncorrect,
    AddressNotAllowed,
    InsufficientScope,
    RateLimited,
    InternalError,
    ServiceUnavailable,
)
WITH_BODY = (ValidationFailed, PayloadTooLarge, UnsupportedMediaType)
PRICING = (
    BundleSelectionBundleInvalid,
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    OrderQuantityInvalid,
    ExchangeRateNotFound,
    UnitPriceAboveMaximum,
    RestrictionsUnmet,
)
ORDERING = (
    *PRICING,
    AccountSuspended,
    InsufficientCredits,
    StockInsufficient,
    SpendingCapExceeded,
    OrderIdempotencyAlreadyExists,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
)

DESCRIPTION = """\
Sell carbon offsets through an API: quote, order, allocate, retire, prove.

Amounts, masses and prices with decimals are **strings** of ASCII digits. Times are RFC 3339 in UTC. Answers never omit
a property: absent is `null`. Request properties that are optional may be omitted or `null`; unknown ones are refused.

Every error has the same body; `error.error_code` is stable and meant for programs, `error.message` says what is wrong
and what would be right. Every answer carries `X-Request-Id`, `Lune-Version`, `RateLimit` and `RateLimit-Policy`.

Keys beginning with `tonne_test_` see the sandbox, those with `tonne_live_` the real thing.
"""

Limit = Annotated[
    str | None,
    QueryParameter(
        name="limit",
        required=False,
        description="How many to return, 1 to 100; 10 unless said otherwise.",
        schema_extra={"type": "integer", "minimum": 1, "maximum": 100},
    ),
]
After = Annotated[
    str | None,
    QueryParameter(
        name="after",
        required=False,
        description="The `next_cursor` of the page before.",
        schema_extra={"format": "uuid"},
    ),
]


def refusals(*errors: type[TonneError]) -> dict[int, ResponseSpec]:
    """The error responses of an operation, with one example for each error code."""
    by_status: dict[HTTPStatus, list[type[TonneError]]] = defaultdict(list)
    every: tuple[type[TonneError], ...] = (*errors, *EVERYWHERE)
    for error in dict.fromkeys(every):
        by_status[error.http_status].append(error)
    return {
        status.value: ResponseSpec(
            data_container=ErrorBody,
            description=" ".join(f"`{error.code}`: {_summary(error)}" for error in declared),
            generate_examples=False,
            examples=[_example(error) for error in declared],
        )
        for status, declared in sorted(by_status.items())
    }


def openapi_config() -> OpenAPIConfig:
    """How Litestar is to describe the API."""
    return OpenAPIConfig(
        title="Tonne",
        version=tonne.__version__,
        description=DESCRIPTION,
        servers=[Server(url="/", description="This service.")],
        tags=[
            Tag("Orders", "Order offsets, read orders back, download certificates."),
            Tag("Quotes", "What an order would cost now. A quote writes nothing."),
            Tag("Catalogue", "Bundles to buy and the projects behind them."),
            Tag("Estimates", "Emission estimates to order from, with every step of the calculation."),
            Tag("Emission factors", "What estimates are made with: figures, sources and editions."),
            Tag("Events and webhooks", "What happened to orders, to be pulled or delivered."),
            Tag("Account", "The account a key acts for."),
            Tag("Sandbox", "Test orders are moved by hand. For test keys only."),
            Tag("Operator", "Payments and billing, for keys with the scope `operator`."),
            Tag("Operator: keys", "Keys of every organisation."),
            Tag("Operator: inventory", "Lots: what is in stock, and what became of it."),
            Tag("Operator: catalogue", "Projects, bundles, prices, portfolios, rates and pictures."),
        ],
        components=Components(
            security_schemes={
                "api_key": SecurityScheme(
                    type="http", scheme="bearer", description="An API key: `tonne_test_…`."
                )
            }
        ),
        security=[{"api_key": []}],
        # Litestar's own pages load their scripts from elsewhere; ours are /v1/openapi.json and /docs.
        openapi_router=Router("/v1/openapi", route_handlers=[], guards=[_closed], include_in_schema=False),
        use_handler_docstrings=True,
    )


def _closed(*_: object) -> None:
    raise NotFound


def _summary(error: type[TonneError]) -> str:
    return error().message


def _example(error: type[TonneError]) -> Example:
    value: Mapping[str, Any] = msgspec.to_builtins(error_body(error(), instance="/v1/…"))
    return Example(summary=error.code, value=value)

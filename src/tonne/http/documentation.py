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
from tonne.domain.errors import (
    AccountScopeIncorrect,
    AccountSuspended,
    ApiVersionInvalid,
    BundleSelectionBundleInvalid,
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    ExchangeRateNotFound,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InternalError,
    NotFound,
    OrderIdempotencyAlreadyExists,
    OrderQuantityInvalid,
    PayloadTooLarge,
    RateLimited,
    ServiceUnavailable,
    TonneError,
    Unauthorised,
    UnsupportedMediaType,
    ValidationFailed,
)
from tonne.domain.selection import BUNDLES_MAX
from tonne.http.wire.accounts import AccountBody
from tonne.http.wire.catalogue import BundleBody, BundlePage, ProjectBody, ProjectPage
from tonne.http.wire.common import NO_NUL, ChoiceBody
from tonne.http.wire.errors import ErrorBody, error_body
from tonne.http.wire.estimates import CreateElectricityEstimate, EstimateBody
from tonne.http.wire.orders import (
    CreateOrderByEstimate,
    CreateOrderByMass,
    CreateOrderByValue,
    OrderBody,
    OrderPage,
    QuoteByEstimate,
    QuoteByMass,
    QuoteByValue,
)
from tonne.http.wire.quotes import QuoteBody

WIRE = (
    AccountBody, BundleBody, BundlePage, ChoiceBody, CreateElectricityEstimate, CreateOrderByEstimate,
    CreateOrderByMass, CreateOrderByValue, ErrorBody, EstimateBody, OrderBody, OrderPage, ProjectBody,
    ProjectPage, QuoteBody, QuoteByEstimate, QuoteByMass, QuoteByValue,
)  # fmt: skip

EVERYWHERE = (
    ApiVersionInvalid,
    Unauthorised,
    AccountScopeIncorrect,
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
)
ORDERING = (
    *PRICING,
    AccountSuspended,
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

REQUEST_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
    "description": "Makes the request safely repeatable: the same payload is answered with the stored answer and "
    "`Idempotent-Replayed: true`, another payload with 422.",
}
PATH_PARAMETERS = {
    "id": "The object's id.",
    "slug": "The project's slug.",
    "idempotency_key": "The key the order was placed with; percent-encode what is not a letter or digit.",
}
BODY_EXAMPLES: dict[str, Any] = {
    "quoteOrderByMass": {"mass": {"amount": "12.07", "unit": "kg"}},
    "quoteOrderByValue": {"value": "25.00"},
    "quoteOrderByEstimate": {"estimate_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e11"},
    "createOrderByMass": {"mass": {"amount": "12.07", "unit": "kg"}, "idempotency_key": "invoice-1042"},
    "createOrderByValue": {"value": "25.00", "metadata": {"invoice": "1042"}},
    "createOrderByEstimate": {"estimate_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e11"},
    "putBundleSelection": [
        {"bundle_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e12", "percentage": 95},
        {"bundle_id": "0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e13", "percentage": "5"},
    ],
    "createElectricityEstimate": {"consumption": {"amount": "1200", "unit": "kWh"}, "country_code": "DEU"},
}
METADATA_FILTER = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "style": "deepObject",
    "explode": True,
    "schema": {
        "type": "object",
        "propertyNames": NO_NUL,
        "additionalProperties": {"type": "string"} | NO_NUL,
    },
    "description": "Orders whose metadata has these values: `metadata[key]=value`.",
}


def refusals(*errors: type[TonneError]) -> dict[int, ResponseSpec]:
    """The error responses of an operation, with one example for each error code."""
    by_status: dict[HTTPStatus, list[type[TonneError]]] = defaultdict(list)
    every: tuple[type[TonneError], ...] = (*errors, *EVERYWHERE)
    for error in every:
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
            Tag("Estimates", "Emission estimates to order from."),
            Tag("Account", "The account a key acts for."),
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


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Complete Litestar's OpenAPI document.

    Litestar knows paths, parameters and answers; msgspec knows the shapes of bodies to the last constraint.
    """
    _, shapes = msgspec.json.schema_components(WIRE, ref_template="#/components/schemas/{name}")
    known = document["components"]["schemas"]
    known.update(shapes)
    for name in ("CreateOrderByMass", "QuoteByMass"):
        known[name] |= _either_mass_or_bundle_masses()
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    return document


def _either_mass_or_bundle_masses() -> dict[str, Any]:
    null = {"type": "null"}
    return {
        "oneOf": [
            {
                "required": ["mass"],
                "properties": {"mass": {"not": null}, "bundle_masses": null},
            },
            {
                "required": ["bundle_masses"],
                "properties": {"bundle_masses": {"not": null}, "mass": null, "bundle_selection": null},
            },
        ],
    }


def _complete(operation: dict[str, Any]) -> None:
    headers = {
        name: {"schema": {"type": "string"}, "description": description}
        for name, description in (
            ("X-Request-Id", "Names this request in our logs; also sent as CF-Ray."),
            ("Lune-Version", "The API version."),
            ("RateLimit-Policy", "The key's limit."),
            ("RateLimit", "Requests left, and seconds until all are there again."),
        )
    }
    for status, answer in operation["responses"].items():
        answer["headers"] = answer.get("headers", {}) | headers
        if status == "401":
            answer["headers"]["WWW-Authenticate"] = {
                "schema": {"type": "string", "const": "Bearer"},
                "description": "How to say who you are.",
            }
        if status in ("429", "503"):
            answer["headers"]["Retry-After"] = {
                "schema": {"type": "integer", "minimum": 1},
                "description": "Seconds to wait.",
            }
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        # An optional parameter is left out, there is no null in a query or header.
        parameter["schema"].pop("oneOf", None)
        parameter["schema"].setdefault("type", "string")
        parameter["schema"].pop("description", None)
        if parameter["in"] == "path":
            parameter["description"] = PATH_PARAMETERS[parameter["name"]]
            parameter["schema"] = {"type": "string"}
    if operation["operationId"] == "listOrders":
        parameters.append(METADATA_FILTER)
    example = BODY_EXAMPLES.get(operation["operationId"])
    if example is not None:
        operation["requestBody"]["content"]["application/json"]["examples"] = {"one": {"value": example}}
    if "422" in operation["responses"]:
        parameters.append(REQUEST_KEY)
        operation["responses"]["200"]["headers"]["Idempotent-Replayed"] = {
            "schema": {"type": "string", "const": "true"},
            "description": "This is the stored answer to an earlier request with the same `Idempotency-Key`.",
        }
        operation["responses"]["409"]["headers"]["Location"] = {
            "schema": {"type": "string"},
            "description": "The object that has this `idempotency_key` already.",
        }
    if operation["operationId"] == "putBundleSelection":
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        body |= {"minItems": 1, "maxItems": BUNDLES_MAX}
    parameters.extend(
        [
            {
                "name": "Lune-Account",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "format": "uuid"},
                "description": "Act for another account of the key's organisation and mode; also `Tonne-Account`.",
            },
            {
                "name": "Lune-Version",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "enum": ["2024-08-08"]},
                "description": "The API version asked for.",
            },
        ]
    )


def _summary(error: type[TonneError]) -> str:
    return error().message


def _example(error: type[TonneError]) -> Example:
    value: Mapping[str, Any] = msgspec.to_builtins(error_body(error(), instance="/v1/…"))
    return Example(summary=error.code, value=value)

"""The API as an ASGI application."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any

import structlog
from litestar import Litestar, Request, Response, Router
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from tonne.domain.errors import (
    InternalError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    ServiceUnavailable,
    TonneError,
    ValidationFailed,
)
from tonne.http.answers import error_response
from tonne.http.documentation import openapi_config
from tonne.http.front_door import REQUEST_ID, FrontDoor
from tonne.http.rate_limits import RateLimiter
from tonne.http.request import BODY_BYTES_MAX, ApiRequest, Services
from tonne.http.routes import account, catalogue, estimates, orders, quotes, service
from tonne.storage.database import TRANSIENT

log = structlog.get_logger(__name__)

V1 = (
    orders.create_order_by_mass,
    orders.create_order_by_value,
    orders.create_order_by_estimate,
    orders.list_account_orders,
    orders.get_order,
    orders.get_order_certificate,
    orders.get_order_by_idempotency_key,
    quotes.quote_by_mass,
    quotes.quote_by_value,
    quotes.quote_by_estimate,
    catalogue.list_bundles,
    catalogue.get_bundle,
    catalogue.list_projects,
    catalogue.get_project,
    catalogue.get_project_by_slug,
    account.get_own_account,
    account.get_bundle_selection,
    account.put_bundle_selection,
    estimates.create_electricity_estimate,
    estimates.get_electricity_estimate,
)
ABOUT = (
    service.livez,
    service.readyz,
    service.openapi_document,
    service.documentation_page,
    service.documentation_asset,
)

# What Litestar hands to exception handlers.
Asked = Request[Any, Any, Any]
ServicesRunning = Callable[[], AbstractAsyncContextManager[Services]]


def create_api(services_running: ServicesRunning, limiter: RateLimiter, *, base_url: str) -> ASGIApp:
    """Assemble the API around services that run as long as it does."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with services_running() as services:
            app.state["services"] = services
            door.snapshots = services.snapshots
            yield

    app = Litestar(
        route_handlers=[Router("/v1", route_handlers=V1), *ABOUT],
        request_class=ApiRequest,
        exception_handlers={
            TonneError: _refused,
            HTTPException: _refused_by_litestar,
            Exception: _failed,
        },
        lifespan=[lifespan],
        openapi_config=openapi_config(base_url),
        logging_config=None,
        request_max_body_size=BODY_BYTES_MAX,
    )
    door = FrontDoor(app, snapshots=None, limiter=limiter)  # type: ignore[arg-type]
    return door


def _refused(request: Asked, error: TonneError) -> Response[bytes]:
    return error_response(error, path=request.scope["path"])


def _refused_by_litestar(request: Asked, error: HTTPException) -> Response[bytes]:
    path = request.scope["path"]
    if isinstance(error, MethodNotAllowedException):
        return error_response(MethodNotAllowed(allowed=_allowed(request.app, path)), path=path)
    if isinstance(error, NotFoundException):
        return error_response(NotFound(), path=path)
    if error.status_code == PayloadTooLarge.http_status:
        return error_response(PayloadTooLarge(), path=path)
    if error.status_code < InternalError.http_status:
        return error_response(_violations(error), path=path)
    return _failed(request, error)


def _violations(error: HTTPException) -> ValidationFailed:
    found = error.extra if isinstance(error.extra, list) else []
    for violation in found:
        if isinstance(violation, dict):
            return ValidationFailed.at(
                str(violation.get("key", "")), str(violation.get("message", error.detail))
            )
    return ValidationFailed(error.detail)


def _allowed(app: Litestar, path: str) -> list[str]:
    # Litestar says that a method is not allowed, but not which are.
    methods: set[str] = set()
    for route in app.routes:
        if isinstance(route, HTTPRoute) and _pattern(route.path).fullmatch(path):
            methods |= set(route.methods)
    return sorted(methods)


@cache
def _pattern(route_path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{[^}]*:(str|path)\}", route_path)
    # Literal pieces and the types of the parameters between them take turns.
    return re.compile(
        "".join(
            {"str": "[^/]+", "path": ".+"}[piece] if position % 2 else re.escape(piece)
            for position, piece in enumerate(pieces)
        )
    )


def _failed(request: Asked, error: Exception) -> Response[bytes]:
    path = request.scope["path"]
    if isinstance(error, TRANSIENT):
        log.warning("unavailable", request_id=request.scope.get(REQUEST_ID), path=path, error=repr(error))
        return error_response(ServiceUnavailable(), path=path)
    log.error("failed", request_id=request.scope.get(REQUEST_ID), path=path, exc_info=error)
    return error_response(InternalError(), path=path)

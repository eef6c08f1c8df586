"""From whatever was raised to the error that is answered."""

from __future__ import annotations

import re
from functools import cache

import structlog
from litestar import Litestar
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.routes import HTTPRoute
from litestar.types import Scope

from tonne.domain.errors import (
    InternalError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    ServiceUnavailable,
    TonneError,
    ValidationFailed,
)
from tonne.http.front_door import REQUEST_ID
from tonne.storage.database import TRANSIENT

log = structlog.get_logger(__name__)


def error_for(raised: Exception, scope: Scope) -> TonneError:
    """The error to answer with; what is our own fault is logged under the request's id."""
    if isinstance(raised, TonneError):
        return raised
    if isinstance(raised, HTTPException) and raised.status_code < InternalError.http_status:
        return _of_litestar(raised, scope)
    about = {"request_id": scope.get(REQUEST_ID), "path": scope["path"]}
    if isinstance(raised, TRANSIENT):
        log.warning("unavailable", **about, error=repr(raised))
        return ServiceUnavailable()
    log.error("failed", **about, exc_info=raised)
    return InternalError()


def _of_litestar(raised: HTTPException, scope: Scope) -> TonneError:
    if isinstance(raised, MethodNotAllowedException):
        return MethodNotAllowed(allowed=_allowed_methods(scope["litestar_app"], scope["path"]))
    if isinstance(raised, NotFoundException):
        return NotFound()
    if raised.status_code == PayloadTooLarge.http_status:
        return PayloadTooLarge()
    for violation in raised.extra if isinstance(raised.extra, list) else []:
        if isinstance(violation, dict):
            return ValidationFailed.at(
                str(violation.get("key", "")), str(violation.get("message", raised.detail))
            )
    return ValidationFailed(raised.detail)


def _allowed_methods(app: Litestar, path: str) -> list[str]:
    # Litestar says that a method is not allowed, but not which are. As it does, a path without parameters goes first.
    path = path.rstrip("/") or "/"
    matching = [r for r in app.routes if isinstance(r, HTTPRoute) and _pattern(r.path).fullmatch(path)]
    exact = [route for route in matching if route.path == path]
    return sorted({method for route in exact or matching for method in route.methods})


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

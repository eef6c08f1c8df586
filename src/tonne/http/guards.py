"""Which operations a key may use."""

from __future__ import annotations

from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from tonne.domain.accounts import Caller, Mode, Scope
from tonne.domain.errors import InsufficientScope
from tonne.http.front_door import CALLER


def operators_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let in keys that have the scope.

    Raises:
        InsufficientScope: this one has not.
    """
    caller = cast("Caller", connection.scope[CALLER])  # type: ignore[literal-required]
    if Scope.OPERATOR not in caller.key.scopes:
        raise InsufficientScope


def refuse_test_keys(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Keep keys of the sandbox away from what is of live and test alike.

    Raises:
        InsufficientScope: it is one.
    """
    caller = cast("Caller", connection.scope[CALLER])  # type: ignore[literal-required]
    if caller.key.mode is Mode.TEST:
        raise InsufficientScope("This shows live things too: use a live key with the scope operator.")

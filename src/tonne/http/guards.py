"""Which operations a key may use."""

from __future__ import annotations

from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from tonne.domain.accounts import Caller, Mode, Scope
from tonne.domain.errors import InsufficientScope
from tonne.http.front_door import CALLER
from tonne.http.scopes import NEEDED, refuse_without

_OPERATOR = frozenset({Scope.OPERATOR})


def operators_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let in keys that have the scope.

    Raises:
        InsufficientScope: this one has not.
    """
    caller = cast("Caller", connection.scope[CALLER])  # type: ignore[literal-required]
    refuse_without(_OPERATOR, caller.key)


def with_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let in keys that have a scope that the operation takes.

    Raises:
        InsufficientScope: this one has none.
    """
    # Litestar's own answers to OPTIONS are no operations of ours.
    name = getattr(handler, "operation_id", None)
    if isinstance(name, str):
        caller = cast("Caller", connection.scope[CALLER])  # type: ignore[literal-required]
        refuse_without(NEEDED[name], caller.key)


def refuse_test_keys(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Keep keys of the sandbox away from what is of live and test alike.

    Raises:
        InsufficientScope: it is one.
    """
    caller = cast("Caller", connection.scope[CALLER])  # type: ignore[literal-required]
    if caller.key.mode is Mode.TEST:
        raise InsufficientScope("This concerns live things too: use a live key with the scope operator.")

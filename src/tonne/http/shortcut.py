"""The short way to operations at a fixed path: found in a table and called, without the router's general machinery.

Litestar knows these handlers like all others (their documentation comes from it), and calling them through it gives the
same answers. It only costs more: docs/decisions/0007.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from tonne.http.answers import EncodedAnswer, error_answer
from tonne.http.failures import error_for
from tonne.http.request import ApiRequest

Operation = Callable[[ApiRequest, Any], Awaitable[EncodedAnswer[Any]]]


@dataclass(slots=True)
class Shortcut:
    """An ASGI application in front of Litestar; `handlers` take a request and its body, and give an encoded answer."""

    app: Litestar
    handlers: Iterable[HTTPRouteHandler]
    _operations: dict[tuple[str, str], HTTPRouteHandler] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chosen = {handler.fn for handler in self.handlers}
        for route in self.app.routes:
            for handler in getattr(route, "route_handlers", ()):
                if handler.fn in chosen:
                    self._operations["POST", route.path] = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._operations.get((scope.get("method", ""), scope.get("path", "")))  # type: ignore[arg-type]
        if handler is None:
            await self.app(scope, receive, send)
            return
        scope["litestar_app"] = self.app
        scope["route_handler"] = handler
        scope.setdefault("state", {})
        request = ApiRequest(scope, receive, send)
        try:
            answer = await cast("Operation", handler.fn)(request, await request.json())
        except Exception as error:  # noqa: BLE001 -- what Litestar would do: every error has an answer
            answer = error_answer(error_for(error, scope), path=scope["path"])
        await answer.as_asgi(scope, receive, send)

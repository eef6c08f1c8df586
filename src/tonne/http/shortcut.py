"""The short way to operations at a fixed path: found in a table and called, without the router's general machinery.

Litestar knows these handlers like all others (their documentation comes from it), and calling them through it gives the
same answers. It only costs more: docs/decisions/0007.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from tonne.domain.accounts import Scope as KeyScope
from tonne.http.answers import EncodedAnswer, error_answer
from tonne.http.failures import error_for
from tonne.http.request import ApiRequest
from tonne.http.scopes import NEEDED, refuse_without

_ID_LENGTH = 36
Operation = Callable[..., Awaitable[EncodedAnswer[Any]]]
Found = tuple[HTTPRouteHandler, frozenset[KeyScope]]


@dataclass(slots=True)
class Shortcut:
    """An ASGI application in front of Litestar.

    `posts` are operations that take a request and its body, `gets_by_id` those whose path ends with an id, by what comes
    before it, `gets_below` those that take all of the path below a prefix as it is (the router would trim and join its
    slashes). Each gives an encoded answer.
    """

    app: Litestar
    posts: Iterable[HTTPRouteHandler]
    gets_below: Mapping[str, HTTPRouteHandler]
    gets_by_id: Mapping[str, HTTPRouteHandler]
    _posts: dict[str, Found] = field(default_factory=dict)
    _gets_below: dict[str, Found] = field(default_factory=dict)
    _gets_by_id: dict[str, Found] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chosen = {handler.fn for handler in self.posts}
        for route in self.app.routes:
            for handler in getattr(route, "route_handlers", ()):
                if handler.fn in chosen:
                    self._posts[route.path] = _with_scopes(handler)
        self._gets_below = {prefix: _with_scopes(handler) for prefix, handler in self.gets_below.items()}
        self._gets_by_id = {prefix: _with_scopes(handler) for prefix, handler in self.gets_by_id.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        if found is None:
            await self.app(scope, receive, send)
            return
        handler, needed = found
        scope["litestar_app"] = self.app
        scope["route_handler"] = handler
        scope.setdefault("state", {})
        request = ApiRequest(scope, receive, send)
        operation = cast("Operation", handler.fn)
        try:
            refuse_without(needed, request.caller.key)
            if scope["method"] == "POST":  # type: ignore[typeddict-item]
                answer = await operation(request, await request.json())
            else:
                answer = await operation(request)
        except Exception as error:  # noqa: BLE001 -- what Litestar would do: every error has an answer
            answer = error_answer(error_for(error, scope), path=scope["path"])
        await answer.as_asgi(scope, receive, send)

    def _find(self, scope: Scope) -> Found | None:
        method = scope.get("method")
        if method == "POST":
            return self._posts.get(scope["path"])
        if method == "GET":
            prefix, _, last = scope["path"].rpartition("/")
            by_id = self._gets_by_id.get(prefix)
            # A UUID is nothing that the router would read otherwise.
            if by_id is not None and len(last) == _ID_LENGTH:
                scope["path_params"] = {"id": last}
                return by_id
            for prefix, handler in self._gets_below.items():
                if scope["path"].startswith(prefix):
                    return handler
        return None


def _with_scopes(handler: HTTPRouteHandler) -> Found:
    assert isinstance(handler.operation_id, str)
    return handler, NEEDED[handler.operation_id]

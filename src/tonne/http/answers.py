"""Answers as bytes: how every body is encoded, whoever sends it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar, cast

import msgspec
from litestar import Response
from litestar.types import Receive, Scope, Send

from tonne.application.error_body import error_body
from tonne.domain.errors import TonneError
from tonne.http.one_write import SEND_WHOLE, Headers, SendWhole
from tonne.storage.idempotent_requests import StoredAnswer

JSON = "application/json"
# The headers that every answer has, in the scope of its request.
COMMON_HEADERS = "tonne.common_headers"
Body = TypeVar("Body")
_encoder = msgspec.json.Encoder()


def encode(body: Any) -> bytes:
    """Encode a wire struct as JSON."""
    return _encoder.encode(body)


def encode_error(error: TonneError, *, path: str) -> bytes:
    """Encode an error's body."""
    return encode(error_body(error, instance=path))


class EncodedAnswer(Response[Body]):
    """An answer that is bytes already: sent as it is, without Litestar's building of headers and cookies."""

    def __init__(
        self,
        content: bytes,
        *,
        status_code: int = HTTPStatus.OK.value,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # What else Litestar keeps of an answer has no part in sending this one, and setting it costs as much as
        # encoding a body.
        self.content = cast("Body", content)
        self.status_code = status_code
        self.headers = {} if headers is None else dict(headers)

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """The ASGI application that sends this answer."""
        return self.as_asgi

    async def as_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        body = cast("bytes", self.content)
        status = self.status_code or HTTPStatus.OK.value
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        send_whole = cast("SendWhole | None", scope.get(SEND_WHOLE))
        if send_whole is not None and not self.headers:
            common = cast("Headers", scope.get(COMMON_HEADERS, ()))
            if send_whole(scope, status, (*headers, *common), body):
                return
        headers += [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def answer(body: Body) -> EncodedAnswer[Body]:
    """The answer that carries a wire struct."""
    return EncodedAnswer(encode(body))


def error_answer(error: TonneError, *, path: str) -> EncodedAnswer[Any]:
    """The answer that an error is."""
    body = encode_error(error, path=path)
    return EncodedAnswer(body, status_code=error.http_status.value, headers=error.headers)


def stored_answer(stored: StoredAnswer) -> EncodedAnswer[Any]:
    """The same answer as the first time, byte for byte."""
    headers = {"Idempotent-Replayed": "true"}
    if stored.location is not None:
        headers["Location"] = stored.location
    return EncodedAnswer(stored.body, status_code=stored.http_status, headers=headers)

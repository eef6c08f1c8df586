"""Answers as bytes: how every body is encoded, whoever sends it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Response
from litestar.types import Receive, Scope, Send

from tonne.application.error_body import error_body
from tonne.domain.errors import TonneError
from tonne.storage.idempotent_requests import StoredAnswer

JSON = "application/json"
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

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """The ASGI application that sends this answer."""
        return self.as_asgi

    async def as_asgi(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        body = self.content
        assert isinstance(body, bytes)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in self.headers.items()),
        ]
        await send({"type": "http.response.start", "status": self.status_code or 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def answer(body: Body) -> EncodedAnswer[Body]:
    """The answer that carries a wire struct."""
    return EncodedAnswer(encode(body), media_type=JSON)  # type: ignore[arg-type]


def error_answer(error: TonneError, *, path: str) -> EncodedAnswer[Any]:
    """The answer that an error is."""
    return EncodedAnswer(
        encode_error(error, path=path),
        status_code=error.http_status.value,
        media_type=JSON,
        headers=dict(error.headers),
    )


def stored_answer(stored: StoredAnswer) -> EncodedAnswer[Any]:
    """The same answer as the first time, byte for byte."""
    headers = {"Idempotent-Replayed": "true"}
    if stored.location is not None:
        headers["Location"] = stored.location
    return EncodedAnswer(stored.body, status_code=stored.http_status, media_type=JSON, headers=headers)

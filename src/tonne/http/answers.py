"""Answers as bytes: how every body is encoded, whoever sends it."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response

from tonne.domain.errors import TonneError
from tonne.http.wire.errors import error_body
from tonne.storage.idempotent_requests import StoredAnswer

JSON = "application/json"
_encoder = msgspec.json.Encoder()


def encode(body: Any) -> bytes:
    """Encode a wire struct as JSON."""
    return _encoder.encode(body)


def encode_error(error: TonneError, *, path: str) -> bytes:
    """Encode an error's body."""
    return encode(error_body(error, instance=path))


def error_response(error: TonneError, *, path: str) -> Response[bytes]:
    """The answer that an error is."""
    return Response(
        encode_error(error, path=path),
        status_code=error.http_status.value,
        media_type=JSON,
        headers=dict(error.headers),
    )


def stored_response(answer: StoredAnswer) -> Response[bytes]:
    """The same answer as the first time, byte for byte."""
    headers = {"Idempotent-Replayed": "true"}
    if answer.location is not None:
        headers["Location"] = answer.location
    return Response(answer.body, status_code=answer.http_status, media_type=JSON, headers=headers)

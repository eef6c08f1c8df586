"""The `Idempotency-Key` header: contract, section 4."""

from __future__ import annotations

import hashlib
import re

from tonne.domain.errors import TonneError, ValidationFailed
from tonne.http.answers import encode, encode_error
from tonne.http.request import ApiRequest
from tonne.storage.idempotent_requests import RequestKey, StoredAnswer

_KEY = re.compile(rb"[\x21-\x7e]{1,255}")


async def read_request_key(request: ApiRequest) -> RequestKey | None:
    """Read the header, and take the request's fingerprint: a hash of its path and body.

    Raises:
        ValidationFailed: the header is not 1 to 255 visible ASCII characters, or is sent twice.
    """
    sent = [value for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if not sent:
        return None
    if len(sent) > 1 or _KEY.fullmatch(sent[0]) is None:
        raise ValidationFailed.at(
            "Idempotency-Key", "must be one header of 1 to 255 visible ASCII characters"
        )
    account = request.account
    asked = request.scope["path"].encode() + b"\0" + await request.body()
    return RequestKey(
        account.organisation_id, account.account_id, sent[0].decode("ascii"), hashlib.sha256(asked).digest()
    )


def answer_to_keep(body: object, key: RequestKey, path: str) -> StoredAnswer:
    """The answer to keep for repeats of a request: a body, or an error."""
    if isinstance(body, TonneError):
        return StoredAnswer(
            key.fingerprint,
            body.http_status.value,
            encode_error(body, path=path),
            body.headers.get("Location"),
        )
    return StoredAnswer(key.fingerprint, 200, encode(body), None)

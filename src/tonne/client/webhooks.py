"""Checking that a webhook request is genuine, and reading its events. Needs the standard library alone.

from tonne.client.webhooks import WebhookNotGenuine, read_webhook

try:
events = read_webhook(request.body, request.headers, "whsec_…")
except WebhookNotGenuine:
...  # answer 400
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"
# Standard Webhooks: 192 to 512 bits.
_KEY_BYTES = range(24, 65)


class WebhookNotGenuine(Exception):
    """A request was not signed with the secret, was changed on its way, or is old; the message says which."""


def read_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> list[dict[str, Any]]:
    """The events that a webhook request delivers, in their order.

    Give the body's bytes as they came. With several secrets any may have signed it: use that while one is replaced by
    another. Events may come more than once: `event_id` and `webhook-id` tell.

    Raises:
        WebhookNotGenuine: no signature is of one of the secrets, or the request was signed over five minutes ago or ahead.
        ValueError: a secret is not `whsec_` and base64 of 24 to 64 bytes.
    """
    check_signature(body, headers, secrets, tolerance_seconds=tolerance_seconds, now=now)
    events: list[dict[str, Any]] = json.loads(body)["events"]
    return events


def check_signature(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> None:
    """Check the Standard Webhooks signature of a request; names of headers in any case.

    Raises:
        WebhookNotGenuine, ValueError: as `read_webhook`.
    """
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    known = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp, signatures = (
            known[f"webhook-{name}"] for name in ("id", "timestamp", "signature")
        )
    except KeyError as missing:
        msg = f"the header {missing.args[0]} is missing"
        raise WebhookNotGenuine(msg) from None
    if not (timestamp.isascii() and timestamp.isdigit()):
        msg = "webhook-timestamp is no number of seconds"
        raise WebhookNotGenuine(msg)
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance_seconds:
        msg = f"it was signed more than {tolerance_seconds:g} s ago, or ahead"
        raise WebhookNotGenuine(msg)
    signed = f"{message_id}.{timestamp}.".encode() + body
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    given = [signature.encode() for signature in signatures.split(" ")]
    if not any(hmac.compare_digest(one, other) for one in wanted for other in given):
        msg = "no signature is of this secret and these bytes"
        raise WebhookNotGenuine(msg)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
        msg = f"a secret is {_PREFIX} and base64 of {_KEY_BYTES[0]} to {_KEY_BYTES[-1]} bytes"
        raise ValueError(msg)
    return key

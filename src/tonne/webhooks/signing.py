"""Both signatures of a webhook request: contract, section 9.

`webhook-signature` follows Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 with the decoded secret over
`id.timestamp.body`. `Lune-HMAC`: HMAC-SHA256 with the secret's text over `timestamp.body`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

SECRET_PREFIX = "whsec_"  # noqa: S105 -- what secrets begin with
SECRET_BYTES = 32
_KEY_BYTES = range(24, 65)


def format_secret(random_bytes: bytes) -> str:
    """The text of a secret made of 32 random bytes."""
    assert len(random_bytes) == SECRET_BYTES
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode()


def parse_secret(secret: str) -> bytes:
    """The bytes of a secret: 32 of ours, 24 to 64 as Standard Webhooks has it.

    Raises:
        ValueError: it is not `whsec_` and base64 of so many bytes.
    """
    try:
        found = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        found = b""
    if not secret.startswith(SECRET_PREFIX) or len(found) not in _KEY_BYTES:
        msg = f"a secret is {SECRET_PREFIX} and base64 of {_KEY_BYTES[0]} to {_KEY_BYTES[-1]} bytes"
        raise ValueError(msg)
    return found


def sign(
    body: bytes, *, message_id: str, organisation_id: UUID, secrets: Sequence[str], at: datetime
) -> dict[str, str]:
    """The headers that sign a body, with each of the secrets that hold now, the newest first."""
    timestamp = str(int(at.timestamp()))
    ours = [f"timestamp={timestamp}", f"organisation={organisation_id}"]
    standard = []
    for secret in secrets:
        mac = _mac(secret.encode(), timestamp.encode() + b"." + body)
        ours += [f"v1={mac.hex()}", f"v1={base64.b64encode(mac).decode()}"]
        signed = f"{message_id}.{timestamp}.".encode() + body
        standard.append("v1," + base64.b64encode(_mac(parse_secret(secret), signed)).decode())
    return {
        "Lune-HMAC": ",".join(ours),
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(standard),
    }


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")

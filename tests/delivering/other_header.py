"""A check of `Lune-HMAC` in some thirty lines, as a customer would write it from the contract's words alone."""

from __future__ import annotations

import base64
import hashlib
import hmac


def check_other_header(body: bytes, header: str, secret: str) -> str:
    """Check the header of a request; returns the organisation that it names.

    Raises:
        ValueError: it is not genuine.
    """
    timestamp = organisation = ""
    signatures: list[str] = []
    for part in header.split(","):
        name, _, value = part.partition("=")
        if name == "timestamp":
            timestamp = value
        elif name == "organisation":
            organisation = value
        elif name == "v1":
            signatures.append(value)
    signed = timestamp.encode() + b"." + body
    mac = hmac.new(secret.encode("utf-8"), signed, hashlib.sha256)
    wanted = {mac.hexdigest(), base64.b64encode(mac.digest()).decode()}
    if not wanted <= set(signatures):
        raise ValueError("not genuine")
    return organisation

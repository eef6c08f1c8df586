"""The code of an order's public page: names the order, and can't be guessed.

A code is the account's and the order's id and the first 128 bits of an HMAC-SHA256 over both, in URL-safe base 64: 64
characters. It is worked out from the order, so nothing is stored, and no two orders share one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from uuid import UUID

_CODE = re.compile(r"[0-9A-Za-z_-]{64}", re.ASCII)
_ID_BYTES = 16
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class ProofCodes:
    """Makes and reads codes with the service's own secret of 32 bytes."""

    secret: bytes

    def make(self, account_id: UUID, order_id: UUID) -> str:
        """The code of an order."""
        named = account_id.bytes + order_id.bytes
        return base64.urlsafe_b64encode(named + self._mac(named)).decode("ascii")

    def read(self, code: str) -> tuple[UUID, UUID] | None:
        """The account's and the order's id; None where the code was not made here."""
        if _CODE.fullmatch(code) is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(code)
        except binascii.Error:
            return None
        named, mac = raw[: 2 * _ID_BYTES], raw[2 * _ID_BYTES :]
        if not hmac.compare_digest(mac, self._mac(named)):
            return None
        return UUID(bytes=named[:_ID_BYTES]), UUID(bytes=named[_ID_BYTES:])

    def _mac(self, named: bytes) -> bytes:
        return hmac.digest(self.secret, b"proof\0" + named, hashlib.sha256)[:_MAC_BYTES]

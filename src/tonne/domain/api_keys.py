"""API keys: how they look, and how one is recognised without storing it.

A key reads `tonne_live_` or `tonne_test_`, then 256 random bits in base 62 (43 characters), then a CRC-32 of all
before it (6 characters), so that a mistyped key is told from an unknown one without asking anything. Only the
SHA-256 of a key is stored: with 256 random bits in it, a slow password hash would add nothing.
"""

from __future__ import annotations

import hashlib
import re
import string
import zlib

from tonne.domain.accounts import Mode

SECRET_BYTES = 32
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(r"tonne_(live|test)_[0-9A-Za-z]{49}", re.ASCII)
_CHECKSUM_LENGTH = 6
_SECRET_LENGTH = 43


def format_api_key(secret: bytes, mode: Mode) -> str:
    """Write 32 random bytes as an API key."""
    assert len(secret) == SECRET_BYTES
    body = f"tonne_{mode.value}_{_base62(int.from_bytes(secret), _SECRET_LENGTH)}"
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether a text can be one of our keys: its shape and its checksum are right."""
    if _SHAPE.fullmatch(key) is None:
        return False
    return _checksum(key[:-_CHECKSUM_LENGTH]) == key[-_CHECKSUM_LENGTH:]


def hash_api_key(key: str) -> bytes:
    """The SHA-256 under which a key is stored and found."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))

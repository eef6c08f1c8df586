"""New identifiers, secrets and the clock: what the domain must not make itself."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils

from tonne.domain.api_keys import SECRET_BYTES


def new_id() -> UUID:
    """A time-ordered UUID (version 7, RFC 9562): later ones compare greater, within a process strictly."""
    return UUID(int=uuid_utils.uuid7().int)


def new_secret() -> bytes:
    """256 random bits."""
    return secrets.token_bytes(SECRET_BYTES)


def utc_now() -> datetime:
    """The time in UTC, to the millisecond: what is answered first must be what is read back later."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)

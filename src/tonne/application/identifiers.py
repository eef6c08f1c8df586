"""New identifiers, secrets and the clock: what the domain must not make itself."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from time import time_ns
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

from tonne.domain.api_keys import SECRET_BYTES


def new_id() -> UUID:
    """A time-ordered UUID (version 7, RFC 9562): later ones compare greater, within a process strictly.

    It is of the database driver's kind of `UUID`, as all that are read back: made, compared and printed in C.
    """
    return pgproto.UUID(uuid_utils.uuid7().bytes)


def read_id(text: str) -> UUID | None:
    """Read an id in the one form we print; None where it can't be one."""
    try:
        found: UUID = pgproto.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def new_secret() -> bytes:
    """256 random bits."""
    return secrets.token_bytes(SECRET_BYTES)


def utc_now() -> datetime:
    """The time in UTC, to the millisecond: what is answered first must be what is read back later."""
    return datetime.fromtimestamp(time_ns() // 1_000_000 / 1000, UTC)

"""The audit log on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tonne.application.identifiers import read_id
from tonne.domain.audit import PLATFORM
from tonne.domain.errors import IdInvalid
from tonne.domain.times import format_time
from tonne.storage.audit import AuditEntry, AuditPlace, read_state
from tonne.wire.common import Time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR_PARTS = 3
_NUMBER_DIGITS_MAX = 18


class AuditEntryBody(msgspec.Struct, frozen=True):
    """A change: by whom, of what, and from what to what."""

    organisation_id: Annotated[
        str | None,
        Meta(description="Whose chain it is in; null: the platform's (catalogue, inventory, rates)."),
    ]
    sequence: Annotated[int, Meta(description="Its place in the chain, from 1.")]
    at: Time
    actor: Annotated[
        str,
        Meta(
            description="`key <id>`, `user <name>` at the command line, or `service`.", examples=["user ada"]
        ),
    ]
    request_id: Annotated[
        str | None, Meta(description="The X-Request-Id of the request; null if there was none.")
    ]
    action: str
    object_type: str
    object_id: str
    before: Annotated[Any, Meta(description="What was known of the object before; null: it was new.")]
    after: Annotated[Any, Meta(description="What is known of it since; null: it is gone.")]
    hash: Annotated[
        str, Meta(description="SHA-256 over this entry and the hash of the one before, hexadecimal.")
    ]


class AuditPage(msgspec.Struct, frozen=True):
    """A page of changes, newest first."""

    data: list[AuditEntryBody]
    has_more: Annotated[bool, Meta(description="Whether older changes follow.")]
    next_cursor: Annotated[str | None, Meta(description="Pass it as `after`; null when there is no more.")]


def audit_entry_body(entry: AuditEntry) -> AuditEntryBody:
    """Print an entry."""
    return AuditEntryBody(
        organisation_id=None if entry.organisation_id == PLATFORM else str(entry.organisation_id),
        sequence=entry.sequence,
        at=format_time(entry.at),
        actor=entry.actor,
        request_id=entry.request_id,
        action=entry.action,
        object_type=entry.object_type,
        object_id=entry.object_id,
        before=read_state(entry.before),
        after=read_state(entry.after),
        hash=entry.hash.hex(),
    )


def audit_cursor(entry: AuditEntry) -> str:
    """The cursor of the page that begins after an entry."""
    return f"{(entry.at - _EPOCH) // _MICROSECOND}.{entry.organisation_id}.{entry.sequence}"


def read_audit_cursor(text: str | None) -> AuditPlace | None:
    """Read `after`.

    Raises:
        IdInvalid: it can't be a cursor of ours.
    """
    if text is None:
        return None
    parts = text.split(".")
    if len(parts) != _CURSOR_PARTS:
        raise IdInvalid
    at, chain, sequence = _number(parts[0]), read_id(parts[1]), _number(parts[2])
    if at is None or chain is None or sequence is None:
        raise IdInvalid
    try:
        return AuditPlace(_EPOCH + at * _MICROSECOND, chain, sequence)
    except OverflowError:
        raise IdInvalid from None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS_MAX else None

"""Who changed what: entries of the audit log, each bound to the one before it by a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tonne.domain.accounts import ApiKey

# The chain of what belongs to no organisation: the catalogue, the inventory, exchange rates.
PLATFORM = UUID(int=0)
FIRST_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: a key over HTTP, in a request that has an id, or a person at the command line."""

    name: str
    request_id: str | None = None
    key: ApiKey | None = None

    @classmethod
    def of_key(cls, key: ApiKey, request_id: str) -> Actor:
        """Whoever holds an API key."""
        return cls(f"key {key.key_id}", request_id, key)

    @classmethod
    def at_command_line(cls, user: str) -> Actor:
        """Whoever is logged in as that user."""
        return cls(f"user {user}")


# The service itself: what it sets up, or does in the background.
SERVICE = Actor("service")


@dataclass(frozen=True, slots=True)
class Change:
    """One object's change. `before` None: it is new; `after` None: it is gone. Neither holds a secret.

    Both are what is known of the object by name, as JSON can say it.
    """

    object_type: str
    object_id: UUID | str
    action: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that a change touched, by its path; None where it is not there. Values are JSON-able."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> list[Difference]:
    """What differs between two states of an object: property by property down nested objects, lists as wholes."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*before, *(name for name in after if name not in before)]
        return [
            difference
            for name in names
            for difference in differences(
                before.get(name), after.get(name), f"{path}.{name}" if path else str(name)
            )
        ]
    if before is None and isinstance(after, dict) and after:
        return differences({}, after, path)
    if after is None and isinstance(before, dict) and before:
        return differences(before, {}, path)
    return [] if before == after else [Difference(path, before, after)]


def chain_hash(previous_hash: bytes, fields: Sequence[str]) -> bytes:
    """The hash of an entry: SHA-256 of the one before it and of the entry's fields, each with its length in bytes.

    The lengths keep text from moving from one field to the next unnoticed.
    """
    digest = hashlib.sha256(previous_hash)
    for text in fields:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.digest()

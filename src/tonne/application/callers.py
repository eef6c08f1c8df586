"""Whether whoever changes something may still do so, asked inside the write."""

from __future__ import annotations

from tonne.domain.audit import Actor
from tonne.domain.errors import Unauthorised
from tonne.storage.accounts import key_is_enabled
from tonne.storage.database import Connection


async def refuse_disabled_key(connection: Connection, actor: Actor) -> None:
    """Refuse a key that was disabled since it was let in; a person at the command line has none.

    Raises:
        Unauthorised: it was.
    """
    if actor.key is not None and not await key_is_enabled(connection, actor.key):
        raise Unauthorised("This API key is unknown or disabled.")

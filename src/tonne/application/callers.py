"""Whether a caller may still write, asked inside the write."""

from __future__ import annotations

from tonne.domain.accounts import Caller
from tonne.domain.errors import Unauthorised
from tonne.storage.accounts import key_is_enabled
from tonne.storage.database import Connection


async def refuse_disabled_key(connection: Connection, caller: Caller) -> None:
    """Refuse a key that was disabled since it was let in.

    Raises:
        Unauthorised: it was.
    """
    if not await key_is_enabled(connection, caller.key):
        raise Unauthorised("This API key is unknown or disabled.")

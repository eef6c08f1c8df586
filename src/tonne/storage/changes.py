"""The hint that what processes keep in memory has changed. A hint: a timer finds a change whose hint was lost."""

from __future__ import annotations

from tonne.storage.database import Connection

CHANNEL = "tonne_changed"


async def announce_change(connection: Connection) -> None:
    """Tell every process, as of this transaction's commit, that accounts, keys or the catalogue changed."""
    await connection.execute(f"NOTIFY {CHANNEL}")

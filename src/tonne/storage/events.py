"""Rows of `event_chunks`: what happened, written with what made it happen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tonne.domain.events import Happened
from tonne.storage.database import Connection


async def record_events(
    connection: Connection, happened: Sequence[Happened], *, chunk_ids: Sequence[UUID], at: datetime
) -> None:
    """Store events; call it in the transaction of what they tell. `chunk_ids` are new ids, time-ordered, one each."""
    if not happened:
        return
    await connection.executemany(
        """
        INSERT INTO event_chunks (organisation_id, account_id, chunk_id, event_types, order_ids, retirement_ids,
                                  quantities_grams, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        [
            (
                chunk.organisation_id,
                chunk.account_id,
                chunk_id,
                [event_type.value for event_type in chunk.event_types],
                chunk.order_ids,
                chunk.retirement_ids,
                chunk.quantities_grams,
                at,
            )
            for chunk, chunk_id in zip(happened, chunk_ids, strict=True)
        ],
    )

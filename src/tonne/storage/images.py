"""Rows of `images`: pictures, by the SHA-256 of their bytes."""

from __future__ import annotations

from datetime import datetime

from tonne.domain.images import StoredImage
from tonne.storage.database import Connection


async def keep_image(connection: Connection, image: StoredImage, data: bytes, *, at: datetime) -> None:
    """Keep a picture; one that is there already stays."""
    await connection.execute(
        "INSERT INTO images (sha256, media_type, data, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        image.sha256,
        image.media_type,
        data,
        at,
    )


async def find_image(connection: Connection, sha256: bytes) -> tuple[str, bytes] | None:
    """A picture's media type and bytes; None where there is none."""
    row = await connection.fetchrow("SELECT media_type, data FROM images WHERE sha256 = $1", sha256)
    return None if row is None else (row["media_type"], row["data"])

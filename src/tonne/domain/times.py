"""Times as they are printed."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache


@lru_cache(maxsize=4096)
def format_time(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and Z. Source: contract, section 1."""
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"

"""Requests per second for each key: a token bucket, kept in memory by each server process.

The headers are those of the IETF draft "RateLimit header fields for HTTP". With several worker processes each counts
on its own, so a key may get up to its limit from each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

from tonne.domain.accounts import ApiKey
from tonne.domain.errors import RateLimited


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(slots=True)
class RateLimiter:
    """One bucket a key, refilled with the key's limit every second and holding at most that many."""

    default_per_second: int
    clock: Callable[[], float] = monotonic
    _buckets: dict[UUID, _Bucket] = field(default_factory=dict)

    def take(self, key: ApiKey) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
        """Take one request from the key's bucket; returns the two headers that tell its state.

        Raises:
            RateLimited: the bucket is empty; the error has the same headers.
        """
        limit = key.rate_limit_per_second or self.default_per_second
        now = self.clock()
        bucket = self._buckets.get(key.key_id)
        if bucket is None:
            bucket = self._buckets[key.key_id] = _Bucket(limit, now)
        tokens = min(limit, bucket.tokens + (now - bucket.filled_at) * limit)
        bucket.filled_at = now
        if tokens < 1:
            bucket.tokens = tokens
            wait_seconds = max(1, math.ceil((1 - tokens) / limit))
            raise RateLimited(
                f"This API key may send {limit} requests a second: wait {wait_seconds} s.",
                retry_after_seconds=wait_seconds,
            )
        bucket.tokens = tokens - 1
        return headers(
            limit, remaining=int(bucket.tokens), full_in_seconds=math.ceil((limit - bucket.tokens) / limit)
        )


def headers(
    limit: int, *, remaining: int, full_in_seconds: int
) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """The `RateLimit-Policy` and `RateLimit` headers."""
    return (
        (b"ratelimit-policy", b'"default";q=%d;w=1' % limit),
        (b"ratelimit", b'"default";r=%d;t=%d' % (remaining, full_in_seconds)),
    )

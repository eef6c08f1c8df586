"""Webhooks: where an organisation's events are delivered to, and what happens when they can't be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tonne.domain.accounts import Mode

# How long after each failed attempt the next follows: ten attempts in all.
RETRY_DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# Attempts of those that failed together are not made together: up to so many percent earlier or later.
JITTER_PERCENT = 10
# An endpoint that asks to be left alone for longer is asked again after this.
RETRY_AFTER_MAX = timedelta(hours=24)
WEBHOOKS_MAX = 100
BATCH_EVENTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint of an organisation for the events of its accounts of one mode: of some, or with None of all.

    `secrets` are encrypted: the one that signs, and until `former_until` the one before it. `secret_end` is how the first
    one ends.
    """

    organisation_id: UUID
    webhook_id: UUID
    mode: Mode
    url: str
    account_ids: tuple[UUID, ...] | None
    secret: bytes
    secret_end: str
    enabled: bool
    created_at: datetime
    former_secret: bytes | None = None
    former_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None

    def sealed_secrets(self, at: datetime) -> list[bytes]:
        """Those that sign now, the newest first."""
        if self.former_secret is None or self.former_until is None or self.former_until <= at:
            return [self.secret]
        return [self.secret, self.former_secret]


def next_attempt_in(
    failed_attempts: int,
    *,
    retry_after: timedelta | None,
    chance_percent: int,
    delays: Sequence[timedelta] = RETRY_DELAYS,
) -> timedelta | None:
    """How long to wait after so many failed attempts; None when there is no other.

    `chance_percent`, 0 to 100, decides within a tenth more or less. An endpoint that asks for longer is left alone for
    longer.
    """
    if failed_attempts > len(delays):
        return None
    delay = delays[failed_attempts - 1] * (10_000 + JITTER_PERCENT * (2 * chance_percent - 100)) // 10_000
    return max(delay, min(retry_after or timedelta(0), RETRY_AFTER_MAX))


def room_for_more(*, own: int, own_max: int, together: int, together_max: int) -> int:
    """How many places more one may take of those that all have together.

    Nobody has more than are then left to the rest; the last place is given away. So there is room for several that give
    nothing back, each for half of what the one before left.
    """
    free = together_max - together
    return max(0, min(own_max - own, (free - own + 1) // 2))

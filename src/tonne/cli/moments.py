"""Times and days on the command line: what options take as their `type`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import click

_DAY_LENGTH = len("2026-01-31")
_YEARS = range(1900, 9000)


def moment(text: str) -> datetime:
    """Read a time with its offset, or a day (UTC), which stands for its beginning."""
    at = _read(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def moment_after(text: str) -> datetime:
    """Read a time with its offset, or a day (UTC), which stands for its end: the beginning of the next."""
    at = _read(text)
    return at.replace(tzinfo=UTC) + timedelta(days=1) if at.tzinfo is None else at.astimezone(UTC)


def day(text: str) -> date:
    """Read a day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"{text!r} is no day such as 2026-01-31."
        raise click.BadParameter(msg) from None


def _read(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        # A time without an offset could be anybody's.
        if (len(text) == _DAY_LENGTH) == (at.tzinfo is None) and at.year in _YEARS:
            return at
    msg = f"{text!r} is neither a day such as 2026-01-31 nor a time such as 2026-01-31T09:30:00Z."
    raise click.BadParameter(msg)

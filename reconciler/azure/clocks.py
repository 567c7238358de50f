"""What a reply's ``Date`` tells of its server's clock."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache


def ahead_by(date: str | None, now: float) -> timedelta | None:
    """By how much a server's clock is ahead of this machine's; None without a date.

    Args:
        date: The ``Date`` of its reply, which is cut off to whole seconds.
        now: The time when the reply was here (seconds since 1970).
    """
    if not date:
        return None
    seconds = _seconds(date)
    # Half a second: what was cut off, in the middle.
    return None if seconds is None else timedelta(seconds=seconds + 0.5 - now)


@lru_cache(maxsize=64)
def _seconds(date: str) -> float | None:
    """Seconds since 1970; None for what is no date. All replies of one second have the same."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None

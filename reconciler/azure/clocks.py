"""What a reply's ``Date`` tells of its server's clock."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime


def ahead_by(date: str | None, now: float) -> timedelta | None:
    """By how much a server's clock is ahead of ours; None without a date.

    Args:
        date: The ``Date`` of its reply, which is cut off to whole seconds.
        now: Our time when the reply was here (seconds since 1970).
    """
    if not date:
        return None
    try:
        seconds = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    # Half a second: what was cut off, in the middle.
    return timedelta(seconds=seconds + 0.5 - now)

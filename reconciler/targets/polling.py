"""How long a driver goes on asking, where a service takes its time to show or to accept what was written."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from reconciler.plan.backoff import Backoff

_LONGEST_PAUSE = timedelta(seconds=5)


def pauses(first: timedelta, longest: timedelta = _LONGEST_PAUSE) -> Backoff:
    """Return the pauses of somebody who waits: each half as long again as the one before."""
    return Backoff(first, longest, factor=1.5, jitter=0)


class Patience:
    """Pauses between tries, until the time that a change takes to settle is over.

    Args:
        settle: For how long to go on.
        first_pause: The first pause; see `pauses`.
        tries: So many tries there are in any case.
    """

    def __init__(self, settle: timedelta, first_pause: timedelta, *, tries: int = 1) -> None:
        self._pauses = pauses(first_pause)
        self._end = asyncio.get_running_loop().time() + settle.total_seconds()
        self._tries = tries
        self._tried = 0

    async def again(self) -> bool:
        """Pause and return True, or return False at once: the time is over."""
        self._tried += 1
        left = self._end - asyncio.get_running_loop().time()
        if left <= 0 and self._tried >= self._tries:
            return False
        pause = self._pauses.delay(self._tried, 0.5).total_seconds()
        await asyncio.sleep(min(pause, left) if left > 0 else pause)
        return True

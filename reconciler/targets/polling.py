"""How long a driver goes on asking, where a service takes its time to show or to accept what was written."""

from __future__ import annotations

import asyncio
from datetime import timedelta

_LONGEST_PAUSE = 5.0


class Backoff:
    """Pauses between tries, until the time that a change takes to settle is over.

    Args:
        settle: for how long to go on.
        first_pause: the first pause; each is half as long again as the one before, up to five seconds.
        tries: so many tries there are in any case.
    """

    def __init__(self, settle: timedelta, first_pause: timedelta, *, tries: int = 1) -> None:
        self._pause = first_pause.total_seconds()
        self._end = asyncio.get_running_loop().time() + settle.total_seconds()
        self._tries_left = tries - 1

    async def again(self) -> bool:
        """Pauses and says True, or says False at once: the time is over."""
        left = self._end - asyncio.get_running_loop().time()
        if left <= 0 and self._tries_left <= 0:
            return False
        self._tries_left -= 1
        await asyncio.sleep(min(self._pause, left) if left > 0 else self._pause)
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)
        return True

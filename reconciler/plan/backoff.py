"""How long to wait before the next try of what failed several times in a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow with each failure, and spread, so that what failed together is not tried together again.

    Attributes:
        first: After the first failure.
        longest: What the delays grow up to.
        factor: How many times the one before each delay is.
        jitter: By which share a delay is made shorter or longer at most, the longest ones too.
    """

    first: timedelta
    longest: timedelta
    factor: float = 2.0
    jitter: float = 0.2

    def delay(self, failures: int, draw: float) -> timedelta:
        """Return how long to wait.

        Args:
            failures: How many there were in a row, from 1.
            draw: A random number from 0 to 1: the shortest delay to the longest.
        """
        # No power so high that a float cannot hold it: whatever fails for years is far beyond the longest delay.
        grown = self.first.total_seconds() * self.factor ** min(failures - 1, 64)
        return timedelta(seconds=min(grown, self.longest.total_seconds()) * (1 + self.jitter * (2 * draw - 1)))


RETRY = Backoff(first=timedelta(seconds=30), longest=timedelta(hours=1))
"""When a target or a version that failed is due again (design 5.8)."""

"""The Studio's clock, which a fault can put ahead or behind for one request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta

_SKEW: ContextVar[timedelta] = ContextVar("clock skew", default=timedelta(0))


class SkewedClock:
    """A clock that shows the true time, but for the requests inside `skewed`, and what they set off."""

    def __init__(self, true: Callable[[], datetime]) -> None:
        self.true = true

    def __call__(self) -> datetime:
        """The time now, with a time zone."""
        return self.true() + _SKEW.get()


@contextmanager
def skewed(skew: timedelta) -> Iterator[None]:
    """For this task, and for tasks that it starts, clocks are ahead by `skew`."""
    token = _SKEW.set(skew)
    try:
        yield
    finally:
        _SKEW.reset(token)

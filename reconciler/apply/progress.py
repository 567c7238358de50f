"""What a run tells about itself while it runs, for a console to draw and for lines in a log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ProgressState(StrEnum):
    """The state that an event reports."""

    STARTED = "started"
    WAITING = "waiting"
    DONE = "done"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Amount:
    """How far something is that has an end, in bytes."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """One thing that happened. ``subject`` is a target's name or ``model@label``; ``text`` holds no secret.

    While an ``amount`` grows, the text stays the same.
    """

    subject: str
    mark: ProgressState
    text: str
    amount: Amount | None = None


class Progress(Protocol):
    """Takes the progress events of a run; must not raise and must not block."""

    def __call__(self, event: ProgressEvent) -> None:
        """Take one event."""


def silent(event: ProgressEvent) -> None:
    """Return a progress that shows nothing."""
    del event

"""How a training ends that does not give a usable version."""

from __future__ import annotations


class TrainingFailed(Exception):
    """A version could not be made usable. The message holds the service's own words, and no secret.

    ``again`` is whether the same may succeed another time; None if that is not known.
    """

    def __init__(self, message: str, again: bool | None = None) -> None:
        super().__init__(message)
        self.again = again

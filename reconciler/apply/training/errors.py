"""Errors of a training: an end without a usable version, and inputs that cannot be read."""

from __future__ import annotations

from reconciler.plan.states import Problem


class TrainingFailed(Exception):
    """A version could not be made usable. The message holds the service's own words, and no secret.

    ``again`` is whether the same may succeed another time; None if that is not known.
    """

    def __init__(self, message: str, again: bool | None = None) -> None:
        super().__init__(message)
        self.again = again


class RecipeError(Exception):
    """An input cannot be read. The message names it; `problem` also says what to do."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.problem = Problem(code, message, remedy)

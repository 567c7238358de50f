"""What was looked at before anything starts: checks, and what the retrains of a plan will take.

Part of the plan document (`reconciler.plan.document`), and all that ``reconcile doctor`` gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class CheckOutcome(StrEnum):
    """What came of a check. What could not be asked is unknown, never guessed."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    """Something that it rests on failed, or nothing needs it."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Check(_Frozen):
    """One thing that was looked at."""

    name: str
    """What kind of thing: ``storage``, ``permissions``, ``clock`` and so on; an open set."""
    subject: str
    """Which one: a host, a workspace, a resource group."""
    outcome: CheckOutcome
    text: str
    """What was found, as a sentence for people."""
    remedy: str = ""
    """What to do about it."""


class Estimate(_Frozen):
    """What the retrains of a plan will take. An estimate: ``basis`` says what it rests on.

    Where only some were ever timed, seconds, hours and dollars are those of the timed ones: at least so much.
    """

    retrains: int
    timed: int
    """How many of them have a time to go by."""
    at_once: int
    """How many jobs run side by side."""
    waves: int
    """How often that many are started until all have been."""
    seconds: float | None = None
    """From the first start to the last end; None if none was ever timed."""
    compute_hours: float | None = None
    dollars: float | None = None
    basis: str = ""


class Preflight(_Frozen):
    """What was found before a plan is carried out. No part of its digest: what it stops is stopped in the targets."""

    checks: tuple[Check, ...] = ()
    estimate: Estimate | None = None


_WORST_FIRST = (
    CheckOutcome.FAILED,
    CheckOutcome.WARNING,
    CheckOutcome.UNKNOWN,
    CheckOutcome.OK,
    CheckOutcome.SKIPPED,
)


def worst_first(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return the checks in the order in which people want to read them; each once."""
    return tuple(sorted(dict.fromkeys(checks), key=lambda check: _WORST_FIRST.index(check.outcome)))

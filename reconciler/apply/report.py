"""How a run ended, target by target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.plan.states import Proof


class Result(StrEnum):
    """How one target came out; ``adopted``: it was in sync, and has the ownership marker now."""

    IN_SYNC = "in-sync"
    ADOPTED = "adopted"
    CONVERGED = "converged"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"
    ORPHANED = "orphaned"


class Verdict(StrEnum):
    """How the run came out as a whole; each has its exit code."""

    IN_SYNC = "in-sync"
    CONVERGED = "converged"
    HELD = "held"
    REFUSED = "refused"
    PARTLY = "partly"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One target's end. ``proof`` is there when it was converged."""

    name: str
    kind: str
    result: Result
    text: str
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Something that runs on the service, and when it is due to be looked at again."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass came to.

    Attributes:
        outcomes: The ends of the targets that have come to one, by name.
        waiting: When each target and version that has not is due to be looked at again, by name.
    """

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    waiting: Mapping[str, LookAgain] = field(default_factory=dict)

    @property
    def due(self) -> datetime | None:
        """When the next pass is due; None if nothing is waited for."""
        return min((each.at for each in self.waiting.values()), default=None)


@dataclass(frozen=True, slots=True)
class Report:
    """All targets' ends, in the plan's order."""

    outcomes: tuple[Outcome, ...]

    def count(self, result: Result) -> int:
        """How many targets came out like this."""
        return sum(outcome.result is result for outcome in self.outcomes)

    @property
    def verdict(self) -> Verdict:
        """The run's verdict: what failed comes first, then what was refused, then what is held."""
        written = self.count(Result.CONVERGED) + self.count(Result.ADOPTED)
        home = written + self.count(Result.IN_SYNC)
        if self.count(Result.FAILED):
            return Verdict.PARTLY if home else Verdict.FAILED
        if self.count(Result.REFUSED):
            return Verdict.REFUSED
        if self.count(Result.HELD):
            return Verdict.HELD
        return Verdict.CONVERGED if written else Verdict.IN_SYNC

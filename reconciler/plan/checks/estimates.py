"""Estimates how long the retrains of a plan take, and what they cost.

Prices are those of Microsoft's FAQ of 2017 for use beyond what S1 includes (context 4.6): its example of 100 jobs a day
for a month is $1.55 for 3,100 transactions and $620 for 310 compute hours, so $0.50 for a thousand transactions, of
which a job is one, and $2 an hour.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from reconciler.plan.checks.quotas import JOBS
from reconciler.plan.checks.result import Estimate
from reconciler.plan.document import Plan
from reconciler.plan.states import Ledger

DOLLARS_PER_JOB = 0.50 / 1000
DOLLARS_PER_HOUR = 2.0

_PRICES = (
    "list prices of 2017 (S1): $0.50 per 1,000 jobs, $2 per compute hour. Quota included in the commitment plan is "
    "not deducted"
)


@dataclass(frozen=True, slots=True)
class Retrain:
    """A train step of a plan.

    Attributes:
        step: Its id.
        endpoint: Where its job runs, for people.
        seconds: How long it will take; None if unknown.
        alike: Whether that was taken from other models of the same training service.
    """

    step: str
    endpoint: str
    seconds: float | None
    alike: bool = False


def retrains_of(plan: Plan, ledger: Ledger) -> tuple[Retrain, ...]:
    """Return the train steps of a plan, each with the time that history gives.

    That is the median of earlier retrains of its model; else of those of other models at the same training service,
    as when a set of a thousand like models is trained for the first time and some are through.
    """
    alike: dict[str, list[float]] = {}
    for known in ledger.versions.values():
        if known.trained_in is not None and known.training:
            alike.setdefault(known.training, []).append(known.trained_in.total_seconds())
    usual = {training: median(seconds) for training, seconds in alike.items()}
    found = []
    for version in plan.versions:
        for step in version.steps:
            seconds = step.estimate_seconds
            if seconds is None:
                seconds = usual.get(version.training)
            found.append(Retrain(step.id, version.training, seconds, alike=step.estimate_seconds is None))
    return tuple(found)


def jobs_by_endpoint(retrains: Sequence[Retrain]) -> dict[str, int]:
    """Return how many jobs each training endpoint gets."""
    return dict(Counter(retrain.endpoint for retrain in retrains))


def estimate(retrains: Sequence[Retrain], at_once: int) -> Estimate | None:
    """Return what the retrains take together; None if there are none.

    Args:
        retrains: All of the plan.
        at_once: How many jobs run side by side at one training endpoint, which runs `quotas.JOBS` at most.
    """
    if not retrains:
        return None
    versions_by_uri = min(at_once, JOBS)
    jobs = jobs_by_endpoint(retrains)
    timed = [retrain for retrain in retrains if retrain.seconds is not None]
    hours = sum(retrain.seconds or 0.0 for retrain in timed) / 3600
    return Estimate(
        retrains=len(retrains),
        timed=len(timed),
        at_once=sum(min(number, versions_by_uri) for number in jobs.values()),
        waves=max(math.ceil(number / versions_by_uri) for number in jobs.values()),
        seconds=round(_makespan(timed, versions_by_uri), 3) if timed else None,
        compute_hours=round(hours, 6) if timed else None,
        dollars=round(len(timed) * DOLLARS_PER_JOB + hours * DOLLARS_PER_HOUR, 4) if timed else None,
        basis=_basis(retrains),
    )


def _makespan(retrains: Sequence[Retrain], versions_by_uri: int) -> float:
    """Return the seconds from first start to last end, each job starting as soon as its endpoint has a place."""
    ends: dict[str, list[float]] = {}
    for retrain in retrains:
        running = ends.setdefault(retrain.endpoint, [0.0] * versions_by_uri)
        heapq.heapreplace(running, running[0] + (retrain.seconds or 0.0))
    return max(end for running in ends.values() for end in running)


def _basis(retrains: Sequence[Retrain]) -> str:
    own = sum(1 for retrain in retrains if retrain.seconds is not None and not retrain.alike)
    alike = sum(1 for retrain in retrains if retrain.seconds is not None and retrain.alike)
    untimed = len(retrains) - own - alike
    by = {
        "of earlier retrains of the same model": own,
        "of other models at the same training service": alike,
        "unknown, and left out": untimed,
    }
    parts = {words: number for words, number in by.items() if number}
    if len(parts) == 1:
        times = f"times {next(iter(parts))}"
    else:
        times = "times: " + ", ".join(f"{number:,} {words}" for words, number in parts.items())
    return f"{times}; {_PRICES}" if own or alike else times

"""The words for what was found before a plan is carried out."""

from __future__ import annotations

from reconciler.plan.checks import Check, CheckOutcome, Estimate, Preflight
from reconciler.plan.wording import count, duration

_TOLD = frozenset({CheckOutcome.WARNING, CheckOutcome.UNKNOWN})


def told_checks(preflight: Preflight) -> tuple[Check, ...]:
    """The checks that a person reads beneath the plan. What failed stands with the targets that it stops."""
    return tuple(check for check in preflight.checks if check.outcome in _TOLD)


def estimate_words(estimate: Estimate) -> str:
    """What the retrains will take, in one sentence without its basis."""
    retrains = count(estimate.retrains, "retrain")
    pace = f"{estimate.at_once} at a time" + (f", in {estimate.waves:,} waves" if estimate.waves > 1 else "")
    if estimate.seconds is None:
        return f"{retrains}, {pace}; none was timed before, so neither time nor money can be told"
    whole = estimate.timed == estimate.retrains
    least = "about" if whole else "at least"
    time = f"{least} {duration(estimate.seconds)}"
    money = "" if estimate.dollars is None else f" and {dollars(estimate.dollars, least)}"
    part = "" if whole else f" for the {estimate.timed:,} that can be told"
    return f"{retrains}, {pace}: {time}{money}{part}"


def dollars(amount: float, least: str = "about") -> str:
    """An amount of money: ``about $1.20``, ``less than $0.01``."""
    return "less than $0.01" if amount < 0.01 else f"{least} ${amount:,.2f}"

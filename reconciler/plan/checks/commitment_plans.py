"""Judges whether a commitment plan has enough left for a plan (context 4.6, new-protocol 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.plan.checks.facts import CommitmentPlanAssignment, CommitmentPlanState, CommitmentPlanUsage, Finding
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.text import count, number

NEARLY_USED_UP = 0.1
"""The share of an included quantity at which a plan that stops its services is nearly used up."""
_FIGURES_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a step takes of a commitment plan: a job, and compute hours; None if unknown."""

    jobs: int = 0
    hours: float | None = 0.0


def judge_headroom(
    payers: Mapping[str, CommitmentPlanUsage], spending: Mapping[str, Spending], now: datetime
) -> Iterator[Finding]:
    """Yield one finding for each commitment plan. Only jobs are stopped; an update costs next to nothing.

    Args:
        payers: By the id of the step that it pays for.
        spending: By the id of the step; a step that is not there spends nothing to speak of.
        now: The time of the plan.
    """
    steps: dict[CommitmentPlanUsage, list[str]] = {}
    for step_id in sorted(payers):
        steps.setdefault(payers[step_id], []).append(step_id)
    for payer, paid in sorted(steps.items(), key=lambda item: item[0].name):
        costly = [step_id for step_id in paid if step_id in spending]
        check = check_headroom(payer, [spending[step_id] for step_id in costly], now)
        stopped = costly if check.outcome is CheckOutcome.FAILED else []
        yield Finding.of(check, stopped, unsafe=True)


def check_headroom(payer: CommitmentPlanUsage, spending: list[Spending], now: datetime) -> Check:
    """Return what is left of a commitment plan, and whether that is enough.

    Args:
        payer: The commitment plan.
        spending: What is to be taken of it; empty if nothing is planned.
        now: The time now.
    """
    if payer.hours is None or payer.transactions is None:
        return _check(payer, CheckOutcome.UNKNOWN, "what is left of it is unknown: the service does not report it")
    left = f"{_of(payer.hours)} compute hours and {_of(payer.transactions)} transactions are left"
    if payer.refill_days:
        left += f"; refilled every {payer.refill_days} days"
    if (payer.stops or spending) and _too_new(payer, now):
        return _check(payer, CheckOutcome.UNKNOWN, f"too new to report what is left: {left}")
    if payer.stops:
        return _of_stopping(payer, spending, left)
    if _short(payer, spending):
        return _check(payer, CheckOutcome.WARNING, f"{left}; {_needs(spending)} more is charged as overage")
    return _check(payer, CheckOutcome.OK, f"{left}; more is charged as overage")


def _of_stopping(payer: CommitmentPlanUsage, spending: list[Spending], left: str) -> Check:
    trouble = _trouble(payer, spending)
    if not trouble:
        return _check(payer, CheckOutcome.OK, f"{left}; its web services stop when it is used up")
    remedy = "Wait until it is refilled, or move the services to a plan that does not stop them (S1 to S3)"
    outcome = CheckOutcome.FAILED if spending else CheckOutcome.WARNING
    return _check(payer, outcome, f"{left}: {trouble}", remedy)


def _trouble(payer: CommitmentPlanUsage, spending: list[Spending]) -> str:
    """Return what is wrong with a commitment plan that stops its services when it is used up; empty if nothing is."""
    hours, transactions = payer.hours or (0.0, 0.0), payer.transactions or (0.0, 0.0)
    if min(hours[0], transactions[0]) <= 0:
        return "its web services are stopped"
    if _short(payer, spending):
        return f"{_needs(spending)} more does not fit, and its web services stop when it is used up"
    if min(_share(hours), _share(transactions)) < NEARLY_USED_UP:
        return "it is nearly used up, and its web services stop then"
    return ""


def _needs(spending: list[Spending]) -> str:
    jobs = sum(each.jobs for each in spending)
    hours = sum(each.hours or 0.0 for each in spending)
    words = f"{jobs:,} job{'' if jobs == 1 else 's'}"
    return f"{words} of about {number(hours)} compute hours" if hours else words


def _short(payer: CommitmentPlanUsage, spending: list[Spending]) -> bool:
    hours, transactions = payer.hours or (0.0, 0.0), payer.transactions or (0.0, 0.0)
    wanted = sum(each.hours or 0.0 for each in spending)
    return bool(spending) and (wanted > hours[0] or sum(each.jobs for each in spending) > transactions[0])


def _too_new(payer: CommitmentPlanUsage, now: datetime) -> bool:
    """Return whether the figures may be wrong: a new plan was seen to report nothing left (new-protocol 5)."""
    shown = (payer.hours or (0.0, 0.0))[0] + (payer.transactions or (0.0, 0.0))[0]
    return shown == 0 and payer.created is not None and now - payer.created < _FIGURES_AFTER


def _share(quantity: tuple[float, float]) -> float:
    left, included = quantity
    return left / included if included > 0 else 1.0


def _of(quantity: tuple[float, float]) -> str:
    left, included = quantity
    return f"{number(left)} of {number(included)}"


def _check(payer: CommitmentPlanUsage, outcome: CheckOutcome, text: str, remedy: str = "") -> Check:
    subject = f"{payer.name} ({payer.sku})" if payer.sku else payer.name
    return _check_plan(subject, outcome, text, remedy)


def _check_plan(subject: str, outcome: CheckOutcome, text: str, remedy: str = "") -> Check:
    return Check(name="commitment-plan", subject=subject, outcome=outcome, text=text, remedy=remedy)


def judge_claims(
    claims: Mapping[str, CommitmentPlanAssignment], standings: Mapping[str, CommitmentPlanState | None], now: datetime
) -> Iterator[Finding]:
    """Yield the findings on each commitment plan that services are assigned to.

    Args:
        claims: By the id of the step that creates or moves a service.
        standings: The plans, by their ids; None for one that there is not.
        now: The time of the plan.
    """
    by_plan: dict[str, dict[str, CommitmentPlanAssignment]] = {}
    for step_id in sorted(claims):
        by_plan.setdefault(claims[step_id].plan, {})[step_id] = claims[step_id]
    for plan, claiming in sorted(by_plan.items()):
        if plan not in standings:
            continue
        standing = standings[plan]
        if standing is None:
            remedy = "Correct commitmentPlan, or create the commitment plan"
            yield Finding.of(
                _check_plan(plan, CheckOutcome.FAILED, "the commitment plan does not exist", remedy), claiming
            )
            continue
        yield from _misplaced(plan, standing, claiming)
        yield from _full(plan, standing, claiming)
        yield Finding.of(check_headroom(standing.payer, [], now))


def _misplaced(
    plan: str, standing: CommitmentPlanState, claiming: Mapping[str, CommitmentPlanAssignment]
) -> Iterator[Finding]:
    elsewhere: dict[str, list[str]] = {}
    for step_id, claim in claiming.items():
        if _region(claim.location) != _region(standing.location):
            elsewhere.setdefault(claim.location, []).append(step_id)
    for location, steps in sorted(elsewhere.items()):
        text = f"the commitment plan is in {standing.location} and cannot pay for web services in {location}"
        yield Finding.of(_check_plan(plan, CheckOutcome.FAILED, text, f"Name a commitment plan in {location}"), steps)


def _full(
    plan: str, standing: CommitmentPlanState, claiming: Mapping[str, CommitmentPlanAssignment]
) -> Iterator[Finding]:
    if standing.services is None or standing.most is None:
        return
    over = list(claiming)[max(0, standing.most - standing.services) :]
    if over:
        text = (
            f"it pays for {count(standing.services, 'web service')} of at most {standing.most:,}, and this plan adds "
            f"{len(claiming):,} more: {len(over):,} of them {'does' if len(over) == 1 else 'do'} not fit"
        )
        yield Finding.of(
            _check_plan(plan, CheckOutcome.FAILED, text, "Name another commitment plan for the others"), over
        )


def _region(name: str) -> str:
    """Return a region as its code: ``South Central US`` is ``southcentralus`` (new-protocol 1)."""
    return "".join(name.split()).lower()

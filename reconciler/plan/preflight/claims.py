"""Whether a commitment plan can pay for the web services that are to be created, or moved to it (new-protocol 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from reconciler.plan.checks import Check, CheckOutcome
from reconciler.plan.preflight.facts import Claim, Finding, Standing
from reconciler.plan.preflight.headroom import check_headroom
from reconciler.plan.wording import count


def judge_claims(
    claims: Mapping[str, Claim], standings: Mapping[str, Standing | None], now: datetime
) -> Iterator[Finding]:
    """The findings on each commitment plan that is claimed.

    Args:
        claims: By the id of the step that creates or moves a service.
        standings: The plans, by their ids; None for one that there is not.
        now: The time of the plan.
    """
    by_plan: dict[str, dict[str, Claim]] = {}
    for step_id in sorted(claims):
        by_plan.setdefault(claims[step_id].plan, {})[step_id] = claims[step_id]
    for plan, claiming in sorted(by_plan.items()):
        if plan not in standings:
            continue
        standing = standings[plan]
        if standing is None:
            remedy = "correct commitmentPlan, or make the plan"
            yield Finding.of(_check(plan, CheckOutcome.FAILED, "there is no such commitment plan", remedy), claiming)
            continue
        yield from _misplaced(plan, standing, claiming)
        yield from _full(plan, standing, claiming)
        yield Finding.of(check_headroom(standing.payer, [], now))


def _misplaced(plan: str, standing: Standing, claiming: Mapping[str, Claim]) -> Iterator[Finding]:
    elsewhere: dict[str, list[str]] = {}
    for step_id, claim in claiming.items():
        if _region(claim.location) != _region(standing.location):
            elsewhere.setdefault(claim.location, []).append(step_id)
    for location, steps in sorted(elsewhere.items()):
        text = f"it is in {standing.location}, and pays for no web service in {location}"
        yield Finding.of(_check(plan, CheckOutcome.FAILED, text, f"name a commitment plan in {location}"), steps)


def _full(plan: str, standing: Standing, claiming: Mapping[str, Claim]) -> Iterator[Finding]:
    if standing.services is None or standing.most is None:
        return
    over = list(claiming)[max(0, standing.most - standing.services) :]
    if over:
        text = (
            f"it pays for {count(standing.services, 'web service')} of at most {standing.most:,}, and this plan brings "
            f"{len(claiming):,} more: {len(over):,} of them {'does' if len(over) == 1 else 'do'} not fit"
        )
        yield Finding.of(_check(plan, CheckOutcome.FAILED, text, "name another commitment plan for the others"), over)


def _check(plan: str, outcome: CheckOutcome, text: str, remedy: str = "") -> Check:
    return Check(name="commitment-plan", subject=plan, outcome=outcome, text=text, remedy=remedy)


def _region(name: str) -> str:
    """A region as its code: ``South Central US`` is ``southcentralus`` (new-protocol 1)."""
    return "".join(name.split()).lower()

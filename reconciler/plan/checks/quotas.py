"""Judges whether what a plan creates fits into the quotas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from reconciler.plan.checks.facts import Finding, Quota
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.text import count

FREE_ENDPOINTS = 3
"""Endpoints of a web service in a free workspace, ``default`` among them (classic-protocol 1.6)."""
ENDPOINTS = 10_000
"""Endpoints of a web service (classic-protocol 1.10)."""
JOBS = 40
"""Batch jobs of an endpoint that run at one time; the others wait (context 4.6)."""

_ROOM = "Delete endpoints that are no longer needed, or use another web service for the others"


def endpoint_quota(subject: str, workspace: str, tier: Literal["free", "standard"] | None, present: int) -> Quota:
    """Return how many endpoints a Classic web service may have.

    Args:
        subject: The web service, for people.
        workspace: The name of its workspace's document.
        tier: What kind of workspace that is; None if unknown.
        present: How many endpoints it has.
    """
    if tier == "free":
        return Quota(f"{subject} (free)", present, FREE_ENDPOINTS)
    return Quota(
        subject,
        present,
        ENDPOINTS,
        perhaps=FREE_ENDPOINTS if tier is None else None,
        condition=f"if workspace {workspace} is a free workspace",
        settled_by=f"Write tier: free or tier: standard in Workspace {workspace}: the service does not report it",
    )


def judge_quotas(quotas: Mapping[str, Quota]) -> Iterator[Finding]:
    """Yield one finding for each quota; in the order of their ids, the steps that no longer fit are stopped.

    Args:
        quotas: By the id of the step that makes one more.
    """
    steps: dict[Quota, list[str]] = {}
    for step_id in sorted(quotas):
        steps.setdefault(quotas[step_id], []).append(step_id)
    for quota, making in steps.items():
        yield _judge(quota, making)


def check_quota(quota: Quota) -> Check:
    """Return how much of a quota is used, when nothing is planned."""
    return _judge(quota, []).check


def judge_jobs(jobs: Mapping[str, int]) -> Iterator[Finding]:
    """Yield a warning for each training endpoint that gets more jobs than run at one time."""
    for endpoint, number in sorted(jobs.items()):
        if number > JOBS:
            text = f"{count(number, 'job')}: {JOBS} run at one time, the other {number - JOBS:,} wait"
            yield Finding.of(Check(name="batch-jobs", subject=endpoint, outcome=CheckOutcome.WARNING, text=text))


def _judge(quota: Quota, making: list[str]) -> Finding:
    wanted = quota.present + len(making)
    more = f", and this plan creates {len(making):,} more" if making else ""
    text = f"it has {count(quota.present, quota.unit)} of at most {quota.limit:,}{more}"
    over = making[max(0, quota.limit - quota.present) :]
    if over or quota.present > quota.limit:
        if over:
            text += f": {len(over):,} of them {'does' if len(over) == 1 else 'do'} not fit"
        return Finding.of(_check(quota, CheckOutcome.FAILED, text, _ROOM), over)
    if quota.perhaps is not None and making and wanted > quota.perhaps:
        text += f"; {quota.condition} the service refuses more than {quota.perhaps}"
        return Finding.of(_check(quota, CheckOutcome.WARNING, text, quota.settled_by))
    return Finding.of(_check(quota, CheckOutcome.OK, text))


def _check(quota: Quota, outcome: CheckOutcome, text: str, remedy: str = "") -> Check:
    return Check(name="quota", subject=quota.subject, outcome=outcome, text=text, remedy=remedy)

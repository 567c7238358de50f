"""Puts the preflight's findings into the plan: steps that would fail are stopped, all else is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from reconciler.plan.checks.commitment_plans import Spending, judge_claims, judge_headroom
from reconciler.plan.checks.estimates import Retrain, estimate, jobs_by_endpoint, retrains_of
from reconciler.plan.checks.facts import Facts, Finding
from reconciler.plan.checks.permissions import judge_permissions
from reconciler.plan.checks.quotas import judge_jobs, judge_quotas
from reconciler.plan.checks.result import Preflight, worst_first
from reconciler.plan.checks.signatures import judge_signatures
from reconciler.plan.checks.storage import judge_storage
from reconciler.plan.document import Plan, Reason, TargetPlan, TargetStatus, in_reading_order
from reconciler.plan.states import Ledger, Problem


def with_preflight(plan: Plan, facts: Facts, ledger: Ledger, now: datetime, at_once: int) -> Plan:
    """Return the plan with its preflight.

    A target with a step that would fail is blocked; one whose step could be done and should not is refused. Versions
    that no target waits for any longer are not trained. The rest of the plan is unchanged.

    Args:
        plan: As it was decided.
        facts: What was asked for it.
        ledger: What the store remembers, for the estimate.
        now: The time of the plan.
        at_once: How many trainings run side by side at one training service.
    """
    findings = tuple(_judged(facts, retrains_of(plan, ledger), now))
    stopping = [finding for finding in findings if finding.steps]
    # The digest of ten thousand targets takes its time, and what the preflight only shows is not a part of it.
    stopped = _stopped(plan, stopping).sealed() if stopping else plan
    retrains = retrains_of(stopped, ledger)
    shown = (*findings, *judge_jobs(jobs_by_endpoint(retrains)))
    checks = (*(finding.check for finding in shown), *facts.more)
    preflight = Preflight(checks=worst_first(checks), estimate=estimate(retrains, at_once))
    return stopped.model_copy(update={"preflight": preflight})


def _judged(facts: Facts, retrains: tuple[Retrain, ...], now: datetime) -> Iterator[Finding]:
    yield from judge_quotas(facts.quotas)
    yield from judge_permissions(facts.needs, facts.access)
    yield from judge_storage(facts.storage)
    yield from judge_signatures(facts.signatures, now)
    spending = {
        retrain.step: Spending(1, None if retrain.seconds is None else retrain.seconds / 3600) for retrain in retrains
    }
    yield from judge_headroom(facts.payers, spending, now)
    yield from judge_claims(facts.claims, facts.standings, now)


def _stopped(plan: Plan, findings: Iterable[Finding]) -> Plan:
    by_step: dict[str, list[Finding]] = {}
    for finding in findings:
        for step_id in finding.steps:
            by_step.setdefault(step_id, []).append(finding)
    targets = [_after(target, by_step) for target in plan.targets]
    awaited = {after for target in targets for step in target.steps for after in step.after}
    versions = tuple(
        version if any(step.id in awaited for step in version.steps) else version.model_copy(update={"steps": ()})
        for version in plan.versions
    )
    return plan.model_copy(update={"versions": versions, "targets": in_reading_order(targets)})


def _after(target: TargetPlan, by_step: dict[str, list[Finding]]) -> TargetPlan:
    """Return the target unchanged, or stopped by every finding on one of its steps."""
    way = dict.fromkeys(step_id for step in target.steps for step_id in (*step.after, step.id))
    problems = tuple(dict.fromkeys(_problem(finding) for step_id in way for finding in by_step.get(step_id, ())))
    if not problems:
        return target
    if target.status is TargetStatus.IN_SYNC:
        # The target serves the right version, and only goes without the marker.
        reason = Reason(code="not-noted", text=f"The ownership marker cannot be added: {problems[0].message}")
        return target.model_copy(update={"reasons": (*target.reasons, reason), "steps": ()})
    return target.stopped(problems)


def _problem(finding: Finding) -> Problem:
    check = finding.check
    return Problem(f"preflight-{check.name}", f"{check.subject}: {check.text}", check.remedy, finding.unsafe)

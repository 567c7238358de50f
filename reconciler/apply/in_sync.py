"""Targets that are in sync: nothing is written to them but the ownership marker, where it is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from reconciler.apply.ledger import is_recorded, record_attempt, record_converged
from reconciler.apply.report import Outcome, Result
from reconciler.apply.rollout import NO_SIGNATURE, roll_out
from reconciler.apply.run import Run, leased
from reconciler.apply.training.artifacts import record_artifact
from reconciler.plan.document import TargetPlan
from reconciler.plan.states import KnownVersion
from reconciler.store import LeaseHeld, LeaseLost
from reconciler.targets.driver import Artifact, TargetError


async def adopt(
    run: Run,
    plan: TargetPlan,
    versions: Callable[[], Awaitable[Mapping[str, KnownVersion]]],
    writing: asyncio.Semaphore,
) -> Outcome:
    """Write the ownership marker on a target that is in sync, as its steps say. ``versions`` gives those, by resource.

    While another run works on the target, it stays in sync: that run or the next pass writes the marker.
    """
    await record_artifacts(run, plan)
    outcome = await roll_out(run, plan, versions, frozenset(), writing)
    return replace(outcome, result=Result.IN_SYNC) if outcome.result is Result.HELD else outcome


async def confirm(run: Run, plan: TargetPlan) -> Outcome:
    """Return a target that is in sync: nothing is written to it, and the store learns what it does not know yet.

    That is so after a run that was killed between the update and its record, and with a new store: the answers are
    recorded then, because a later drift can only be seen against them.
    """
    outcome = Outcome(plan.name, plan.kind, Result.IN_SYNC, f"in sync, by {plan.evidence.value}")
    target = run.targets[plan.identity]
    before = run.ledger.converged.get(plan.identity)
    settled = before is not None and all(is_recorded(before, use) for use in target.bindings)
    if settled and plan.identity not in run.ledger.unsettled:
        return outcome
    await record_artifacts(run, plan)
    versions = {use.resource: run.versions[use.version] for use in target.bindings}
    artifacts = {
        resource: Artifact(known.key, known.fingerprint, known.location, NO_SIGNATURE)
        for resource, known in versions.items()
        if known.fingerprint is not None and known.location is not None
    }
    try:
        async with leased(run, f"target:{plan.identity}") as lease:
            if settled:
                await record_attempt(run, lease, plan, "converged", outcome.text)
            elif len(artifacts) == len(target.bindings):
                verified = await run.drivers[plan.kind].verify(target, artifacts, None, lambda _: None)
                await record_converged(run, lease, plan, artifacts, verified)
    except (LeaseHeld, LeaseLost, TargetError):
        pass  # It is only a memory of what the live side shows anyway.
    return outcome


async def record_artifacts(run: Run, plan: TargetPlan) -> None:
    """Record the versions that a target serves and the store does not know."""
    for use in run.targets[plan.identity].bindings:
        known = run.versions[use.version]
        if known.fingerprint is not None:
            await record_artifact(run, known)

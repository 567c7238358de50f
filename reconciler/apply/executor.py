"""Carries out a plan: the very steps that were shown, bounded, each target apart from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable

from reconciler.apply.ledger import known_version
from reconciler.apply.progress import Mark
from reconciler.apply.report import Outcome, Report, Result
from reconciler.apply.rollout import confirm, roll_out, settle
from reconciler.apply.run import Run
from reconciler.apply.training import TrainingFailed, ensure_usable
from reconciler.plan.document import Plan, TargetPlan, VersionPlan
from reconciler.plan.states import DesiredVersion, KnownVersion, VersionKey
from reconciler.store import LeaseHeld, LeaseLost, StoreError


async def execute(run: Run, plan: Plan) -> Report:
    """Carry out the plan and give every target's end, in the plan's order.

    A version is trained once, whoever wants it, and a target moves as soon as its own version is usable. When the
    task is cancelled, what runs on the service runs on and is remembered, and the leases are given back.
    """
    rollouts = asyncio.Semaphore(run.limits.rollouts)
    versions = _start_versions(run, plan)
    forced = frozenset(plan.forced)

    async def move(target: TargetPlan) -> Outcome:
        version = versions[target.desired]
        await asyncio.wait([version])  # Waiting for a training takes no place from those that can move.
        async with rollouts:
            return await roll_out(run, target, version, forced)

    async def stay(target: TargetPlan, result: Result) -> Outcome:
        async with rollouts:
            return await settle(run, target, result, _why(target))

    async def leave(target: TargetPlan) -> Outcome:
        async with rollouts:
            return await confirm(run, target)

    work: list[Coroutine[None, None, Outcome]] = [
        *(stay(target, Result.FAILED) for target in plan.blocked),
        *(stay(target, Result.HELD) for target in plan.held),
        *(move(target) for target in (*plan.drift, *plan.changes)),
        *(leave(target) for target in plan.in_sync),
    ]
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return Report(tuple(await asyncio.gather(*tasks)))
    finally:
        await _stop((*tasks, *versions.values()))


def _start_versions(run: Run, plan: Plan) -> dict[str, asyncio.Task[KnownVersion]]:
    moving = {target.desired for target in (*plan.drift, *plan.changes)}
    trainings = asyncio.Semaphore(run.limits.trainings)
    return {
        version.name: asyncio.create_task(_version(run, version, trainings), name=f"version {version.name}")
        for version in plan.versions
        if version.name in moving
    }


async def _version(run: Run, plan: VersionPlan, trainings: asyncio.Semaphore) -> KnownVersion:
    record = run.store.version(plan.model, plan.label)
    if record is not None and record.state == "usable":
        return known_version(record)
    desired: DesiredVersion = run.versions[VersionKey(plan.model, plan.label)]
    async with trainings:
        try:
            return await ensure_usable(run, desired)
        except TrainingFailed as error:
            run.note(plan.name, Mark.FAILED, str(error))
            raise
        except (LeaseHeld, LeaseLost) as error:
            run.note(plan.name, Mark.HELD, str(error))
            raise
        except StoreError as error:
            raise TrainingFailed(str(error)) from error


def _why(target: TargetPlan) -> str:
    return "; ".join(reason.text for reason in target.reasons) or target.status.value


async def _stop(tasks: Iterable[asyncio.Task[object]]) -> None:
    """End what still runs, so that every lease is given back before the program ends, and let no error go unseen."""
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)

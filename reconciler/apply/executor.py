"""Carries out a plan: the very steps that were shown, bounded, each target apart from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial

from reconciler.apply.deletion import forget_gone, record_orphan, remove
from reconciler.apply.in_sync import adopt, confirm
from reconciler.apply.ledger import known_version
from reconciler.apply.progress import ProgressState
from reconciler.apply.report import Outcome, Report, Result
from reconciler.apply.rollout import record_unchanged, roll_out
from reconciler.apply.run import Run
from reconciler.apply.training.errors import RecipeError
from reconciler.apply.training.service import service_key
from reconciler.apply.training.trainer import TrainingFailed, ensure_usable, usable_as_planned
from reconciler.azure.errors import StudioError
from reconciler.plan.document import Action, Plan, TargetPlan, VersionPlan
from reconciler.plan.states import DesiredVersion, KnownVersion, VersionKey, VersionState
from reconciler.spec.secrets import MissingSecret
from reconciler.store import LeaseHeld, LeaseLost, StoreError

FORESEEN = (StudioError, MissingSecret, StoreError, RecipeError, OSError)
"""What may go wrong with one target without being a mistake of this program."""


async def execute(run: Run, plan: Plan) -> Report:
    """Carry out the plan and give every target's end, in the plan's order.

    A version is trained once, whoever wants it, and a target moves as soon as its own version is usable. What goes
    wrong with one target is that target's end and touches no other. When the task is cancelled, what runs on the
    service runs on and is remembered, and the leases are given back.

    Raises:
        ExceptionGroup: a mistake of this program, after all other targets have come to their ends.
    """
    rollouts = asyncio.Semaphore(run.limits.rollouts)
    versions = _start_versions(run, plan)
    forced = frozenset(plan.forced)
    mistakes: list[Exception] = []

    async def bounded(target: TargetPlan, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        try:
            return await work()
        except FORESEEN as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001 - it is raised at the end: a mistake here stops no other target
            mistakes.append(error)
            text = f"{type(error).__name__}: a mistake of this program"
        try:
            return await record_unchanged(run, target, Result.FAILED, text)
        except StoreError:
            return Outcome(target.name, target.kind, Result.FAILED, text)

    def move(target: TargetPlan) -> Awaitable[Outcome]:
        if any(step.action is Action.DELETE for step in target.steps):
            return remove(run, target, rollouts)
        return roll_out(run, target, _versions_of(run, target, versions), forced, rollouts)

    async def stay(target: TargetPlan, result: Result) -> Outcome:
        async with rollouts:
            return await record_unchanged(run, target, result, _why(target))

    async def leave(target: TargetPlan) -> Outcome:
        if target.steps:
            return await adopt(run, target, partial(_versions_of, run, target, versions), rollouts)
        async with rollouts:
            gone = run.targets[target.identity].absent
            return await (forget_gone if gone else confirm)(run, target)

    async def pass_by(target: TargetPlan) -> Outcome:
        return await record_orphan(run, target, _why(target))

    work: list[Coroutine[None, None, Outcome]] = [
        *(bounded(target, partial(stay, target, Result.FAILED)) for target in plan.blocked),
        *(bounded(target, partial(stay, target, Result.REFUSED)) for target in plan.refused),
        *(bounded(target, partial(stay, target, Result.HELD)) for target in plan.held),
        *(bounded(target, partial(move, target)) for target in (*plan.drift, *plan.changes)),
        *(bounded(target, partial(pass_by, target)) for target in plan.orphaned),
        *(bounded(target, partial(leave, target)) for target in plan.in_sync),
    ]
    tasks = [asyncio.create_task(one) for one in work]
    try:
        report = Report(tuple(await asyncio.gather(*tasks)))
    finally:
        await _stop((*tasks, *versions.values()))
    if mistakes:
        raise ExceptionGroup("targets failed through a mistake of this program", mistakes)
    return report


def _start_versions(run: Run, plan: Plan) -> dict[str, asyncio.Task[KnownVersion]]:
    """One task for each version that a target is to be pointed to; a change of settings alone needs none."""
    moving = {
        model.desired
        for target in (*plan.drift, *plan.changes)
        if any(step.action is Action.REPOINT for step in target.steps)
        for model in target.models
        if not model.in_sync
    }
    models = run.clients.fleet.models
    return {
        version.name: asyncio.create_task(
            _version(run, version, run.training_at[service_key(models[version.model])]), name=f"version {version.name}"
        )
        for version in plan.versions
        # What is written once more beside a model that moves is served already, and is never trained for that.
        if version.name in moving or version.usable
    }


async def _version(run: Run, plan: VersionPlan, trainings: asyncio.Semaphore) -> KnownVersion:
    desired: DesiredVersion = run.versions[VersionKey(plan.model, plan.label)]
    record = run.store.version(plan.model, plan.label)
    if record is not None and record.state == "usable":
        return usable_as_planned(known_version(record), desired)
    async with trainings:
        try:
            return await ensure_usable(run, desired)
        except TrainingFailed as error:
            run.report(plan.name, ProgressState.FAILED, str(error))
            raise
        except (LeaseHeld, LeaseLost) as error:
            run.report(plan.name, ProgressState.HELD, str(error))
            raise
        except FORESEEN as error:
            raise TrainingFailed(str(error)) from error


async def _versions_of(
    run: Run, target: TargetPlan, made: Mapping[str, asyncio.Task[KnownVersion]]
) -> Mapping[str, KnownVersion]:
    """Return the versions that a target is to serve, by resource, when all of them may be used."""
    bindings = run.targets[target.identity].bindings
    ready = await asyncio.gather(*(made.get(str(use.version)) or _as_planned(run, use.version) for use in bindings))
    return {use.resource: known for use, known in zip(bindings, ready, strict=True)}


async def _as_planned(run: Run, key: VersionKey) -> KnownVersion:
    """Return the version of a target that already serves it, as its marker and recipe name it."""
    desired = run.versions[key]
    if desired.fingerprint is None or desired.location is None:
        raise TrainingFailed(f"what {desired.key} is made of is not known")
    return KnownVersion(desired.key, desired.fingerprint, VersionState.USABLE, desired.location)


def _why(target: TargetPlan) -> str:
    text = "; ".join(reason.text for reason in target.reasons) or target.status.value
    return f"{text}; {target.remedy}" if target.remedy else text


async def _stop(tasks: Iterable[asyncio.Task[object]]) -> None:
    """End what still runs, so that every lease is given back before the program ends, and let no error go unseen."""
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)

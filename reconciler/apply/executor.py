"""Carries out a plan: the very steps that were shown, bounded, each target apart from the others."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from reconciler.apply.deletion import forget_gone, record_orphan, remove
from reconciler.apply.in_sync import adopt, confirm
from reconciler.apply.ledger import known_version
from reconciler.apply.progress import ProgressState
from reconciler.apply.report import LookAgain, Outcome, Pass, Report, Result
from reconciler.apply.rollout import record_unchanged, roll_out
from reconciler.apply.run import Run
from reconciler.apply.training.errors import RecipeError
from reconciler.apply.training.job_watch import Watch
from reconciler.apply.training.service import service_key
from reconciler.apply.training.trainer import TrainingFailed, advance, usable_as_planned
from reconciler.azure.errors import StudioError
from reconciler.plan.document import Action, Plan, TargetPlan, TargetStatus, VersionPlan
from reconciler.plan.states import DesiredVersion, KnownVersion, VersionKey, VersionState
from reconciler.spec.secrets import MissingSecret
from reconciler.store import LeaseHeld, LeaseLost, StoreError

FORESEEN = (StudioError, MissingSecret, StoreError, RecipeError, OSError)
"""What may go wrong with one target without being a bug of reconciler."""
_LOCKED_LOOKS = 3
"""After so many looks at a version that another run has locked, its targets are left to that run."""


async def see_through(execution: Execution) -> Report:
    """Carry out a plan, pass after pass, until nothing is left to wait for.

    When the task is cancelled, what runs on the service runs on and is remembered, and the leases are given back.

    Raises:
        ExceptionGroup: a bug of reconciler, after all other targets have come to their ends.
    """
    try:
        due = (await execution.advance()).due
        while due is not None:
            await execution.sleep_until(due)
            due = (await execution.advance()).due
        return execution.report()
    finally:
        await execution.stop()


class Execution:
    """A plan that is being carried out, in passes that wait for no job."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self._run = run
        self._plan = plan
        self._writing = asyncio.Semaphore(run.limits.rollouts)
        self._forced = frozenset(plan.forced)
        self._ended: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()
        """The tasks that have ended and were not looked at."""
        self._versions = _Versions(run, plan, self._ended)
        self._running: dict[asyncio.Task[Outcome], TargetPlan] = {}
        self._outcomes: dict[str, Outcome] = {}
        """By identity."""
        self._ready: list[TargetPlan] = []
        """The targets that wait for nothing and were not begun."""
        self._waiting: dict[str, set[str]] = {}
        """By identity, the versions that a target waits for."""
        self._waited_for: dict[str, list[TargetPlan]] = defaultdict(list)
        """The targets that wait for a version."""
        self._bugs: list[Exception] = []
        for target in _in_order(plan):
            wanted = {version for version in self._wanted(target) if self._versions.is_open(version)}
            if not wanted:
                self._ready.append(target)
            else:
                self._waiting[target.identity] = wanted
                for version in wanted:
                    self._waited_for[version].append(target)

    async def advance(self) -> Pass:
        """Do what can be done now. A job that runs on the service is looked at when it is due, and not waited for.

        A version is trained once, whoever wants it, and a target moves as soon as its own versions are usable. What
        goes wrong with one target is that target's end and touches no other.
        """
        for target in self._ready:
            self._start(target)
        self._ready.clear()
        self._versions.start_due()
        while self._running or self._versions.running:
            due = self._versions.next_due()
            task = None
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else _seconds_until(due, self._run)):
                    task = await self._ended.get()
            if task in self._running:
                self._outcomes[self._running.pop(task).identity] = task.result()
            elif task is not None and (settled := self._versions.settle(task)) is not None:
                self._start_those_waiting_for(settled)
            self._versions.start_due()
        return self._result()

    def report(self) -> Report:
        """Return every target's end, in the plan's order, when all have come to one.

        Raises:
            ExceptionGroup: a bug of reconciler ended some of them.
        """
        if self._bugs:
            raise ExceptionGroup("targets failed because of a bug of reconciler", self._bugs)
        return Report(tuple(self._outcomes[target.identity] for target in _in_order(self._plan)))

    async def sleep_until(self, due: datetime) -> None:
        """Wait for the next pass."""
        await asyncio.sleep(_seconds_until(due, self._run))

    async def stop(self) -> None:
        """End what still runs, so that every lease is given back, and let no error go unseen."""
        left: list[asyncio.Task[Any]] = [*self._running, *self._versions.running]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _result(self) -> Pass:
        due = self._versions.due()
        waiting = {name: LookAgain(at) for name, at in due.items()}
        for target in _in_order(self._plan):
            if target.identity in self._waiting:
                waiting[target.name] = LookAgain(max(due[version] for version in self._waiting[target.identity]))
        return Pass({outcome.name: outcome for outcome in self._outcomes.values()}, waiting)

    def _wanted(self, target: TargetPlan) -> set[str]:
        """Return the versions that a target has to have before anything is done to it."""
        if target.status not in _MOVING:
            return set()
        return {str(use.version) for use in self._run.targets[target.identity].bindings}

    def _start_those_waiting_for(self, version: str) -> None:
        for target in self._waited_for.pop(version, ()):
            left = self._waiting[target.identity]
            left.discard(version)
            if not left:
                del self._waiting[target.identity]
                self._start(target)

    def _start(self, target: TargetPlan) -> None:
        task = asyncio.create_task(self._bounded(target), name=f"target {target.name}")
        self._running[task] = target
        task.add_done_callback(self._ended.put_nowait)

    async def _bounded(self, target: TargetPlan) -> Outcome:
        try:
            return await self._work(target)()
        except FORESEEN as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001 - it is raised at the end: a bug here stops no other target
            self._bugs.append(error)
            text = f"{type(error).__name__}: a bug of reconciler, whose traceback follows at the end"
        try:
            return await record_unchanged(self._run, target, Result.FAILED, text)
        except StoreError:
            return Outcome(target.name, target.kind, Result.FAILED, text)

    def _work(self, target: TargetPlan) -> Callable[[], Awaitable[Outcome]]:
        match target.status:
            case TargetStatus.BLOCKED:
                return partial(self._stay, target, Result.FAILED)
            case TargetStatus.REFUSED:
                return partial(self._stay, target, Result.REFUSED)
            case TargetStatus.HELD:
                return partial(self._stay, target, Result.HELD)
            case TargetStatus.ORPHANED:
                return partial(record_orphan, self._run, target, _why(target))
            case TargetStatus.IN_SYNC:
                return partial(self._leave, target)
            case _:
                return partial(self._move, target)

    async def _move(self, target: TargetPlan) -> Outcome:
        if any(step.action is Action.DELETE for step in target.steps):
            return await remove(self._run, target, self._writing)
        versions = partial(self._versions.of, target)
        return await roll_out(self._run, target, versions, self._forced, self._writing)

    async def _stay(self, target: TargetPlan, result: Result) -> Outcome:
        async with self._writing:
            return await record_unchanged(self._run, target, result, _why(target))

    async def _leave(self, target: TargetPlan) -> Outcome:
        if target.steps:
            return await adopt(self._run, target, partial(self._versions.of, target), self._writing)
        async with self._writing:
            gone = self._run.targets[target.identity].absent
            return await (forget_gone if gone else confirm)(self._run, target)


_MOVING = frozenset({TargetStatus.DRIFT, TargetStatus.CHANGE, TargetStatus.IN_SYNC})
"""The statuses of targets that may have to wait for a version."""


def _in_order(plan: Plan) -> tuple[TargetPlan, ...]:
    return (
        *plan.blocked,
        *plan.refused,
        *plan.held,
        *plan.drift,
        *plan.changes,
        *plan.orphaned,
        *plan.in_sync,
    )


class _Versions:
    """The versions that targets are to be pointed to, each on its way to be usable."""

    def __init__(self, run: Run, plan: Plan, ended: asyncio.Queue[asyncio.Task[Any]]) -> None:
        self._run = run
        self._ended = ended
        moving = {
            model.desired
            for target in (*plan.drift, *plan.changes)
            if any(step.action is Action.REPOINT for step in target.steps)
            for model in target.models
            if not model.in_sync
        }
        # What is written once more beside a model that moves is served already, and is never trained for that.
        self._plans = {each.name: each for each in plan.versions if each.name in moving or each.usable}
        models = run.clients.fleet.models
        self._services = {name: service_key(models[each.model]) for name, each in self._plans.items()}
        self._watches = {name: Watch() for name in self._plans}
        self._due: list[tuple[datetime, str]] = []
        """A heap of the versions that have a place among their service's jobs, with the times when they are due."""
        self._places: Counter[tuple[str, ...]] = Counter()
        """By training service, how many versions have a place."""
        self._queues: dict[tuple[str, ...], deque[str]] = defaultdict(deque)
        """By training service, the versions that wait for one."""
        self._settled: dict[str, KnownVersion | Exception] = {}
        self.running: dict[asyncio.Task[KnownVersion | LookAgain], str] = {}
        """The steps that are being taken, each with its version."""
        for name, service in self._services.items():
            self._queues[service].append(name)
            self._fill(service)

    def _fill(self, service: tuple[str, ...]) -> None:
        """Give the places of a training service to those that have waited longest."""
        queue = self._queues[service]
        while queue and self._places[service] < self._run.limits.trainings:
            self._places[service] += 1
            heapq.heappush(self._due, (self._run.clock(), queue.popleft()))

    def start_due(self) -> None:
        """Take the next step of each version that is due."""
        now = self._run.clock()
        while self._due and self._due[0][0] <= now:
            _, name = heapq.heappop(self._due)
            step = asyncio.create_task(_step(self._run, self._plans[name], self._watches[name]), name=f"version {name}")
            self.running[step] = name
            step.add_done_callback(self._ended.put_nowait)

    def settle(self, task: asyncio.Task[KnownVersion | LookAgain]) -> str | None:
        """Note what a step came to; return the version, if it is usable now or cannot be had."""
        name = self.running.pop(task)
        try:
            found: KnownVersion | LookAgain | Exception = task.result()
        except Exception as error:  # noqa: BLE001 - it is raised to each target that wants the version
            found = error
        if isinstance(found, LookAgain):
            heapq.heappush(self._due, (found.at, name))
            return None
        self._settled[name] = found
        self._places[self._services[name]] -= 1
        self._fill(self._services[name])
        return name

    def next_due(self) -> datetime | None:
        """When the next version is due; None if none is."""
        return self._due[0][0] if self._due else None

    def due(self) -> dict[str, datetime]:
        """When each version is due that is not settled; one that waits for a place, with the first that has one."""
        found = {name: at for at, name in self._due}
        for service, queue in self._queues.items():
            if queue:
                first = min(at for at, name in self._due if self._services[name] == service)
                found |= dict.fromkeys(queue, first)
        return found

    def is_open(self, name: str) -> bool:
        """Whether a version still has to be made, or to be looked up."""
        return name in self._plans and name not in self._settled

    async def of(self, target: TargetPlan) -> Mapping[str, KnownVersion]:
        """Return the versions that a target is to serve, by resource.

        Raises:
            TrainingFailed, LeaseHeld, LeaseLost: one of them cannot be had, or another run works on it.
        """
        found: dict[str, KnownVersion] = {}
        for use in self._run.targets[target.identity].bindings:
            settled = self._settled.get(str(use.version)) or _as_planned(self._run, use.version)
            if isinstance(settled, Exception):
                raise settled
            found[use.resource] = settled
        return found


async def _step(run: Run, plan: VersionPlan, watch: Watch) -> KnownVersion | LookAgain:
    desired: DesiredVersion = run.versions[VersionKey(plan.model, plan.label)]
    record = await run.store.version(plan.model, plan.label)
    if record is not None and record.state == "usable":
        return usable_as_planned(known_version(record), desired)
    try:
        found = await advance(run, desired, watch)
        watch.locked = 0
        return found
    except TrainingFailed as error:
        run.report(plan.name, ProgressState.FAILED, str(error))
        raise
    except LeaseHeld as error:
        watch.locked += 1
        if watch.locked < _LOCKED_LOOKS:
            return LookAgain(run.clock() + run.clients.cloud.poll)
        run.report(plan.name, ProgressState.HELD, str(error))
        raise
    except LeaseLost as error:
        run.report(plan.name, ProgressState.HELD, str(error))
        raise
    except FORESEEN as error:
        raise TrainingFailed(str(error)) from error


def _seconds_until(moment: datetime, run: Run) -> float:
    return max(0.0, (moment - run.clock()).total_seconds())


def _as_planned(run: Run, key: VersionKey) -> KnownVersion:
    """Return the version of a target that already serves it, as its marker and recipe name it."""
    desired = run.versions[key]
    if desired.fingerprint is None or desired.location is None:
        raise TrainingFailed(f"the recipe of version {desired.key} is unknown")
    return KnownVersion(desired.key, desired.fingerprint, VersionState.USABLE, desired.location)


def _why(target: TargetPlan) -> str:
    text = "; ".join(reason.text for reason in target.reasons) or target.status.value
    return f"{text}. {target.remedy}" if target.remedy else text

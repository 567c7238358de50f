"""One target, from its plan to its end. What happens to it never touches another target."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from reconciler.apply.ledger import converged, is_recorded, record_attempt, record_converged, served_words, serves_words
from reconciler.apply.progress import ProgressState
from reconciler.apply.report import Outcome, Result
from reconciler.apply.run import Run, leased
from reconciler.apply.training.trainer import TrainingFailed
from reconciler.azure.errors import StudioError
from reconciler.plan.document import Action, GateOutcome, TargetPlan
from reconciler.plan.gates import Incumbent, judge_gates, overall
from reconciler.plan.overrides import gate_forced
from reconciler.plan.states import Converged, DesiredTarget, KnownVersion, Location, ModelBinding, Proof, VersionKey
from reconciler.plan.text import proof_in_words
from reconciler.spec.secrets import MissingSecret
from reconciler.store import LastOutcome, Lease, LeaseHeld, LeaseLost
from reconciler.targets.driver import WRITES, Artifact, Artifacts, TargetChangedError, TargetError, Verified

_DOING = {
    Action.CREATE: "creating",
    Action.REFRESH: "refreshing from the default endpoint",
    Action.REPOINT: "pointing to {version}",
    Action.SETTINGS: "writing settings",
    Action.ADOPT: "adding the ownership marker",
}
_MARKED = "the ownership marker was added"
_SIGNATURE_LASTS = timedelta(hours=24)
"""As long as the service's own (classic-protocol 3); it only has to outlive the update."""
NO_SIGNATURE = SecretStr("")
"""Of an artifact that nobody is to read anew."""


async def roll_out(
    run: Run,
    plan: TargetPlan,
    versions: Callable[[], Awaitable[Mapping[str, KnownVersion]]],
    forced: frozenset[str],
    writing: asyncio.Semaphore,
) -> Outcome:
    """Converge one target. ``versions`` gives what it is to serve, by resource, or why that cannot be had.

    ``writing`` bounds how many targets are written to at once. Waiting for a service to load its model takes no place
    there.
    """
    try:
        known = await versions()
        async with leased(run, f"target:{plan.identity}") as lease:
            return await _Rollout(run, lease, plan, known, writing).go(forced)
    except TrainingFailed as error:
        return await record_unchanged(run, plan, Result.FAILED, f"{plan.desired} cannot be used: {error}")
    except (LeaseHeld, LeaseLost) as error:
        # Somebody else is at work on it; what they bring about is seen by the next pass.
        run.report(plan.name, ProgressState.HELD, str(error))
        return Outcome(plan.name, plan.kind, Result.HELD, str(error))


async def record_unchanged(run: Run, plan: TargetPlan, result: Result, text: str) -> Outcome:
    """Record and report that a target is left unchanged, and why."""
    last: LastOutcome = "held" if result is Result.HELD else "failed"
    run.report(plan.name, ProgressState.HELD if result is Result.HELD else ProgressState.FAILED, text)
    earlier = await run.store.target(plan.identity)
    # A failure is counted each time.
    if last == "failed" or earlier is None or (earlier.last_outcome, earlier.last_message) != (last, text):
        try:
            async with leased(run, f"target:{plan.identity}") as lease:
                await record_attempt(run, lease, plan, last, text)
        except (LeaseHeld, LeaseLost):
            pass  # Whoever holds it records its own, newer end.
    return Outcome(plan.name, plan.kind, result, text)


class _Rollout:
    """One target's steps under its lease."""

    def __init__(
        self,
        run: Run,
        lease: Lease,
        plan: TargetPlan,
        known: Mapping[str, KnownVersion],
        writing: asyncio.Semaphore,
    ) -> None:
        self._run = run
        self._lease = lease
        self._plan = plan
        self._known = known
        self._writing = writing
        self._target: DesiredTarget = run.targets[plan.identity]
        self._driver = run.drivers[plan.kind]

    async def go(self, forced: frozenset[str]) -> Outcome:
        """All of it: compare, judge, write, verify, record."""
        now = converged(await self._run.store.target(self._plan.identity))
        if now != self._run.ledger.converged.get(self._plan.identity):
            return self._moved_meanwhile(now)
        held = await self._held_by_gates(forced)
        if held is not None:
            return await self._end(Result.HELD, held)
        try:
            artifacts = {resource: await self._artifact(known) for resource, known in self._known.items()}
            verified = await self._carry_out(artifacts)
        except TargetChangedError as error:
            return await self._end(Result.REFUSED, str(error))
        except (TargetError, StudioError, MissingSecret) as error:
            return await self._end(Result.FAILED, str(error))
        steps = tuple(step.action.value for step in self._plan.steps)
        adopted = self._actions <= {Action.ADOPT, Action.VERIFY}
        if adopted:
            verified = replace(verified, text=_MARKED)
        await record_converged(self._run, self._lease, self._plan, artifacts, verified, steps=steps)
        text = f"{serves_words(self._plan)}, {proof_in_words(verified.proof)}: {verified.text}"
        if verified.ignored_settings:
            text += "; the service did not apply " + ", ".join(sorted(verified.ignored_settings))
        self._run.report(self._plan.name, ProgressState.DONE, text)
        result = Result.ADOPTED if adopted else Result.CONVERGED
        return Outcome(self._plan.name, self._plan.kind, result, text, verified.proof)

    def _moved_meanwhile(self, now: Converged | None) -> Outcome:
        """End a target that another run changed between the plan and the lease: only a new plan knows what to do."""
        name, kind = self._plan.name, self._plan.kind
        if now is not None and all(self._is_there(now, use) for use in self._target.bindings):
            text = f"converged by another run: {serves_words(self._plan)}, {proof_in_words(now.proof)}"
            self._run.report(name, ProgressState.DONE, text)
            return Outcome(name, kind, Result.CONVERGED, text, now.proof)
        where = "an unknown state" if now is None else served_words(now)
        text = f"another run brought {name} to {where} after the plan was made; plan again"
        self._run.report(name, ProgressState.FAILED, text)
        return Outcome(name, kind, Result.REFUSED, text)

    def _is_there(self, now: Converged, use: ModelBinding) -> bool:
        served, known = now.served(use.resource), self._known[use.resource]
        return served is not None and (served.version, served.fingerprint) == (known.key, known.fingerprint)

    async def _held_by_gates(self, forced: frozenset[str]) -> str | None:
        """Judge the gates on the metrics that are recorded now; the plan may have been made before there were any."""
        if not self._repoints or gate_forced(forced, self._plan.name):
            return None
        results = [
            result
            for model in self._plan.models
            if not model.in_sync
            for known in (self._known[model.resource],)
            for gates in (self._run.versions[known.key].gates,)
            if gates  # Without any, nobody has to know the version before.
            for result in judge_gates(gates, known.metrics, await self._incumbent(model.incumbent), known.key)
        ]
        if overall(results) is GateOutcome.PASS:
            return None
        unmet = (result for result in results if result.outcome is not GateOutcome.PASS)
        reasons = "; ".join(f"{result.rule}: {result.text}" for result in unmet)
        return f"gate not passed, left unchanged: {reasons}"

    async def _incumbent(self, version: VersionKey | None) -> Incumbent | None:
        if version is None:
            return None
        record = await self._run.store.version(version.model, version.label)
        return Incumbent(version, {} if record is None else record.metrics)

    @property
    def _actions(self) -> set[Action]:
        return {step.action for step in self._plan.steps}

    @property
    def _repoints(self) -> bool:
        return Action.REPOINT in self._actions

    async def _carry_out(self, artifacts: Artifacts) -> Verified:
        name = self._plan.name
        async with self._writing:
            before, steady = await self._answers_before()
            for step in self._plan.steps:
                if step.action in WRITES:
                    self._run.report(
                        name, ProgressState.STARTED, _DOING[step.action].format(version=self._plan.desired)
                    )
                    await self._driver.carry_out(step, self._target, artifacts)
                if step.action is Action.CREATE:
                    # From now on it answers, with the model of its experiment.
                    before, steady = await self._answers_before()
        verified = await self._driver.verify(
            self._target, artifacts, before, lambda text: self._run.report(name, ProgressState.WAITING, text)
        )
        if not steady:
            # Its answers differ by themselves: recorded, they would look like drift in every later pass.
            verified = replace(verified, answers=None)
        return self._with_earlier_proof(verified)

    async def _answers_before(self) -> tuple[str | None, bool]:
        """Return the answers before the move, and whether the target answers the same every time."""
        if not self._repoints:
            return None, True
        recorded = self._run.ledger.converged.get(self._plan.identity)
        marked = self._plan.models and all(model.live == model.desired for model in self._plan.models)
        if marked and recorded is not None and not self._recorded(recorded):
            # Its marker says that a run which did not live to record it has repointed it: the model before that is
            # gone, and only what was recorded of it can be compared with.
            return recorded.answers, True
        self._run.report(self._plan.name, ProgressState.STARTED, "scoring sample rows before the change")
        before = await self._driver.answers(self._target)
        if before is None:
            return None, True
        steady = before == await self._driver.answers(self._target)
        return (before if steady else None), steady

    def _with_earlier_proof(self, verified: Verified) -> Verified:
        """Return the earlier proof of the same models if only settings were changed or the answers are the same.

        They are after a refresh, or when a model was written once more: nothing changes then that could prove it.
        """
        earlier = self._run.ledger.converged.get(self._plan.identity)
        if earlier is None or not self._target.bindings or not self._recorded(earlier):
            return verified
        if not self._repoints:
            return replace(verified, proof=earlier.proof, text="the settings were updated")
        same = verified.answers is not None and verified.answers == earlier.answers
        if (
            verified.proof is Proof.ACCEPTED
            and same
            and all(self._is_there(earlier, use) for use in self._target.bindings)
        ):
            same_since = f"the answers equal those of {earlier.at:%Y-%m-%d}"
            text = f"{verified.text}; {same_since}, when the version was {proof_in_words(earlier.proof)}"
            return replace(verified, proof=earlier.proof, text=text)
        return verified

    def _recorded(self, converged: Converged) -> bool:
        return all(is_recorded(converged, use) for use in self._target.bindings)

    async def _artifact(self, known: KnownVersion) -> Artifact:
        location = known.location
        if location is None:
            raise TargetError(f"the location of version {known.key} is unknown")
        # Nobody is to read it anew unless it is pointed to.
        signature = await self._signature(known.key, location) if self._repoints else NO_SIGNATURE
        return Artifact(known.key, known.fingerprint, location, signature)

    async def _signature(self, key: VersionKey, location: Location) -> SecretStr:
        clients = self._run.clients
        model = clients.fleet.models[key.model]
        ready = model.spec.versions.get(key.label)
        if ready is not None and ready.location.sas_token is not None:
            return await clients.secret(
                ready.location.sas_token,
                clients.fleet.base_dir_of("Model", model.name),
                wanted_for=f"Model {model.name}, spec.versions.{key.label}.location.sasToken",
            )
        blobs = await clients.blobs(model.spec.workspace)
        if not blobs.holds(location.base):
            return NO_SIGNATURE  # A ready-made artifact of somebody else's, readable for everybody or not at all.
        container, _, blob = location.uri.removeprefix(blobs.base).partition("/")
        return await blobs.sign(container, blob, _SIGNATURE_LASTS)

    async def _end(self, result: Result, text: str) -> Outcome:
        return await ended(self._run, self._lease, self._plan, result, text)


async def ended(run: Run, lease: Lease, plan: TargetPlan, result: Result, text: str) -> Outcome:
    """Record and report how a target ended that did not converge."""
    last: LastOutcome = "held" if result is Result.HELD else "failed"
    await record_attempt(run, lease, plan, last, text)
    run.report(plan.name, ProgressState.HELD if result is Result.HELD else ProgressState.FAILED, text)
    return Outcome(plan.name, plan.kind, result, text)

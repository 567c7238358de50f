"""One target, from its plan to its end. What happens to it never touches another target."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from reconciler.apply.adoption import remember_artefact
from reconciler.apply.ledger import converged
from reconciler.apply.progress import Mark
from reconciler.apply.report import Outcome, Result
from reconciler.apply.run import Run, leased
from reconciler.apply.training import TrainingFailed
from reconciler.azure.errors import StudioError
from reconciler.plan.document import Action, GateOutcome, TargetPlan
from reconciler.plan.gates import Incumbent, judge_gates, overall
from reconciler.plan.guards import gate_forced
from reconciler.plan.states import Converged, DesiredTarget, KnownVersion, Location, Proof, Use, VersionKey
from reconciler.spec.secrets import MissingSecret
from reconciler.store import LastOutcome, Lease, LeaseHeld, LeaseLost, ServedModel, TargetRecord
from reconciler.targets.contract import WRITES, Artefact, Artefacts, PlanMoved, TargetError, Verified

_DOING = {
    Action.CREATE: "creating it",
    Action.REFRESH: "refreshing it from its default endpoint",
    Action.REPOINT: "pointing it to {version}",
    Action.SETTINGS: "writing its settings",
}
_SIGNATURE_LASTS = timedelta(hours=24)
"""As long as the service's own (classic-protocol 3); it only has to outlive the update."""
_NO_SIGNATURE = SecretStr("")


async def roll_out(
    run: Run,
    plan: TargetPlan,
    versions: Awaitable[Mapping[str, KnownVersion]],
    forced: frozenset[str],
    writing: asyncio.Semaphore,
) -> Outcome:
    """Bring one target home, as soon as its versions, by resource, may be used.

    ``writing`` bounds how many targets are written to at once. Waiting for a version, or for a service to load its
    model, takes no place there.
    """
    try:
        known = await versions
        async with leased(run, f"target:{plan.identity}") as lease:
            return await _Rollout(run, lease, plan, known, writing).go(forced)
    except TrainingFailed as error:
        return await settle(run, plan, Result.FAILED, f"{plan.desired} can't be used: {error}")
    except (LeaseHeld, LeaseLost) as error:
        # Somebody else is at work on it; what they bring about is seen by the next pass.
        run.note(plan.name, Mark.HELD, str(error))
        return Outcome(plan.name, plan.kind, Result.HELD, str(error))


async def settle(run: Run, plan: TargetPlan, result: Result, text: str) -> Outcome:
    """Remember and tell that a target stays where it is, and why."""
    last: LastOutcome = "held" if result is Result.HELD else "failed"
    run.note(plan.name, Mark.HELD if result is Result.HELD else Mark.FAILED, text)
    earlier = run.store.target(plan.identity)
    if earlier is None or (earlier.last_outcome, earlier.last_message) != (last, text):
        try:
            async with leased(run, f"target:{plan.identity}") as lease:
                _remember(run, lease, plan, last, text)
        except (LeaseHeld, LeaseLost):
            pass  # Whoever holds it records its own, newer end.
    return Outcome(plan.name, plan.kind, result, text)


async def confirm(run: Run, plan: TargetPlan) -> Outcome:
    """A target that is in sync: nothing is written to it, and the store learns what it does not know yet.

    That is so after a run that was killed between the update and its record, and with a new store: the answers are
    recorded then, because a later drift can only be seen against them.
    """
    outcome = Outcome(plan.name, plan.kind, Result.IN_SYNC, f"in sync, by {plan.evidence.value}")
    target = run.targets[plan.identity]
    before = run.ledger.converged.get(plan.identity)
    settled = before is not None and all(_is_recorded(before, use) for use in target.uses)
    if settled and plan.identity not in run.ledger.unsettled:
        return outcome
    versions = {use.resource: run.versions[use.version] for use in target.uses}
    for known in versions.values():
        if known.fingerprint is not None:
            await remember_artefact(run, known)
    artefacts = {
        resource: Artefact(known.key, known.fingerprint, known.location, _NO_SIGNATURE)
        for resource, known in versions.items()
        if known.fingerprint is not None and known.location is not None
    }
    try:
        async with leased(run, f"target:{plan.identity}") as lease:
            if settled:
                _remember(run, lease, plan, "converged", outcome.text)
            elif len(artefacts) == len(target.uses):
                verified = await run.drivers[plan.kind].verify(target, artefacts, None, lambda _: None)
                _record_converged(run, lease, plan, artefacts, verified)
    except (LeaseHeld, LeaseLost, TargetError):
        pass  # It is only a memory of what the live side shows anyway.
    return outcome


def _is_recorded(converged: Converged, use: Use) -> bool:
    served = converged.served(use.resource)
    return served is not None and served.version == use.version


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
        now = converged(self._run.store.target(self._plan.identity))
        if now != self._run.ledger.converged.get(self._plan.identity):
            return self._moved_meanwhile(now)
        held = self._held_by_gates(forced)
        if held is not None:
            return self._end(Result.HELD, held)
        try:
            artefacts = {resource: await self._artefact(known) for resource, known in self._known.items()}
            verified = await self._carry_out(artefacts)
        except PlanMoved as error:
            return self._end(Result.REFUSED, str(error))
        except (TargetError, StudioError, MissingSecret) as error:
            return self._end(Result.FAILED, str(error))
        steps = tuple(step.action.value for step in self._plan.steps)
        _record_converged(self._run, self._lease, self._plan, artefacts, verified, steps=steps)
        text = f"{_serves(self._plan)}, {verified.proof.value}: {verified.text}"
        if verified.not_taken:
            text += "; the service does not show " + ", ".join(sorted(verified.not_taken))
        self._run.note(self._plan.name, Mark.DONE, text)
        return Outcome(self._plan.name, self._plan.kind, Result.CONVERGED, text, verified.proof)

    def _moved_meanwhile(self, now: Converged | None) -> Outcome:
        """Another run was at work on it between our plan and our lease; only a new plan knows what to do."""
        name, kind = self._plan.name, self._plan.kind
        if now is not None and all(self._is_there(now, use) for use in self._target.uses):
            text = f"another run brought it to {self._plan.desired}, {now.proof.value}"
            self._run.note(name, Mark.DONE, text)
            return Outcome(name, kind, Result.CONVERGED, text, now.proof)
        where = "nowhere that is known" if now is None else served_words(now)
        text = f"another run brought it to {where} since the plan was made; plan again"
        self._run.note(name, Mark.FAILED, text)
        return Outcome(name, kind, Result.REFUSED, text)

    def _is_there(self, now: Converged, use: Use) -> bool:
        served, known = now.served(use.resource), self._known[use.resource]
        return served is not None and (served.version, served.fingerprint) == (known.key, known.fingerprint)

    def _held_by_gates(self, forced: frozenset[str]) -> str | None:
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
            for result in judge_gates(gates, known.metrics, self._incumbent(model.incumbent), known.key)
        ]
        if overall(results) is GateOutcome.PASS:
            return None
        unmet = (result for result in results if result.outcome is not GateOutcome.PASS)
        reasons = "; ".join(f"{result.rule}: {result.text}" for result in unmet)
        return f"held by its gates, stays where it is: {reasons}"

    def _incumbent(self, version: VersionKey | None) -> Incumbent | None:
        if version is None:
            return None
        record = self._run.store.version(version.model, version.label)
        return Incumbent(version, {} if record is None else record.metrics)

    @property
    def _repoints(self) -> bool:
        return any(step.action is Action.REPOINT for step in self._plan.steps)

    async def _carry_out(self, artefacts: Artefacts) -> Verified:
        name = self._plan.name
        async with self._writing:
            before, steady = await self._answers_before()
            for step in self._plan.steps:
                if step.action in WRITES:
                    self._run.note(name, Mark.STARTED, _DOING[step.action].format(version=self._plan.desired))
                    await self._driver.carry_out(step, self._target, artefacts)
                if step.action is Action.CREATE:
                    # From now on it answers, with the model of its experiment.
                    before, steady = await self._answers_before()
        verified = await self._driver.verify(
            self._target, artefacts, before, lambda text: self._run.note(name, Mark.WAITING, text)
        )
        if not steady:
            # Its answers differ by themselves: recorded, they would look like drift in every later pass.
            verified = replace(verified, answers=None)
        return self._with_earlier_proof(verified)

    async def _answers_before(self) -> tuple[str | None, bool]:
        """The answers to compare those of the new model with, and whether the target answers the same every time."""
        if not self._repoints:
            return None, True
        recorded = self._run.ledger.converged.get(self._plan.identity)
        marked = self._plan.models and all(model.live == model.desired for model in self._plan.models)
        if marked and recorded is not None and not self._recorded(recorded):
            # Its marker says that a run which did not live to record it has repointed it: the model before that is
            # gone, and only what was recorded of it can be compared with.
            return recorded.answers, True
        self._run.note(self._plan.name, Mark.STARTED, "scoring the probe before")
        before = await self._driver.answers(self._target)
        if before is None:
            return None, True
        steady = before == await self._driver.answers(self._target)
        return (before if steady else None), steady

    def _with_earlier_proof(self, verified: Verified) -> Verified:
        """What was proven of the very same models still is, if only settings were changed or the answers are the same.

        They are after a refresh, or when a model was written once more: nothing changes then that could prove it.
        """
        earlier = self._run.ledger.converged.get(self._plan.identity)
        if earlier is None or not self._target.uses or not self._recorded(earlier):
            return verified
        if not self._repoints:
            return replace(verified, proof=earlier.proof, text="the settings were changed")
        same = verified.answers is not None and verified.answers == earlier.answers
        if verified.proof is Proof.ACCEPTED and same and all(self._is_there(earlier, use) for use in self._target.uses):
            text = f"{verified.text}, and as when it was {earlier.proof.value} on {earlier.at:%Y-%m-%d}"
            return replace(verified, proof=earlier.proof, text=text)
        return verified

    def _recorded(self, converged: Converged) -> bool:
        return all(_is_recorded(converged, use) for use in self._target.uses)

    async def _artefact(self, known: KnownVersion) -> Artefact:
        location = known.location
        if location is None:
            raise TargetError(f"{known.key} is usable, but nothing says where it lies")
        return Artefact(known.key, known.fingerprint, location, await self._signature(known.key, location))

    async def _signature(self, key: VersionKey, location: Location) -> SecretStr:
        connections = self._run.connections
        model = connections.fleet.models[key.model]
        ready = model.spec.versions.get(key.label)
        if ready is not None and ready.location.sas_token is not None:
            return await connections.secret(
                ready.location.sas_token,
                connections.fleet.base_dir_of("Model", model.name),
                wanted_for=f"Model {model.name}, spec.versions.{key.label}.location.sasToken",
            )
        blobs = await connections.blobs(model.spec.workspace)
        if not blobs.holds(location.base):
            return _NO_SIGNATURE  # A ready-made artefact of somebody else's, readable for everybody or not at all.
        container, _, blob = location.uri.removeprefix(blobs.base).partition("/")
        return blobs.sign(container, blob, _SIGNATURE_LASTS)

    def _end(self, result: Result, text: str) -> Outcome:
        return ended(self._run, self._lease, self._plan, result, text)


def ended(run: Run, lease: Lease, plan: TargetPlan, result: Result, text: str) -> Outcome:
    """Remember and tell how a target ended that could not be brought home."""
    last: LastOutcome = "held" if result is Result.HELD else "failed"
    _remember(run, lease, plan, last, text)
    run.note(plan.name, Mark.HELD if result is Result.HELD else Mark.FAILED, text)
    return Outcome(plan.name, plan.kind, result, text)


def _serves(plan: TargetPlan) -> str:
    return f"serves {plan.desired}" if plan.models else "has its settings"


def served_words(converged: Converged) -> str:
    """What a target was brought to, for people."""
    return ", ".join(str(served.version) for served in converged.serves.values()) or "its settings"


def _remember(run: Run, lease: Lease, plan: TargetPlan, outcome: LastOutcome, text: str) -> None:
    """Record how the last try went; what the target was converged to before stays."""
    earlier = run.store.target(plan.identity)
    record = TargetRecord(
        identity=plan.identity,
        name=plan.name,
        kind=plan.kind,
        last_outcome=outcome,
        last_message=text,
        last_at=run.clock(),
    )
    if earlier is not None:
        record = replace(earlier, name=plan.name, last_outcome=outcome, last_message=text, last_at=record.last_at)
    repeated = earlier is not None and (earlier.last_outcome, earlier.last_message) == (outcome, text)
    with run.store.fenced(lease) as transaction:
        transaction.put_target(record)
        if not repeated:  # An event when something happens, none when nothing does.
            transaction.add_event(
                run_id=run.run_id, subject=plan.name, action="converge", outcome=outcome, message=text
            )


def _record_converged(
    run: Run,
    lease: Lease,
    plan: TargetPlan,
    artefacts: Artefacts,
    verified: Verified,
    *,
    steps: tuple[str, ...] = (),
) -> None:
    now = run.clock()
    record = TargetRecord(
        identity=plan.identity,
        name=plan.name,
        kind=plan.kind,
        models=tuple(
            ServedModel(
                resource=resource,
                model=artefact.key.model,
                label=artefact.key.label,
                fingerprint=artefact.fingerprint,
                base_location=shown.base,
                relative_location=shown.relative,
            )
            for resource, artefact in artefacts.items()
            for shown in (verified.shown.get(resource, artefact.location),)
        ),
        answers=verified.answers,
        proof=verified.proof.value,
        not_taken=dict(verified.not_taken),
        written=dict(run.targets[plan.identity].write_only),
        converged_at=now,
        last_outcome="converged",
        last_message=verified.text,
        last_at=now,
    )
    with run.store.fenced(lease) as transaction:
        transaction.put_target(record)
        transaction.add_event(
            run_id=run.run_id,
            subject=plan.name,
            action="converge",
            outcome="converged",
            message=f"{_serves(plan)}, {verified.proof.value}: {verified.text}",
            details={
                "version": plan.desired,
                "from": plan.live,
                "proof": verified.proof.value,
                "steps": list(steps),
                "reasons": [reason.text for reason in plan.reasons],
            },
        )

"""One target, from its plan to its end. What happens to it never touches another target."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from reconciler.apply.ledger import read_ledger
from reconciler.apply.progress import Mark
from reconciler.apply.report import Outcome, Result
from reconciler.apply.run import Run, leased
from reconciler.apply.training import TrainingFailed
from reconciler.plan.document import Action, GateOutcome, TargetPlan
from reconciler.plan.gates import find_incumbent, judge_gates, overall
from reconciler.plan.guards import gate_forced
from reconciler.plan.states import DesiredTarget, KnownVersion
from reconciler.spec.secrets import MissingSecret
from reconciler.store import LastOutcome, Lease, LeaseHeld, LeaseLost, TargetRecord
from reconciler.targets.contract import WRITES, Artefact, PlanMoved, TargetError, Verified

_DOING = {
    Action.CREATE: "creating it",
    Action.REPOINT: "pointing it to {version}",
    Action.SETTINGS: "writing its settings",
}
_SIGNATURE_LASTS = timedelta(hours=24)
"""As long as the service's own (classic-protocol 3); it only has to outlive the update."""


async def roll_out(run: Run, plan: TargetPlan, version: Awaitable[KnownVersion], forced: frozenset[str]) -> Outcome:
    """Bring one target home, as soon as its version may be used. Never raises for what the target or service does."""
    try:
        known = await version
        async with leased(run, f"target:{plan.identity}") as lease:
            return await _Rollout(run, lease, plan, known, forced).go()
    except TrainingFailed as error:
        return await settle(run, plan, Result.FAILED, f"{plan.desired} can't be used: {error}")
    except (LeaseHeld, LeaseLost) as error:
        # Somebody else is at work on it; what they bring about is seen by the next pass.
        run.note(plan.name, Mark.HELD, str(error))
        return Outcome(plan.name, plan.kind, Result.HELD, str(error))


async def settle(run: Run, plan: TargetPlan, result: Result, text: str) -> Outcome:
    """Remember and tell that a target stays where it is, and why."""
    last: LastOutcome = "held" if result is Result.HELD else "failed"
    mark = Mark.HELD if result is Result.HELD else Mark.FAILED
    run.note(plan.name, mark, text)
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
    record = run.store.target(plan.identity)
    known = run.versions.get(run.targets[plan.identity].version)
    settled = record is not None and f"{record.model}@{record.label}" == plan.desired
    if settled and record is not None and record.last_outcome == "converged":
        return outcome
    try:
        async with leased(run, f"target:{plan.identity}") as lease:
            if settled:
                _remember(run, lease, plan, "converged", outcome.text)
            elif known is not None and known.fingerprint is not None and known.location is not None:
                artefact = Artefact(known.key, known.fingerprint, known.location, _no_signature())
                target = run.targets[plan.identity]
                verified = await run.drivers[plan.kind].verify(target, artefact, None, lambda _: None)
                _record_converged(run, lease, plan, artefact, verified)
    except (LeaseHeld, LeaseLost, TargetError):
        pass  # It is only a memory of what the live side shows anyway.
    return outcome


def _no_signature() -> SecretStr:
    return SecretStr("")


class _Rollout:
    """One target's steps under its lease."""

    def __init__(self, run: Run, lease: Lease, plan: TargetPlan, known: KnownVersion, forced: frozenset[str]) -> None:
        self._run = run
        self._lease = lease
        self._plan = plan
        self._known = known
        self._forced = forced
        self._target: DesiredTarget = run.targets[plan.identity]
        self._driver = run.drivers[plan.kind]

    async def go(self) -> Outcome:
        held = self._held_by_gates()
        if held is not None:
            return self._end(Result.HELD, held)
        try:
            verified = await self._carry_out()
        except PlanMoved as error:
            return self._end(Result.REFUSED, str(error))
        except (TargetError, MissingSecret) as error:
            return self._end(Result.FAILED, str(error))
        _record_converged(self._run, self._lease, self._plan, self._artefact(), verified)
        text = f"serves {self._plan.desired}, {verified.proof.value}: {verified.text}"
        if verified.not_taken:
            text += "; the service does not show " + ", ".join(sorted(verified.not_taken))
        self._run.note(self._plan.name, Mark.DONE, text)
        return Outcome(self._plan.name, self._plan.kind, Result.CONVERGED, text, verified.proof)

    def _held_by_gates(self) -> str | None:
        """Judge the gates on the metrics that are recorded now; the plan may have been made before there were any."""
        if not self._repoints or gate_forced(self._forced, self._plan.name):
            return None
        gates = self._run.versions[self._target.version].gates
        incumbent = find_incumbent(self._plan.incumbent, read_ledger(self._run.store))
        results = judge_gates(gates, self._known.metrics, incumbent, self._known.key)
        if overall(results) is GateOutcome.PASS:
            return None
        reasons = "; ".join(
            f"{result.rule}: {result.text}" for result in results if result.outcome is not GateOutcome.PASS
        )
        return f"held by its gates, stays where it is: {reasons}"

    @property
    def _repoints(self) -> bool:
        return any(step.action is Action.REPOINT for step in self._plan.steps)

    async def _carry_out(self) -> Verified:
        name = self._plan.name
        artefact = self._artefact()
        before: str | None = None
        for step in self._plan.steps:
            if step.action is Action.REPOINT:
                self._run.note(name, Mark.STARTED, "scoring the probe before")
                before = await self._driver.answers(self._target)
            if step.action in WRITES:
                self._run.note(name, Mark.STARTED, _DOING[step.action].format(version=self._plan.desired))
                await self._driver.carry_out(step, self._target, artefact)
                self._event(step.action.value, "done", "; ".join(reason.text for reason in step.reasons))
        verified = await self._driver.verify(
            self._target, artefact, before, lambda text: self._run.note(name, Mark.WAITING, text)
        )
        return verified if self._repoints else self._with_earlier_proof(verified)

    def _with_earlier_proof(self, verified: Verified) -> Verified:
        """Only settings were changed: what was proven of the model still is."""
        record = self._run.store.target(self._plan.identity)
        if record is None or record.proof is None or f"{record.model}@{record.label}" != self._plan.desired:
            return verified
        return replace(verified, proof=type(verified.proof)(record.proof), text="the settings were changed")

    def _artefact(self) -> Artefact:
        location = self._known.location
        if location is None:
            raise TargetError(f"{self._known.key} is usable, but nothing says where it lies")
        return Artefact(self._known.key, self._known.fingerprint, location, self._signature())

    def _signature(self) -> SecretStr:
        connections = self._run.connections
        model = connections.fleet.models[self._known.key.model]
        ready = model.spec.versions.get(self._known.key.label)
        if ready is not None:
            token = ready.location.sas_token
            return (
                _no_signature()
                if token is None
                else connections.secret(token, connections.fleet.base_dir_of("Model", model.metadata.name))
            )
        location = self._known.location
        container, _, blob = ("" if location is None else location.relative).partition("/")
        return connections.blobs(model.spec.workspace).sign(container, blob, _SIGNATURE_LASTS)

    def _end(self, result: Result, text: str) -> Outcome:
        last: LastOutcome = "held" if result is Result.HELD else "failed"
        _remember(self._run, self._lease, self._plan, last, text)
        self._run.note(self._plan.name, Mark.HELD if result is Result.HELD else Mark.FAILED, text)
        return Outcome(self._plan.name, self._plan.kind, result, text)

    def _event(self, action: str, outcome: str, message: str) -> None:
        with self._run.store.fenced(self._lease) as transaction:
            transaction.add_event(
                run_id=self._run.run_id,
                subject=self._plan.name,
                action=action,
                outcome=outcome,
                message=message,
            )


def _remember(run: Run, lease: Lease, plan: TargetPlan, outcome: LastOutcome, text: str) -> None:
    """Record how the last try went; what the target was converged to before stays."""
    earlier = run.store.target(plan.identity)
    now = run.clock()
    if earlier is None:
        record = TargetRecord(
            identity=plan.identity,
            name=plan.name,
            kind=plan.kind,
            last_outcome=outcome,
            last_message=text,
            last_at=now,
        )
    else:
        record = replace(earlier, name=plan.name, last_outcome=outcome, last_message=text, last_at=now)
    repeated = earlier is not None and (earlier.last_outcome, earlier.last_message) == (outcome, text)
    with run.store.fenced(lease) as transaction:
        transaction.put_target(record)
        if not repeated:  # An event when something happens, none when nothing does.
            transaction.add_event(
                run_id=run.run_id, subject=plan.name, action="converge", outcome=outcome, message=text
            )


def _record_converged(run: Run, lease: Lease, plan: TargetPlan, artefact: Artefact, verified: Verified) -> None:
    now = run.clock()
    shown = verified.shown or artefact.location
    record = TargetRecord(
        identity=plan.identity,
        name=plan.name,
        kind=plan.kind,
        model=artefact.key.model,
        label=artefact.key.label,
        fingerprint=artefact.fingerprint,
        base_location=shown.base,
        relative_location=shown.relative,
        answers=verified.answers,
        proof=verified.proof.value,
        not_taken=dict(verified.not_taken),
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
            message=f"serves {artefact.key}, {verified.proof.value}: {verified.text}",
            details={"version": str(artefact.key), "from": plan.live, "proof": verified.proof.value},
        )

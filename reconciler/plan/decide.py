"""From what is wanted, live and remembered to a plan. Every function here is pure.

A target is decided on in this order, and the first that applies gives its status:

1. *blocked*: it can't be planned (unobservable, its version can't be had, it has no such resource, …);
2. *in sync*: it serves the wanted version and all that is managed has the wanted value;
3. *held*: the version is there, and a gate does not let it pass;
4. *drift*: it had been converged to what the spec still wants, and the live side moved;
5. *change*: all else. Settings that differ are a change, because nobody remembers what they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from reconciler.plan import steps
from reconciler.plan.blockers import blocker
from reconciler.plan.document import (
    Difference,
    GateOutcome,
    GateResult,
    Plan,
    Reason,
    TargetPlan,
    TargetStatus,
)
from reconciler.plan.gates import find_incumbent, judge_gates, overall, rule_text
from reconciler.plan.guards import check_forced, gate_forced
from reconciler.plan.states import (
    DesiredTarget,
    DesiredVersion,
    Evidence,
    Ledger,
    LiveTarget,
    Problem,
    VersionKey,
)
from reconciler.plan.understanding import Understanding, places, understand, wanted_version
from reconciler.plan.versions import estimates, plan_version, with_training
from reconciler.plan.wording import scalar

_Given = TypeVar("_Given")
_Key = TypeVar("_Key", bound=Hashable)


def make_plan(
    *,
    cloud: str,
    revision: str,
    partial: bool,
    versions: Sequence[DesiredVersion],
    targets: Sequence[DesiredTarget],
    live: Mapping[str, LiveTarget],
    ledger: Ledger,
    now: datetime,
    forced: frozenset[str] = frozenset(),
) -> Plan:
    """Make the plan that brings every target home, as far as it can be brought.

    Args:
        cloud: The name of the cloud.
        revision: The revision of the specs.
        partial: Whether targets were selected.
        versions: Every version that a target wants, once.
        targets: The targets, each name once in its kind.
        live: What was observed, by target identity.
        ledger: What the store remembers.
        now: The time of the plan.
        forced: The rules that are overridden, as in `reconciler.plan.guards`.

    Raises:
        UnknownRuleError: ``forced`` names a rule that there is not.
        ValueError: a version or a target's name was given twice; the caller is at fault.
    """
    check_forced(forced, {target.name for target in targets})
    desired = _unique(versions, lambda version: version.key)
    ordered = _unique(targets, lambda target: (target.name, target.kind))
    world = _World(
        versions={key: _Version(version, ledger) for key, version in desired.items()},
        live=live,
        ledger=ledger,
        known_at=places(versions, ledger),
        claims=Counter(target.identity for target in targets),
        forced=forced,
    )
    decided = [_decide_target(target, world) for target in ordered.values()]
    awaited = {after for target in decided for step in target.steps for after in step.after}
    estimate = estimates(ledger)
    planned = tuple(
        with_training(version.plan, version.desired, ledger, estimate)
        if steps.train_id(key) in awaited
        else version.plan
        for key, version in world.versions.items()
    )
    grouped = {status: tuple(target for target in decided if target.status is status) for status in TargetStatus}
    return Plan(
        created_at=now,
        cloud=cloud,
        spec_revision=revision,
        partial=partial,
        forced=tuple(sorted(forced)),
        versions=planned,
        changes=grouped[TargetStatus.CHANGE],
        drift=grouped[TargetStatus.DRIFT],
        held=grouped[TargetStatus.HELD],
        blocked=grouped[TargetStatus.BLOCKED],
        in_sync=grouped[TargetStatus.IN_SYNC],
    ).sealed()


class _Version:
    """A wanted version with all that targets ask of it, worked out once."""

    def __init__(self, desired: DesiredVersion, ledger: Ledger) -> None:
        self.desired = desired
        self.plan = plan_version(desired, ledger)
        self.wanted = wanted_version(desired, ledger)
        known = ledger.versions.get(desired.key)
        self.metrics: Mapping[str, float] = known.metrics if known is not None else {}


@dataclass(frozen=True, slots=True)
class _World:
    """What a decision on one target looks things up in."""

    versions: Mapping[VersionKey, _Version]
    live: Mapping[str, LiveTarget]
    ledger: Ledger
    known_at: Mapping[str, VersionKey]
    claims: Mapping[str, int]
    forced: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Case:
    """One target that can be planned, and what is known of it."""

    target: DesiredTarget
    live: LiveTarget
    version: _Version
    found: Understanding
    settings: tuple[Difference, ...]
    notes: tuple[Reason, ...]

    def concluded(
        self,
        status: TargetStatus,
        reasons: Iterable[Reason],
        gates: tuple[GateResult, ...] = (),
        incumbent: VersionKey | None = None,
    ) -> TargetPlan:
        """The target's part of the plan, without steps."""
        return TargetPlan(
            name=self.target.name,
            kind=self.target.kind,
            identity=self.target.identity,
            status=status,
            resource=self.target.resource,
            desired=str(self.target.version),
            live=self.found.text,
            evidence=self.found.evidence,
            observed_fingerprint=self.live.fingerprint,
            incumbent=incumbent,
            reasons=tuple(reasons),
            gates=gates,
        )


def _decide_target(target: DesiredTarget, world: _World) -> TargetPlan:
    live = world.live.get(target.identity)
    version = world.versions.get(target.version)
    problem = blocker(target, live, version.plan if version is not None else None, world.claims)
    if problem is not None or live is None or version is None:
        # It can't be planned: it is left as it is, and the others go on.
        return _blocked(target, live, problem)
    converged = world.ledger.converged.get(target.identity)
    not_taken = converged.not_taken if converged is not None else {}
    differing, refused = steps.setting_differences(target, live, not_taken)
    case = _Case(
        target=target,
        live=live,
        version=version,
        found=understand(target, version.wanted, live, converged, world.known_at),
        settings=differing,
        notes=(*map(_not_taken, refused), *version.plan.reasons),
    )
    if not case.found.in_sync:
        return _decide_move(case, world)
    if case.settings:
        # The right version with other settings: nothing is promoted, so no gate has a say.
        return _with_steps(case, case.concluded(TargetStatus.CHANGE, (*case.found.reasons, *case.notes)))
    return case.concluded(TargetStatus.IN_SYNC, (*case.found.reasons, *case.notes))


def _decide_move(case: _Case, world: _World) -> TargetPlan:
    """Decide on a target that has to be pointed at the wanted version."""
    target, version = case.target, case.version
    incumbent = _incumbent(case)
    reasons = (*case.found.reasons, *case.notes)
    gates: tuple[GateResult, ...] = ()
    if version.plan.usable:
        gates = judge_gates(
            version.desired.gates, version.metrics, find_incumbent(incumbent, world.ledger), target.version
        )
    outcome = overall(gates)
    if outcome is not GateOutcome.PASS:
        hold = tuple(_gate_reason(gate) for gate in gates if gate.outcome is not GateOutcome.PASS)
        if not gate_forced(world.forced, target.name):
            # The version is there and may not be promoted: the target keeps what it has.
            held = case.concluded(TargetStatus.HELD, (*hold, *reasons), gates, incumbent)
            return held.model_copy(update={"remedy": _hold_remedy(target, version, outcome)})
        text = "promoted by --force, although a gate does not let it pass"
        reasons = (Reason(code="gate-forced", text=text), *hold, *reasons)
    status = TargetStatus.DRIFT if case.found.drifted else TargetStatus.CHANGE
    return _with_steps(case, case.concluded(status, reasons, gates, incumbent))


def _with_steps(case: _Case, planned: TargetPlan) -> TargetPlan:
    """Add the steps that bring the target home."""
    moves = not case.found.in_sync
    train = moves and not case.version.plan.usable
    wanted = case.version.wanted.location
    todo = steps.Todo(
        target=case.target,
        evidence=case.found.evidence,
        train=train,
        rules=tuple(map(rule_text, case.version.desired.gates)) if train else (),
        create=not case.live.exists,
        repoint=Difference(field="model", old=case.found.text, new=planned.desired) if moves else None,
        patch=steps.definition_patch(case.live, wanted.uri if wanted is not None else None) if moves else (),
        move_reasons=case.found.reasons,
        settings=case.settings,
    )
    reasons = planned.reasons
    if case.settings:
        names = ", ".join(difference.field for difference in case.settings)
        reasons = (*reasons, Reason(code="settings", text=f"the spec wants another {names}"))
    return planned.model_copy(update={"reasons": reasons, "steps": steps.target_steps(todo)})


def _incumbent(case: _Case) -> VersionKey | None:
    """The version that a candidate must not be worse than; None if none is known.

    What drifted in was never promoted by us, so it sets no standard: the version that was promoted here
    last is the wanted one itself. A version of another model was judged on other data, and its metrics do
    not compare.
    """
    version = case.target.version if case.found.drifted else case.found.version
    return version if version is not None and version.model == case.target.version.model else None


def _blocked(target: DesiredTarget, live: LiveTarget | None, problem: Problem | None) -> TargetPlan:
    return TargetPlan(
        name=target.name,
        kind=target.kind,
        identity=target.identity,
        status=TargetStatus.BLOCKED,
        resource=target.resource,
        desired=str(target.version),
        live=None,
        evidence=Evidence.UNKNOWN,
        observed_fingerprint=live.fingerprint if live is not None else "",
        reasons=() if problem is None else (Reason(code=problem.code, text=problem.message),),
        remedy="" if problem is None else problem.remedy,
    )


def _gate_reason(gate: GateResult) -> Reason:
    return Reason(code=f"gate-{gate.outcome}", text=f"{gate.rule}: {gate.text}")


def _hold_remedy(target: DesiredTarget, version: _Version, outcome: GateOutcome) -> str:
    force = f"promote it all the same with --force gate:{target.name}"
    if outcome is GateOutcome.FAIL:
        return f"train a better version under a new label, or {force}"
    if version.desired.ready_made:
        return f"a ready-made artefact has no metrics to judge: {force}"
    return f"correct the gate's metric, or {force}"


def _not_taken(difference: Difference) -> Reason:
    asked = f"{difference.field} {scalar(difference.new)}"
    text = f"the service accepted {asked} before and did not show it: not asked again"
    return Reason(code="not-taken", text=text)


def _unique(given: Iterable[_Given], key: Callable[[_Given], _Key]) -> dict[_Key, _Given]:
    """The given by their key, in its order: a plan must not depend on the order of what it is made of."""
    found: dict[_Key, _Given] = {}
    for item in given:
        if key(item) in found:
            raise ValueError(f"given twice: {key(item)}")
        found[key(item)] = item
    return dict(sorted(found.items()))

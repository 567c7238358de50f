"""From what is wanted, live and remembered to a plan. Every function here is pure.

A target is decided on in this order, and the first that applies gives its status:

1. *blocked*: it cannot be planned (not observed, its version cannot be had, it has no such resource, …), or *refused*:
   possible but unsafe (a deletion without the ownership marker);
   what a set made and has no item for any more is *orphaned*, see `reconciler.plan.orphans`;
2. *in sync*: it serves the wanted versions and all that is managed has the wanted value;
3. *held*: the versions are there, and a gate does not let one of them pass;
4. *drift*: it had been converged to what the spec still wants, and the live side moved;
5. *change*: all else. Settings that differ are a change, because nobody remembers what they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from reconciler.plan import steps
from reconciler.plan.assessment import TargetAssessment
from reconciler.plan.blockers import NOT_OBSERVED, READ_ONLY, blocker
from reconciler.plan.deletions import decide_absent, decide_orphan, too_many_orphans
from reconciler.plan.document import (
    Difference,
    GateOutcome,
    GateResult,
    PatchOperation,
    Plan,
    Reason,
    Step,
    TargetPlan,
    TargetStatus,
    VersionPlan,
    in_reading_order,
)
from reconciler.plan.gates import find_incumbent, judge_gates, overall, rule_text
from reconciler.plan.live import find_live_versions, versions_by_uri
from reconciler.plan.overrides import check_forced, gate_forced
from reconciler.plan.reasons import (
    NO_ROOM,
    gate_reason,
    ignored_setting,
    missing_marker,
    needs_refresh,
    without_room,
)
from reconciler.plan.states import DesiredTarget, DesiredVersion, Ledger, LiveTarget, Problem, VersionKey
from reconciler.plan.versions import estimates, plan_version, version_problem, with_training

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
    groups: frozenset[str] = frozenset(),
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
        forced: The rules that are overridden, as in `reconciler.plan.overrides`.
        groups: The names of the sets.

    Raises:
        UnknownRuleError: ``forced`` names a rule that there is not.
        ValueError: a version or a target's name was given twice; the caller is at fault.
    """
    check_forced(forced, {target.name for target in targets}, groups)
    described = _unique(versions, lambda version: version.key)
    desired = {key: replace(version, record=ledger.versions.get(key)) for key, version in described.items()}
    ordered = _unique(targets, lambda target: (target.name, target.kind))
    problems = {key: version_problem(version) for key, version in desired.items()}
    world = _World(
        versions=desired,
        problems=problems,
        plans={key: plan_version(version, problems[key]) for key, version in desired.items()},
        live=live,
        ledger=ledger,
        versions_by_uri=versions_by_uri(versions, ledger),
        claims=Counter(target.identity for target in targets),
        forced=forced,
        too_many=too_many_orphans(targets, live, forced),
    )
    decided = [_decide_target(target, world) for target in ordered.values()]
    awaited = {after for target in decided for step in target.steps for after in step.after}
    estimate = estimates(ledger)
    planned = tuple(
        with_training(plan, desired[key], estimate) if steps.train_id(key) in awaited else plan
        for key, plan in world.plans.items()
    )
    return Plan(
        created_at=now,
        cloud=cloud,
        spec_revision=revision,
        partial=partial,
        forced=tuple(sorted(forced)),
        versions=planned,
        targets=in_reading_order(decided),
    ).sealed()


@dataclass(frozen=True, slots=True)
class _World:
    """What a decision on one target looks things up in."""

    versions: Mapping[VersionKey, DesiredVersion]
    problems: Mapping[VersionKey, Problem | None]
    plans: Mapping[VersionKey, VersionPlan]
    live: Mapping[str, LiveTarget]
    ledger: Ledger
    versions_by_uri: Mapping[str, VersionKey]
    claims: Mapping[str, int]
    forced: frozenset[str]
    too_many: Mapping[str, Problem]
    """Why the orphans of a set are not deleted, by set."""


def _decide_target(target: DesiredTarget, world: _World) -> TargetPlan:
    live = world.live.get(target.identity)
    if live is None:
        live = LiveTarget(target.identity, exists=False, problem=NOT_OBSERVED)
    elif target.orphan:
        return decide_orphan(target, live, world.too_many.get(target.group))
    problem = blocker(target, live, world.problems, world.claims)
    if problem is not None:
        # The target is left unchanged, and the others go on.
        return _stopped(target, live, problem)
    return decide_absent(target, live) if target.absent else _decide_state(target, live, world)


def _decide_state(target: DesiredTarget, live: LiveTarget, world: _World) -> TargetPlan:
    """Decide on a target that can be planned and is to be there."""
    converged = world.ledger.converged.get(target.identity)
    ignored_settings, written = (converged.ignored_settings, converged.written) if converged is not None else ({}, {})
    differing, refused = steps.setting_differences(target, live, ignored_settings)
    differing += steps.secret_differences(target, written)
    notes = dict.fromkeys(note for use in target.bindings for note in world.plans[use.version].reasons)
    refreshed, told = needs_refresh(target, live, ignored_settings)
    case = TargetAssessment(
        target=target,
        live=live,
        versions=tuple(world.versions[use.version] for use in target.bindings),
        found=find_live_versions(target, world.versions, live, converged, world.versions_by_uri),
        settings=differing,
        notes=(*map(ignored_setting, refused), *notes, *told),
        refreshed=refreshed,
    )
    if live.read_only and (case.moving or case.differs):
        return _stopped(target, live, READ_ONLY)
    if case.moving and without_room(target, live):
        return _stopped(target, live, NO_ROOM)
    if case.moving:
        return _decide_move(case, world)
    lacking = missing_marker(case, known=converged is not None)
    if lacking is not None:
        case = replace(case, notes=(*case.notes, lacking))
    if case.refreshed or case.differs or not live.exists:
        # The right versions, in other circumstances: nothing is promoted, so no gate has a say.
        return _with_steps(case, TargetStatus.CHANGE, case.reasons)
    if lacking is None or lacking.code == NO_ROOM.code:
        return case.to_target_plan(TargetStatus.IN_SYNC, case.reasons)
    required = steps.RequiredChanges(target=target, evidence=case.evidence, adopt=lacking)
    return case.to_target_plan(TargetStatus.IN_SYNC, case.reasons, steps=steps.target_steps(required))


def _decide_move(case: TargetAssessment, world: _World) -> TargetPlan:
    """Decide on a target that has to be pointed at a wanted version."""
    incumbents = {index: _incumbent(case, index) for index in case.moving}
    reasons = case.reasons
    gates = tuple(
        result
        for index in case.moving
        if case.versions[index].usable
        for result in judge_gates(
            case.versions[index].gates,
            case.versions[index].metrics,
            find_incumbent(incumbents[index], world.ledger),
            case.target.bindings[index].version,
        )
    )
    outcome = overall(gates)
    if outcome is not GateOutcome.PASS:
        hold = tuple(gate_reason(gate) for gate in gates if gate.outcome is not GateOutcome.PASS)
        if not gate_forced(world.forced, case.target.name):
            # The version is there and may not be promoted: the target keeps what it has.
            remedy = _hold_remedy(case, outcome)
            return case.to_target_plan(
                TargetStatus.HELD, (*hold, *reasons), gates=gates, incumbents=incumbents, remedy=remedy
            )
        text = "Promoted by --force although a gate does not pass"
        reasons = (Reason(code="gate-forced", text=text), *hold, *reasons)
    drifted = all(case.found[index].drifted for index in case.moving)
    return _with_steps(case, TargetStatus.DRIFT if drifted else TargetStatus.CHANGE, reasons, gates, incumbents)


def _with_steps(
    case: TargetAssessment,
    status: TargetStatus,
    reasons: tuple[Reason, ...],
    gates: tuple[GateResult, ...] = (),
    incumbents: Mapping[int, VersionKey | None] | None = None,
) -> TargetPlan:
    """Return the plan of a target with the steps that converge it."""
    if not case.live.exists and not case.found:
        reasons = (*reasons, Reason(code="absent", text="The target does not exist"))
    if case.refreshed:
        reasons = (*reasons, steps.STALE)
    if case.settings:
        names = ", ".join(difference.field for difference in case.settings)
        reasons = (*reasons, Reason(code="settings", text=f"The spec has other settings: {names}"))
    if case.live.definition.changes:
        reasons = (*reasons, Reason(code="definition", text="The definition differs from the file"))
    return case.to_target_plan(status, reasons, gates=gates, incumbents=incumbents, steps=_steps(case))


def _steps(case: TargetAssessment) -> tuple[Step, ...]:
    # A refresh may bring another model along: what the target serves is written once more, though it was right.
    moved = tuple(range(len(case.found))) if case.refreshed else case.moving
    training = [index for index in moved if not case.versions[index].usable and not case.found[index].in_sync]
    required = steps.RequiredChanges(
        target=case.target,
        evidence=case.evidence,
        train=tuple(case.versions[index].key for index in training),
        rules=tuple(dict.fromkeys(rule_text(gate) for index in training for gate in case.versions[index].gates)),
        create=not case.live.exists,
        refresh=case.refreshed,
        repoint=tuple(_move(case, index) for index in moved),
        patch=tuple(operation for index in moved for operation in _patch(case, index)),
        move_reasons=tuple(reason for index in moved for reason in case.reasons_of(index)),
        settings=case.settings,
        definition=case.live.definition,
    )
    return steps.target_steps(required)


def _move(case: TargetAssessment, index: int) -> Difference:
    use = case.target.bindings[index]
    return Difference(field="model", resource=use.resource, old=case.found[index].text, new=str(use.version))


def _patch(case: TargetAssessment, index: int) -> tuple[PatchOperation, ...]:
    location = case.versions[index].expected_location
    bound = case.live.shown(case.target.bindings[index].resource)
    return steps.definition_patch(bound, None if location is None else location.uri)


def _incumbent(case: TargetAssessment, index: int) -> VersionKey | None:
    """Return the version that a candidate must not be worse than; None if none is known.

    A version that drifted in was never promoted, so it sets no standard: the version that was promoted here
    last is the wanted one itself. A version of another model was judged on other data, and its metrics do
    not compare.
    """
    wanted, found = case.target.bindings[index].version, case.found[index]
    version = wanted if found.drifted else found.version
    return version if version is not None and version.model == wanted.model else None


def _stopped(target: DesiredTarget, live: LiveTarget, problem: Problem) -> TargetPlan:
    return TargetPlan.of(target, live, TargetStatus.BLOCKED).stopped((problem,))


def _hold_remedy(case: TargetAssessment, outcome: GateOutcome) -> str:
    force = f"override the gate with --force gate:{case.target.name}"
    if outcome is GateOutcome.FAIL:
        return f"Train a better version under a new label, or {force}"
    if any(case.versions[index].ready_made for index in case.moving):
        return f"A ready-made artifact has no metrics to judge: {force}"
    return f"Correct the metric of the gate, or {force}"


def _unique(given: Iterable[_Given], key: Callable[[_Given], _Key]) -> dict[_Key, _Given]:
    """Return the given by their key, in its order: a plan must not depend on the order of what it is made of."""
    found: dict[_Key, _Given] = {}
    for item in given:
        if key(item) in found:
            raise ValueError(f"given twice: {key(item)}")
        found[key(item)] = item
    return dict(sorted(found.items()))

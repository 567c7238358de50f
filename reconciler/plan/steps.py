"""Makes the steps of a plan. An id names what is done to what, so it is the same in every plan that has it.

The ids are ``train:<model>@<label>`` and ``<action>:<kind>/<target>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.plan.document import Action, CostClass, Difference, PatchOperation, Reason, Step
from reconciler.plan.states import (
    DefinitionDifference,
    DesiredTarget,
    Evidence,
    LiveBinding,
    LiveTarget,
    Scalar,
    VersionKey,
)
from reconciler.plan.text import bare_uri

AS_REFERENCED = "as referenced"
ANOTHER = "another"
"""What a plan says of a secret: nothing else of it goes into one."""

STALE = Reason(code="stale", text="The default endpoint was republished since; the served model is kept")


def train(version: VersionKey, reason: Reason, estimate_seconds: float | None) -> Step:
    """Make a version; shared by all targets that want it."""
    return Step(
        id=train_id(version),
        action=Action.TRAIN,
        subject=str(version),
        cost=CostClass.RETRAIN,
        reasons=(reason,),
        evidence=Evidence.LEDGER,
        estimate_seconds=estimate_seconds,
    )


def train_id(version: VersionKey) -> str:
    """Return the id of a version's train step."""
    return f"train:{_escaped(version.model)}@{_escaped(version.label)}"


@dataclass(frozen=True, slots=True)
class RequiredChanges:
    """What has to be done to one target. A part that is empty or false is not needed."""

    target: DesiredTarget
    evidence: Evidence
    train: tuple[VersionKey, ...] = ()
    rules: tuple[str, ...] = ()
    """Gates that can be judged only when the version has been trained."""
    create: bool = False
    refresh: bool = False
    repoint: tuple[Difference, ...] = ()
    delete: bool = False
    patch: tuple[PatchOperation, ...] = ()
    move_reasons: tuple[Reason, ...] = ()
    settings: tuple[Difference, ...] = ()
    definition: DefinitionDifference = field(default_factory=DefinitionDifference)
    adopt: Reason | None = None
    """Why the ownership marker has to be written, if no other step writes it."""


def target_steps(required: RequiredChanges) -> tuple[Step, ...]:
    """Return the steps of a target, in this order, each after the one before it.

    Gate, create, refresh, repoint, settings, adopt, delete, verify.

    A refresh comes before the repoint, because it may undo one (classic-protocol 6). ``verify`` is always the last:
    nothing counts as converged on the word of a write.
    """
    chain = _Chain(required.target, required.evidence, tuple(sorted(map(train_id, set(required.train)))))
    if required.rules:
        chain.add(Action.GATE, CostClass.FREE, [Reason(code="rule", text=rule) for rule in required.rules])
    if required.create:
        reasons = required.move_reasons or (Reason(code="absent", text="The target does not exist"),)
        chain.add(Action.CREATE, CostClass.CREATE, reasons)
    if required.refresh:
        chain.add(Action.REFRESH, CostClass.SETTINGS, (STALE,))
    if required.repoint:
        reasons = required.move_reasons or (
            Reason(code="refreshed", text="The served model is written again after the refresh"),
        )
        chain.add(Action.REPOINT, CostClass.REPOINT, reasons, required.repoint, required.patch)
    if required.settings or required.definition.changes:
        text = "Managed settings differ from the live ones"
        reason = Reason(
            code="settings", text=text if not required.create else "A new target has none of these settings yet"
        )
        reasons = (reason, *(Reason(code="definition", text=sentence) for sentence in required.definition.sentences))
        patch = definition_changes(required.definition)
        chain.add(Action.SETTINGS, CostClass.SETTINGS, reasons, required.settings, patch)
    if required.adopt is not None:
        chain.add(Action.ADOPT, CostClass.SETTINGS, (required.adopt,))
    if required.delete:
        chain.add(Action.DELETE, CostClass.DELETE, required.move_reasons)
    chain.add(Action.VERIFY, CostClass.FREE, ())
    return tuple(chain.steps)


class _Chain:
    """Collects one target's steps; each waits for the last."""

    def __init__(self, target: DesiredTarget, evidence: Evidence, after: tuple[str, ...]) -> None:
        self.steps: list[Step] = []
        self._target = target
        self._evidence = evidence
        self._after = after

    def add(
        self,
        action: Action,
        cost: CostClass,
        reasons: Sequence[Reason],
        differences: tuple[Difference, ...] = (),
        patch: tuple[PatchOperation, ...] = (),
    ) -> None:
        step = Step(
            id=f"{action}:{self._target.kind}/{_escaped(self._target.name)}",
            action=action,
            subject=self._target.name,
            cost=cost,
            reasons=tuple(reasons),
            evidence=self._evidence,
            after=self._after,
            differences=differences,
            patch=patch,
        )
        self.steps.append(step)
        self._after = (step.id,)


def setting_differences(
    target: DesiredTarget, live: LiveTarget, ignored_settings: Mapping[str, Scalar]
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """Return the managed settings whose live value is another one, by name: (to be set, not to be asked for again).

    The second are values that the service accepted before without showing them (classic-protocol 1.6); a
    value that the spec changed since is asked for.
    """
    differing: list[Difference] = []
    refused: list[Difference] = []
    for name, wanted in sorted(target.settings.items()):
        old = live.settings.get(name)
        if not _equal(old, wanted):
            asked_before = name in ignored_settings and _equal(ignored_settings[name], wanted)
            (refused if asked_before else differing).append(Difference(field=name, old=old, new=wanted))
    return tuple(differing), tuple(refused)


def definition_patch(bound: LiveBinding, new_uri: str | None) -> tuple[PatchOperation, ...]:
    """Return the JSON Patch that moves a New definition's model, guarded by the uri that was seen (new-protocol 2).

    Empty when the target is no definition, or when it is not known yet where the artifact will lie. A uri
    with a query carries a signature, and no secret goes into a plan: it is not tested for, and the observed
    fingerprint guards alone.
    """
    if bound.pointer is None or new_uri is None:
        return ()
    replace = PatchOperation(op="replace", path=bound.pointer, value=new_uri)
    if bound.uri is None or bare_uri(bound.uri) != bound.uri:
        return (replace,)
    return (PatchOperation(op="test", path=bound.pointer, value=bound.uri), replace)


def secret_differences(target: DesiredTarget, written: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return the write-only secrets of which another value, or an unknown one, was written last."""
    return tuple(
        Difference(field=name, old=ANOTHER if name in written else "unknown", new=AS_REFERENCED)
        for name, digest in sorted(target.secret_digests.items())
        if written.get(name) != digest
    )


def definition_changes(difference: DefinitionDifference) -> tuple[PatchOperation, ...]:
    """Return the JSON Patch that ends a difference; what it replaces or removes is tested for first."""
    operations: list[PatchOperation] = []
    for change in difference.changes:
        if change.op != "add":
            operations.append(PatchOperation(op="test", path=change.path, value=change.was))
        operations.append(PatchOperation.model_validate({"op": change.op, "path": change.path, "value": change.value}))
    return tuple(operations)


def _equal(live: Scalar, wanted: Scalar) -> bool:
    # Python takes True for 1; a service does not.
    return live == wanted and isinstance(live, bool) is isinstance(wanted, bool)


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("@", "%40").replace("/", "%2F")

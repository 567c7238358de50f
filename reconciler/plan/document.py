"""The plan as data: what ``reconcile --dry-run`` prints, what runs, and what ``reconcile apply`` takes.

Rules of ``format_version``: a reader ignores members that it does not know under the same major number, and
refuses another major number. ``reason`` and ``problem`` codes are an open set. Nothing secret is ever in
it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from reconciler.plan.checks.result import Preflight
from reconciler.plan.states import DesiredTarget, Evidence, LiveTarget, Problem, Scalar, VersionKey

FORMAT_VERSION = "1.0"


class CostClass(StrEnum):
    """What a step costs: a retrain takes minutes and money, a repoint seconds."""

    RETRAIN = "retrain"
    REPOINT = "repoint"
    SETTINGS = "settings"
    CREATE = "create"
    DELETE = "delete"
    FREE = "free"


class Action(StrEnum):
    """What a step does."""

    TRAIN = "train"
    GATE = "gate"
    CREATE = "create"
    REFRESH = "refresh"
    REPOINT = "repoint"
    SETTINGS = "settings"
    ADOPT = "adopt"
    DELETE = "delete"
    VERIFY = "verify"


class TargetStatus(StrEnum):
    """Where a target stands.

    ``in-sync``: it serves and shows what the spec says, and has steps only to write its marker.
    ``change``: the spec moved; ``drift``: only the live side did. ``held`` waits for a gate, ``refused`` is possible
    but unsafe, ``blocked`` cannot be planned. ``orphaned``: it was removed from its set, which does not prune.
    """

    IN_SYNC = "in-sync"
    CHANGE = "change"
    DRIFT = "drift"
    HELD = "held"
    REFUSED = "refused"
    BLOCKED = "blocked"
    ORPHANED = "orphaned"


class GateOutcome(StrEnum):
    """A gate's verdict. Inconclusive holds like a failure: what cannot be judged is not promoted."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_enum_values=False)


class Reason(_Frozen):
    """Why a step is there: a code of an open set, and the sentence for people."""

    code: str
    text: str

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Return a problem as the reason that it gives."""
        return cls(code=problem.code, text=problem.message)


class GateResult(_Frozen):
    """One gate rule judged. ``value`` is the candidate's metric, ``incumbent`` the live version's."""

    metric: str
    rule: str
    outcome: GateOutcome
    value: float | None = None
    incumbent: float | None = None
    text: str


class PatchOperation(_Frozen):
    """An RFC 6902 operation on a New definition; ``test`` guards what was planned on."""

    op: Literal["test", "replace", "add", "remove"]
    path: str
    value: Any = None


class Difference(_Frozen):
    """A managed value that differs: a setting's wire name, or ``model``."""

    field: str
    resource: str | None = None
    """Of ``model``: the resource that it is the model of."""
    old: Scalar = None
    new: Scalar = None

    @field_validator("old", "new")
    @classmethod
    def _a_json_value(cls, value: Scalar) -> Scalar:
        # A lenient reader takes Infinity and NaN for numbers of a reply; JSON has no such numbers to show them by.
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class Step(_Frozen):
    """One action. ``id`` is unique in the plan; a step runs when all of ``after`` have succeeded."""

    id: str
    action: Action
    subject: str
    cost: CostClass
    reasons: tuple[Reason, ...] = ()
    evidence: Evidence = Evidence.UNKNOWN
    after: tuple[str, ...] = ()
    estimate_seconds: float | None = None
    """From earlier retrains of the same model; None when there were none. Not part of the digest."""
    differences: tuple[Difference, ...] = ()
    patch: tuple[PatchOperation, ...] = ()
    """Of a repoint of a New web service. A live uri with a signature is guarded by no ``test`` operation,
    because it would be a secret in the plan: ``observed_fingerprint`` stands guard alone."""


class VersionPlan(_Frozen):
    """A wanted version. ``steps`` holds its ``train`` step, if it has to be trained."""

    model: str
    label: str
    fingerprint: str | None
    location: str | None
    usable: bool
    training: str = ""
    inputs: dict[str, str] = Field(default_factory=dict)
    attempt: int = 1
    steps: tuple[Step, ...] = ()
    problem: Reason | None = None
    remedy: str = ""
    """What to do about ``problem``."""
    reasons: tuple[Reason, ...] = ()
    """Notes that stop nothing, such as a recipe that can no longer be computed."""

    @property
    def name(self) -> str:
        """``model@label``."""
        return f"{self.model}@{self.label}"


class ModelPlan(_Frozen):
    """One resource of a target: what it is to serve, and what it serves."""

    resource: str
    desired: str
    """``model@label``."""
    live: str | None = None
    """What is live, as far as known: ``model@label``, a location, or None."""
    evidence: Evidence = Evidence.UNKNOWN
    in_sync: bool = False
    incumbent: VersionKey | None = None
    """The version that a ``maxDrop`` gate compares with; None if there is none."""


class TargetPlan(_Frozen):
    """One target: its status, and the steps that converge it."""

    name: str
    kind: str
    identity: str
    status: TargetStatus
    models: tuple[ModelPlan, ...] = ()
    """By resource; none when only its settings are managed, or it is to be absent."""
    desired: str
    """What it is to serve: ``model@label``, several with commas, or ``absent``."""
    live: str | None
    """What is live, as far as known: ``model@label``, a location, several with commas, or None."""
    evidence: Evidence
    """On what that rests; of several models the weakest."""
    observed_fingerprint: str
    reasons: tuple[Reason, ...] = ()
    gates: tuple[GateResult, ...] = ()
    remedy: str = ""
    steps: tuple[Step, ...] = ()
    group: str = Field(default="", exclude_if=lambda group: not group)
    """The set that it is of; left out for a target of its own."""

    @classmethod
    def of(
        cls,
        target: DesiredTarget,
        live: LiveTarget,
        status: TargetStatus,
        *,
        models: tuple[ModelPlan, ...] | None = None,
        shown: str | None = None,
        evidence: Evidence = Evidence.UNKNOWN,
        reasons: tuple[Reason, ...] = (),
        gates: tuple[GateResult, ...] = (),
        remedy: str = "",
        steps: tuple[Step, ...] = (),
    ) -> Self:
        """Return the plan of a target. ``shown`` is what is live; without ``models`` nothing is known of any."""
        if models is None:
            models = tuple(ModelPlan(resource=use.resource, desired=str(use.version)) for use in target.bindings)
        return cls(
            name=target.name,
            kind=target.kind,
            identity=target.identity,
            status=status,
            models=models,
            desired=target.wants,
            live=shown,
            evidence=evidence,
            observed_fingerprint=live.fingerprint,
            reasons=reasons,
            gates=gates,
            remedy=remedy,
            steps=steps,
            group=target.group,
        )

    def stopped(self, problems: Sequence[Problem]) -> Self:
        """Return the target as problems stop it: refused if it could be carried out and must not be, else blocked."""
        unsafe = all(problem.unsafe for problem in problems)
        return self.model_copy(
            update={
                "status": TargetStatus.REFUSED if unsafe else TargetStatus.BLOCKED,
                "reasons": (*map(Reason.of, problems), *self.reasons),
                "remedy": "; ".join(dict.fromkeys(problem.remedy for problem in problems if problem.remedy)),
                "steps": (),
            }
        )


_GROUPS = {
    TargetStatus.CHANGE: "changes",
    TargetStatus.DRIFT: "drift",
    TargetStatus.HELD: "held",
    TargetStatus.REFUSED: "refused",
    TargetStatus.BLOCKED: "blocked",
    TargetStatus.IN_SYNC: "in_sync",
    TargetStatus.ORPHANED: "orphaned",
}
"""The member of the document that holds the targets of each status, in the document's order."""
READING_ORDER = (
    TargetStatus.BLOCKED,
    TargetStatus.REFUSED,
    TargetStatus.HELD,
    TargetStatus.DRIFT,
    TargetStatus.CHANGE,
    TargetStatus.ORPHANED,
    TargetStatus.IN_SYNC,
)
"""The statuses in the order in which people want to read the targets."""
_RANK = {status: rank for rank, status in enumerate(READING_ORDER)}


def in_reading_order(targets: Iterable[TargetPlan]) -> tuple[TargetPlan, ...]:
    """Return targets by status, name and kind, as a plan has them."""
    return tuple(sorted(targets, key=lambda target: (_RANK[target.status], target.name, target.kind)))


class Plan(_Frozen):
    """The whole plan. ``digest`` covers everything but itself, ``created_at``, the preflight and the estimates."""

    format_version: str = FORMAT_VERSION
    created_at: datetime
    cloud: str
    spec_revision: str
    partial: bool = False
    """True when targets were selected: it then says nothing of the others."""
    forced: tuple[str, ...] = ()
    versions: tuple[VersionPlan, ...] = ()
    targets: tuple[TargetPlan, ...] = ()
    """All targets, `in_reading_order`. In the document they stand in a group for each status."""
    preflight: Preflight = Preflight()
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""

    @model_validator(mode="before")
    @classmethod
    def _from_groups(cls, content: Any) -> Any:
        if not isinstance(content, Mapping) or content.keys().isdisjoint(_GROUPS.values()):
            return content
        return {**content, "targets": [target for _, target in targets_of(content)]}

    @model_serializer(mode="plain")
    def _in_groups(self) -> dict[str, Any]:
        # The targets are left to pydantic as they are: it is twice as fast as regrouping what it made of them.
        groups: dict[str, list[TargetPlan]] = {group: [] for group in _GROUPS.values()}
        for target in self.targets:
            groups[_GROUPS[target.status]].append(target)
        if not groups["orphaned"]:
            del groups["orphaned"]
        content: dict[str, Any] = {}
        for name in type(self).model_fields:
            content |= groups if name == "targets" else {name: getattr(self, name)}
        return content

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the document: the groups stand where the targets do."""
        described = handler({name: value for name, value in schema.items() if name != "serialization"})
        properties: dict[str, Any] = {}
        for name, value in described["properties"].items():
            if name == "targets":
                properties |= {group: {**value, "title": group.replace("_", " ").title()} for group in _GROUPS.values()}
            else:
                properties[name] = value
        return {**described, "properties": properties}

    def with_status(self, status: TargetStatus) -> tuple[TargetPlan, ...]:
        """Return the targets of one status."""
        return tuple(target for target in self.targets if target.status is status)

    @property
    def changes(self) -> tuple[TargetPlan, ...]:
        """The targets whose spec moved."""
        return self.with_status(TargetStatus.CHANGE)

    @property
    def drift(self) -> tuple[TargetPlan, ...]:
        """The targets of which only the live side moved."""
        return self.with_status(TargetStatus.DRIFT)

    @property
    def held(self) -> tuple[TargetPlan, ...]:
        """The targets that a gate holds."""
        return self.with_status(TargetStatus.HELD)

    @property
    def refused(self) -> tuple[TargetPlan, ...]:
        """The targets that could be changed and must not be."""
        return self.with_status(TargetStatus.REFUSED)

    @property
    def blocked(self) -> tuple[TargetPlan, ...]:
        """The targets that cannot be planned."""
        return self.with_status(TargetStatus.BLOCKED)

    @property
    def in_sync(self) -> tuple[TargetPlan, ...]:
        """The targets that serve and show what the spec says."""
        return self.with_status(TargetStatus.IN_SYNC)

    @property
    def orphaned(self) -> tuple[TargetPlan, ...]:
        """The targets that a set made and has no item for any more."""
        return self.with_status(TargetStatus.ORPHANED)

    @property
    def pending(self) -> bool:
        """Whether carrying it out would change anything that a spec says."""
        return any(target.status in {TargetStatus.CHANGE, TargetStatus.DRIFT} for target in self.targets)

    @property
    def adopted(self) -> tuple[TargetPlan, ...]:
        """The targets in sync that only get the ownership marker."""
        return tuple(target for target in self.in_sync if target.steps)

    @property
    def writes(self) -> bool:
        """Whether carrying it out would write anything to a service."""
        return self.pending or bool(self.adopted)

    @property
    def steps(self) -> Iterator[Step]:
        """All steps: those of the versions first, then each target's in its order."""
        for version in self.versions:
            yield from version.steps
        for target in self.targets:
            yield from target.steps

    def computed_digest(self) -> str:
        """Return the digest that this content should carry."""
        return digest_of(self.model_dump(mode="json"))

    def sealed(self) -> Self:
        """Return the same plan with its digest."""
        return self.model_copy(update={"digest": self.computed_digest()})


def targets_of(content: Mapping[str, Any]) -> Iterator[tuple[tuple[str, int], Any]]:
    """Yield the targets of a plan document, in reading order, each with its place: its group and its number there."""
    for status in READING_ORDER:
        group = _GROUPS[status]
        for number, target in enumerate(content.get(group, ())):
            yield (group, number), target


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the digest of a plan document as plain JSON values, members unknown to this version included.

    Left out are the digest itself, ``created_at``, the preflight and every step's estimate: they say nothing of what
    will be done. What the preflight stopped is stopped in the targets.
    """
    covered = {name: value for name, value in content.items() if name not in {"digest", "created_at", "preflight"}}
    for group in {"versions", *_GROUPS.values()} & covered.keys():
        covered[group] = [_without_estimates(owner) for owner in covered[group]]
    # ASCII: a name from the wire may hold a lone surrogate, which no encoding but JSON's escape can carry.
    canonical = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _without_estimates(owner: Mapping[str, Any]) -> dict[str, Any]:
    steps = [
        {name: value for name, value in step.items() if name != "estimate_seconds"} for step in owner.get("steps", ())
    ]
    return {**owner, "steps": steps}


_DESCRIPTION = (
    "A plan of reconcile. A reader ignores members that it does not know as long as the first number of"
    " format_version is one that it knows, and refuses another. Codes of reasons and problems are an open"
    " set. The digest covers everything but itself, created_at, preflight and every step's estimate_seconds."
)


def plan_schema() -> dict[str, Any]:
    """Return the schema of the document that ``--output json`` writes, as draft 2020-12."""
    schema = Plan.model_json_schema(mode="serialization")
    schema["properties"]["format_version"]["pattern"] = rf"^{FORMAT_VERSION.partition('.')[0]}\.[0-9]+$"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Plan",
        "description": _DESCRIPTION,
    }

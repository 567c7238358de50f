"""The plan as data: what ``reconcile --dry-run`` prints, what runs, and what ``reconcile apply`` takes.

Rules of ``format_version``: a reader ignores members that it does not know under the same major number, and
refuses another major number. ``reason`` and ``problem`` codes are an open set. Nothing secret is ever in
it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from reconciler.plan.checks.result import Preflight
from reconciler.plan.states import Evidence, Scalar, VersionKey

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

    ``in-sync``: it serves and shows what the spec says; it has steps only if our note has to be put on it.
    ``change``: the spec moved; ``drift``: only the live side did. ``held`` waits for a gate, ``refused`` could be done
    and must not be, ``blocked`` can't be planned. ``orphaned``: its set has no item for it any more, and leaves it.
    """

    IN_SYNC = "in-sync"
    CHANGE = "change"
    DRIFT = "drift"
    HELD = "held"
    REFUSED = "refused"
    BLOCKED = "blocked"
    ORPHANED = "orphaned"


class GateOutcome(StrEnum):
    """A gate's verdict. Inconclusive holds like a failure: what can't be judged is not promoted."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_enum_values=False)


class Reason(_Frozen):
    """Why a step is there: a code of an open set, and the sentence for people."""

    code: str
    text: str


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
    """Notes that stop nothing, such as a recipe that can't be recomputed any more."""

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
    """One target: where it stands, and the steps that bring it home."""

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
    changes: tuple[TargetPlan, ...] = ()
    drift: tuple[TargetPlan, ...] = ()
    held: tuple[TargetPlan, ...] = ()
    refused: tuple[TargetPlan, ...] = ()
    blocked: tuple[TargetPlan, ...] = ()
    in_sync: tuple[TargetPlan, ...] = ()
    orphaned: tuple[TargetPlan, ...] = Field(default=(), exclude_if=lambda orphans: not orphans)
    """What sets made and have no item for any more; left out if there is none."""
    preflight: Preflight = Preflight()
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""

    @property
    def targets(self) -> tuple[TargetPlan, ...]:
        """All targets, in the order in which people want to read them."""
        return (
            *(*self.blocked, *self.refused, *self.held, *self.drift),
            *(*self.changes, *self.orphaned, *self.in_sync),
        )

    @property
    def pending(self) -> bool:
        """Whether carrying it out would change anything that a spec says."""
        return bool(self.changes or self.drift)

    @property
    def adopted(self) -> tuple[TargetPlan, ...]:
        """The targets in sync that our note is put on: the only thing that is written to them."""
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
        """The digest that this content should carry."""
        return digest_of(self.model_dump(mode="json"))

    def sealed(self) -> Self:
        """The same plan with its digest."""
        return self.model_copy(update={"digest": self.computed_digest()})


_TARGET_GROUPS = ("changes", "drift", "held", "refused", "blocked", "in_sync", "orphaned")


def digest_of(content: Mapping[str, Any]) -> str:
    """The digest of a plan document as plain JSON values, members unknown to this version included.

    Left out are the digest itself, ``created_at``, the preflight and every step's estimate: they say nothing of what
    will be done. What the preflight stopped is stopped in the targets.
    """
    covered = {name: value for name, value in content.items() if name not in {"digest", "created_at", "preflight"}}
    for group in {"versions", *_TARGET_GROUPS} & covered.keys():
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
    """The schema of the document that ``--output json`` writes, as draft 2020-12."""
    schema = Plan.model_json_schema(mode="serialization")
    schema["properties"]["format_version"]["pattern"] = rf"^{FORMAT_VERSION.partition('.')[0]}\.[0-9]+$"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Plan",
        "description": _DESCRIPTION,
    }

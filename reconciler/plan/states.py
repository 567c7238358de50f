"""Value types that the planner works on: desired, live and recorded state.

Frozen values, no I/O. A driver (``targets``) makes the `DesiredTarget` and `LiveTarget` values of its kind, ``apply``
makes the recorded ones, and `reconciler.plan.decide` turns all of them into a `reconciler.plan.document.Plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypeAlias

from reconciler.spec.documents import Gate

Scalar: TypeAlias = str | int | float | bool | None

_MARKED_DIGITS = 12


class Evidence(StrEnum):
    """What a statement about a live target rests on, strongest first."""

    LOCATION = "location"
    """The service reports the artifact that it serves."""
    PROBE = "probe"
    """The target's answers to the probe were compared with those recorded when it was converged."""
    MARKER = "marker"
    """The ownership marker on the target names the version; the service does not confirm it."""
    LEDGER = "ledger"
    """The state store records that the target was pointed at the version; nothing on the live side says so."""
    UNKNOWN = "unknown"
    """The live version is unknown."""


class Proof(StrEnum):
    """How sure a finished repoint is."""

    PROVEN = "proven"
    """Verified: the service reports the new location, or the answers to the probe changed."""
    ACCEPTED = "accepted"
    """Not confirmed: the service accepted the update and shows the marker, but the answers did not change."""


@dataclass(frozen=True, slots=True, order=True)
class VersionKey:
    """A model's version by its label; prints as ``model@label``."""

    model: str
    label: str

    def __str__(self) -> str:
        return f"{self.model}@{self.label}"


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """The place of an artifact (``.ilearner``), without any signature.

    ``base`` ends with ``/`` and ``relative`` does not begin with one, whatever was given (classic-protocol 1.7 has seen
    every mixture on the wire). Two are equal when their whole uris are, wherever each is split.
    """

    base: str
    relative: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", self.base.rstrip("/") + "/")
        object.__setattr__(self, "relative", self.relative.lstrip("/"))

    def __eq__(self, other: object) -> bool:
        return self.uri == other.uri if isinstance(other, Location) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.uri)

    @property
    def uri(self) -> str:
        """The two parts joined, as a New definition's ``locationInfo.uri`` has it (new-protocol 2)."""
        return self.base + self.relative


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something cannot be planned or observed: a stable code, what is wrong, and what to do about it.

    ``message`` and ``remedy`` are one or two sentences each. They start with a capital and end without a period, so
    that they can be put together.
    """

    code: str
    message: str
    remedy: str = ""
    unsafe: bool = False
    """Whether the change is possible but unsafe: the target is refused, where other problems block it."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What the ownership marker on a target says of one resource: its version, and 12 digits of the fingerprint."""

    version: VersionKey
    fingerprint: str

    @classmethod
    def of(cls, version: VersionKey, fingerprint: str) -> Self:
        """Return the marker of a version whose recipe has this fingerprint (64 hex digits)."""
        return cls(version, fingerprint[:_MARKED_DIGITS])

    def names(self, version: VersionKey, fingerprint: str | None) -> bool:
        """Return whether the marker names this version; without a fingerprint the label alone is compared."""
        if version != self.version or not self.fingerprint:
            return False
        return fingerprint is None or fingerprint.startswith(self.fingerprint)


class VersionState(StrEnum):
    """The state of a version's training."""

    TRAINING = "training"
    USABLE = "usable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A version as the state store has it."""

    key: VersionKey
    fingerprint: str
    state: VersionState
    location: Location | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    attempt: int = 1
    message: str = ""
    trained_in: timedelta | None = None
    training: str = ""
    """The service that trained it, as `DesiredVersion.training` has it."""


@dataclass(frozen=True, slots=True)
class DesiredVersion:
    """A version that at least one selected target wants, with what the state store knows about it.

    ``fingerprint`` is that of its recipe (64 hex digits; of the location for a ready-made version), or None when it
    cannot be computed, in which case ``problem`` says why. ``location`` is where the artifact is or will be.
    """

    key: VersionKey
    fingerprint: str | None
    location: Location | None
    ready_made: bool = False
    gates: tuple[Gate, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Each input's name and what it is, for people: ``file data/x.csv (sha256 1a2b…)``."""
    training: str = ""
    """The training service, for people."""
    problem: Problem | None = None
    """Why the version cannot be had. Without a ``fingerprint`` the recipe cannot be read, which does not matter to a
    version that is already trained."""
    record: KnownVersion | None = None
    """The version in the state store."""

    @property
    def recorded(self) -> bool:
        """Whether the state store has the version as usable."""
        return self.record is not None and self.record.state is VersionState.USABLE

    @property
    def usable(self) -> bool:
        """Whether a target can be pointed at the version without a training."""
        return self.ready_made or self.recorded

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of its evaluation, as far as they are recorded."""
        return {} if self.record is None else self.record.metrics

    @property
    def expected_fingerprint(self) -> str | None:
        """The fingerprint of what a target in sync serves; the recorded one where none can be computed any more."""
        return self.fingerprint or (self.record.fingerprint if self.record is not None and self.recorded else None)

    @property
    def expected_location(self) -> Location | None:
        """The place of the artifact that a target in sync serves."""
        return (self.record.location if self.record is not None and self.recorded else None) or self.location

    def is_made_as(self, version: VersionKey, fingerprint: str) -> bool:
        """Return whether label and recipe are those of this version; without a recipe the label alone is compared."""
        return version == self.key and (self.expected_fingerprint or fingerprint) == fingerprint


@dataclass(frozen=True, slots=True, order=True)
class ModelBinding:
    """The version that one resource of a target is to serve."""

    resource: str
    """The trained model's name, as the service has it."""
    version: VersionKey


@dataclass(frozen=True, slots=True)
class DesiredTarget:
    """What a spec says about one target. ``settings`` holds only what the spec manages, by wire name."""

    name: str
    kind: str
    """The ``kind`` of its document."""
    identity: str
    """What names it on the wire, canonical: workspace/service/endpoint, or the lower-cased resource id."""
    bindings: tuple[ModelBinding, ...] = ()
    """By resource, in the order of their names; none when only settings are managed, or the target is to be absent."""
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    secret_digests: Mapping[str, str] = field(default_factory=dict)
    """By setting, a short digest of a secret that can be written and never read. No plan contains it."""
    absent: bool = False
    """Whether it is to be deleted."""
    refresh: bool = False
    """Whether it follows its service's default endpoint when that is republished (classic-protocol 1.8)."""
    group: str = ""
    """The set that it belongs to; empty for a target of its own."""
    orphan: bool = False
    """Whether its set created it and no longer has an item for it, so that no document names it."""
    prune: bool = False
    """Of an orphan: whether its set wants it deleted."""

    @property
    def wants(self) -> str:
        """What it is to serve, as people read it."""
        if self.orphan and not self.prune:
            return "no longer managed"
        if self.absent:
            return "absent"
        return ", ".join(str(use.version) for use in self.bindings) or "no model managed"


@dataclass(frozen=True, slots=True)
class LiveBinding:
    """What the service shows of one resource of a target."""

    location: Location | None = None
    """The artifact that is bound."""
    pointer: str | None = None
    """JSON Pointer of the trained-model asset's uri in a New definition, in the definition's own casing."""
    uri: str | None = None
    """The uri at ``pointer``, as it stands."""


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One RFC 6902 operation on the way from a live New definition to the one in the file. No part of it is secret."""

    op: str
    """``add``, ``remove`` or ``replace``."""
    path: str
    value: Any = None
    was: Any = None
    """What is replaced or removed."""


@dataclass(frozen=True, slots=True)
class DefinitionDifference:
    """How a live definition differs from the one in the file: in words, and as the patch that removes it."""

    sentences: tuple[str, ...] = ()
    changes: tuple[DefinitionChange, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveTarget:
    """One target as observed in one pass. None stands for what was not shown or not asked."""

    identity: str
    exists: bool
    """An absent target without a ``problem`` is one that can be created."""
    resources: tuple[str, ...] | None = None
    """The names of its updatable resources."""
    bound: Mapping[str, LiveBinding] = field(default_factory=dict)
    """What is shown of its resources, by their names."""
    markers: tuple[Marker, ...] = ()
    """The ownership marker: a part for each resource that reconciler pointed somewhere, in the order of their names."""
    answers: str | None = None
    """Digest of the answers to its probe (64 hex digits)."""
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    stale: bool | None = None
    """Whether its service's default endpoint was republished after it was made; None when that is unknown."""
    published: str = ""
    """Of a stale one: the ``Version`` of that default endpoint, by which a refresh without effect is remembered."""
    definition: DefinitionDifference = field(default_factory=DefinitionDifference)
    """Of a New web service whose definition is managed."""
    managed: bool = False
    """Whether it carries the ownership marker, even one that names no version."""
    marker_room: int | None = None
    """How many characters the ownership marker may take on it; None if any fits."""
    read_only: bool = False
    """Whether its service accepts no change but its deletion."""
    problem: Problem | None = None
    fingerprint: str = ""
    """Digest of all that was observed and that a plan may rest on (without the answers)."""

    def shown(self, resource: str) -> LiveBinding:
        """Return what the service shows of one resource."""
        return self.bound.get(resource) or LiveBinding()

    @property
    def marked(self) -> str | None:
        """The versions that the ownership marker names, as people read them; None without any."""
        return ", ".join(str(marker.version) for marker in self.markers) or None


@dataclass(frozen=True, slots=True)
class Served:
    """What one resource of a target was last brought to."""

    version: VersionKey
    fingerprint: str
    location: Location | None = None
    """Where the service showed it then: the artifact, or a copy that the service made of it."""


@dataclass(frozen=True, slots=True)
class Converged:
    """What a target was last brought to."""

    serves: Mapping[str, Served]
    """By resource."""
    proof: Proof
    at: datetime
    answers: str | None = None
    ignored_settings: Mapping[str, Scalar] = field(default_factory=dict)
    """Settings that the service accepted and did not show (classic-protocol 1.6): they are not written again."""
    written: Mapping[str, str] = field(default_factory=dict)
    """The last written `DesiredTarget.secret_digests`."""

    def served(self, resource: str) -> Served | None:
        """Return what a resource was brought to.

        A record from before resources had names of their own has one entry, which is for whichever resource it was.
        """
        return self.serves.get(resource) or (self.serves.get("") if len(self.serves) == 1 else None)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the state store remembers, as far as a plan needs it."""

    versions: Mapping[VersionKey, KnownVersion] = field(default_factory=dict)
    converged: Mapping[str, Converged] = field(default_factory=dict)
    """By target identity."""
    unsettled: frozenset[str] = frozenset()
    """The identities of targets that the last run did not converge."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What each target was called when it was last recorded, by identity."""

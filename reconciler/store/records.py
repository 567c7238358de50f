"""The rows of the store as frozen values, in which its callers get and give them.

Every time is aware and in UTC, whatever zone it was given in; a naive one is refused. What is put is what
is read back, equal in every field.

No field may hold a secret. There is no free-form blob but ``recipe``, ``metrics``, ``not_taken``, ``written``
and ``details``, which take names and plain values; a location is the place of a blob and never its signature
(a ``?`` in one is refused), and ``jobs_url`` is refused with a query too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
VersionState: TypeAlias = Literal["training", "usable", "failed"]
Phase: TypeAlias = Literal["intent", "registered", "started", "closed"]
Outcome: TypeAlias = Literal["succeeded", "failed", "cancelled", "abandoned"]
LastOutcome: TypeAlias = Literal["converged", "failed", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A version of a model.

    Attributes:
        model: The model's name.
        label: The version's label.
        fingerprint: Of its recipe, or of its location if it came ready-made.
        state: How far it is. A usable one never changes any more.
        attempt: Counts the trainings under this label, from 1; 0 if it failed before the first one was begun.
        base_location: Base of the ``.ilearner``'s place; ends with one ``/``. Required when usable.
        relative_location: The rest of the place; does not begin with ``/``.
        metrics: Evaluation metrics by name. Not-a-number and infinities are kept as such.
        message: Why it failed, for people.
        recipe: What the fingerprint was made of, for people: names and hashes, never a secret.
        trained_seconds: How long the training took; None if it did not train here.
        updated_at: When this row was made.
        failures: How often it failed in a row, with this fingerprint.
        next_attempt_at: When it is due again after a failure.
    """

    model: str
    label: str
    fingerprint: str
    state: VersionState
    attempt: int = 1
    base_location: str | None = None
    relative_location: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    recipe: Mapping[str, str] = field(default_factory=dict)
    trained_seconds: float | None = None
    updated_at: datetime
    failures: int = 0
    next_attempt_at: datetime | None = None

    def __post_init__(self) -> None:
        _normalise_location(self)
        _normalise_times(self, "updated_at", "next_attempt_at")
        if self.state == "usable" and not (self.base_location and self.relative_location):
            raise ValueError(f"{self.model}@{self.label} cannot be usable without a location")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that runs on the service and must be found again after a crash: the training of one version.

    Its phases only move forward: ``intent`` (about to be registered), ``registered`` (the service gave a
    job id, and from here on ``job_id`` and ``jobs_url`` do not change), ``started`` (the start was sent),
    ``closed`` (with an outcome). At most one of a version is not closed (design 5.2).

    Attributes:
        id: Assigned by the store; None in a new one.
        kind: ``train``; an open set.
        model: The model's name.
        label: The version's label.
        fingerprint: Of the recipe that is trained.
        attempt: Higher than in every earlier operation of this version.
        phase: How far it is.
        jobs_url: Where the job lives on the service, without a query.
        job_id: The service's id of the job.
        output_relative: Where the artifact will be written, relative to the storage account.
        outcome: How it ended; present exactly when closed.
        message: Why it ended like that, for people.
        created_at: When the intent was formed.
        started_at: When the start was sent.
        deadline: When it counts as overdue.
    """

    id: int | None = None
    kind: str = "train"
    model: str
    label: str
    fingerprint: str
    attempt: int
    phase: Phase
    jobs_url: str | None = None
    job_id: str | None = None
    output_relative: str | None = None
    outcome: Outcome | None = None
    message: str = ""
    created_at: datetime
    started_at: datetime | None = None
    deadline: datetime | None = None

    def __post_init__(self) -> None:
        _refuse_query(self.jobs_url, "jobs_url")
        _refuse_query(self.output_relative, "output_relative")
        _normalise_times(self, "created_at", "started_at", "deadline")
        if self.phase in ("registered", "started") and not self.job_id:
            raise ValueError(f"an operation that is {self.phase} needs its job_id")
        if (self.phase == "closed") != (self.outcome is not None):
            raise ValueError("an operation has an outcome exactly when it is closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """What one resource of a target was converged to.

    Attributes:
        resource: The trained model's name on the service; empty in rows of the first schema, which did not keep it.
        model: The model.
        label: The version's label.
        fingerprint: The version's fingerprint.
        base_location: Where the service shows that version, which may be a copy of its own; ends with one ``/``.
        relative_location: The rest of the place.
    """

    resource: str
    model: str
    label: str
    fingerprint: str
    base_location: str | None = None
    relative_location: str | None = None

    def __post_init__(self) -> None:
        _normalise_location(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecord:
    """What a target was last converged to, and how the last try went.

    ``proof`` and ``converged_at`` are either both there or, if it never was converged, both None, and then it serves
    no known ``models``.

    Attributes:
        identity: What it is on the wire, canonical; the row's key.
        name: Its name in the spec.
        kind: Its kind in the spec.
        models: What each of its resources was converged to; none if only its settings are managed.
        answers: Digest of its answers to the probe after converging.
        proof: How sure that convergence is; an open set.
        not_taken: Settings that the service accepted and then did not show.
        written: By setting, a short digest of what it was set to last where the service never shows it.
        converged_at: When.
        last_outcome: How the last try went.
        last_message: Why, for people.
        last_at: When it was last tried.
        failures: How often it failed in a row, on the way to what ``attempted`` is the digest of.
        next_attempt_at: When it is due again after a failure.
        attempted: Digest of what the last failed try was to bring about; None if none failed since it was counted.
    """

    identity: str
    name: str
    kind: str
    models: tuple[ServedModel, ...] = ()
    answers: str | None = None
    proof: str | None = None
    not_taken: Mapping[str, Scalar] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    converged_at: datetime | None = None
    last_outcome: LastOutcome
    last_message: str = ""
    last_at: datetime
    failures: int = 0
    next_attempt_at: datetime | None = None
    attempted: str | None = None

    def __post_init__(self) -> None:
        _normalise_times(self, "converged_at", "last_at", "next_attempt_at")
        if (self.proof is None) != (self.converged_at is None) or (self.models and self.converged_at is None):
            raise ValueError("models, proof and converged_at of a target come together or not at all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the history; never changed, never removed.

    Attributes:
        id: Grows with time; never reused.
        at: When it was written down.
        run_id: The run that did it.
        subject: What it is about: ``model@label``, a target's name, ``run``.
        action: What was done; an open set.
        outcome: How it went; an open set.
        message: For people.
        details: Plain values for programs, never a secret.
    """

    id: int
    at: datetime
    run_id: str
    subject: str
    action: str
    outcome: str
    message: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lease: one run in one process. `reconciler.store.this_process` makes that of this process.

    Attributes:
        host: The host's name.
        pid: The process id, as seen inside ``machine``.
        process_started: The process's start in clock ticks since boot, so that a reused pid is recognised;
            None where the platform does not say.
        user: The user's name.
        run_id: Which run of the program.
        machine: Boot id and pid namespace, where known: hosts and containers may share a name.
    """

    host: str
    pid: int
    process_started: int | None
    user: str
    run_id: str
    machine: str = ""

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (pid {self.pid}, run {self.run_id})"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a key. What counts is ``token``, which grows with each acquisition of the key.

    Attributes:
        key: What is leased, such as ``target:…`` or ``version:…``.
        holder: Who has it.
        token: The fencing token.
        expires_at: From then on any run may acquire the key.
        acquired_at: Since when.
        ttl: For how long each renewal extends it.
    """

    key: str
    holder: Holder
    token: int
    expires_at: datetime
    acquired_at: datetime
    ttl: timedelta


def columns(record: VersionRecord | Operation | TargetRecord | Holder) -> dict[str, Any]:
    """Return the record's values by name, mappings as plain dicts, the way the tables take them."""
    return {part.name: _plain(getattr(record, part.name)) for part in fields(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return [asdict(part) for part in value] if isinstance(value, tuple) else value


def in_utc(moment: datetime) -> datetime:
    """Return the same moment in UTC.

    Raises:
        ValueError: ``moment`` is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC)


def _normalise_times(record: object, *names: str) -> None:
    for name in names:
        moment = getattr(record, name)
        if moment is not None:
            object.__setattr__(record, name, in_utc(moment))


def _normalise_location(record: VersionRecord | ServedModel) -> None:
    """Give equal places equal text: the slash between the parts belongs to the base."""
    _refuse_query(record.base_location, "base_location")
    _refuse_query(record.relative_location, "relative_location")
    if record.base_location is not None:
        object.__setattr__(record, "base_location", record.base_location.rstrip("/") + "/")
    if record.relative_location is not None:
        object.__setattr__(record, "relative_location", record.relative_location.lstrip("/"))


def _refuse_query(place: str | None, name: str) -> None:
    if place is not None and "?" in place:
        # Not echoed: what follows the question mark may be a shared access signature.
        raise ValueError(f"{name} carries a query, which may hold a signature; store the place alone")

"""What a kind of target must be able to do.

A pass works with a driver in this order:

1. `Driver.prepare` — what the specs' names stand for on the service.
2. `Driver.desired` — pure: the specs of its kind, as the plan's words.
3. `Driver.observe` — bulk: all of them as they are live now, in as few calls as the service allows.
4. (the plan decides the steps; it asks no driver)
5. `Driver.carry_out` — one step of one target. Called again after a crash, it must come to the same end.
6. `Driver.verify` — after the last step: what the target shows now, and the strongest honest word for it.

A driver never decides *whether* something should be done, never touches the store, and never raises for one target's
trouble in `observe`: it says so in `LiveTarget.problem`, because one bad target must not block the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import SecretStr

from reconciler.plan.checks.facts import CommitmentPlanAssignment, Quota, RequiredPermission
from reconciler.plan.document import Action, Step
from reconciler.plan.states import DesiredTarget, LiveTarget, Location, Proof, Scalar, VersionKey
from reconciler.targets.diagnosis import AccountKey, Diagnosis, Reach
from reconciler.targets.inventory import Inventory, Scope


@dataclass(frozen=True, slots=True)
class Artifact:
    """A usable version, ready to be pointed to. ``signature`` (``?sv=…``) grants reading it; it may be empty."""

    key: VersionKey
    fingerprint: str
    location: Location
    signature: SecretStr


Artifacts: TypeAlias = Mapping[str, Artifact]
"""What a target is to serve: an artifact for each of its resources that is managed."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What is known of a target after its last step.

    Attributes:
        proof: The strongest honest word.
        text: The same as a sentence for people.
        answers: The probe's answers as `observe` compares them later, if it could be scored.
        ignored_settings: Settings that the service accepted and does not show.
        shown: By resource where the service shows its model, if that is a copy of its own and not the artifact.
    """

    proof: Proof
    text: str
    answers: str | None = None
    ignored_settings: Mapping[str, Scalar] = field(default_factory=dict)
    shown: Mapping[str, Location] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a step needs of the world; what is left out is not known to be needed.

    Attributes:
        quota: What a target that has to be created draws on.
        payer: The commitment plan that pays for the target from this step on.
        permissions: What has to be allowed; the first is of the target itself.
        key: The storage account's key that the step hands over.
    """

    quota: Quota | None = None
    payer: CommitmentPlanAssignment | None = None
    permissions: tuple[RequiredPermission, ...] = ()
    key: AccountKey | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A live definition as a file that a document can name, and what a person must know of it."""

    content: dict[str, Any]
    notes: tuple[str, ...]


class TargetError(Exception):
    """A step could not be carried out on one target. The message names the place and the remedy, and no secret."""


class TargetChangedError(TargetError):
    """The live side is no longer what the step was planned on; nothing was changed."""


Notify = Callable[[str], None]
"""Takes a few words on what is being waited for, for the progress display."""


class Driver(ABC):
    """One kind of target. Made anew for each pass, so what it learns while observing may be kept for carrying out."""

    kind: str
    probes: bool
    """Whether `observe` scores targets, because their service does not show what they serve."""

    @abstractmethod
    async def prepare(self) -> None:
        """Look up what the names in the specs stand for, so that one thing has one identity however it is spelt.

        Must not raise for what a service answers: a name that cannot be resolved is a `LiveTarget.problem` later.
        """

    @abstractmethod
    def desired(self) -> tuple[DesiredTarget, ...]:
        """Return the selected specs of this kind as the plan's values, each with its own identity. Pure: no I/O."""

    @abstractmethod
    async def observe(self, recorded: Mapping[str, str]) -> dict[str, LiveTarget]:
        """All desired targets as they are live, by identity.

        Must use one list call per service, never one per target. May score a probe for those identities that are in
        ``recorded`` (identity to the answers recorded when it was converged) and must then leave
        `LiveTarget.answers` None unless they are comparable. Must not change anything, and must not raise for what
        one target or one service answers.
        """

    def orphans(self, names: Mapping[str, str]) -> tuple[tuple[DesiredTarget, LiveTarget], ...]:
        """Return what a set made and no document names any more, as far as `observe` has listed it. Pure.

        ``names`` is what the store called each target, by identity. Must be empty for a selection of the fleet, which
        does not say what all the documents name. A kind that sets don't make has none.
        """
        del names
        return ()

    def requirements(self, identity: str, step: Step) -> Requirements:
        """Return what a step needs, as far as `observe` has shown it. Pure: asks nobody."""
        del identity, step
        return Requirements()

    async def diagnose(self, reach: Reach) -> Diagnosis:
        """Look at what the documents of this kind name, for ``reconcile doctor``.

        Called in place of `prepare` and `observe`. Sends only reads; must not raise for what a service answers.
        """
        del reach
        return Diagnosis()

    async def inventory(self, scopes: Sequence[Scope]) -> Inventory:
        """Return all live targets of this kind in the fleet's workspaces or ``scopes``, for ``reconcile import``.

        Sends only reads. What one workspace, scope or target answers is part of what it returns.
        """
        del scopes
        return Inventory()

    @abstractmethod
    async def answers(self, target: DesiredTarget) -> str | None:
        """Return the target's answers to its probe, as comparable text; None if it cannot be scored. Never raises."""

    @abstractmethod
    async def carry_out(self, step: Step, target: DesiredTarget, artifacts: Artifacts) -> None:
        """Do one step of `WRITES` and see it through.

        Must be idempotent; must read back after a lost reply instead of assuming either way. A repoint writes all
        artifacts, also those of resources that are in sync: whether a service keeps what is left out is not known.

        Raises:
            TargetChangedError: the live side moved since the plan; nothing was changed.
            TargetError: the service refused or did not do it.
        """

    @abstractmethod
    async def delete(self, target: DesiredTarget) -> None:
        """Delete a target that has the ownership marker, and check that it is gone; one already gone is a success.

        Raises:
            TargetChangedError: it no longer has the marker; nothing was deleted.
            TargetError: the service refused, or it is still there.
        """

    @abstractmethod
    async def verify(self, target: DesiredTarget, artifacts: Artifacts, before: str | None, notify: Notify) -> Verified:
        """Read the target back and score it.

        ``before`` is what `answers` gave before the repoint; None when that is not known. May wait as long as the
        service takes to load a model.

        Raises:
            TargetError: it does not show what was written.
        """


WRITES = frozenset({Action.CREATE, Action.REFRESH, Action.REPOINT, Action.SETTINGS, Action.ADOPT})
"""The actions that `Driver.carry_out` takes."""

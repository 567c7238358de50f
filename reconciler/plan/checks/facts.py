"""Facts about the services around a plan's steps, with the ids of the steps that they matter to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.plan.checks.result import Check


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of something there may be.

    Attributes:
        subject: What it is a quota of: ``web service Bike Rental Scoring of workspace contoso``.
        present: How many there are.
        limit: How many there may be.
        unit: What is counted.
        perhaps: A lower limit that may hold instead; None if it is known that it does not.
        condition: When it holds: ``if workspace contoso is a free one``.
        settled_by: How to make that known.
    """

    subject: str
    present: int
    limit: int
    unit: str = "endpoint"
    perhaps: int | None = None
    condition: str = ""
    settled_by: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one role allows; a star stands for any text, and what it leaves out another role may allow."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequiredPermission:
    """What a step does on the service: an action of Azure's, on a resource.

    ``scope`` is where the permission is looked up: the resource's group, or the resource itself.
    """

    action: str
    resource: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """What the signed-in identity may do on a scope; ``unknown`` says why that is unknown."""

    grants: tuple[Grant, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage account with the keys of its document.

    Attributes:
        subject: Whose it is: ``workspace contoso``.
        base: Its blob endpoint; empty if its connection string cannot be used.
        problem: Why it cannot be used; empty if it can, or was not reached.
        remedy: What to do about that.
        unreached: Why it could not be asked; empty if it could.
        warning: Why one of its two keys is of no use while the other is accepted; ``remedy`` says what to do.
        keys: How many of its two keys the document has.
        ahead: By how much its clock is ahead of this machine's, if known.
    """

    subject: str
    base: str = ""
    problem: str = ""
    remedy: str = ""
    unreached: str = ""
    warning: str = ""
    keys: int = 1
    ahead: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """When a shared access signature holds, and whether it grants reading; None is what it does not say.

    ``subject`` names what it is for: ``version 2026-09 of model breast-cancer``. ``problem`` says why it is not known.
    """

    subject: str
    begins: datetime | None = None
    ends: datetime | None = None
    reads: bool | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CommitmentPlanUsage:
    """A commitment plan, and what of it is left (new-protocol 5).

    Attributes:
        name: Its name.
        sku: ``S1``, ``DevTest`` and the like.
        stops: Whether its services stop when a quantity is used up, instead of costing more.
        hours: Compute hours left, and those that it includes; None if it is not reported.
        transactions: Calls and jobs left, and those that it includes; None if it is not reported.
        refill_days: After how many days it is refilled.
        created: When it was made: in its first day the figures were seen at 0.
    """

    name: str
    sku: str
    stops: bool
    hours: tuple[float, float] | None = None
    transactions: tuple[float, float] | None = None
    refill_days: int | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class CommitmentPlanAssignment:
    """The commitment plan that is to pay for a created or moved service, and the service's region."""

    plan: str
    location: str


@dataclass(frozen=True, slots=True)
class CommitmentPlanState:
    """A commitment plan that is claimed.

    Attributes:
        payer: What is left of it.
        location: Its region; it pays for services of that region alone.
        services: How many web services it pays for; None if that could not be asked.
        most: How many it may pay for; None if it is not reported.
    """

    payer: CommitmentPlanUsage
    location: str
    services: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. What nothing planned needs was not asked, and is not in it.

    Attributes:
        quotas: By the id of a step that makes something.
        needs: By the id of a step: what it has to be allowed.
        access: By `RequiredPermission.scope`.
        storage: Each with the steps that write to it, or sign with its key.
        signatures: Each with the steps that hand it on.
        payers: By the id of a step that a commitment plan pays for.
        claims: By the id of a step from which on a commitment plan is to pay for a service.
        standings: Those plans, by `CommitmentPlanAssignment.plan`; None for one that does not exist.
            Those that could not be asked for are left out.
        more: Checks that were judged where they were asked.
    """

    quotas: Mapping[str, Quota] = field(default_factory=dict)
    needs: Mapping[str, tuple[RequiredPermission, ...]] = field(default_factory=dict)
    access: Mapping[str, Access] = field(default_factory=dict)
    storage: Mapping[Storage, frozenset[str]] = field(default_factory=dict)
    signatures: Mapping[Signature, frozenset[str]] = field(default_factory=dict)
    payers: Mapping[str, CommitmentPlanUsage] = field(default_factory=dict)
    claims: Mapping[str, CommitmentPlanAssignment] = field(default_factory=dict)
    standings: Mapping[str, CommitmentPlanState | None] = field(default_factory=dict)
    more: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A check, and the steps that cannot be carried out because of it.

    ``unsafe``: they could be, and should not.
    """

    check: Check
    steps: frozenset[str] = frozenset()
    unsafe: bool = False

    @classmethod
    def of(cls, check: Check, steps: Iterable[str] = (), *, unsafe: bool = False) -> Finding:
        """Return a finding on any collection of step ids."""
        return cls(check, frozenset(steps), unsafe)

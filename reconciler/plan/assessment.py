"""One target that is decided on, with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.plan.document import Difference, GateResult, ModelPlan, Reason, TargetPlan, TargetStatus
from reconciler.plan.live import LiveVersion, live_words, wanted_version, weakest
from reconciler.plan.states import DesiredTarget, DesiredVersion, Ledger, LiveTarget, VersionKey
from reconciler.plan.text import wanted_words
from reconciler.plan.versions import plan_version


class WantedVersion:
    """A wanted version with all that targets ask of it, worked out once."""

    def __init__(self, desired: DesiredVersion, ledger: Ledger) -> None:
        self.desired = desired
        self.plan = plan_version(desired, ledger)
        self.wanted = wanted_version(desired, ledger)
        known = ledger.versions.get(desired.key)
        self.metrics: Mapping[str, float] = known.metrics if known is not None else {}


@dataclass(frozen=True, slots=True)
class TargetAssessment:
    """One target that can be planned, and what is known of it. What is told of its uses stands in their order."""

    target: DesiredTarget
    live: LiveTarget
    versions: tuple[WantedVersion, ...]
    found: tuple[LiveVersion, ...]
    settings: tuple[Difference, ...]
    notes: tuple[Reason, ...]
    refreshed: bool = False
    """Whether it has to be made of what its default endpoint is made of by now."""

    @property
    def moving(self) -> tuple[int, ...]:
        """Which of the uses are not in sync."""
        return tuple(index for index, found in enumerate(self.found) if not found.in_sync)

    @property
    def differs(self) -> bool:
        """Whether anything that is managed has another value, its models aside."""
        return bool(self.settings or self.live.definition.changes)

    def told(self, index: int) -> tuple[Reason, ...]:
        """The reasons of one use; of several each says which resource it is about."""
        reasons = self.found[index].reasons
        if len(self.found) == 1:
            return reasons
        resource = self.target.bindings[index].resource
        return tuple(Reason(code=reason.code, text=f"{resource}: {reason.text}") for reason in reasons)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """All that is told of its uses, and the notes."""
        told = [reason for index in range(len(self.found)) for reason in self.told(index)]
        return (*told, *self.notes)

    def to_target_plan(
        self,
        status: TargetStatus,
        reasons: Iterable[Reason],
        gates: tuple[GateResult, ...] = (),
        incumbents: Mapping[int, VersionKey | None] | None = None,
    ) -> TargetPlan:
        """The target's part of the plan, without steps."""
        models = tuple(
            ModelPlan(
                resource=use.resource,
                desired=str(use.version),
                live=found.text,
                evidence=found.evidence,
                in_sync=found.in_sync,
                incumbent=(incumbents or {}).get(index),
            )
            for index, (use, found) in enumerate(zip(self.target.bindings, self.found, strict=True))
        )
        return TargetPlan(
            name=self.target.name,
            kind=self.target.kind,
            identity=self.target.identity,
            status=status,
            models=models,
            desired=wanted_words(self.target),
            live=live_words(self.found, self.live),
            evidence=weakest(self.found),
            observed_fingerprint=self.live.fingerprint,
            reasons=tuple(reasons),
            gates=gates,
            group=self.target.group,
        )

"""One target that is decided on, with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.plan.document import Difference, GateResult, ModelPlan, Reason, Step, TargetPlan, TargetStatus
from reconciler.plan.live import LiveVersion, live_words, weakest
from reconciler.plan.states import DesiredTarget, DesiredVersion, Evidence, LiveTarget, VersionKey


@dataclass(frozen=True, slots=True)
class TargetAssessment:
    """A plannable target with its observed state; ``versions`` and ``found`` are in the order of its bindings."""

    target: DesiredTarget
    live: LiveTarget
    versions: tuple[DesiredVersion, ...]
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

    @property
    def evidence(self) -> Evidence:
        """On what the statement about its live side rests."""
        return weakest(self.found)

    def reasons_of(self, index: int) -> tuple[Reason, ...]:
        """Return the reasons of one use; of several each says which resource it is about."""
        reasons = self.found[index].reasons
        if len(self.found) == 1:
            return reasons
        resource = self.target.bindings[index].resource
        return tuple(Reason(code=reason.code, text=f"{resource}: {reason.text}") for reason in reasons)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons of all bindings, and the remarks."""
        own = [reason for index in range(len(self.found)) for reason in self.reasons_of(index)]
        return (*own, *self.notes)

    def to_target_plan(
        self,
        status: TargetStatus,
        reasons: Iterable[Reason],
        *,
        gates: tuple[GateResult, ...] = (),
        incumbents: Mapping[int, VersionKey | None] | None = None,
        remedy: str = "",
        steps: tuple[Step, ...] = (),
    ) -> TargetPlan:
        """Return the target's part of the plan."""
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
        return TargetPlan.of(
            self.target,
            self.live,
            status,
            models=models,
            shown=live_words(self.found, self.live),
            evidence=self.evidence,
            reasons=tuple(reasons),
            gates=gates,
            remedy=remedy,
            steps=steps,
        )

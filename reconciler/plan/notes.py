"""Reasons that a decision gives beside its own."""

from __future__ import annotations

from reconciler.plan.document import Difference, GateResult, Reason
from reconciler.plan.states import DesiredTarget, LiveTarget
from reconciler.plan.wording import scalar


def refresh_notes(target: DesiredTarget, live: LiveTarget) -> tuple[Reason, ...]:
    """That a target is not refreshed, because nobody can tell whether it is stale."""
    if not target.refresh or not live.exists or live.stale is not None:
        return ()
    text = "the service does not show what it and its default endpoint were made of, so it is not refreshed"
    return (Reason(code="refresh-unknown", text=text),)


def gate_reason(gate: GateResult) -> Reason:
    """Why a gate holds a target."""
    return Reason(code=f"gate-{gate.outcome}", text=f"{gate.rule}: {gate.text}")


def not_asked_again(difference: Difference) -> Reason:
    """That a setting is not asked for again."""
    asked = f"{difference.field} {scalar(difference.new)}"
    text = f"the service accepted {asked} before and did not show it: not asked again"
    return Reason(code="not-taken", text=text)

"""Reasons that a decision gives beside its own."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.plan.document import Difference, GateResult, Reason
from reconciler.plan.states import DesiredTarget, LiveTarget, Scalar
from reconciler.plan.wording import scalar


VERSION = "Version"
"""What a Classic endpoint says of when it was made of its experiment (classic-protocol 1.5)."""


def refreshed_in_vain(live: LiveTarget, not_taken: Mapping[str, Scalar]) -> bool:
    """Whether a stale target was refreshed before from what its default endpoint is made of, and still seems stale.

    The service may answer 304 or never move ``Version`` (classic-protocol 1.8): each pass would refresh it again.
    """
    return live.stale is True and bool(live.published) and not_taken.get(VERSION) == live.published


def refresh_notes(target: DesiredTarget, live: LiveTarget, *, in_vain: bool) -> tuple[Reason, ...]:
    """That a target is not refreshed: nobody can tell whether it is stale, or a refresh changes nothing."""
    if not target.refresh or not live.exists or (live.stale is not None and not in_vain):
        return ()
    if in_vain:
        text = f"it was refreshed and still shows an older {VERSION} than its default endpoint: not refreshed again"
        return (Reason(code="refresh-in-vain", text=text),)
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

"""Reasons that a decision gives beside its own, and what our note on a target should say."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.plan.assessment import TargetAssessment
from reconciler.plan.document import Difference, GateResult, Reason
from reconciler.plan.states import DesiredTarget, LiveTarget, Marker, Problem, Scalar
from reconciler.plan.text import scalar
from reconciler.spec.documents.rules import note_length

NO_ROOM = Problem(
    "no-room-for-note",
    "no room is left on it for our note",
    "shorten its description, or take tags away that are not needed",
)
VERSION = "Version"
"""What a Classic endpoint says of when it was made of its experiment (classic-protocol 1.5)."""


def missing_marker(case: TargetAssessment, *, known: bool) -> Reason | None:
    """Why our note has to be put on a target that serves what it should; None if it need not be, or can't.

    What carries our note is ours (design 5.7), so it is the note that takes a target over which was made by hand. A
    reason `NO_ROOM` says that it does not find room. Without the fingerprint of a version there is nothing to note, and
    a target whose model is not managed is let alone if it may be a training service. ``known`` says whether it was
    converged before.
    """
    target, live = case.target, case.live
    if not live.exists or live.read_only or (not target.bindings and not live.resources):
        return None
    found = [(version.key, version.expected_fingerprint) for version in case.versions]
    markers = tuple(Marker.of(version, fingerprint) for version, fingerprint in found if fingerprint is not None)
    if len(markers) < len(found) or live.markers == markers != () or (not markers and (live.managed or live.markers)):
        return None
    if without_room(target, live):
        return Reason(code=NO_ROOM.code, text=f"{NO_ROOM.message}, so it is not taken over")
    if live.markers:
        noted = ", ".join(str(marker.version) for marker in live.markers)
        return Reason(code="note-differs", text=f"our note on it names {noted}: it is put right")
    if known:
        return Reason(code="note-gone", text="it does not carry our note any more: it is put back")
    return Reason(code="adopt", text="it does not carry our note yet: it is taken over")


def without_room(target: DesiredTarget, live: LiveTarget) -> bool:
    """Whether our note of what a target is to serve can't be put on it."""
    needed = note_length([str(use.version) for use in target.bindings])
    return live.exists and live.marker_room is not None and live.marker_room < needed


def needs_refresh(
    target: DesiredTarget, live: LiveTarget, ignored_settings: Mapping[str, Scalar]
) -> tuple[bool, tuple[Reason, ...]]:
    """Whether a target has to be made of what its default endpoint is made of by now, and what to say if it is not.

    A service that answers 304, or never moves ``Version`` (classic-protocol 1.8), would be asked in each pass: what was
    asked for in vain is asked for again after the next republish alone.
    """
    if not target.refresh or not live.exists or live.stale is False:
        return False, ()
    if live.stale is None:
        text = "the service does not show what it and its default endpoint were made of, so it is not refreshed"
        return False, (Reason(code="refresh-unknown", text=text),)
    if live.published and ignored_settings.get(VERSION) == live.published:
        text = f"it was refreshed and still shows an older {VERSION} than its default endpoint: not refreshed again"
        return False, (Reason(code="refresh-in-vain", text=text),)
    return True, ()


def gate_reason(gate: GateResult) -> Reason:
    """Why a gate holds a target."""
    return Reason(code=f"gate-{gate.outcome}", text=f"{gate.rule}: {gate.text}")


def ignored_setting(difference: Difference) -> Reason:
    """That a setting is not asked for again."""
    asked = f"{difference.field} {scalar(difference.new)}"
    text = f"the service accepted {asked} before and did not show it: not asked again"
    return Reason(code="not-taken", text=text)

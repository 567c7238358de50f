"""Reasons beside those of the decision itself, and whether the ownership marker has to be written."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.plan.assessment import TargetAssessment
from reconciler.plan.document import Difference, GateResult, Reason
from reconciler.plan.states import DesiredTarget, LiveTarget, Marker, Problem, Scalar
from reconciler.plan.text import scalar
from reconciler.spec.documents.rules import note_length

NO_ROOM = Problem(
    "no-room-for-note",
    "The description or the tags have no room for the ownership marker",
    "Shorten the description, or remove tags that are not needed",
)
VERSION = "Version"
"""The member by which a Classic endpoint shows which publication of its experiment it has (classic-protocol 1.5)."""


def missing_marker(case: TargetAssessment, *, known: bool) -> Reason | None:
    """Return why the ownership marker has to be written on a target that is in sync; None if it has not, or cannot be.

    A target with the marker is managed (design 5.7), so writing the marker adopts a target that was made by hand. The
    reason `NO_ROOM` says that there is no room for the marker. A version without a fingerprint cannot be marked, and a
    target whose model is not managed is left unchanged if it may be a training service. ``known`` says whether the
    target was converged before.
    """
    target, live = case.target, case.live
    if not live.exists or live.read_only or (not target.bindings and not live.resources):
        return None
    found = [(version.key, version.expected_fingerprint) for version in case.versions]
    markers = tuple(Marker.of(version, fingerprint) for version, fingerprint in found if fingerprint is not None)
    if len(markers) < len(found) or live.markers == markers != () or (not markers and (live.managed or live.markers)):
        return None
    if without_room(target, live):
        return Reason(code=NO_ROOM.code, text=f"{NO_ROOM.message}, so the target is not adopted")
    if live.markers:
        noted = ", ".join(str(marker.version) for marker in live.markers)
        return Reason(code="note-differs", text=f"The ownership marker names {noted}; it will be updated")
    if known:
        return Reason(code="note-gone", text="The ownership marker was removed; it will be restored")
    return Reason(code="adopt", text="Not managed by reconciler yet; the ownership marker will be added")


def without_room(target: DesiredTarget, live: LiveTarget) -> bool:
    """Return whether a target has no room for the marker of what it should serve."""
    needed = note_length([str(use.version) for use in target.bindings])
    return live.exists and live.marker_room is not None and live.marker_room < needed


def needs_refresh(
    target: DesiredTarget, live: LiveTarget, ignored_settings: Mapping[str, Scalar]
) -> tuple[bool, tuple[Reason, ...]]:
    """Return whether a target has to be refreshed from its default endpoint, and the reason where it is not.

    A service that answers 304, or never changes ``Version`` (classic-protocol 1.8), would be asked in each pass. So a
    refresh that changed nothing is tried again only after the next publication.
    """
    if not target.refresh or not live.exists or live.stale is False:
        return False, ()
    if live.stale is None:
        text = (
            "The service does not show whether the endpoint is older than its default endpoint, so it is not refreshed"
        )
        return False, (Reason(code="refresh-unknown", text=text),)
    if live.published and ignored_settings.get(VERSION) == live.published:
        text = f"A refresh did not bring {VERSION} up to that of the default endpoint, so it is not repeated"
        return False, (Reason(code="refresh-in-vain", text=text),)
    return True, ()


def gate_reason(gate: GateResult) -> Reason:
    """Return why a gate holds a target."""
    return Reason(code=f"gate-{gate.outcome}", text=f"{gate.rule}: {gate.text}")


def ignored_setting(difference: Difference) -> Reason:
    """Return the reason that a setting which the service ignored is not written again."""
    asked = f"{difference.field} {scalar(difference.new)}"
    text = f"The service accepted {asked} before but did not apply it, so it is not written again"
    return Reason(code="not-taken", text=text)

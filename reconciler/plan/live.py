"""The live version of a target, with its evidence.

Only a New web service always shows its artifact; a Classic endpoint may show none (classic-protocol 1.5). Three weaker
traces are weighed then: the ownership marker on the target, what the state store records, and whether the target still
answers its probe as it did when it was converged. What they leave open is unknown; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.plan.document import Reason
from reconciler.plan.states import (
    Converged,
    DesiredTarget,
    DesiredVersion,
    Evidence,
    Ledger,
    LiveBinding,
    LiveTarget,
    Marker,
    Proof,
    Served,
    VersionKey,
)
from reconciler.plan.text import bare_uri, short_fingerprint


@dataclass(frozen=True, slots=True)
class LiveVersion:
    """What is live on one resource of a target.

    Attributes:
        version: The version, if it is a known one.
        text: The same for people: ``model@label``, the bare uri of an unknown artifact, or None.
        evidence: What the statement rests on.
        in_sync: Whether that is the desired version, whatever the settings are.
        drifted: Whether the resource was converged to what the spec still wants, and serves something else now.
        reasons: Why it is not in sync, or remarks if it is.
    """

    version: VersionKey | None
    text: str | None
    evidence: Evidence
    in_sync: bool = False
    drifted: bool = False
    reasons: tuple[Reason, ...] = ()


def versions_by_uri(versions: Iterable[DesiredVersion], ledger: Ledger) -> dict[str, VersionKey]:
    """Return the desired and recorded versions by the uri of their artifact."""
    found = {known.location.uri: key for key, known in sorted(ledger.versions.items()) if known.location is not None}
    for version in sorted(versions, key=lambda version: version.key):
        if version.location is not None:
            found.setdefault(version.location.uri, version.key)
    return found


def find_live_versions(
    target: DesiredTarget,
    wanted: Mapping[VersionKey, DesiredVersion],
    live: LiveTarget,
    converged: Converged | None,
    versions_by_uri: Mapping[str, VersionKey],
) -> tuple[LiveVersion, ...]:
    """Return what is live on a target, for each of its bindings in their order.

    Args:
        target: What the spec says of it.
        wanted: The versions that the target should serve.
        live: What was observed.
        converged: What the target was last converged to, if ever.
        versions_by_uri: Versions by the uri of their artifact (`versions_by_uri`).
    """
    same = _same_answers(live, converged)
    records = [None if converged is None else converged.served(use.resource) for use in target.bindings]
    at = None if converged is None else converged.at
    traces = [
        _Traces(marker, record, at, same) for marker, record in zip(_markers_of(target, live), records, strict=True)
    ]
    if same is False:
        # The answers come from all models of the target together. Where the marker names another version for one of
        # them than the record, a run was killed between moving and recording it: the answers then say nothing about the
        # others.
        moved = [each.contradict for each in traces]
        traces = [
            replace(each, same_answers=None) if any(moved[:index] + moved[index + 1 :]) else each
            for index, each in enumerate(traces)
        ]
    return tuple(
        _understand_one(wanted[use.version], live, use.resource, each, versions_by_uri)
        for use, each in zip(target.bindings, traces, strict=True)
    )


def live_words(found: Sequence[LiveVersion], live: LiveTarget) -> str | None:
    """Return what is live on a target, for people; None if all of it is unknown."""
    if all(one.text is None for one in found):
        return "present" if live.exists and not found else None
    return ", ".join(one.text or "unknown" for one in found)


def weakest(found: Sequence[LiveVersion]) -> Evidence:
    """Return the weakest evidence, which is that of the whole statement about a target."""
    strongest_first = list(Evidence)
    # Without a managed model: the service itself shows that the target exists, and its settings.
    return max((one.evidence for one in found), key=strongest_first.index, default=Evidence.LOCATION)


@dataclass(frozen=True, slots=True)
class _Traces:
    """The traces of one resource's version beside what the service shows."""

    marker: Marker | None
    record: Served | None
    """What the resource was last converged to."""
    at: datetime | None
    """When that was."""
    same_answers: bool | None
    """Whether the target's answers are the recorded ones; None where they say nothing about this resource."""

    @property
    def agree(self) -> bool:
        """Whether the marker names the recorded version."""
        if self.marker is None or self.record is None:
            return False
        return self.marker.names(self.record.version, self.record.fingerprint)

    @property
    def contradict(self) -> bool:
        """Whether the marker names another version than the recorded one."""
        return self.marker is not None and self.record is not None and not self.agree


def _markers_of(target: DesiredTarget, live: LiveTarget) -> list[Marker | None]:
    """Return each binding's part of the marker: the one at its place if that names its model, else the only one.

    The marker was written for the bindings that the spec had then, in the order of their resources. A part that names
    another model belongs to the binding at its place only if no other binding matches it: then that binding had another
    model before.
    """
    models = [use.version.model for use in target.bindings]
    left = list(live.markers)
    same_uses = len(left) == len(models)
    found: list[Marker | None] = [None] * len(models)
    for index, model in enumerate(models):
        if same_uses and live.markers[index].version.model == model:
            found[index] = live.markers[index]
            left.remove(live.markers[index])
    for index, model in enumerate(models):
        named = [marker for marker in left if marker.version.model == model]
        if found[index] is None and len(named) == 1:
            found[index] = named[0]
            left.remove(named[0])
    if same_uses:
        for index, marker in enumerate(live.markers):
            if found[index] is None and marker in left:
                found[index] = marker
                left.remove(marker)
    return found


def _same_answers(live: LiveTarget, converged: Converged | None) -> bool | None:
    """Return whether a target answers as recorded when it was converged; None where that says nothing."""
    if converged is None or live.answers is None or converged.answers is None:
        return None
    if live.answers != converged.answers:
        return False
    # Not confirmed then: the model before gave the same answers, so equal answers do not distinguish the two.
    return True if converged.proof is Proof.PROVEN else None


def _understand_one(
    wanted: DesiredVersion,
    live: LiveTarget,
    resource: str,
    traces: _Traces,
    versions_by_uri: Mapping[str, VersionKey],
) -> LiveVersion:
    # A difference is drift if the store records that this very version was converged here: then somebody else made the
    # difference. Otherwise the spec changed.
    record = traces.record
    expected = record is not None and wanted.is_made_as(record.version, record.fingerprint)
    shown = live.shown(resource)
    if not live.exists:
        word = "was removed outside reconciler" if expected else "does not exist"
        found = LiveVersion(None, None, Evidence.UNKNOWN, reasons=(Reason(code="absent", text=f"The target {word}"),))
    elif shown.location is not None or shown.uri is not None:
        found = _by_location(wanted, shown, record, versions_by_uri)
        if not found.in_sync and traces.marker is None and record is None:
            adopted = Reason(code="adopt", text="Not managed by reconciler yet; the target will be adopted")
            found = replace(found, reasons=(*found.reasons, adopted))
    elif record is None:
        found = _by_marker_alone(wanted, traces.marker)
    else:
        found = _by_traces(wanted, traces, record)
    if expected and not found.in_sync:
        found = replace(found, drifted=True)
    if found.in_sync or (found.reasons and (found.version is None or found.version == wanted.key)):
        return found
    if found.version == wanted.key:
        text = f"Serves another recipe of this label; the spec wants {short_fingerprint(wanted.expected_fingerprint)}"
        return replace(found, reasons=(Reason(code="other-recipe", text=text),))
    if found.drifted:
        text = f"Changed outside reconciler: now serves {found.version}"
        return replace(found, reasons=(*found.reasons, Reason(code="moved", text=text)))
    text = f"The spec wants {wanted.key}"
    return replace(found, reasons=(Reason(code="version", text=text), *found.reasons))


def _by_location(
    wanted: DesiredVersion, shown: LiveBinding, record: Served | None, versions_by_uri: Mapping[str, VersionKey]
) -> LiveVersion:
    """Return the version of the artifact that the service shows, whatever the marker and the record say.

    The artifact may be a copy that the service made (classic-protocol 1.5): then it lies where it lay when the target
    was converged.
    """
    uri = bare_uri(shown.location.uri if shown.location is not None else shown.uri or "")
    # Whole uris are compared: the same place may be split into base and relative part in more than one way.
    location = wanted.expected_location
    in_sync = location is not None and uri == bare_uri(location.uri)
    version = wanted.key if in_sync else versions_by_uri.get(uri)
    if version is None and record is not None and record.location is not None and uri == bare_uri(record.location.uri):
        version, in_sync = record.version, wanted.is_made_as(record.version, record.fingerprint)
    text = str(version) if version is not None else uri
    reasons: tuple[Reason, ...] = ()
    if version is None:
        foreign = f"The target serves an artifact that is not a known version: {uri}"
        reasons = (Reason(code="foreign-location", text=foreign),)
    elif version == wanted.key and not in_sync:
        reasons = (Reason(code="other-artefact", text="The target serves another artifact of the same label"),)
    return LiveVersion(version, text, Evidence.LOCATION, in_sync, reasons=reasons)


def _by_traces(wanted: DesiredVersion, traces: _Traces, record: Served) -> LiveVersion:
    """Weigh the probe, then the marker, then the record, where the service shows no artifact."""
    if traces.same_answers:
        return _by_equal_answers(wanted, traces, record)
    if traces.same_answers is False and not traces.contradict:
        # The marker survives a patch of the model alone, so it does not speak for changed answers.
        text = f"The probe's answers differ from those of {record.version}, recorded on {traces.at:%Y-%m-%d}"
        return LiveVersion(None, None, Evidence.PROBE, reasons=(Reason(code="answers-differ", text=text),))
    return _by_marker_and_ledger(wanted, traces, record)


def _by_equal_answers(wanted: DesiredVersion, traces: _Traces, record: Served) -> LiveVersion:
    in_sync = wanted.is_made_as(record.version, record.fingerprint)
    reasons: tuple[Reason, ...] = ()
    if traces.marker is None:
        # The description was rewritten, and the answers show that the model is unchanged: the marker is restored.
        text = f"The ownership marker was removed, but the target answers as {record.version} did"
        reasons = (Reason(code="marker-missing", text=text),)
    elif traces.contradict:
        # Two traces contradict each other. Repointing again is cheap and makes them agree.
        in_sync = False
        text = f"The ownership marker names {_marked(traces.marker)}, but the target answers as {record.version} did"
        reasons = (Reason(code="marker-differs", text=text),)
    return LiveVersion(record.version, str(record.version), Evidence.PROBE, in_sync, reasons=reasons)


def _by_marker_and_ledger(wanted: DesiredVersion, traces: _Traces, record: Served) -> LiveVersion:
    marker = traces.marker
    if marker is None:
        text = f"The ownership marker was removed; the state store records {record.version} of {traces.at:%Y-%m-%d}"
        reason = Reason(code="marker-missing", text=text)
        return LiveVersion(record.version, str(record.version), Evidence.LEDGER, reasons=(reason,))
    if traces.agree:
        in_sync = wanted.is_made_as(record.version, record.fingerprint)
        return LiveVersion(marker.version, str(marker.version), Evidence.MARKER, in_sync)
    if marker.names(wanted.key, wanted.expected_fingerprint):
        # A run was killed between the update and its record, or a run with another store moved the target. Repointing
        # again is cheap, and without a recorded verification later drift could not be seen.
        reason = _unconfirmed(marker)
    else:
        text = f"The ownership marker names {_marked(marker)}, the state store {record.version}"
        reason = Reason(code="marker-differs", text=text)
    return LiveVersion(marker.version, str(marker.version), Evidence.MARKER, reasons=(reason,))


def _by_marker_alone(wanted: DesiredVersion, marker: Marker | None) -> LiveVersion:
    if marker is None:
        reason = Reason(code="adopt", text="The served version is unknown; the target will be adopted")
        return LiveVersion(None, None, Evidence.UNKNOWN, reasons=(reason,))
    found = LiveVersion(marker.version, str(marker.version), Evidence.MARKER)
    if not marker.names(wanted.key, wanted.expected_fingerprint):
        return found
    if wanted.recorded:
        # The store has the version and no record of the target: that move was never finished.
        return replace(found, reasons=(_unconfirmed(marker),))
    return replace(found, in_sync=True)


def _unconfirmed(marker: Marker) -> Reason:
    return Reason(
        code="unconfirmed", text=f"The ownership marker names {marker.version}, but the update was never verified"
    )


def _marked(marker: Marker) -> str:
    return f"{marker.version} ({short_fingerprint(marker.fingerprint)})"

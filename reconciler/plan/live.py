"""What is live on a target, as far as it can be known, and on what that rests.

Only a New web service always shows its artifact; a Classic endpoint may show none (classic-protocol 1.5).
Then three weaker things are weighed: our marker on the target, what the ledger remembers, and whether the
target still answers its probe as it did when it was converged. What they leave open stays unknown; it is
never guessed.
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
        version: The version, if it is one that we know.
        text: The same for people: ``model@label``, the bare uri of something foreign, or None.
        evidence: On what it rests.
        in_sync: Whether that is the wanted version (the settings are another matter).
        drifted: Whether it had been converged to what the spec still wants, and no longer is.
        reasons: Why it is not in sync; notes if it is.
    """

    version: VersionKey | None
    text: str | None
    evidence: Evidence
    in_sync: bool = False
    drifted: bool = False
    reasons: tuple[Reason, ...] = ()


def versions_by_uri(versions: Iterable[DesiredVersion], ledger: Ledger) -> dict[str, VersionKey]:
    """Which version lies at which uri, of those that are wanted or remembered."""
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
    """Say what is live on a target: for each of its uses, in their order.

    Args:
        target: What the spec says of it.
        wanted: The versions that it should serve.
        live: What was observed.
        converged: What it was last brought to, if ever.
        versions_by_uri: Versions by the uri of their artifact (`versions_by_uri`).
    """
    same = _same_answers(live, converged)
    records = [None if converged is None else converged.served(use.resource) for use in target.bindings]
    at = None if converged is None else converged.at
    traces = [
        _Traces(marker, record, at, same) for marker, record in zip(_markers_of(target, live), records, strict=True)
    ]
    if same is False:
        # The answers are those of all its models together. Where our note on one of them names another version than
        # the record, a run of ours moved that one and did not live to record it: the answers then tell nothing of the
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
    """What is live on a target as people read it; None if nothing is known."""
    if all(one.text is None for one in found):
        return "present" if live.exists and not found else None
    return ", ".join(one.text or "unknown" for one in found)


def weakest(found: Sequence[LiveVersion]) -> Evidence:
    """On what the whole statement about a target rests."""
    strongest_first = list(Evidence)
    # That it is there, and its settings, the service itself shows.
    return max((one.evidence for one in found), key=strongest_first.index, default=Evidence.LOCATION)


@dataclass(frozen=True, slots=True)
class _Traces:
    """What speaks of one resource beside what the service shows of it."""

    marker: Marker | None
    record: Served | None
    """What it was last brought to."""
    at: datetime | None
    """When that was."""
    same_answers: bool | None
    """Whether the target's answers are those on record; None where they say nothing of this resource."""

    @property
    def agree(self) -> bool:
        """Whether the marker names what is on record."""
        if self.marker is None or self.record is None:
            return False
        return self.marker.names(self.record.version, self.record.fingerprint)

    @property
    def contradict(self) -> bool:
        """Whether the marker names something else than what is on record."""
        return self.marker is not None and self.record is not None and not self.agree


def _markers_of(target: DesiredTarget, live: LiveTarget) -> list[Marker | None]:
    """The part of our note that is about each use: at its place if that names its model, else the only one that does.

    The note was written for the uses that the spec had then, in the order of their resources. A place that names
    another model is taken for its use only if no other use has a claim to it: then the use had another model before.
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
    """Whether a target's answers are those recorded when it was converged; None where they say nothing."""
    if converged is None or live.answers is None or converged.answers is None:
        return None
    if live.answers != converged.answers:
        return False
    # Accepted only: the model before it gave the same answers, so equal ones do not tell the two apart.
    return True if converged.proof is Proof.PROVEN else None


def _understand_one(
    wanted: DesiredVersion,
    live: LiveTarget,
    resource: str,
    traces: _Traces,
    versions_by_uri: Mapping[str, VersionKey],
) -> LiveVersion:
    # "Expected" is the ground of drift: if the ledger says that this very version was brought here, then any
    # difference was made by someone else. If not, the spec moved and a difference is no surprise.
    record = traces.record
    expected = record is not None and wanted.is_made_as(record.version, record.fingerprint)
    shown = live.shown(resource)
    if not live.exists:
        word = "was removed" if expected else "does not exist"
        found = LiveVersion(None, None, Evidence.UNKNOWN, reasons=(Reason(code="absent", text=f"it {word}"),))
    elif shown.location is not None or shown.uri is not None:
        found = _by_location(wanted, shown, record, versions_by_uri)
        if not found.in_sync and traces.marker is None and record is None:
            adopted = Reason(code="adopt", text="it does not carry our note yet: it is taken over")
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
        text = f"it serves another recipe of that label; wanted is {short_fingerprint(wanted.expected_fingerprint)}"
        return replace(found, reasons=(Reason(code="other-recipe", text=text),))
    if found.drifted:
        text = f"it was moved to {found.version} behind our back"
        return replace(found, reasons=(*found.reasons, Reason(code="moved", text=text)))
    text = f"the spec wants {wanted.key}"
    return replace(found, reasons=(Reason(code="version", text=text), *found.reasons))


def _by_location(
    wanted: DesiredVersion, shown: LiveBinding, record: Served | None, versions_by_uri: Mapping[str, VersionKey]
) -> LiveVersion:
    """The service shows its artifact. That is the truth, whatever the marker and the ledger say.

    It may be a copy that the service made (classic-protocol 1.5): then it is the place that it was seen at when the
    target was converged.
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
        foreign = f"it serves an artifact that is no version known here: {uri}"
        reasons = (Reason(code="foreign-location", text=foreign),)
    elif version == wanted.key and not in_sync:
        reasons = (Reason(code="other-artefact", text="it serves another artifact of the same label"),)
    return LiveVersion(version, text, Evidence.LOCATION, in_sync, reasons=reasons)


def _by_traces(wanted: DesiredVersion, traces: _Traces, record: Served) -> LiveVersion:
    """The service shows no artifact: weigh the probe, then the marker, then the ledger."""
    if traces.same_answers:
        return _by_equal_answers(wanted, traces, record)
    if traces.same_answers is False and not traces.contradict:
        # The marker survives a patch of the model alone, so it can't speak for what answers differently now.
        text = f"its answers differ from those recorded on {traces.at:%Y-%m-%d}, when it served {record.version}"
        return LiveVersion(None, None, Evidence.PROBE, reasons=(Reason(code="answers-differ", text=text),))
    return _by_marker_and_ledger(wanted, traces, record)


def _by_equal_answers(wanted: DesiredVersion, traces: _Traces, record: Served) -> LiveVersion:
    in_sync = wanted.is_made_as(record.version, record.fingerprint)
    reasons: tuple[Reason, ...] = ()
    if traces.marker is None:
        # The description was rewritten, and the answers show that the model was not touched: our note is put back.
        text = f"our note is gone from it, but it answers as {record.version} did"
        reasons = (Reason(code="marker-missing", text=text),)
    elif traces.contradict:
        # Two traces contradict each other. Pointing it there again is cheap and makes them agree.
        in_sync = False
        text = f"our note on it names {_marked(traces.marker)}, but it answers as {record.version} did"
        reasons = (Reason(code="marker-differs", text=text),)
    return LiveVersion(record.version, str(record.version), Evidence.PROBE, in_sync, reasons=reasons)


def _by_marker_and_ledger(wanted: DesiredVersion, traces: _Traces, record: Served) -> LiveVersion:
    marker = traces.marker
    if marker is None:
        text = f"our note is gone from it; the ledger remembers {record.version} of {traces.at:%Y-%m-%d}"
        reason = Reason(code="marker-missing", text=text)
        return LiveVersion(record.version, str(record.version), Evidence.LEDGER, reasons=(reason,))
    if traces.agree:
        in_sync = wanted.is_made_as(record.version, record.fingerprint)
        return LiveVersion(marker.version, str(marker.version), Evidence.MARKER, in_sync)
    if marker.names(wanted.key, wanted.expected_fingerprint):
        # A run was killed between the update and its record, or another ledger moved it. Doing it again is
        # cheap, and without proof on record a later drift could not be seen.
        reason = _unconfirmed(marker)
    else:
        text = f"our note on it names {_marked(marker)}, the ledger {record.version}"
        reason = Reason(code="marker-differs", text=text)
    return LiveVersion(marker.version, str(marker.version), Evidence.MARKER, reasons=(reason,))


def _by_marker_alone(wanted: DesiredVersion, marker: Marker | None) -> LiveVersion:
    if marker is None:
        reason = Reason(code="adopt", text="nothing tells what it serves; it is taken over")
        return LiveVersion(None, None, Evidence.UNKNOWN, reasons=(reason,))
    found = LiveVersion(marker.version, str(marker.version), Evidence.MARKER)
    if not marker.names(wanted.key, wanted.expected_fingerprint):
        return found
    if wanted.recorded:
        # The ledger made this version and yet has no record of the target: that move was never finished.
        return replace(found, reasons=(_unconfirmed(marker),))
    return replace(found, in_sync=True)


def _unconfirmed(marker: Marker) -> Reason:
    return Reason(code="unconfirmed", text=f"our note names {marker.version}, but no record of that move has proof")


def _marked(marker: Marker) -> str:
    return f"{marker.version} ({short_fingerprint(marker.fingerprint)})"

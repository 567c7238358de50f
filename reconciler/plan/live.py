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
from typing import Self

from reconciler.plan.document import Reason
from reconciler.plan.states import (
    Converged,
    DesiredTarget,
    DesiredVersion,
    Evidence,
    Ledger,
    LiveBinding,
    LiveTarget,
    Location,
    Marker,
    Proof,
    VersionKey,
    VersionState,
)
from reconciler.plan.text import bare_uri, short_fingerprint


@dataclass(frozen=True, slots=True)
class Wanted:
    """The version that a target should serve: what identifies it, and whether it can be served already.

    ``recorded`` is true when the ledger has it as usable, so that a target which shows it was moved by this
    ledger.
    """

    key: VersionKey
    fingerprint: str | None
    location: Location | None
    recorded: bool = False


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


def wanted_version(desired: DesiredVersion, ledger: Ledger) -> Wanted:
    """What identifies a wanted version; the ledger fills in what can't be computed any more."""
    known = ledger.versions.get(desired.key)
    usable = known is not None and known.state is VersionState.USABLE
    fingerprint, location = desired.fingerprint, desired.location
    if known is not None and usable:
        fingerprint = fingerprint or known.fingerprint
        location = known.location or location
    return Wanted(desired.key, fingerprint, location, recorded=usable)


def versions_by_uri(versions: Iterable[DesiredVersion], ledger: Ledger) -> dict[str, VersionKey]:
    """Which version lies at which uri, of those that are wanted or remembered."""
    found = {known.location.uri: key for key, known in sorted(ledger.versions.items()) if known.location is not None}
    for version in sorted(versions, key=lambda version: version.key):
        if version.location is not None:
            found.setdefault(version.location.uri, version.key)
    return found


def find_live_versions(
    target: DesiredTarget,
    wanted: Mapping[VersionKey, Wanted],
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
    markers = _markers_of(target, live)
    records = [_Record.of(converged, use.resource) for use in target.bindings]
    # The answers are those of all its models together. Where our note on one of them names another version than the
    # record, a run of ours moved that one and did not live to record it: the answers then tell nothing of the others.
    moved = [
        record is not None and marker is not None and not _is_of(marker, record)
        for marker, record in zip(markers, records, strict=True)
    ]
    return tuple(
        _understand_one(
            wanted[use.version],
            _Seen.of(live, use.resource, marker, moved_beside=any(moved[:index] + moved[index + 1 :])),
            record,
            versions_by_uri,
        )
        for index, (use, marker, record) in enumerate(zip(target.bindings, markers, records, strict=True))
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
class _Seen:
    """What was observed of one resource of a target."""

    exists: bool
    location: Location | None
    uri: str | None
    marker: Marker | None
    answers: str | None
    moved_beside: bool
    """Whether another of its resources was moved without a record, so that its answers say nothing of this one."""

    @classmethod
    def of(cls, live: LiveTarget, resource: str, marker: Marker | None, *, moved_beside: bool) -> Self:
        bound = live.bound.get(resource, LiveBinding())
        return cls(live.exists, bound.location, bound.uri, marker, live.answers, moved_beside)


@dataclass(frozen=True, slots=True)
class _Record:
    """What one resource was last brought to, with what holds of the whole target."""

    version: VersionKey
    fingerprint: str
    location: Location | None
    proof: Proof
    at: datetime
    answers: str | None

    @classmethod
    def of(cls, converged: Converged | None, resource: str) -> Self | None:
        served = None if converged is None else converged.served(resource)
        if converged is None or served is None:
            return None
        return cls(
            served.version, served.fingerprint, served.location, converged.proof, converged.at, converged.answers
        )


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


def _understand_one(
    wanted: Wanted, live: _Seen, converged: _Record | None, versions_by_uri: Mapping[str, VersionKey]
) -> LiveVersion:
    # "Expected" is the ground of drift: if the ledger says that this very version was brought here, then any
    # difference was made by someone else. If not, the spec moved and a difference is no surprise.
    expected = converged is not None and _same_recipe(converged.version, converged.fingerprint, wanted)
    if not live.exists:
        word = "was removed" if expected else "does not exist"
        found = LiveVersion(None, None, Evidence.UNKNOWN, reasons=(Reason(code="absent", text=f"it {word}"),))
    elif live.location is not None or live.uri is not None:
        found = _by_location(wanted, live, converged, versions_by_uri)
        if not found.in_sync and live.marker is None and converged is None:
            adopted = Reason(code="adopt", text="it does not carry our note yet: it is taken over")
            found = replace(found, reasons=(*found.reasons, adopted))
    else:
        found = _by_traces(wanted, live, converged)
    if expected and not found.in_sync:
        found = replace(found, drifted=True)
    if found.in_sync or (found.reasons and (found.version is None or found.version == wanted.key)):
        return found
    if found.version == wanted.key:
        text = f"it serves another recipe of that label; wanted is {short_fingerprint(wanted.fingerprint)}"
        return replace(found, reasons=(Reason(code="other-recipe", text=text),))
    if found.drifted:
        text = f"it was moved to {found.version} behind our back"
        return replace(found, reasons=(*found.reasons, Reason(code="moved", text=text)))
    text = f"the spec wants {wanted.key}"
    return replace(found, reasons=(Reason(code="version", text=text), *found.reasons))


def _same_recipe(version: VersionKey, fingerprint: str, wanted: Wanted) -> bool:
    if version != wanted.key:
        return False
    # Without a fingerprint on the wanted side the label is all that there is to compare.
    return wanted.fingerprint is None or fingerprint == wanted.fingerprint


def _marks(marker: Marker, wanted: Wanted) -> bool:
    if marker.version != wanted.key or not marker.fingerprint:
        return False
    return wanted.fingerprint is None or wanted.fingerprint.startswith(marker.fingerprint)


def _by_location(
    wanted: Wanted, live: _Seen, converged: _Record | None, versions_by_uri: Mapping[str, VersionKey]
) -> LiveVersion:
    """The service shows its artifact. That is the truth, whatever the marker and the ledger say.

    It may be a copy that the service made (classic-protocol 1.5): then it is the place that it was seen at when the
    target was converged.
    """
    shown = bare_uri(live.location.uri if live.location is not None else live.uri or "")
    # Whole uris are compared: the same place may be split into base and relative part in more than one way.
    in_sync = wanted.location is not None and shown == bare_uri(wanted.location.uri)
    version = wanted.key if in_sync else versions_by_uri.get(shown)
    seen = converged.location if converged is not None else None
    if version is None and converged is not None and seen is not None and shown == bare_uri(seen.uri):
        version, in_sync = converged.version, _same_recipe(converged.version, converged.fingerprint, wanted)
    text = str(version) if version is not None else shown
    reasons: tuple[Reason, ...] = ()
    if version is None:
        foreign = f"it serves an artifact that is no version known here: {shown}"
        reasons = (Reason(code="foreign-location", text=foreign),)
    elif version == wanted.key and not in_sync:
        reasons = (Reason(code="other-artefact", text="it serves another artifact of the same label"),)
    return LiveVersion(version, text, Evidence.LOCATION, in_sync, reasons=reasons)


def _by_traces(wanted: Wanted, live: _Seen, converged: _Record | None) -> LiveVersion:
    """The service shows no artifact: weigh the probe, then the marker, then the ledger."""
    if converged is None:
        return _by_marker_alone(wanted, live.marker)
    agrees = live.marker is not None and _is_of(live.marker, converged)
    match _probe_verdict(live, converged):
        case True:
            return _by_equal_answers(wanted, live.marker, converged, agrees=agrees)
        case False if not live.moved_beside and (live.marker is None or agrees):
            # The marker survives a patch of the model alone, so it can't speak for what answers differently
            # now.
            text = (
                f"its answers differ from those recorded on {converged.at:%Y-%m-%d}, when it served {converged.version}"
            )
            return LiveVersion(None, None, Evidence.PROBE, reasons=(Reason(code="answers-differ", text=text),))
        case _:
            return _by_marker_and_ledger(wanted, live.marker, converged, agrees=agrees)


def _probe_verdict(live: _Seen, converged: _Record) -> bool | None:
    """True or False: the answers are as recorded, or not. None: they say nothing."""
    if live.answers is None or converged.answers is None:
        return None
    if live.answers != converged.answers:
        return False
    # Accepted only: the model before it gave the same answers, so equal ones do not tell the two apart.
    return True if converged.proof is Proof.PROVEN else None


def _by_equal_answers(wanted: Wanted, marker: Marker | None, converged: _Record, *, agrees: bool) -> LiveVersion:
    in_sync = _same_recipe(converged.version, converged.fingerprint, wanted)
    reasons: tuple[Reason, ...] = ()
    if marker is None:
        # The description was rewritten, and the answers show that the model was not touched: our note is put back.
        text = f"our note is gone from it, but it answers as {converged.version} did"
        reasons = (Reason(code="marker-missing", text=text),)
    elif not agrees:
        # Two traces contradict each other. Pointing it there again is cheap and makes them agree.
        in_sync = False
        text = f"our note on it names {_marked(marker)}, but it answers as {converged.version} did"
        reasons = (Reason(code="marker-differs", text=text),)
    return LiveVersion(converged.version, str(converged.version), Evidence.PROBE, in_sync, reasons=reasons)


def _by_marker_and_ledger(wanted: Wanted, marker: Marker | None, converged: _Record, *, agrees: bool) -> LiveVersion:
    if marker is None:
        text = f"our note is gone from it; the ledger remembers {converged.version} of {converged.at:%Y-%m-%d}"
        reason = Reason(code="marker-missing", text=text)
        return LiveVersion(converged.version, str(converged.version), Evidence.LEDGER, reasons=(reason,))
    if agrees:
        in_sync = _same_recipe(converged.version, converged.fingerprint, wanted)
        return LiveVersion(marker.version, str(marker.version), Evidence.MARKER, in_sync)
    if _marks(marker, wanted):
        # A run was killed between the update and its record, or another ledger moved it. Doing it again is
        # cheap, and without proof on record a later drift could not be seen.
        reason = Reason(
            code="unconfirmed", text=f"our note names {marker.version}, but no record of that move has proof"
        )
    else:
        text = f"our note on it names {_marked(marker)}, the ledger {converged.version}"
        reason = Reason(code="marker-differs", text=text)
    return LiveVersion(marker.version, str(marker.version), Evidence.MARKER, reasons=(reason,))


def _by_marker_alone(wanted: Wanted, marker: Marker | None) -> LiveVersion:
    if marker is None:
        reason = Reason(code="adopt", text="nothing tells what it serves; it is taken over")
        return LiveVersion(None, None, Evidence.UNKNOWN, reasons=(reason,))
    found = LiveVersion(marker.version, str(marker.version), Evidence.MARKER)
    if not _marks(marker, wanted):
        return found
    if wanted.recorded:
        # The ledger made this version and yet has no record of the target: that move was never finished.
        text = f"our note names {marker.version}, but no record of that move has proof"
        return replace(found, reasons=(Reason(code="unconfirmed", text=text),))
    return replace(found, in_sync=True)


def _is_of(marker: Marker, converged: _Record) -> bool:
    if marker.version != converged.version or not marker.fingerprint:
        return False
    return converged.fingerprint.startswith(marker.fingerprint)


def _marked(marker: Marker) -> str:
    return f"{marker.version} ({short_fingerprint(marker.fingerprint)})"

"""Our note on a live target: which version we last pointed it to.

A Classic endpoint carries it as the end of its ``Description`` (patchable, at most 2000 characters: classic-protocol
1.5, 1.7), a New web service as tags. It is ownership, not proof: whoever patches the model behind our back leaves the
note as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reconciler.azure.definition_members import member, spelling
from reconciler.plan.states import Marker, VersionKey
from reconciler.spec.rules import OUR_TAGS
from reconciler.targets.contract import Artefact

DESCRIPTION_LIMIT = 2000
SHORT_FINGERPRINT = 12

_ONE = r"[A-Za-z0-9._-]+@[A-Za-z0-9._-]+ [0-9a-f]{12}"
_IN_DESCRIPTION = re.compile(rf"\s*\[reconciler: (?P<notes>{_ONE}(?:, {_ONE})*)\]\s*$")
_TAG_VERSION = "reconciler-version"
_TAG_FINGERPRINT = "reconciler-fingerprint"
_TAG_MADE = "reconciler-made"


class TooLong(ValueError):
    """A description leaves no room for the marker. The message says how long it may be."""


def marker_for(version: VersionKey, fingerprint: str) -> Marker:
    """The marker of a version whose recipe has this fingerprint (64 hex digits)."""
    return Marker(version, fingerprint[:SHORT_FINGERPRINT])


def markers_for(artefacts: Mapping[str, Artefact]) -> tuple[Marker, ...]:
    """The markers of what a target is to serve, in the order of its resources' names."""
    return tuple(marker_for(artefact.key, artefact.fingerprint) for _, artefact in sorted(artefacts.items()))


def split_description(description: str | None) -> tuple[str, tuple[Marker, ...]]:
    """A Classic ``Description`` as (what people wrote, our markers if there are any)."""
    text = description or ""
    found = _IN_DESCRIPTION.search(text)
    if found is None:
        return text, ()
    return text[: found.start()], tuple(map(_marker, found["notes"].split(", ")))


def _marker(note: str) -> Marker:
    version, _, fingerprint = note.partition(" ")
    model, _, label = version.partition("@")
    return Marker(VersionKey(model, label), fingerprint)


def _notes(markers: Sequence[Marker]) -> str:
    return ", ".join(f"{marker.version} {marker.fingerprint}" for marker in markers)


def marked_description(text: str, markers: Sequence[Marker]) -> str:
    """The ``Description`` that says ``text`` and carries the markers.

    Raises:
        TooLong: there is no room for both; a text that people wrote is never cut.
    """
    if not markers:
        return text.strip()
    note = f"[reconciler: {_notes(markers)}]"
    room = DESCRIPTION_LIMIT - len(note) - 1
    if len(text.strip()) > room:
        raise TooLong(f"its description leaves no room for our marker: shorten it to {room} characters")
    return f"{text.strip()} {note}".lstrip()


def without_ours(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that are not ours."""
    return {name: value for name, value in tags.items() if not name.casefold().startswith(OUR_TAGS)}


def with_tags(tags: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Tags with others among them, each in its own spelling: Azure takes no notice of the casing of their names."""
    folded = {name.casefold() for name in wanted}
    return {**{name: value for name, value in tags.items() if name.casefold() not in folded}, **wanted}


def tags_with_ours(tags: Mapping[str, str], *, made: bool, marked: bool) -> int:
    """How many tags a service has once ours are among them."""
    ours = ({_TAG_MADE} if made else set()) | ({_TAG_VERSION, _TAG_FINGERPRINT} if marked else set())
    return len(ours | {name.casefold() for name in tags})


def markers_of_tags(tags: Mapping[str, str]) -> tuple[Marker, ...]:
    """The markers that a New web service's tags carry, if they do."""
    versions, fingerprints = (str(member(tags, name) or "").split(", ") for name in (_TAG_VERSION, _TAG_FINGERPRINT))
    if len(versions) != len(fingerprints):
        return ()
    notes = [f"{version} {fingerprint}" for version, fingerprint in zip(versions, fingerprints, strict=True)]
    return tuple(map(_marker, notes)) if all(re.fullmatch(_ONE, note) for note in notes) else ()


def is_ours(tags: Mapping[str, str]) -> bool:
    """Whether a New web service's tags say that we made it."""
    return spelling(tags, _TAG_MADE) is not None


def made_tags(tags: Mapping[str, str], target: str, markers: Sequence[Marker]) -> dict[str, str]:
    """The tags of a New web service that we make."""
    made = with_tags(tags, {_TAG_MADE: target})
    return marked_tags(made, markers) if markers else made


def marked_tags(tags: Mapping[str, str], markers: Sequence[Marker]) -> dict[str, str]:
    """All of a New web service's tags with the markers among them.

    The whole map is sent, because it is not known whether a ``PATCH`` merges tags (new-protocol 3).
    """
    ours = {
        _TAG_VERSION: ", ".join(str(marker.version) for marker in markers),
        _TAG_FINGERPRINT: ", ".join(marker.fingerprint for marker in markers),
    }
    return with_tags(tags, ours)

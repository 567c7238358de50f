"""The ownership marker on a live target: it is managed, and was last pointed at this version.

A Classic endpoint carries it as the end of its ``Description`` (patchable, at most 2000 characters: classic-protocol
1.5, 1.7), a New web service as tags. It is ownership, not proof: a patch of the model outside reconciler leaves the
marker as it was. A target whose model is not managed has a marker without versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reconciler.azure.arm.definition import member, spelling
from reconciler.plan.states import Marker, VersionKey
from reconciler.spec.documents.tag_rules import OUR_TAGS
from reconciler.targets.driver import Artifact

DESCRIPTION_LIMIT = 2000
_MANAGED = "managed"
"""The text of a marker that names no version."""
_ONE = r"[A-Za-z0-9._-]+@[A-Za-z0-9._-]+ [0-9a-f]{12}"
_IN_DESCRIPTION = re.compile(rf"\s*\[reconciler: (?:{_MANAGED}|(?P<parts>{_ONE}(?:, {_ONE})*))\]\s*$")
_TAG_VERSION = "reconciler-version"
_TAG_FINGERPRINT = "reconciler-fingerprint"
_TAG_MADE = "reconciler-made"
_TAG_MANAGED = "reconciler-managed"


class TooLong(ValueError):
    """A description leaves no room for the marker. The message says how long it may be."""


class Described(NamedTuple):
    """A Classic ``Description``: what people wrote, and the marker if there is one."""

    text: str
    markers: tuple[Marker, ...] = ()
    managed: bool = False
    """Whether there is one; it need not name a version."""


def markers_for(artifacts: Mapping[str, Artifact]) -> tuple[Marker, ...]:
    """Return the markers of what a target is to serve, in the order of its resources' names."""
    return tuple(Marker.of(artifact.key, artifact.fingerprint) for _, artifact in sorted(artifacts.items()))


def split_description(description: str | None) -> Described:
    """Return a Classic ``Description`` in its parts."""
    text = description or ""
    found = _IN_DESCRIPTION.search(text)
    if found is None:
        return Described(text)
    parts = found["parts"]
    return Described(
        text[: found.start()], () if parts is None else tuple(map(_marker, parts.split(", "))), managed=True
    )


def _marker(part: str) -> Marker:
    version, _, fingerprint = part.partition(" ")
    model, _, label = version.partition("@")
    return Marker(VersionKey(model, label), fingerprint)


def _text_of(markers: Sequence[Marker]) -> str:
    versions = ", ".join(f"{marker.version} {marker.fingerprint}" for marker in markers)
    return f"[reconciler: {versions or _MANAGED}]"


def marked_description(text: str, markers: Sequence[Marker]) -> str:
    """Return the ``Description`` that says ``text`` and ends with the marker.

    Raises:
        TooLong: there is no room for both; a text that people wrote is never cut.
    """
    part = _text_of(markers)
    room = DESCRIPTION_LIMIT - len(part) - 1
    if len(text.strip()) > room:
        raise TooLong(f"The description leaves no room for the ownership marker. Shorten it to {room} characters")
    return f"{text.strip()} {part}".lstrip()


def without_ours(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags without those of the marker."""
    return {name: value for name, value in tags.items() if not name.casefold().startswith(OUR_TAGS)}


def with_tags(tags: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Tags with others among them, each in its own spelling: Azure takes no notice of the casing of their names."""
    folded = {name.casefold() for name in wanted}
    return {**{name: value for name, value in tags.items() if name.casefold() not in folded}, **wanted}


def tag_count_with_marker(tags: Mapping[str, str], *, made: bool, marked: bool) -> int:
    """Return how many tags a service has with those of the marker."""
    marker = {_TAG_VERSION, _TAG_FINGERPRINT} if marked else {_TAG_MANAGED}
    marker |= {_TAG_MADE} if made else set()
    return len(marker | {name.casefold() for name in tags})


def markers_of_tags(tags: Mapping[str, str]) -> tuple[Marker, ...]:
    """Return the markers that a New web service's tags carry, if they do."""
    versions, fingerprints = (str(member(tags, name) or "").split(", ") for name in (_TAG_VERSION, _TAG_FINGERPRINT))
    if len(versions) != len(fingerprints):
        return ()
    parts = [f"{version} {fingerprint}" for version, fingerprint in zip(versions, fingerprints, strict=True)]
    return tuple(map(_marker, parts)) if all(re.fullmatch(_ONE, part) for part in parts) else ()


def is_ours(tags: Mapping[str, str]) -> bool:
    """Whether a New web service's tags have the marker; it need not name a version."""
    marked = any(spelling(tags, name) is not None for name in (_TAG_MADE, _TAG_MANAGED))
    return marked or bool(markers_of_tags(tags))


def carries(tags: Mapping[str, str], markers: Sequence[Marker]) -> bool:
    """Whether a New web service's tags have the marker of these versions; without any, whether they have one."""
    return markers_of_tags(tags) == tuple(markers) if markers else is_ours(tags)


def tags_of_created_service(tags: Mapping[str, str], target: str, markers: Sequence[Marker]) -> dict[str, str]:
    """Return the tags of a New web service that reconciler creates."""
    made = with_tags(tags, {_TAG_MADE: target})
    return tags_with_marker(made, markers) if markers else made


def tags_with_marker(tags: Mapping[str, str], markers: Sequence[Marker]) -> dict[str, str]:
    """Return all of a New web service's tags with those of the marker.

    The whole map is sent, because it is not known whether a ``PATCH`` merges tags (new-protocol 3).
    """
    if not markers:
        return with_tags(tags, {_TAG_MANAGED: "true"})
    marker = {
        _TAG_VERSION: ", ".join(str(marker.version) for marker in markers),
        _TAG_FINGERPRINT: ", ".join(marker.fingerprint for marker in markers),
    }
    return with_tags(tags, marker)

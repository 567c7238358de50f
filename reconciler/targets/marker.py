"""Our note on a live target: which version we last pointed it to.

A Classic endpoint carries it as the end of its ``Description`` (patchable, at most 2000 characters: classic-protocol
1.5, 1.7), a New web service as tags. It is ownership, not proof: whoever patches the model behind our back leaves the
note as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.plan.states import Marker, VersionKey

DESCRIPTION_LIMIT = 2000
SHORT_FINGERPRINT = 12

_IN_DESCRIPTION = re.compile(
    r"\s*\[reconciler: (?P<model>[A-Za-z0-9._-]+)@(?P<label>[A-Za-z0-9._-]+) (?P<fingerprint>[0-9a-f]{12})\]\s*$"
)
_TAG_VERSION = "reconciler-version"
_TAG_FINGERPRINT = "reconciler-fingerprint"


class TooLong(ValueError):
    """A description leaves no room for the marker. The message says how long it may be."""


def marker_for(version: VersionKey, fingerprint: str) -> Marker:
    """The marker of a version whose recipe has this fingerprint (64 hex digits)."""
    return Marker(version, fingerprint[:SHORT_FINGERPRINT])


def split_description(description: str | None) -> tuple[str, Marker | None]:
    """A Classic ``Description`` as (what people wrote, our marker if there is one)."""
    text = description or ""
    found = _IN_DESCRIPTION.search(text)
    if found is None:
        return text, None
    version = VersionKey(found["model"], found["label"])
    return text[: found.start()], Marker(version, found["fingerprint"])


def marked_description(text: str, marker: Marker) -> str:
    """The ``Description`` that says ``text`` and carries the marker.

    Raises:
        TooLong: there is no room for both; a text that people wrote is never cut.
    """
    note = f"[reconciler: {marker.version} {marker.fingerprint}]"
    room = DESCRIPTION_LIMIT - len(note) - 1
    if len(text.strip()) > room:
        raise TooLong(f"its description leaves no room for our marker: shorten it to {room} characters")
    return f"{text.strip()} {note}".lstrip()


def marker_of_tags(tags: Mapping[str, str]) -> Marker | None:
    """The marker that a New web service's tags carry, if they do."""
    model, separator, label = tags.get(_TAG_VERSION, "").partition("@")
    fingerprint = tags.get(_TAG_FINGERPRINT, "")
    if not (separator and model and label and fingerprint):
        return None
    return Marker(VersionKey(model, label), fingerprint)


def marked_tags(tags: Mapping[str, str], marker: Marker) -> dict[str, str]:
    """All of a New web service's tags with the marker among them.

    The whole map is sent, because it is not known whether a ``PATCH`` merges tags (new-protocol 3).
    """
    return {**tags, _TAG_VERSION: str(marker.version), _TAG_FINGERPRINT: marker.fingerprint}

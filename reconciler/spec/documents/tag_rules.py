"""The rules of Azure for tags, and which tags reconciler writes itself."""

from __future__ import annotations

import re

from reconciler.spec.documents.rules import broken, present

OUR_TAGS = "reconciler-"
"""The prefix of the tags that reconciler writes itself."""
TAG_LIMIT = 256
"""Characters of a tag's value in Azure Resource Manager, in which a New web service carries its markers."""
TAG_NAME_LIMIT = 512
TAGS_LIMIT = 50
"""Tags of one resource, including the marker's (Azure documentation, "Tag resources", limitations)."""
_NOT_IN_TAG_NAMES = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")


def tag_name(value: str) -> str:
    """Return the name of a tag of the user's (Azure documentation, "Tag resources", limitations)."""
    if present(value).casefold().startswith(OUR_TAGS):
        raise broken(f"begins with {OUR_TAGS!r}, which is reserved for tags of reconciler", allowed="any other name")
    if len(value) > TAG_NAME_LIMIT or _NOT_IN_TAG_NAMES.search(value) or value != value.strip():
        raise broken(
            "is not a tag name that Azure accepts",
            allowed=f"1 to {TAG_NAME_LIMIT} characters, none of < > % & \\ ? / among them, no blank at either end",
        )
    return value


def tag_value(value: str) -> str:
    """Return the value of a tag (Azure documentation, "Tag resources", limitations)."""
    if len(value) > TAG_LIMIT:
        raise broken(f"has {len(value)} characters, more than Azure allows", allowed=f"at most {TAG_LIMIT} characters")
    return value


def tags(value: dict[str, str]) -> dict[str, str]:
    """Return the tags of one resource, whose names Azure tells apart by more than their casing alone."""
    folded: dict[str, str] = {}
    for name in value:
        if name.casefold() in folded:
            raise broken("has a tag twice: Azure ignores the case of tag names", remedy="keep one of them")
        folded[name.casefold()] = name
    if len(value) > TAGS_LIMIT:
        raise broken(
            f"has {len(value)} tags, more than Azure allows",
            allowed=f"at most {TAGS_LIMIT}, including those of the ownership marker",
        )
    return value

"""The form of JSON on the wire: members read in any casing, and what a Classic service shows where sources differ.

The differences are settings of `reconciler.emulator.config.behaviour`.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.documents import Document


def with_optional(shown: Document, optional: Document, behaviour: Behaviour) -> Document:
    """Return ``shown`` with further members; those that are None are left out or null (classic-protocol 1.5, 3)."""
    omit = behaviour.null_members == "omitted"
    return shown | {name: value for name, value in optional.items() if value is not None or not omit}


def listing(items: list[Document], behaviour: Behaviour) -> web.Response:
    """Return a list; an empty one is an empty array, ``null``, or no content (classic-protocol 1.3)."""
    if not items and behaviour.empty_list == "noContent":
        return web.Response(status=204)
    return web.json_response(items if items or behaviour.empty_list == "array" else None)


def location(base: str, relative: str, token: str | None, behaviour: Behaviour) -> dict[str, Any]:
    """Return a blob's place (``AzureBlobDetails``): the slashes between its parts were seen in every mixture.

    Args:
        base: the account's blob endpoint.
        relative: ``container/blob``.
        token: a SAS, with or without ``?``; None for a place without the member.
        behaviour: decides about slashes and question mark.
    """
    slashes = behaviour.location_slashes
    place: dict[str, Any] = {
        "BaseLocation": base.strip().rstrip("/") + ("/" if slashes in {"base", "both"} else ""),
        "RelativeLocation": ("/" if slashes in {"relative", "both"} else "") + relative.strip().lstrip("/"),
    }
    if token is not None:
        mark = "?" if behaviour.result_signature == "questionMark" else ""
        place["SasBlobToken"] = mark + token.lstrip("?") if token.lstrip("?") else ""
    return place


def spelling(mapping: Mapping[str, Any], name: str) -> str | None:
    """Return how `mapping` spells the member `name`; an exact match wins; None if it has no such member."""
    if name in mapping:
        return name
    wanted = name.lower()
    return next((key for key in mapping if key.lower() == wanted), None)


def member(mapping: Any, *path: str) -> Any:
    """Return the value under the member names of `path`, each in any casing; None where there is nothing."""
    value = mapping
    for name in path:
        if not isinstance(value, Mapping):
            return None
        key = spelling(value, name)
        value = None if key is None else value[key]
    return value

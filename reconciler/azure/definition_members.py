"""Members of a definition, whatever their letter case: the service mixes them (new-protocol 1). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def spelling(members: object, name: str) -> str | None:
    """How a mapping spells a member; an exact match wins; None if it has none."""
    if not isinstance(members, Mapping):
        return None
    if name in members:
        return name
    return next((str(key) for key in members if str(key).casefold() == name.casefold()), None)


def member(value: Any, *path: str) -> Any:
    """What lies at these member names, whatever their casing; None where there is nothing."""
    for name in path:
        key = spelling(value, name)
        value = None if key is None else value[key]
    return value


def spelt(value: Any, *path: str) -> tuple[str, ...]:
    """These member names as they are spelt there; one that is not there stays as it is given."""
    names: list[str] = []
    for name in path:
        key = spelling(value, name)
        names.append(name if key is None else key)
        value = None if key is None else value[key]
    return tuple(names)

"""Finds the web service that a spec means by a name or an id."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from reconciler.azure.classic import WebService
from reconciler.plan.states import Problem


def find_web_service(workspace: str, name: str, listed: Sequence[WebService]) -> WebService | Problem:
    """The one web service of a workspace with this id or name; service names are not unique (classic-protocol 1.4).

    Args:
        workspace: The name of the workspace's document, for messages.
        name: What the spec says.
        listed: The workspace's web services.
    """
    wanted = _bare(name)
    found = [each for each in listed if _bare(each.id) == wanted] or [each for each in listed if each.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(service.id for service in found)
        text = f"{len(found)} web services of workspace {workspace} are named {name}: {ids}"
        return Problem("service-ambiguous", text, "name the one that is meant by its id")
    return Problem(
        "service-not-found",
        f"workspace {workspace} has no web service {name}",
        nearest(name, [service.name for service in listed]),
    )


def _bare(identifier: str) -> str:
    """An id as it compares: a guid is written with hyphens or without, in either case (classic-protocol 1.3)."""
    return identifier.replace("-", "").lower()


def nearest(name: str, known: Sequence[str]) -> str:
    """What may have been meant by a name that there is not."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there is {', '.join(known) or 'none'}"

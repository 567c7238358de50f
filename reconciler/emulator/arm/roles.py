"""Role-based access in Azure Resource Manager: what a request needs, and whether a principal's roles have it.

The action of a request follows from its verb and its path alone, as in Azure's lists of operations: a ``GET`` of
``…/webServices/NAME`` needs ``Microsoft.MachineLearning/webServices/read`` over that service. Roles add up; one on a
scope holds for everything below it; ``notActions`` take away from their own role only. Letter case does not matter.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from reconciler.emulator.arm.errors import ArmError
from reconciler.emulator.config.principals import Principal, RoleAssignment

_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}

# Built-in roles as far as they matter here; Contributor may do all but hand out access.
_BUILT_IN: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "Owner": (("*",), ()),
    "Contributor": (("*",), ("Microsoft.Authorization/*/Write", "Microsoft.Authorization/*/Delete")),
    "Reader": (("*/read",), ()),
}

# The one operation of Microsoft.MachineLearning whose documented action does not follow from its path.
_NAMED = {
    "microsoft.machinelearning/webservices/createregionalblob/action": "Microsoft.MachineLearning/webServices/action"
}


@dataclass(frozen=True)
class Need:
    """An action, and what it is done to."""

    action: str
    scope: str


def need(method: str, path: str) -> Need | None:
    """Return what a request below ``/subscriptions/{id}`` needs; None where nothing is asked for.

    Polling an operation needs no role: its id is known to nobody but who started it [I]. A list needs its action over
    the scope that is listed; Azure instead leaves out what a principal may not see, for some lists at least [I].
    """
    segments = [segment for segment in path.split("/") if segment]
    lowered = [segment.lower() for segment in segments]
    if lowered[2:3] == ["providers"] and len(segments) <= 4:
        # About the provider itself, and asked of the subscription.
        return Need("Microsoft.Resources/subscriptions/providers/read", "/" + "/".join(segments[:2]))
    start = len(lowered) - lowered[::-1].index("providers") if "providers" in lowered else 0
    namespace = segments[start] if start else "Microsoft.Resources"
    names = segments[start + 1 :] if start else segments
    if names and names[0].lower() == "locations":
        return None
    types = names[::2]
    verb = _VERBS.get(method, "action")
    action = "/".join([namespace, *types, verb])
    if len(names) % 2 == 0 and names:
        return Need(action, "/" + "/".join(segments))
    # A list, or a POST that does something: both are asked of what they are under.
    above = segments[:-1] if len(names) > 1 or not start else segments[: start - 1]
    return Need(_NAMED.get(action.lower(), action), "/" + "/".join(above))


def allows(principal: Principal, needed: Need) -> bool:
    """Return whether some role of the principal allows that."""
    return any(
        _is_within(needed.scope, assignment.scope) and _permits(assignment, needed.action)
        for assignment in principal.roles
    )


def permissions(principal: Principal, scope: str) -> list[dict[str, list[str]]]:
    """Return what a principal's roles on a scope allow and exclude, one entry a role, as Azure lists it."""
    return [
        {"actions": list(allowed), "notActions": list(refused)}
        for assignment in principal.roles
        if _is_within(scope, assignment.scope)
        for allowed, refused in (_actions(assignment),)
    ]


def sees(principal: Principal, scope: str) -> bool:
    """Return whether the principal has any role on the scope, above it or below it, as `Subscriptions - List` wants."""
    return any(_is_within(scope, each.scope) or _is_within(each.scope, scope) for each in principal.roles)


def authorize(principal: Principal, method: str, path: str) -> None:
    """Let a request pass, or refuse it.

    Raises:
        ArmError: 403 ``AuthorizationFailed``.
    """
    needed = need(method, path)
    if needed is None or allows(principal, needed):
        return
    raise ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have authorization to "
        f"perform action '{needed.action}' over scope '{needed.scope}' or the scope is invalid. If access was recently "
        "granted, please refresh your credentials.",
    )


def _is_within(scope: str, of: str) -> bool:
    return f"{scope.rstrip('/')}/".lower().startswith(f"{of.rstrip('/')}/".lower())


def _actions(assignment: RoleAssignment) -> tuple[Sequence[str], Sequence[str]]:
    """Return what an assignment allows, and what of that it leaves out."""
    return (assignment.actions, assignment.not_actions) if assignment.role is None else _BUILT_IN[assignment.role]


def _permits(assignment: RoleAssignment, action: str) -> bool:
    allowed, refused = _actions(assignment)
    return _is_any(action, tuple(allowed)) and not _is_any(action, tuple(refused))


def _is_any(action: str, patterns: tuple[str, ...]) -> bool:
    return any(_compiled(pattern).fullmatch(action) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    # A star is any text, slashes included.
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE)

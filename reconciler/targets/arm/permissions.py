"""What the signed-in identity may do: asked of a resource group, and where that is not enough, of a resource.

The names of actions are those of Microsoft's list of the provider's operations; that of ``listKeys`` is inferred from
its path (new-protocol 6.8).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.azure.arm.access import permissions
from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.errors import ServiceError
from reconciler.plan.checks.facts import Access, Grant, RequiredPermission
from reconciler.plan.checks.permissions import allowed, remedy_for
from reconciler.plan.states import Problem
from reconciler.spec.secrets import MissingSecret

_SERVICES = "Microsoft.MachineLearning/webServices"
READ = f"{_SERVICES}/read"
LIST_KEYS = f"{_SERVICES}/listKeys/read"

_REFUSAL = re.compile(r"perform action '([^']+)' over scope '([^']+)'")
_RESOURCES_ASKED = 50
"""Resources that are asked one by one, because a role may be on one alone; more than so many have their group's say."""
_AT_ONCE = 16


async def ask_permissions(
    definitions: Definitions, needs: Mapping[str, tuple[RequiredPermission, ...]]
) -> tuple[dict[str, tuple[RequiredPermission, ...]], dict[str, Access]]:
    """One call for each resource group; one more for each resource for which that does not settle it.

    Args:
        definitions: The client.
        needs: By the id of the step, or whatever else tells them apart.

    Returns:
        The needs, each with the scope that it was settled on, and the answers by scope.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(scopes: Iterable[str]) -> dict[str, Access]:
        async def one(scope: str) -> Access:
            async with gate:
                return await _access(definitions, scope)

        ordered = sorted(scopes)
        return dict(zip(ordered, await asyncio.gather(*map(one, ordered)), strict=True))

    everything = [need for needed in needs.values() for need in needed]
    access = await ask({_group(need.resource) for need in everything})
    open_yet = {need.resource for need in everything if not allowed(need.action, access[_group(need.resource)].grants)}
    if 0 < len(open_yet) <= _RESOURCES_ASKED:
        access |= await ask(open_yet)
    settled = {
        key: tuple(replace(need, scope=_settled_on(need, access)) for need in needed) for key, needed in needs.items()
    }
    return settled, access


def _settled_on(need: RequiredPermission, access: Mapping[str, Access]) -> str:
    """Return the scope to report: the resource, since a role may be on it alone, or its group if neither is known."""
    group = _group(need.resource)
    own = access.get(need.resource)
    if own is None or (own.unknown and access[group].unknown):
        return group
    return need.resource


async def _access(definitions: Definitions, scope: str) -> Access:
    try:
        found = await permissions(definitions, scope)
    except (ServiceError, MissingSecret) as error:
        code = f"{error.status} {error.code}" if isinstance(error, ServiceError) and error.code else str(error)
        return Access(unknown=f"the service returned {code}")
    return Access(tuple(Grant(each.actions, each.not_actions) for each in found))


def _group(resource_id: str) -> str:
    """Return the resource group of a resource, as its id spells it."""
    return "/".join(resource_id.split("/")[:5])


def training_needs(resource_id: str) -> tuple[RequiredPermission, ...]:
    """Return what has to be allowed for a job of a training service: to see where it is called, and its key."""
    return RequiredPermission(READ, resource_id), RequiredPermission(LIST_KEYS, resource_id)


def refusal(error: Exception, of: str) -> Problem | None:
    """Return an answer that says which action is not allowed, as a problem of ``of``; None for any other answer."""
    found = _REFUSAL.search(error.message) if isinstance(error, ServiceError) and error.status == 403 else None
    if found is None:
        return None
    action, scope = found.groups()
    # Without the request's id, so that two plans of one world are the same.
    return Problem("not-permitted", f"{of}: missing permission: {action} on {scope}", remedy_for(action, scope))

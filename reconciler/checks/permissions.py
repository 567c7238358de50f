"""Asks what we may do in Azure Resource Manager: on a resource group, and where that is not enough, on a resource."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.azure.access import permissions
from reconciler.azure.definitions import Definitions
from reconciler.azure.errors import ServiceError
from reconciler.plan.preflight.facts import Access, Grant, Need
from reconciler.plan.preflight.permissions import allowed
from reconciler.spec.secrets import MissingSecret

_RESOURCES_ASKED = 50
"""Resources that are asked one by one, because a role may be on one alone; more than so many have their group's say."""
_AT_ONCE = 16


async def ask_permissions(
    definitions: Definitions, needs: Mapping[str, tuple[Need, ...]]
) -> tuple[dict[str, tuple[Need, ...]], dict[str, Access]]:
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


def _settled_on(need: Need, access: Mapping[str, Access]) -> str:
    """The resource, if it was asked: a role may be on it alone. Its group, if neither tells anything: once for all."""
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
        return Access(unknown=f"the question is answered {code}")
    return Access(tuple(Grant(each.actions, each.not_actions) for each in found))


def _group(resource_id: str) -> str:
    """The resource group of a resource, as its id spells it."""
    return "/".join(resource_id.split("/")[:5])

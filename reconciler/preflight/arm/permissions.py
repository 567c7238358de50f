"""Looks up what the signed-in identity may do: on a resource group, and where that is not enough, on a resource."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from reconciler.azure.arm.access import permissions
from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.errors import ServiceError
from reconciler.plan.checks.facts import Access, Grant, RequiredPermission
from reconciler.plan.checks.permissions import allowed
from reconciler.plan.document import Action, CostClass, Difference, Step
from reconciler.spec.documents import NewWebService, NewWebServiceSpec
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.new_service.driver import NewWebServices
from reconciler.targets.new_service.permissions import training_needs
from reconciler.targets.new_service.state import COMMITMENT_PLAN, KEYS

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
        return Access(unknown=f"the question is answered {code}")
    return Access(tuple(Grant(each.actions, each.not_actions) for each in found))


def _group(resource_id: str) -> str:
    """Return the resource group of a resource, as its id spells it."""
    return "/".join(resource_id.split("/")[:5])


async def fleet_needs(
    fleet: Fleet, driver: NewWebServices, missing: AbstractSet[str]
) -> dict[str, tuple[RequiredPermission, ...]]:
    """Return the permissions for each target and training service, by its lower-case resource id.

    Args:
        fleet: The documents.
        driver: Of its New web services, prepared.
        missing: The lower-cased resource ids of those that do not exist.
    """
    needs: dict[str, tuple[RequiredPermission, ...]] = {}
    for document in fleet.of(NewWebService).values():
        identity = document.spec.resource_id.lower()
        exists = identity not in missing
        payer = await driver.payer(identity) if exists else None
        steps = _steps(document.spec, exists=exists, payer=payer)
        needs[identity] = tuple(dict.fromkeys(need for step in steps for need in driver.needs(identity, step)))
    for model, _ in fleet.wanted_versions():
        training = fleet.models[model].spec.training
        if training is not None and training.new is not None:
            needs.setdefault(training.new.resource_id.lower(), training_needs(training.new.resource_id))
    return needs


def _steps(spec: NewWebServiceSpec, *, exists: bool, payer: str | None) -> Iterator[Step]:
    """Return the steps that a service's document may lead to."""
    if spec.state == "absent":
        yield _step(Action.DELETE)
        return
    if not exists and (spec.definition is not None or spec.copy_of is not None):
        yield _step(Action.CREATE)
    else:
        yield _step(Action.REPOINT)
        keys = {} if spec.keys is None else {"primary": spec.keys.primary, "secondary": spec.keys.secondary}
        changed = [Difference(field=f"{KEYS}{name}") for name, key in keys.items() if key is not None]
        if payer is not None and spec.commitment_plan is not None and payer.lower() != spec.commitment_plan.lower():
            changed.append(Difference(field=COMMITMENT_PLAN, old=payer, new=spec.commitment_plan))
        yield _step(Action.SETTINGS, changed)
    yield _step(Action.VERIFY)


def _step(action: Action, differences: list[Difference] | None = None) -> Step:
    return Step(id=str(action), action=action, subject="", cost=CostClass.FREE, differences=tuple(differences or ()))

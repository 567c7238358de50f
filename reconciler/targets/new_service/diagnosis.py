"""Looks at the New web services that specs name, for ``reconcile doctor``: what is there, allowed and paid."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from reconciler.azure.arm.definition import api_location
from reconciler.azure.errors import NotFound, ServiceError
from reconciler.plan.checks.commitment_plans import check_headroom
from reconciler.plan.checks.facts import RequiredPermission
from reconciler.plan.checks.permissions import check_permissions
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.plan.document import Action, CostClass, Difference, Step
from reconciler.spec.documents import NewWebService, NewWebServiceSpec
from reconciler.targets.arm.commitment_plans import ask_payers
from reconciler.targets.arm.permissions import ask_permissions, training_needs
from reconciler.targets.arm.subscriptions import check_subscription
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import Host
from reconciler.targets.new_service.state import COMMITMENT_PLAN, KEYS

Needs = Callable[[str, Step], tuple[RequiredPermission, ...]]
"""Gives the permissions that a step needs on the service of an identity."""
Payer = Callable[[str], Awaitable[str | None]]
"""Gives the commitment plan that pays for the service of an identity, if that is managed and known."""


async def check_services(clients: Clients, needs: Needs, payer: Payer, now: datetime) -> tuple[list[Check], list[Host]]:
    """Return the checks of what Resource Manager shows, and the hosts that execute the services."""
    ids = _resource_ids(clients)
    subscriptions = sorted({resource_id.split("/")[2].lower() for resource_id in ids})
    seen = await asyncio.gather(*(check_subscription(clients, each) for each in subscriptions))
    visible = {
        each for each, found in zip(subscriptions, seen, strict=True) if found[0].outcome is not CheckOutcome.FAILED
    }
    ids = [resource_id for resource_id in ids if resource_id.split("/")[2].lower() in visible]
    payers, (listed, execution, missing) = await asyncio.gather(_payers(clients, ids, now), _look(clients, ids))
    permitted = await _permissions(clients, needs, payer, missing)
    return [*(check for found in seen for check in found), *permitted, *payers, *listed], execution


def _resource_ids(clients: Clients) -> list[str]:
    """Those of the New web services that are targets, or that train a model which a target wants."""
    fleet = clients.fleet
    ids = {
        document.spec.resource_id.lower(): document.spec.resource_id for document in fleet.of(NewWebService).values()
    }
    for name, _ in fleet.wanted_versions():
        training = fleet.models[name].spec.training
        if training is not None and training.new is not None:
            ids.setdefault(training.new.resource_id.lower(), training.new.resource_id)
    return list(ids.values())


async def _permissions(clients: Clients, needs: Needs, payer: Payer, missing: AbstractSet[str]) -> list[Check]:
    settled, access = await ask_permissions(clients.definitions, await _needs(clients, needs, payer, missing))
    scopes = sorted({need.scope for needed in settled.values() for need in needed})
    return [
        check_permissions(
            scope, {need for needed in settled.values() for need in needed if need.scope == scope}, access[scope]
        )
        for scope in scopes
    ]


async def _needs(
    clients: Clients, needs: Needs, payer: Payer, missing: AbstractSet[str]
) -> dict[str, tuple[RequiredPermission, ...]]:
    """Return the permissions for each target and training service, by its lower-case resource id."""
    fleet = clients.fleet
    found: dict[str, tuple[RequiredPermission, ...]] = {}
    for document in fleet.of(NewWebService).values():
        identity = document.spec.resource_id.lower()
        exists = identity not in missing
        steps = _steps(document.spec, exists=exists, payer=await payer(identity) if exists else None)
        found[identity] = tuple(dict.fromkeys(need for step in steps for need in needs(identity, step)))
    for model, _ in fleet.wanted_versions():
        training = fleet.models[model].spec.training
        if training is not None and training.new is not None:
            found.setdefault(training.new.resource_id.lower(), training_needs(training.new.resource_id))
    return found


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


async def _payers(clients: Clients, ids: list[str], now: datetime) -> list[Check]:
    if not ids:
        return []
    payers = await ask_payers(clients.definitions, frozenset(ids))
    found = [check_headroom(payer, [], now) for payer in dict.fromkeys(payers.of.values())]
    if not found and not payers.checks:
        text = "no commitment plan will stop these services when its quota is used up"
        subject = "commitment plans"
        found = [Check(name="commitment-plan", subject=subject, outcome=CheckOutcome.OK, text=text)]
    return [*payers.checks, *found]


async def _look(clients: Clients, ids: list[str]) -> tuple[list[Check], list[Host], AbstractSet[str]]:
    """Whether the services are there, by one list a resource group; hosts of execution; the ids of those missing."""
    groups = sorted({tuple(resource_id.split("/")[2:5:2]) for resource_id in ids})
    lists = await asyncio.gather(*(_list(clients, subscription, group) for subscription, group in groups))
    listed = {key: item for one, _ in lists for key, item in one.items()}
    unread = {group for group, (_, check) in zip(groups, lists, strict=True) if check}
    checks = [check for _, check in lists if check]
    specs = {document.spec.resource_id.lower(): document for document in clients.fleet.of(NewWebService).values()}
    hosts: list[Host] = []
    missing: set[str] = set()
    for resource_id in ids:
        item = listed.get(resource_id.lower())
        name = resource_id.rpartition("/")[2]
        if item is None:
            if tuple(resource_id.split("/")[2:5:2]) not in unread:
                missing.add(resource_id.lower())
                checks.append(_absent(name, specs.get(resource_id.lower())))
            continue
        state = str((item.get("properties") or {}).get("provisioningState") or "there")
        outcome = CheckOutcome.WARNING if state.lower() == "failed" else CheckOutcome.OK
        checks.append(Check(name="web-service", subject=name, outcome=outcome, text=state))
        base = api_location(item)
        if base is not None:
            hosts.append(Host(base, "execution of New web services", studio=True))
    return checks, hosts, missing


def _absent(name: str, document: NewWebService | None) -> Check:
    """Return what it means that a service is not there; without a document, a model is to be trained by it."""
    text = "does not exist"
    if document is None:
        remedy = "Correct training.new.resourceId of the model"
        return Check(name="web-service", subject=name, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)
    if document.spec.state == "absent":
        return Check(name="web-service", subject=name, outcome=CheckOutcome.OK, text=f"{text}, as the spec wants")
    if document.spec.definition is not None or document.spec.copy_of is not None:
        return Check(
            name="web-service", subject=name, outcome=CheckOutcome.OK, text=f"{text} yet: the next run will create it"
        )
    remedy = "Correct resourceId, or add a definition (`reconcile export` writes one) or copyOf to the spec"
    text = f"{text}, and the spec has no definition to create it from"
    return Check(name="web-service", subject=name, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)


async def _list(clients: Clients, subscription_id: str, group: str) -> tuple[dict[str, dict[str, Any]], Check | None]:
    try:
        listed = await clients.definitions.list_group(subscription_id, group)
    except ServiceError as error:
        subject, text = f"resource group {group}", f"the web services cannot be listed: {error}"
        missing = isinstance(error, NotFound)
        outcome = CheckOutcome.FAILED if missing else CheckOutcome.UNKNOWN
        remedy = "Correct the resource group in resourceId, or create it: reconciler does not" if missing else ""
        return {}, Check(name="web-service", subject=subject, outcome=outcome, text=text, remedy=remedy)
    return {str(item.get("id") or "").lower(): item for item in listed}, None

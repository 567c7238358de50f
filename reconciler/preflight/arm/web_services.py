"""Looks whether the New web services of the specs are there, and where they are called."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Any

from reconciler.azure.arm.definition import api_location
from reconciler.azure.errors import NotFound, ServiceError
from reconciler.plan.checks.result import Check, CheckOutcome
from reconciler.preflight.hosts import Host
from reconciler.spec.documents import NewWebService
from reconciler.targets.clients import Clients


async def check_web_services(clients: Clients, ids: list[str]) -> tuple[list[Check], list[Host], AbstractSet[str]]:
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
        checks.append(Check(name="web-service", subject=name, outcome=outcome, text=f"it is {state}"))
        base = api_location(item)
        if base is not None:
            hosts.append(Host(base, "execution of New web services", studio=True))
    return checks, hosts, missing


def _absent(name: str, document: NewWebService | None) -> Check:
    """Return what it means that a service is not there; without a document, a model is to be trained by it."""
    text = "it does not exist"
    if document is None:
        remedy = "correct training.new.resourceId of the model"
        return Check(name="web-service", subject=name, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)
    if document.spec.state == "absent":
        return Check(name="web-service", subject=name, outcome=CheckOutcome.OK, text=f"{text}, as its spec says")
    if document.spec.definition is not None or document.spec.copy_of is not None:
        return Check(name="web-service", subject=name, outcome=CheckOutcome.OK, text=f"{text} yet: it will be created")
    remedy = "correct its resourceId, or give it a definition (`reconcile export` writes one) or copyOf"
    text = f"{text}, and its spec does not say what it is to be made of"
    return Check(name="web-service", subject=name, outcome=CheckOutcome.FAILED, text=text, remedy=remedy)


async def _list(clients: Clients, subscription_id: str, group: str) -> tuple[dict[str, dict[str, Any]], Check | None]:
    try:
        listed = await clients.definitions.list_group(subscription_id, group)
    except ServiceError as error:
        subject, text = f"resource group {group}", f"its web services cannot be listed: {error}"
        missing = isinstance(error, NotFound)
        outcome = CheckOutcome.FAILED if missing else CheckOutcome.UNKNOWN
        remedy = "Correct the resource group in resourceId, or create it: reconciler does not" if missing else ""
        return {}, Check(name="web-service", subject=subject, outcome=outcome, text=text, remedy=remedy)
    return {str(item.get("id") or "").lower(): item for item in listed}, None

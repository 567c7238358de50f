"""All New web services that are live, for ``reconcile import``.

One list a resource group or subscription, and one ``GET`` each, because the list does not show their models
(new-protocol 1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from reconciler.azure.arm.definition import studio_of, trained_models
from reconciler.azure.errors import DefinitionError, ServiceError
from reconciler.plan.states import LiveTarget
from reconciler.spec.documents import Metadata, NewSettings, NewWebService, NewWebServiceSpec, Workspace
from reconciler.spec.naming import in_full, slug
from reconciler.spec.secret_detection import looks_secret
from reconciler.targets.clients import Clients
from reconciler.targets.inventory import (
    FoundGroup,
    FoundService,
    FoundTarget,
    Inventory,
    Scope,
    Serves,
    allowed,
    list_each,
    sayable,
)
from reconciler.targets.new_service.payloads import with_payload
from reconciler.targets.new_service.state import KIND, SETTINGS, TAGS, live_definition

_AT_ONCE = 16
_NAME_PART = 70
"""How much of a web service's name goes into that of a document."""
_FILE_NAME = 60


@dataclass(frozen=True, slots=True)
class LiveWebService:
    """A New web service.

    Attributes:
        resource_id: Its resource id, as the service spells it.
        workspace_id: The Studio workspace that it was deployed from, if it shows one.
        live: What is live; None if it could not be read.
        resources: The names of its trained models.
        problem: Why it, or its models, could not be read; empty if they could.
    """

    resource_id: str
    workspace_id: str | None = None
    live: LiveTarget | None = None
    resources: tuple[str, ...] = ()
    problem: str = ""

    @property
    def training(self) -> bool:
        """Whether it shows what it is made of, and no trained model is among that."""
        return not (self.resources or self.problem)


async def take_inventory(clients: Clients, scopes: Sequence[Scope]) -> Inventory:
    """Return everything in these scopes. Reads, and changes nothing."""
    parts, failures = await list_each(scopes, partial(_web_services_of, clients))
    # Scopes may overlap.
    distinct = {found.resource_id.lower(): found for part in parts for found in part}
    found = [found for _, found in sorted(distinct.items())]
    return inventory_of(found, clients.fleet.workspaces, failures=failures, listed=len(parts))


def inventory_of(found: Iterable[LiveWebService], workspaces: Mapping[str, Workspace], **more: Any) -> Inventory:
    """Return services as import takes them; ``more`` are fields of `Inventory`. Pure."""
    found = tuple(found)
    homes = {workspace.spec.id.lower(): name for name, workspace in workspaces.items()}
    groups: dict[str, list[FoundTarget]] = {}
    for each in found:
        if each.live is not None and not each.training:
            home = homes.get((each.workspace_id or "").lower(), "")
            groups.setdefault(_group_of(each.resource_id), []).append(_target(each, each.live, home))
    return Inventory(
        groups=tuple(_group(name, targets) for name, targets in sorted(groups.items())),
        services=tuple(
            FoundService(in_full(each.resource_id), frozenset({(each.resource_id.lower(),)}))
            for each in found
            if each.training
        ),
        problems=tuple(f"{each.resource_id}: {each.problem}" for each in found if each.live is None),
        **more,
    )


def _group(name: str, targets: list[FoundTarget]) -> FoundGroup:
    return FoundGroup(
        identity=f"group {name}",
        file_name=f"new-{slug(name, _FILE_NAME, otherwise='group')}",
        workspace="",
        heading=f"The New web services of the resource group {in_full(name)}",
        noun="web services",
        targets=tuple(targets),
    )


def _target(found: LiveWebService, live: LiveTarget, home: str) -> FoundTarget:
    return FoundTarget(
        kind=KIND,
        title=found.resource_id,
        name=slug(found.resource_id.rstrip("/").rpartition("/")[2], _NAME_PART, otherwise="service"),
        live=live,
        resources=found.resources,
        workspace=home,
        identities=frozenset({(found.resource_id.lower(),)}),
        document=partial(_document, found, live),
    )


def _document(
    found: LiveWebService, live: LiveTarget, metadata: Metadata, serves: Serves, comments: list[str]
) -> NewWebService | None:
    said, more = sayable({each.field: live.settings.get(each.wire) for each in SETTINGS}, NewSettings)
    comments += more
    if found.problem:
        comments.append(f"No model is managed: {found.problem}.")
    spec = allowed(
        NewWebServiceSpec,
        resource_id=found.resource_id,
        settings=NewSettings(**said),
        tags=_tags(live, found.resource_id, comments),
        **serves,
    )
    return None if spec is None else NewWebService(metadata=metadata, spec=spec)


def _tags(live: LiveTarget, resource_id: str, comments: list[str]) -> dict[str, str]:
    """Return the tags of a New web service that a spec can say."""
    said: dict[str, str] = {}
    for name, value in live.settings.items():
        tag = name.removeprefix(TAGS)
        if tag == name or not isinstance(value, str):
            continue
        fits = allowed(NewWebServiceSpec, resource_id=resource_id, tags={**said, tag: value}) is not None
        if fits and not looks_secret(tag) and not looks_secret(value):
            said[tag] = value
        else:
            comments.append(f"The tag {in_full(tag)} is left out, so it is not managed: specs do not allow it.")
    return said


def _group_of(resource_id: str) -> str:
    parts = resource_id.strip("/").split("/")
    return parts[3].lower() if len(parts) > 3 else "services"


# -- reading


async def _web_services_of(clients: Clients, scope: Scope) -> list[LiveWebService]:
    definitions = clients.definitions
    if scope.group is None:
        listed = await definitions.list_subscription(scope.subscription)
    else:
        listed = await definitions.list_group(scope.subscription, scope.group)
    ids = sorted({str(item["id"]) for item in listed if item.get("id")})
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(resource_id: str) -> LiveWebService:
        async with gate:
            return await _web_service(clients, resource_id)

    return list(await asyncio.gather(*map(look, ids)))


async def _web_service(clients: Clients, resource_id: str) -> LiveWebService:
    try:
        definition: Mapping[str, Any] = await clients.definitions.get(resource_id)
    except ServiceError as error:
        return LiveWebService(resource_id, problem=str(error))
    problem = ""
    try:
        definition = await with_payload(clients.http, definition)
        resources = tuple(sorted(trained_models(definition)))
    except (DefinitionError, ServiceError) as error:
        resources, problem = (), str(error)
    live = live_definition(resource_id.lower(), resources, definition)
    return LiveWebService(resource_id, studio_of(definition), live, resources, problem)

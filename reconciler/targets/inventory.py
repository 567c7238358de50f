"""All targets that are live, whether a spec names them or not: what `reconcile import` writes specs for.

One list of web services a workspace, one list of endpoints a web service, and, where the listing does not show what can
be updated, one ``GET`` of one endpoint a web service. New web services cost one list a resource group or subscription
and one ``GET`` each, because the list does not show their models (new-protocol 1).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from reconciler.azure.arm.definition import studio_of, trained_models
from reconciler.azure.classic import ClassicManagement, Endpoint, WebService
from reconciler.azure.errors import DefinitionError, ServiceError
from reconciler.plan.states import LiveTarget
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.classic import state as classic_state
from reconciler.targets.classic.state import DEFAULT_ENDPOINT, Service
from reconciler.targets.clients import Clients
from reconciler.targets.new_service.payloads import with_payload
from reconciler.targets.new_service.state import live_definition

_F = TypeVar("_F")

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class FoundEndpoint:
    """An added endpoint of a Classic web service. ``resources`` are the names of its trained models."""

    name: str
    live: LiveTarget
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundService:
    """A Classic web service.

    Attributes:
        workspace: The name of the workspace's document.
        id: Its id.
        name: Its name, which another service may have too (classic-protocol 1.4).
        unique: Whether none has.
        endpoints: Its endpoints but ``default``, in the order of their names.
        training: Whether it has nothing that could be updated, as a training service has not (classic-protocol 5.2).
        problem: Why it could not be read; empty if it could.
    """

    workspace: str
    id: str
    name: str
    unique: bool
    endpoints: tuple[FoundEndpoint, ...] = ()
    training: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FoundWebService:
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


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that was found. ``problems``: what of a workspace or a scope could not even be listed, and why."""

    services: tuple[FoundService, ...]
    web_services: tuple[FoundWebService, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where New web services are looked for: a subscription, or one resource group of it."""

    subscription: str
    group: str | None = None


async def take_inventory(clients: Clients, workspaces: Sequence[str], scopes: Sequence[Scope]) -> Inventory:
    """Everything in these workspaces (names of documents) and scopes. Reads, and changes nothing.

    A service that cannot be read is found with its `problem`; so is a workspace or scope, unless none can be listed.

    Raises:
        ServiceError, MissingSecret: nothing can be listed at all.
        CloudError: a workspace is in a region that the cloud does not know.
    """
    failed: list[ServiceError | MissingSecret] = []

    async def tried(listing: Awaitable[list[_F]]) -> list[_F] | None:
        try:
            return await listing
        except (ServiceError, MissingSecret) as error:
            failed.append(error)
            return None

    classic, new = await asyncio.gather(
        asyncio.gather(*(tried(_services_of(clients, workspace)) for workspace in workspaces)),
        asyncio.gather(*(tried(_web_services_of(clients, scope)) for scope in scopes)),
    )
    services = [part for part in classic if part is not None]
    web_services = [part for part in new if part is not None]
    if failed and not services and not web_services:
        raise failed[0]
    # Scopes may overlap.
    distinct = {found.resource_id.lower(): found for part in web_services for found in part}
    return Inventory(
        tuple(found for part in services for found in part),
        tuple(found for _, found in sorted(distinct.items())),
        tuple(str(error) for error in failed),
    )


# -- Classic


async def _services_of(clients: Clients, workspace: str) -> list[FoundService]:
    listed = await clients.web_services(workspace)
    named = Counter(service.name for service in listed)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(service: WebService) -> FoundService:
        async with gate:
            return await _service(clients, workspace, service, unique=named[service.name] == 1)

    return list(await asyncio.gather(*map(look, sorted(listed, key=lambda each: (each.name, each.id)))))


async def _service(clients: Clients, workspace: str, listed: WebService, *, unique: bool) -> FoundService:
    management = clients.management(workspace)
    service = Service(workspace, listed.name, id=listed.id)
    try:
        endpoints = await management.list_endpoints(listed.id)
        service.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        service.resources = await _resources(management, listed.id, endpoints)
    except ServiceError as error:
        return FoundService(workspace, listed.id, listed.name, unique, problem=str(error))
    studio_id = clients.fleet.workspaces[workspace].spec.id.lower()
    added = sorted((each for each in endpoints if each.name != DEFAULT_ENDPOINT), key=lambda each: each.name)
    found = [
        classic_state.live_endpoint(f"{studio_id}/{listed.id}/{endpoint.name}", endpoint, service) for endpoint in added
    ]
    return FoundService(
        workspace,
        listed.id,
        listed.name,
        unique,
        endpoints=tuple(
            FoundEndpoint(endpoint.name, live, tuple(sorted(live.resources or ())))
            for endpoint, live in zip(added, found, strict=True)
        ),
        training=not service.resources,
    )


async def _resources(management: ClassicManagement, service_id: str, listed: Sequence[Endpoint]) -> tuple[str, ...]:
    """Return what can be updated in a service: as the listing shows it, else as one of its endpoints does."""
    shown = [endpoint.resources for endpoint in listed if endpoint.resources is not None]
    if not shown and listed:
        # An added endpoint rather than `default`: it is them that can be updated.
        asked = next((each for each in listed if each.name != DEFAULT_ENDPOINT), listed[0])
        found = await management.get_endpoint(service_id, asked.name)
        # An endpoint without the member has no updatable resource (classic-protocol 5.3).
        shown = [found.resources or ()] if found is not None else []
    return tuple(dict.fromkeys(resource.name for resources in shown for resource in resources))


# -- New


async def _web_services_of(clients: Clients, scope: Scope) -> list[FoundWebService]:
    definitions = clients.definitions
    if scope.group is None:
        listed = await definitions.list_subscription(scope.subscription)
    else:
        listed = await definitions.list_group(scope.subscription, scope.group)
    ids = sorted({str(item["id"]) for item in listed if item.get("id")})
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(resource_id: str) -> FoundWebService:
        async with gate:
            return await _web_service(clients, resource_id)

    return list(await asyncio.gather(*map(look, ids)))


async def _web_service(clients: Clients, resource_id: str) -> FoundWebService:
    try:
        definition: Mapping[str, Any] = await clients.definitions.get(resource_id)
    except ServiceError as error:
        return FoundWebService(resource_id, problem=str(error))
    problem = ""
    try:
        definition = await with_payload(clients.http, definition)
        resources = tuple(sorted(trained_models(definition)))
    except (DefinitionError, ServiceError) as error:
        resources, problem = (), str(error)
    live = live_definition(resource_id.lower(), resources, definition)
    return FoundWebService(resource_id, studio_of(definition), live, resources, problem)

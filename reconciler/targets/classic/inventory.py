"""All Classic endpoints that are live, for ``reconcile import``.

One list of web services a workspace, one list of endpoints a web service, and, where the listing does not show what can
be updated, one ``GET`` of one endpoint a web service.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from reconciler.azure.classic import ClassicManagement, Endpoint, WebService
from reconciler.azure.errors import ServiceError
from reconciler.plan.states import LiveTarget
from reconciler.spec.documents import ClassicEndpoint, ClassicEndpointSpec, Metadata
from reconciler.spec.naming import in_full, slug
from reconciler.spec.secret_detection import looks_secret
from reconciler.targets.classic import state as classic_state
from reconciler.targets.classic.state import DEFAULT_ENDPOINT, Service
from reconciler.targets.clients import Clients
from reconciler.targets.inventory import (
    FoundGroup,
    FoundService,
    FoundTarget,
    Inventory,
    Serves,
    allowed,
    list_each,
    sayable,
)

_AT_ONCE = 16
_NAME_PART = 70
"""How much of a web service's name goes into that of a document."""
_FILE_NAME = 60
_ENDPOINT_PART = 24


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    """An added endpoint of a web service. ``resources`` are the names of its trained models."""

    name: str
    live: LiveTarget
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveService:
    """A web service.

    Attributes:
        workspace: The name of the workspace's document.
        studio_id: The workspace's id.
        id: Its id.
        name: Its name, which another service may have too (classic-protocol 1.4).
        unique: Whether none has.
        endpoints: Its endpoints but ``default``, in the order of their names.
        training: Whether it has nothing that could be updated, as a training service has not (classic-protocol 5.2).
        problem: Why it could not be read; empty if it could.
    """

    workspace: str
    studio_id: str
    id: str
    name: str
    unique: bool
    endpoints: tuple[LiveEndpoint, ...] = ()
    training: bool = False
    problem: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What a document may call it: its id, and its name if no other service has that."""
        return (self.id, self.name) if self.unique else (self.id,)


async def take_inventory(clients: Clients) -> Inventory:
    """Return everything in the workspaces of the fleet. Reads, and changes nothing.

    Raises:
        CloudError: a workspace is in a region that the cloud does not know.
    """
    parts, failures = await list_each(sorted(clients.fleet.workspaces), partial(_services_of, clients))
    return inventory_of((service for part in parts for service in part), failures=failures, listed=len(parts))


def inventory_of(services: Iterable[LiveService], **more: Any) -> Inventory:
    """Return services as import takes them; ``more`` are fields of `Inventory`. Pure."""
    services = tuple(services)
    return Inventory(
        groups=tuple(_group(service) for service in services if service.endpoints),
        services=tuple(_idle(service) for service in services if not (service.problem or service.endpoints)),
        problems=tuple(
            f"web service {in_full(service.name)} of workspace {service.workspace}: {service.problem}"
            for service in services
            if service.problem
        ),
        **more,
    )


def _group(service: LiveService) -> FoundGroup:
    return FoundGroup(
        identity=f"{service.workspace}/{service.id}",
        file_name=f"classic-{slug(service.name, _FILE_NAME, otherwise='service')}",
        workspace=service.workspace,
        heading=f"The endpoints of the web service {in_full(service.name)} (id {service.id}) of workspace "
        f"{service.workspace}",
        noun="endpoints",
        targets=tuple(_target(service, endpoint) for endpoint in service.endpoints),
    )


def _target(service: LiveService, endpoint: LiveEndpoint) -> FoundTarget:
    part = slug(service.name, _NAME_PART, otherwise="service")
    return FoundTarget(
        kind=classic_state.KIND,
        title=endpoint.name,
        name=f"{part}-{slug(endpoint.name, _ENDPOINT_PART, otherwise='endpoint')}",
        live=endpoint.live,
        resources=endpoint.resources,
        workspace=service.workspace,
        identities=frozenset((service.studio_id.lower(), name, endpoint.name) for name in service.names),
        document=partial(_document, service, endpoint),
    )


def _document(
    service: LiveService, endpoint: LiveEndpoint, metadata: Metadata, serves: Serves, comments: list[str]
) -> ClassicEndpoint | None:
    by_name = service.unique and service.name.strip() and not looks_secret(service.name)
    live = {each.field: endpoint.live.settings.get(each.wire) for each in classic_state.SETTINGS}
    said, more = sayable(live, ClassicEndpointSpec)
    comments += more
    spec = allowed(
        ClassicEndpointSpec,
        workspace=service.workspace,
        web_service=service.name if by_name else service.id,
        endpoint=endpoint.name,
        **serves,
        **said,
    )
    return None if spec is None else ClassicEndpoint(metadata=metadata, spec=spec)


def _idle(service: LiveService) -> FoundService:
    return FoundService(
        title=f"{in_full(service.name)} of workspace {service.workspace}, id {service.id}",
        services=frozenset((service.workspace, name) for name in service.names),
        heading="" if service.training else "Services with only the endpoint default, which cannot be patched:",
    )


# -- reading


async def _services_of(clients: Clients, workspace: str) -> list[LiveService]:
    listed = await clients.web_services(workspace)
    named = Counter(service.name for service in listed)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(service: WebService) -> LiveService:
        async with gate:
            return await _service(clients, workspace, service, unique=named[service.name] == 1)

    return list(await asyncio.gather(*map(look, sorted(listed, key=lambda each: (each.name, each.id)))))


async def _service(clients: Clients, workspace: str, listed: WebService, *, unique: bool) -> LiveService:
    management = clients.management(workspace)
    studio_id = clients.fleet.workspaces[workspace].spec.id.lower()
    service = Service(workspace, listed.name, id=listed.id)
    try:
        endpoints = await management.list_endpoints(listed.id)
        service.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        service.resources = await _resources(management, listed.id, endpoints)
    except ServiceError as error:
        return LiveService(workspace, studio_id, listed.id, listed.name, unique, problem=str(error))
    added = sorted((each for each in endpoints if each.name != DEFAULT_ENDPOINT), key=lambda each: each.name)
    found = [
        classic_state.live_endpoint(f"{studio_id}/{listed.id}/{endpoint.name}", endpoint, service) for endpoint in added
    ]
    return LiveService(
        workspace,
        studio_id,
        listed.id,
        listed.name,
        unique,
        endpoints=tuple(
            LiveEndpoint(endpoint.name, live, tuple(sorted(live.resources or ())))
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

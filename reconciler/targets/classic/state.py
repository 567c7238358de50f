"""What the specs and the service say of a Classic endpoint, in the plan's words. Pure.

The one captured listing shows neither ``Resources`` nor a bound ``Location`` (classic-protocol 1.5), so a location is
used where a service shows one, and what is live is otherwise known by the ownership marker and by probes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field

from reconciler.azure.classic import Endpoint, WebService
from reconciler.plan.states import (
    DesiredTarget,
    LiveBinding,
    LiveTarget,
    Location,
    Marker,
    ModelBinding,
    Problem,
    Scalar,
    VersionKey,
)
from reconciler.spec.documents import ClassicEndpoint, ClassicEndpointSpec
from reconciler.targets.driver import Artifact, TargetChangedError, TargetError
from reconciler.targets.ownership import DESCRIPTION_LIMIT, split_description
from reconciler.targets.probing import Rows
from reconciler.targets.settings import Setting, managed
from reconciler.targets.workspaces import find_web_service

KIND = "ClassicEndpoint"
DEFAULT_ENDPOINT = "default"
SETTINGS = (
    Setting("Description", "description", trimmed=True),
    Setting("ThrottleLevel", "throttle_level"),
    Setting("MaxConcurrentCalls", "max_concurrent_calls"),
    Setting("DiagnosticsTraceLevel", "diagnostics"),
)
"""By the attributes of `ClassicEndpointSpec`, `reconciler.azure.classic.Endpoint` and ``EndpointPatch``."""


@dataclass(slots=True)
class Service:
    """One web service as a pass knows it."""

    workspace: str
    name: str
    id: str = ""
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    resources: tuple[str, ...] | None = None
    problem: Problem | None = None
    made_rows: asyncio.Task[Rows] | None = None
    """What its endpoints are scored with, where a spec gives no rows."""


def resolve(workspace: str, name: str, listed: list[WebService], problem: Problem | None) -> Service:
    """Return the web service that a spec means by its name or id."""
    found = problem if problem is not None else find_web_service(workspace, name, listed)
    if isinstance(found, Problem):
        return Service(workspace, name, problem=found)
    return Service(workspace, name, id=found.id)


def desired(identity: str, document: ClassicEndpoint, group: str = "") -> DesiredTarget:
    """Return a document in the plan's words."""
    spec = document.spec
    return DesiredTarget(
        name=document.metadata.name,
        kind=KIND,
        identity=identity,
        bindings=tuple(ModelBinding(use.resource, VersionKey(use.name, use.version)) for use in spec.bindings),
        settings=managed(SETTINGS, spec),
        absent=spec.state == "absent",
        refresh=spec.refresh,
        group=group,
    )


def live(identity: str, spec: ClassicEndpointSpec, service: Service) -> LiveTarget:
    """One endpoint of a service as it was read, or that it is not there."""
    if service.problem is not None:
        code = _fingerprint(service.problem.code)
        return LiveTarget(identity, exists=False, problem=service.problem, fingerprint=code)
    endpoint = service.endpoints.get(spec.endpoint)
    if endpoint is None:
        absent = _fingerprint("absent", service.id)
        return LiveTarget(identity, exists=False, resources=service.resources, fingerprint=absent)
    return live_endpoint(identity, endpoint, service, described=spec.description is not None)


def live_endpoint(identity: str, endpoint: Endpoint, service: Service, *, described: bool = False) -> LiveTarget:
    """Return an endpoint as it was read.

    A description that is managed (``described``) is written with the marker, for which the rules of specs keep room.
    """
    text, markers, marked = split_description(endpoint.description)
    names = service.resources
    if endpoint.resources is not None:
        names = tuple(found.name for found in endpoint.resources)
    shown = places(endpoint)
    # The description is shown with the marker at its end.
    settings: dict[str, Scalar] = {each.wire: getattr(endpoint, each.field) for each in SETTINGS} | {
        "Description": text
    }
    stale = _stale(endpoint, service)
    return LiveTarget(
        identity,
        exists=True,
        resources=names,
        bound={resource: LiveBinding(place) for resource, place in shown.items()},
        markers=markers,
        managed=marked,
        marker_room=None if described else DESCRIPTION_LIMIT - len(text.strip()) - 1,
        settings=settings,
        stale=stale,
        published=_published(service) if stale else "",
        fingerprint=_fingerprint(
            service.id, endpoint.description, settings, {resource: place.uri for resource, place in shown.items()}
        ),
    )


def places(endpoint: Endpoint) -> dict[str, Location]:
    """Where the artifacts of an endpoint's resources lie, of those that it shows."""
    return {found.name: Location(*found.location) for found in endpoint.resources or () if found.location is not None}


def not_in_a_free_workspace(spec: ClassicEndpointSpec) -> Problem | None:
    """Return what a free workspace refuses of a spec (classic-protocol 1.6), but for the number of endpoints."""
    if spec.throttle_level != "High":
        return None
    return Problem(
        "free-workspace",
        f"Workspace {spec.workspace} is free, and free workspaces allow only throttleLevel Low",
        "Write throttleLevel: Low, or remove it",
    )


def _stale(endpoint: Endpoint, service: Service) -> bool | None:
    """Whether ``default`` was republished since; ``Version`` may be left out (classic-protocol 1.5)."""
    default = service.endpoints.get(DEFAULT_ENDPOINT)
    if default is None or default.version is None or endpoint.version is None:
        return None
    return default.version > endpoint.version


def _published(service: Service) -> str:
    default = service.endpoints.get(DEFAULT_ENDPOINT)
    return "" if default is None or default.version is None else default.version.isoformat()


def is_copy(shown: Location, artifact: Artifact) -> bool:
    """Whether a place that is not the artifact's may be the service's own copy of it (classic-protocol 1.5).

    What lies where trained versions lie is not a copy: somebody pointed the endpoint to another version.
    """
    base, container = artifact.location.base, artifact.location.relative.partition("/")[0]
    return (shown.base, shown.relative.partition("/")[0]) != (base, container)


def check_unmoved(now: Endpoint, planned_on: Endpoint | None, intended: tuple[Marker, ...]) -> None:
    """Read, compare, write: what somebody else repointed since the plan is not overwritten.

    Raises:
        PlanMoved: it was.
    """
    if planned_on is None:
        return
    was, found = (split_description(endpoint.description).markers for endpoint in (planned_on, now))
    if found not in (was, intended):
        versions = ", ".join(str(marker.version) for marker in found)
        shown = f"the marker of {versions}" if found else "no marker"
        raise TargetChangedError(f"the target was changed after the plan was made: it has {shown}; plan again")


def check_resource(endpoint: Endpoint, resource: str, service: str) -> None:
    """Refuse a resource that the endpoint does not offer.

    Raises:
        TargetError: it names those that it does.
    """
    if endpoint.resources is None or any(found.name == resource for found in endpoint.resources):
        return
    offered = ", ".join(found.name for found in endpoint.resources) or "nothing, like a training service"
    raise TargetError(f"{service} has no updatable resource {resource}; it has {offered}")


def _fingerprint(*observed: object) -> str:
    return hashlib.sha256(json.dumps(observed, sort_keys=True, default=str).encode()).hexdigest()

"""Classic endpoints: observed by one list call per web service, repointed by one ``PATCH`` of ``Resources``.

The one captured listing shows neither ``Resources`` nor a bound ``Location`` (classic-protocol 1.5), so a location is
used where a service shows one, and what is live is otherwise known by our marker and by probes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reconciler.azure.classic import ClassicManagement, Endpoint, EndpointPatch, ResourceUpdate, WebService
from reconciler.azure.errors import CloudError, Conflict, LostReply, ServiceError, ServiceUnavailable
from reconciler.azure.scoring import Scoring
from reconciler.plan.document import Action, Step
from reconciler.plan.preflight.facts import Quota
from reconciler.plan.preflight.quotas import FREE_ENDPOINTS, endpoint_quota
from reconciler.plan.states import (
    DesiredTarget,
    LiveTarget,
    Location,
    Marker,
    Problem,
    Proof,
    Scalar,
    VersionKey,
)
from reconciler.spec.documents import ClassicEndpoint
from reconciler.spec.secrets import MissingSecret
from reconciler.targets import probing
from reconciler.targets.connections import Connections
from reconciler.targets.contract import Artefact, Driver, Notify, PlanMoved, TargetError, Verified
from reconciler.targets.marker import TooLong, marked_description, marker_for, split_description
from reconciler.targets.patience import Patience
from reconciler.targets.web_services import find_web_service
from reconciler.targets.workspaces import workspace_problem

_SERVICES_AT_ONCE = 16
_PROBES_AT_ONCE = 16
_TRIES = 3
_DEFAULT_ENDPOINT = "default"


@dataclass(slots=True)
class _Service:
    """One web service as this pass knows it."""

    workspace: str
    name: str
    id: str = ""
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    resources: tuple[str, ...] | None = None
    problem: Problem | None = None
    swagger: asyncio.Task[dict[str, Any]] | None = None


class ClassicEndpoints(Driver):
    """The fleet's Classic endpoints."""

    kind = "ClassicEndpoint"
    probes = True

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._documents = tuple(connections.fleet.classic_endpoints.values())
        self._specs: dict[str, ClassicEndpoint] = {}
        self._services: dict[tuple[str, str], _Service] = {}
        self._repointed: set[str] = set()
        self._replaced: dict[tuple[str, str], Location | None] = {}
        """What endpoints showed as their model before this pass repointed them, by service and name."""

    async def prepare(self) -> None:
        """See `Driver.prepare`. One list of web services a workspace: two specs may mean one by its name and its id."""
        await self._find_services(
            {(document.spec.workspace, document.spec.web_service) for document in self._documents}
        )
        self._specs = {self._identity(document): document for document in self._documents}

    def _identity(self, document: ClassicEndpoint) -> str:
        spec = document.spec
        workspace = self._connections.fleet.workspaces[spec.workspace].spec.id.lower()
        service = self._services[spec.workspace, spec.web_service].id or spec.web_service
        return f"{workspace}/{service}/{spec.endpoint}"

    def desired(self) -> tuple[DesiredTarget, ...]:
        """See `Driver.desired`."""
        return tuple(_desired(self._identity(document), document) for document in self._documents)

    # -- observe

    async def observe(self, recorded: Mapping[str, str]) -> dict[str, LiveTarget]:
        """See `Driver.observe`. One list of endpoints a web service.

        The names of updatable resources, which the listing may leave out, cost one ``GET`` for each service in which
        a target does not carry the marker that it should.
        """
        wanted: dict[tuple[str, str], list[str]] = {}
        for identity, spec in self._specs.items():
            wanted.setdefault((spec.spec.workspace, spec.spec.web_service), []).append(identity)
        gate = asyncio.Semaphore(_SERVICES_AT_ONCE)

        async def look(key: tuple[str, str], identities: list[str]) -> None:
            async with gate:
                await self._list_endpoints(self._services[key], identities)

        await asyncio.gather(*(look(key, identities) for key, identities in wanted.items()))
        live = {identity: self._live(identity) for identity in self._specs}
        await self._probe(live, recorded)
        return live

    async def _find_services(self, wanted: Iterable[tuple[str, str]]) -> None:
        by_workspace: dict[str, list[str]] = {}
        for workspace, name in wanted:
            by_workspace.setdefault(workspace, []).append(name)

        async def look(workspace: str, names: list[str]) -> None:
            listed: list[WebService] = []
            problem: Problem | None = None
            try:
                listed = await self._connections.web_services(workspace)
            except (ServiceError, MissingSecret, CloudError) as error:
                problem = await workspace_problem(self._connections, workspace, error)
            for name in names:
                self._services[workspace, name] = _resolve(workspace, name, listed, problem)

        await asyncio.gather(*(look(workspace, names) for workspace, names in by_workspace.items()))

    async def _list_endpoints(self, service: _Service, identities: list[str]) -> None:
        if service.problem is not None:
            return
        management = self._connections.management(service.workspace)
        try:
            listed = await management.list_endpoints(service.id)
            service.endpoints = {endpoint.name: endpoint for endpoint in listed}
            shown = next((endpoint.resources for endpoint in listed if endpoint.resources is not None), None)
            if shown is None and any(not self._carries_its_marker(service, identity) for identity in identities):
                shown = await self._ask_resources(management, service, identities)
            service.resources = None if shown is None else tuple(resource.name for resource in shown)
        except ServiceError as error:
            service.problem = Problem("service-unreadable", f"web service {service.name}: {error}")

    async def _ask_resources(self, management: ClassicManagement, service: _Service, identities: list[str]) -> Any:
        names = [self._specs[identity].spec.endpoint for identity in identities]
        asked = (*names, _DEFAULT_ENDPOINT, *service.endpoints)
        name = next((name for name in asked if name in service.endpoints), None)
        found = None if name is None else await management.get_endpoint(service.id, name)
        # An endpoint without the member has no updatable resource (classic-protocol 5.3).
        return None if found is None else found.resources or ()

    def _carries_its_marker(self, service: _Service, identity: str) -> bool:
        spec = self._specs[identity].spec
        endpoint = service.endpoints.get(spec.endpoint)
        if endpoint is None:
            return False
        marker = split_description(endpoint.description)[1]
        return marker is not None and (marker.version.model, marker.version.label) == (
            spec.model.name,
            spec.model.version,
        )

    def _live(self, identity: str) -> LiveTarget:
        spec = self._specs[identity].spec
        service = self._services[spec.workspace, spec.web_service]
        if service.problem is not None:
            return LiveTarget(
                identity,
                exists=False,
                problem=service.problem,
                fingerprint=_fingerprint(service.problem.code),
            )
        endpoint = service.endpoints.get(spec.endpoint)
        if spec.throttle_level == "High" and self._connections.fleet.workspaces[spec.workspace].spec.tier == "free":
            problem = Problem(
                "free-workspace",
                f"workspace {spec.workspace} is a free one, and those have throttleLevel Low alone",
                "write throttleLevel: Low, or leave it out",
            )
            return LiveTarget(
                identity, exists=endpoint is not None, problem=problem, fingerprint=_fingerprint(problem.code)
            )
        if endpoint is None:
            return LiveTarget(
                identity,
                exists=False,
                resources=service.resources,
                fingerprint=_fingerprint("absent", service.id),
            )
        return _live(identity, spec.model.resource, endpoint, service)

    async def _probe(self, live: dict[str, LiveTarget], recorded: Mapping[str, str]) -> None:
        gate = asyncio.Semaphore(_PROBES_AT_ONCE)

        async def one(identity: str, before: str) -> None:
            async with gate:
                answers = await self._answers(identity)
            if probing.comparable(before, answers):
                live[identity] = _with_answers(live[identity], answers)

        unclear = [identity for identity in recorded if identity in live and live[identity].location is None]
        await asyncio.gather(*(one(identity, recorded[identity]) for identity in unclear if live[identity].exists))

    def quota(self, identity: str) -> Quota | None:
        """See `Driver.quota`: the endpoints of its web service, ``default`` among them."""
        spec = self._specs[identity].spec
        service = self._services[spec.workspace, spec.web_service]
        tier = self._connections.fleet.workspaces[spec.workspace].spec.tier
        return endpoint_quota(
            f"web service {service.name} of workspace {spec.workspace}",
            spec.workspace,
            tier if tier is not None else self._shown_tier(spec.workspace),
            len(service.endpoints),
        )

    def _shown_tier(self, workspace: str) -> Literal["standard"] | None:
        """A workspace that has what no free one may have (classic-protocol 1.6) is a standard one."""
        for service in self._services.values():
            high = any(endpoint.throttle_level == "High" for endpoint in service.endpoints.values())
            if service.workspace == workspace and (high or len(service.endpoints) > FREE_ENDPOINTS):
                return "standard"
        return None

    async def answers(self, target: DesiredTarget) -> str | None:
        """See `Driver.answers`."""
        return await self._answers(target.identity)

    async def _answers(self, identity: str) -> str | None:
        spec = self._specs[identity].spec
        service = self._services[spec.workspace, spec.web_service]
        endpoint = service.endpoints.get(spec.endpoint)
        if endpoint is None or endpoint.primary_key is None or endpoint.api_location is None:
            return None
        scoring = self._connections.scoring(endpoint.api_location, endpoint.primary_key)

        def swagger() -> Awaitable[dict[str, Any]]:
            # One for all endpoints of the service: they share its interface.
            if service.swagger is None:
                described = self._described_by(service, scoring)
                service.swagger = asyncio.create_task(described.swagger(), name=f"swagger of {service.name}")
            return asyncio.shield(service.swagger)

        return await probing.score(scoring, spec.probe, swagger)

    def _described_by(self, service: _Service, otherwise: Scoring) -> Scoring:
        """Whose swagger the probe's rows are made from: that of `default`, which no patch can change.

        Were it the target's own, a service that shows a row of the model's data as its example would be asked other
        rows after each update, and answers to other rows don't compare.
        """
        default = service.endpoints.get(_DEFAULT_ENDPOINT)
        if default is None or default.api_location is None or default.primary_key is None:
            return otherwise
        return self._connections.scoring(default.api_location, default.primary_key)

    # -- carry out

    async def carry_out(self, step: Step, target: DesiredTarget, artefact: Artefact) -> None:
        """See `Driver.carry_out`."""
        spec = self._specs[target.identity]
        service = self._services[spec.spec.workspace, spec.spec.web_service]
        management = self._connections.management(spec.spec.workspace)
        try:
            match step.action:
                case Action.CREATE:
                    await self._create(management, service, spec)
                case Action.REPOINT:
                    await self._repoint(management, service, spec, artefact)
                    self._repointed.add(target.identity)
                case Action.SETTINGS:
                    await self._settings(management, service, spec, step, artefact)
                case _:
                    raise TargetError(f"a Classic endpoint has no step {step.action}")
        except (ServiceError, TooLong) as error:
            raise TargetError(str(error)) from error

    async def _create(self, management: ClassicManagement, service: _Service, spec: ClassicEndpoint) -> None:
        name = spec.spec.endpoint
        endpoint = await management.get_endpoint(service.id, name)
        if endpoint is None:
            try:
                endpoint = await management.create_endpoint(
                    service.id,
                    name,
                    description=spec.spec.description or "",
                    throttle_level=spec.spec.throttle_level,
                    max_concurrent_calls=spec.spec.max_concurrent_calls,
                )
            except ServiceError as error:
                # Whether a PUT on an existing name is an upsert, a 409 or a 400 is unknown (classic-protocol 1.6), and
                # so is what a lost reply did: what is there now decides.
                endpoint = await management.get_endpoint(service.id, name)
                if endpoint is None and not isinstance(error, LostReply | Conflict):
                    raise
        if endpoint is None:
            raise TargetError(f"endpoint {name} was not created, though the service did not refuse it; run again")
        service.endpoints[name] = endpoint

    async def _repoint(
        self, management: ClassicManagement, service: _Service, spec: ClassicEndpoint, artefact: Artefact
    ) -> None:
        wanted = spec.spec
        marker = marker_for(artefact.key, artefact.fingerprint)
        planned_on = service.endpoints.get(wanted.endpoint)
        patience = self._patience()
        while True:
            endpoint = await self._read(management, service, wanted.endpoint)
            _check_resource(endpoint, wanted.model.resource, service.name)
            _check_unmoved(endpoint, planned_on, marker)
            bound = _live("", wanted.model.resource, endpoint, service).location
            self._replaced.setdefault((service.id, wanted.endpoint), bound)
            # Read, compare, write: a text that someone else wrote meanwhile stays, unless the spec manages it.
            text = split_description(endpoint.description)[0] if wanted.description is None else wanted.description
            patch = EndpointPatch(
                resources=(
                    ResourceUpdate(
                        wanted.model.resource,
                        artefact.location.base,
                        artefact.location.relative,
                        artefact.signature,
                    ),
                ),
                description=marked_description(text, marker),
            )
            try:
                await management.patch_endpoint(service.id, wanted.endpoint, patch)
                return
            except (LostReply, ServiceUnavailable):
                # It may have been done, and the same PATCH twice ends in the same state (classic-protocol 6). Or the
                # endpoint is too new to be patched: whether one can be right after its PUT is unknown.
                if not await patience.again():
                    raise

    def _patience(self) -> Patience:
        cloud = self._connections.cloud
        return Patience(cloud.settle, cloud.poll, tries=_TRIES)

    async def _settings(
        self, management: ClassicManagement, service: _Service, spec: ClassicEndpoint, step: Step, artefact: Artefact
    ) -> None:
        endpoint = await self._read(management, service, spec.spec.endpoint)
        live = _live("", spec.spec.model.resource, endpoint, service).settings
        # What the creation or the repoint just before took along is there by now.
        changed = {wanted.field for wanted in step.differences if live.get(wanted.field) != wanted.new}
        if not changed:
            return
        text, marker = split_description(endpoint.description)
        ours = marker_for(artefact.key, artefact.fingerprint)
        description: str | None = None
        if "Description" in changed or marker != ours:
            # Whoever rewrote the text took our marker with it; that the model was not touched, the plan has seen.
            description = marked_description(text if spec.spec.description is None else spec.spec.description, ours)
        patch = EndpointPatch(
            description=description,
            diagnostics=spec.spec.diagnostics if "DiagnosticsTraceLevel" in changed else None,
            throttle_level=spec.spec.throttle_level if "ThrottleLevel" in changed else None,
            max_concurrent_calls=spec.spec.max_concurrent_calls if "MaxConcurrentCalls" in changed else None,
        )
        try:
            await management.patch_endpoint(service.id, spec.spec.endpoint, patch)
        except (LostReply, ServiceUnavailable):
            await management.patch_endpoint(service.id, spec.spec.endpoint, patch)

    async def _read(self, management: ClassicManagement, service: _Service, name: str) -> Endpoint:
        endpoint = await management.get_endpoint(service.id, name)
        if endpoint is None:
            raise TargetError(f"endpoint {name} of {service.name} is gone; run again to create it")
        service.endpoints[name] = endpoint
        return endpoint

    async def verify(self, target: DesiredTarget, artefact: Artefact, before: str | None, notify: Notify) -> Verified:
        """See `Driver.verify`."""
        spec = self._specs[target.identity].spec
        service = self._services[spec.workspace, spec.web_service]
        management = self._connections.management(spec.workspace)
        replaced = self._replaced.get((service.id, spec.endpoint))
        try:
            live = await self._read_back(management, service, target, artefact, notify)
        except ServiceError as error:
            raise TargetError(str(error)) from error
        shown = live.location
        if shown is not None and shown != artefact.location and (shown == replaced or not _is_copy(shown, artefact)):
            raise TargetError(f"the endpoint shows {shown.uri} as its model, not {artefact.location.uri}")
        if live.marker != marker_for(artefact.key, artefact.fingerprint):
            raise TargetError("the service answered with success, but the endpoint does not carry our marker")
        not_taken = {name: value for name, value in target.settings.items() if live.settings.get(name) != value}
        if shown == artefact.location:
            answers = await self._answers(target.identity)
            return Verified(Proof.PROVEN, "the endpoint shows the new location", answers, not_taken)
        verified = await self._verify_by_probe(target, before, notify, not_taken)
        return replace(verified, shown=shown)

    async def _read_back(
        self,
        management: ClassicManagement,
        service: _Service,
        target: DesiredTarget,
        artefact: Artefact,
        notify: Notify,
    ) -> LiveTarget:
        """The endpoint as soon as it shows what was written to it, else as it is when that should have settled.

        Whether a read shows a PATCH before it has taken effect is unknown (classic-protocol 6).
        """
        spec = self._specs[target.identity].spec
        replaced = self._replaced.get((service.id, spec.endpoint))
        marker = marker_for(artefact.key, artefact.fingerprint)
        patience = self._patience()
        while True:
            endpoint = await self._read(management, service, spec.endpoint)
            live = _live(target.identity, spec.model.resource, endpoint, service)
            moved = live.location is None or live.location == artefact.location or live.location != replaced
            taken = all(live.settings.get(name) == value for name, value in target.settings.items())
            if (live.marker == marker and moved and taken) or not await patience.again():
                return live
            notify("waiting for the endpoint to show what was written")

    async def _verify_by_probe(
        self, target: DesiredTarget, before: str | None, notify: Notify, not_taken: Mapping[str, Scalar]
    ) -> Verified:
        if before is None:
            if target.identity in self._repointed:
                # Answers of the model before it, taken for its own, would look like drift in every later pass.
                notify("waiting for the new model to take effect")
                await asyncio.sleep(self._connections.cloud.settle.total_seconds())
            answers = await self._answers(target.identity)
            return Verified(
                Proof.ACCEPTED,
                "our marker was read back; there are no earlier answers to compare",
                answers,
                not_taken,
            )
        notify("waiting for other answers from the new model")
        cloud = self._connections.cloud
        answers = await probing.until_changed(
            lambda: self._answers(target.identity), before, settle=cloud.settle, first_pause=cloud.poll
        )
        if answers is None:
            return Verified(Proof.ACCEPTED, "our marker was read back; the probe could not be scored", None, not_taken)
        if probing.comparable(before, answers) and answers != before:
            return Verified(Proof.PROVEN, "the answers to the probe changed", answers, not_taken)
        return Verified(
            Proof.ACCEPTED, "our marker was read back; the answers are the same as before", answers, not_taken
        )


def _desired(identity: str, document: ClassicEndpoint) -> DesiredTarget:
    spec = document.spec
    managed: dict[str, Scalar] = {
        "Description": None if spec.description is None else spec.description.strip(),
        "ThrottleLevel": spec.throttle_level,
        "MaxConcurrentCalls": spec.max_concurrent_calls,
        "DiagnosticsTraceLevel": spec.diagnostics,
    }
    return DesiredTarget(
        name=document.metadata.name,
        kind=ClassicEndpoints.kind,
        identity=identity,
        resource=spec.model.resource,
        version=VersionKey(spec.model.name, spec.model.version),
        settings={name: value for name, value in managed.items() if value is not None},
    )


def _resolve(workspace: str, name: str, listed: list[WebService], problem: Problem | None) -> _Service:
    found = problem if problem is not None else find_web_service(workspace, name, listed)
    if isinstance(found, Problem):
        return _Service(workspace, name, problem=found)
    return _Service(workspace, name, id=found.id)


def _live(identity: str, resource: str, endpoint: Endpoint, service: _Service) -> LiveTarget:
    text, marker = split_description(endpoint.description)
    names = service.resources
    location: Location | None = None
    if endpoint.resources is not None:
        names = tuple(found.name for found in endpoint.resources)
        bound = next((found.location for found in endpoint.resources if found.name == resource), None)
        location = None if bound is None else Location(*bound)
    settings: dict[str, Scalar] = {
        "Description": text,
        "ThrottleLevel": endpoint.throttle_level,
        "MaxConcurrentCalls": endpoint.max_concurrent_calls,
        "DiagnosticsTraceLevel": endpoint.diagnostics,
    }
    return LiveTarget(
        identity,
        exists=True,
        resources=names,
        location=location,
        marker=marker,
        settings=settings,
        fingerprint=_fingerprint(service.id, endpoint.description, settings, location and location.uri),
    )


def _is_copy(shown: Location, artefact: Artefact) -> bool:
    """Whether a place that is not the artefact's may be the service's own copy of it (classic-protocol 1.5).

    What lies where our versions lie is none: somebody pointed the endpoint to another of them.
    """
    ours, container = artefact.location.base, artefact.location.relative.partition("/")[0]
    return (shown.base, shown.relative.partition("/")[0]) != (ours, container)


def _with_answers(live: LiveTarget, answers: str | None) -> LiveTarget:
    return replace(live, answers=answers)


def _check_unmoved(now: Endpoint, planned_on: Endpoint | None, ours: Marker) -> None:
    """Read, compare, write: what was repointed by somebody else since the plan is not ours to overwrite."""
    if planned_on is None:
        return
    was, found = (split_description(endpoint.description)[1] for endpoint in (planned_on, now))
    if found not in (was, ours):
        shown = "no marker any more" if found is None else f"the marker of {found.version}"
        raise PlanMoved(f"since the plan was made it was changed by somebody else: it carries {shown}; plan again")


def _check_resource(endpoint: Endpoint, resource: str, service: str) -> None:
    if endpoint.resources is None or any(found.name == resource for found in endpoint.resources):
        return
    offered = ", ".join(found.name for found in endpoint.resources) or "nothing: is it a training service?"
    raise TargetError(f"{service} offers no updatable resource {resource}; it offers {offered}")


def _fingerprint(*observed: object) -> str:
    return hashlib.sha256(json.dumps(observed, sort_keys=True, default=str).encode()).hexdigest()

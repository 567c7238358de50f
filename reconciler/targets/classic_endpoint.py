"""Classic endpoints: observed by one list call per web service, repointed by one ``PATCH`` of ``Resources``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from reconciler.azure.classic import ClassicManagement, Endpoint, EndpointPatch, ResourceUpdate, WebService
from reconciler.azure.errors import CloudError, Conflict, LostReply, ServiceError, ServiceUnavailable
from reconciler.azure.scoring import Scoring
from reconciler.plan.document import Action, Step
from reconciler.plan.preflight.facts import Quota
from reconciler.plan.preflight.quotas import FREE_ENDPOINTS, endpoint_quota
from reconciler.plan.states import DesiredTarget, LiveTarget, Location, Problem
from reconciler.spec.documents import ClassicEndpoint, ClassicEndpointSpec
from reconciler.spec.secrets import MissingSecret
from reconciler.targets import classic_orphans, classic_state, probing
from reconciler.targets.classic_proof import Proving
from reconciler.targets.classic_state import DEFAULT_ENDPOINT, Service
from reconciler.targets.connections import Connections
from reconciler.targets.contract import Artefacts, Driver, Notify, PlanMoved, TargetError, Verified
from reconciler.targets.marker import TooLong, marked_description, markers_for, split_description
from reconciler.targets.patience import Patience
from reconciler.targets.workspaces import workspace_problem

_SERVICES_AT_ONCE = 16
_PROBES_AT_ONCE = 16
_TRIES = 3


class ClassicEndpoints(Driver):
    """The fleet's Classic endpoints."""

    kind = classic_state.KIND
    probes = True

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._documents = tuple(connections.fleet.classic_endpoints.values())
        self._specs: dict[str, ClassicEndpoint] = {}
        self._services: dict[tuple[str, str], Service] = {}
        self._orphans: dict[str, classic_orphans.Orphan] = {}
        self._standard: dict[str, bool] = {}
        self._repointed: set[str] = set()
        self._replaced: dict[str, dict[str, Location]] = {}
        """What targets showed as their models before this pass repointed them, by identity and resource."""
        self._rewritten: dict[str, dict[str, Location]] = {}
        """The same of models that were in sync, and were written once more with the others or after a refresh."""

    async def prepare(self) -> None:
        """See `Driver.prepare`. One list of web services a workspace: two specs may mean one by its name and its id."""
        named = {(document.spec.workspace, document.spec.web_service) for document in self._documents}
        await self._find_services(named | classic_orphans.places(self._connections.fleet))
        self._specs = {self._identity(document): document for document in self._documents}

    def _identity(self, document: ClassicEndpoint) -> str:
        spec = document.spec
        workspace = self._connections.fleet.workspaces[spec.workspace].spec.id.lower()
        service = self._services[spec.workspace, spec.web_service].id or spec.web_service
        return f"{workspace}/{service}/{spec.endpoint}"

    def desired(self) -> tuple[DesiredTarget, ...]:
        """See `Driver.desired`."""
        group = self._connections.fleet.set_of
        return tuple(
            classic_state.desired(self._identity(document), document, group.get(document.name, ""))
            for document in self._documents
        )

    def orphans(self, names: Mapping[str, str]) -> tuple[tuple[DesiredTarget, LiveTarget], ...]:
        """See `Driver.orphans`."""
        found = classic_orphans.find(self._connections.fleet, self._services, self._specs.keys(), names)
        self._orphans = {orphan.target.identity: orphan for orphan in found}
        return tuple((orphan.target, orphan.live) for orphan in found)

    # -- observe

    async def observe(self, recorded: Mapping[str, str]) -> dict[str, LiveTarget]:
        """See `Driver.observe`. One list of endpoints a web service.

        The names of updatable resources, which the listing may leave out, cost one ``GET`` for each service in which
        a target does not carry the marker that it should.
        """
        wanted: dict[tuple[str, str], list[str]] = {
            place: [] for place in classic_orphans.places(self._connections.fleet)
        }
        for identity, spec in self._specs.items():
            wanted.setdefault((spec.spec.workspace, spec.spec.web_service), []).append(identity)
        gate = asyncio.Semaphore(_SERVICES_AT_ONCE)

        async def look(key: tuple[str, str], identities: list[str]) -> None:
            async with gate:
                await self._list_endpoints(self._services[key], identities)

        await asyncio.gather(*(look(key, identities) for key, identities in wanted.items()))
        live = {identity: self._live(identity, document.spec) for identity, document in self._specs.items()}
        await self._probe(live, recorded)
        return live

    def _live(self, identity: str, spec: ClassicEndpointSpec) -> LiveTarget:
        live = classic_state.live(identity, spec.endpoint, self._service(identity))
        tier = self._connections.fleet.workspaces[spec.workspace].spec.tier
        problem = classic_state.not_in_a_free_workspace(spec) if tier == "free" else None
        return live if problem is None or live.problem is not None else replace(live, problem=problem)

    def _service(self, identity: str) -> Service:
        spec = self._specs[identity].spec
        return self._services[spec.workspace, spec.web_service]

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
                self._services[workspace, name] = classic_state.resolve(workspace, name, listed, problem)

        await asyncio.gather(*(look(workspace, names) for workspace, names in by_workspace.items()))

    async def _list_endpoints(self, service: Service, identities: list[str]) -> None:
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

    async def _ask_resources(self, management: ClassicManagement, service: Service, identities: list[str]) -> Any:
        names = [self._specs[identity].spec.endpoint for identity in identities]
        asked = (*names, DEFAULT_ENDPOINT, *service.endpoints)
        name = next((name for name in asked if name in service.endpoints), None)
        found = None if name is None else await management.get_endpoint(service.id, name)
        # An endpoint without the member has no updatable resource (classic-protocol 5.3).
        return None if found is None else found.resources or ()

    def _carries_its_marker(self, service: Service, identity: str) -> bool:
        spec = self._specs[identity].spec
        endpoint = service.endpoints.get(spec.endpoint)
        if endpoint is None:
            return False
        found = {(marker.version.model, marker.version.label) for marker in split_description(endpoint.description)[1]}
        return found == {(use.name, use.version) for use in spec.uses}

    async def _probe(self, live: dict[str, LiveTarget], recorded: Mapping[str, str]) -> None:
        gate = asyncio.Semaphore(_PROBES_AT_ONCE)

        async def one(identity: str, before: str) -> None:
            async with gate:
                answers = await self._answers(identity)
            if probing.comparable(before, answers):
                live[identity] = replace(live[identity], answers=answers)

        unclear = [identity for identity in recorded if identity in live and not live[identity].bound]
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
        if workspace not in self._standard:
            self._standard[workspace] = any(
                len(service.endpoints) > FREE_ENDPOINTS
                or any(endpoint.throttle_level == "High" for endpoint in service.endpoints.values())
                for service in self._services.values()
                if service.workspace == workspace
            )
        return "standard" if self._standard[workspace] else None

    async def answers(self, target: DesiredTarget) -> str | None:
        """See `Driver.answers`."""
        return await self._answers(target.identity)

    async def _answers(self, identity: str) -> str | None:
        spec = self._specs[identity].spec
        service = self._service(identity)
        endpoint = service.endpoints.get(spec.endpoint)
        if endpoint is None or endpoint.primary_key is None or endpoint.api_location is None:
            return None
        scoring = self._connections.scoring(endpoint.api_location, endpoint.primary_key)

        def made() -> Awaitable[probing.Rows]:
            # The same for all endpoints of the service: they share its interface.
            if service.made_rows is None:
                described = self._described_by(service, scoring)
                asking = probing.made_rows(described)
                service.made_rows = asyncio.create_task(asking, name=f"swagger of {service.name}")
            return asyncio.shield(service.made_rows)

        return await probing.score(scoring, spec.probe, made)

    def _described_by(self, service: Service, otherwise: Scoring) -> Scoring:
        """Whose swagger the probe's rows are made from: that of `default`, which no patch can change.

        Were it the target's own, a service that shows a row of the model's data as its example would be asked other
        rows after each update, and answers to other rows don't compare.
        """
        default = service.endpoints.get(DEFAULT_ENDPOINT)
        if default is None or default.api_location is None or default.primary_key is None:
            return otherwise
        return self._connections.scoring(default.api_location, default.primary_key)

    # -- carry out

    async def carry_out(self, step: Step, target: DesiredTarget, artefacts: Artefacts) -> None:
        """See `Driver.carry_out`."""
        spec = self._specs[target.identity]
        service = self._service(target.identity)
        management = self._connections.management(spec.spec.workspace)
        try:
            match step.action:
                case Action.CREATE:
                    await self._create(management, service, spec)
                case Action.REFRESH:
                    await self._refresh(management, service, spec.spec.endpoint)
                case Action.REPOINT:
                    moving = frozenset(
                        moved.resource for moved in step.differences if moved.old != moved.new and moved.resource
                    )
                    await self._repoint(management, service, target, artefacts, moving)
                    self._repointed.add(target.identity)
                case Action.SETTINGS:
                    await self._settings(management, service, spec, step, artefacts)
                case _:
                    raise TargetError(f"a Classic endpoint has no step {step.action}")
        except (ServiceError, TooLong) as error:
            raise TargetError(str(error)) from error

    async def _create(self, management: ClassicManagement, service: Service, spec: ClassicEndpoint) -> None:
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

    async def _refresh(self, management: ClassicManagement, service: Service, name: str) -> None:
        """Make it of what ``default`` is made of. What it serves is written again by the repoint that follows."""
        patience = self._patience()
        while True:
            try:
                await management.refresh_endpoint(service.id, name)
                return
            except (LostReply, ServiceUnavailable):
                if not await patience.again():  # Twice ends in the same state (classic-protocol 6).
                    raise

    async def _repoint(
        self,
        management: ClassicManagement,
        service: Service,
        target: DesiredTarget,
        artefacts: Artefacts,
        moving: frozenset[str],
    ) -> None:
        wanted = self._specs[target.identity].spec
        markers = markers_for(artefacts)
        planned_on = service.endpoints.get(wanted.endpoint)
        patience = self._patience()
        while True:
            endpoint = await self._read(management, service, wanted.endpoint)
            for resource in artefacts:
                classic_state.check_resource(endpoint, resource, service.name)
            classic_state.check_unmoved(endpoint, planned_on, markers)
            shown = classic_state.live_endpoint(target.identity, endpoint, service).bound
            places = {name: found.location for name, found in shown.items() if found.location is not None}
            moved = {name: place for name, place in places.items() if name in moving}
            self._replaced.setdefault(target.identity, moved)
            # What is only written once more may well be shown where it was.
            again = {name: place for name, place in places.items() if name in artefacts and name not in moving}
            self._rewritten.setdefault(target.identity, again)
            # Read, compare, write: a text that someone else wrote meanwhile stays, unless the spec manages it.
            text = split_description(endpoint.description)[0] if wanted.description is None else wanted.description
            patch = EndpointPatch(
                resources=tuple(
                    ResourceUpdate(resource, artefact.location.base, artefact.location.relative, artefact.signature)
                    for resource, artefact in artefacts.items()
                ),
                description=marked_description(text, markers),
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
        self, management: ClassicManagement, service: Service, spec: ClassicEndpoint, step: Step, artefacts: Artefacts
    ) -> None:
        endpoint = await self._read(management, service, spec.spec.endpoint)
        live = classic_state.live_endpoint("", endpoint, service).settings
        # What the creation or the repoint just before took along is there by now.
        changed = {wanted.field for wanted in step.differences if live.get(wanted.field) != wanted.new}
        if not changed:
            return
        text, markers = split_description(endpoint.description)
        ours = markers_for(artefacts) or markers
        description: str | None = None
        if "Description" in changed or markers != ours:
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

    async def _read(self, management: ClassicManagement, service: Service, name: str) -> Endpoint:
        endpoint = await management.get_endpoint(service.id, name)
        if endpoint is None:
            raise TargetError(f"endpoint {name} of {service.name} is gone; run again to create it")
        service.endpoints[name] = endpoint
        return endpoint

    async def delete(self, target: DesiredTarget) -> None:
        """See `Driver.delete`."""
        orphan = self._orphans.get(target.identity)
        name = self._specs[target.identity].spec.endpoint if orphan is None else orphan.endpoint
        service = self._service(target.identity) if orphan is None else orphan.service
        planned_on = service.endpoints.get(name)
        patience = self._patience()
        try:
            management = self._connections.management(service.workspace)
            endpoint = await management.get_endpoint(service.id, name)
            while endpoint is not None:
                if not split_description(endpoint.description)[1]:
                    raise PlanMoved(f"endpoint {name} does not carry our note any more; nothing was deleted")
                classic_state.check_unmoved(endpoint, planned_on, ours=())
                with suppress(LostReply, ServiceUnavailable):  # The next look tells whether it was done.
                    await management.delete_endpoint(service.id, name)
                endpoint = await management.get_endpoint(service.id, name)
                if endpoint is not None and not await patience.again():
                    raise TargetError(f"endpoint {name} is still there, though the service did not refuse to delete it")
        except ServiceError as error:
            raise TargetError(str(error)) from error
        service.endpoints.pop(name, None)

    async def verify(self, target: DesiredTarget, artefacts: Artefacts, before: str | None, notify: Notify) -> Verified:
        """See `Driver.verify`."""
        service = self._service(target.identity)
        name = self._specs[target.identity].spec.endpoint
        management = self._connections.management(service.workspace)

        async def read() -> LiveTarget:
            endpoint = await self._read(management, service, name)
            return classic_state.live_endpoint(target.identity, endpoint, service)

        proving = Proving(
            cloud=self._connections.cloud,
            target=target,
            artefacts=artefacts,
            replaced=self._replaced.get(target.identity, {}),
            rewritten=self._rewritten.get(target.identity, {}),
            repointed=target.identity in self._repointed,
            read=read,
            score=lambda: self._answers(target.identity),
            notify=notify,
        )
        try:
            return await proving.verified(before)
        except ServiceError as error:
            raise TargetError(str(error)) from error

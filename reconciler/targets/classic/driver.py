"""Classic endpoints: observed by one list call per web service, written to one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from reconciler.azure.classic import ClassicManagement, WebService
from reconciler.azure.errors import CloudError, ServiceError
from reconciler.azure.execution.scoring import Scoring
from reconciler.plan.checks.facts import Quota
from reconciler.plan.checks.quotas import FREE_ENDPOINTS, endpoint_quota
from reconciler.plan.document import Action, Step
from reconciler.plan.states import DesiredTarget, LiveTarget, Problem
from reconciler.spec.documents import ClassicEndpoint, ClassicEndpointSpec
from reconciler.spec.secrets import MissingSecret
from reconciler.targets import probing
from reconciler.targets.classic import orphans as classic_orphans
from reconciler.targets.classic import state as classic_state
from reconciler.targets.classic.diagnosis import check_services
from reconciler.targets.classic.inventory import take_inventory
from reconciler.targets.classic.state import DEFAULT_ENDPOINT, Service
from reconciler.targets.classic.verification import Verification
from reconciler.targets.classic.writer import Writer
from reconciler.targets.clients import Clients
from reconciler.targets.diagnosis import Diagnosis, Reach
from reconciler.targets.driver import Artifacts, Driver, Notify, Requirements, TargetError, Verified
from reconciler.targets.inventory import Inventory, Scope
from reconciler.targets.ownership import TooLong, split_description
from reconciler.targets.workspaces import workspace_problem

_SERVICES_AT_ONCE = 16
_PROBES_AT_ONCE = 16


class ClassicEndpoints(Driver):
    """The fleet's Classic endpoints."""

    kind = classic_state.KIND
    probes = True

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._documents = tuple(clients.fleet.of(ClassicEndpoint).values())
        self._specs: dict[str, ClassicEndpoint] = {}
        self._services: dict[tuple[str, str], Service] = {}
        self._orphans: dict[str, classic_orphans.Orphan] = {}
        self._standard: dict[str, bool] = {}
        self._writer = Writer(clients)
        self._written: set[str] = set()

    async def prepare(self) -> None:
        """See `Driver.prepare`. One list of web services a workspace: two specs may mean one by its name and its id."""
        named = {(document.spec.workspace, document.spec.web_service) for document in self._documents}
        await self._find_services(named | classic_orphans.places(self._clients.fleet))
        self._specs = {self._identity(document): document for document in self._documents}

    def _identity(self, document: ClassicEndpoint) -> str:
        spec = document.spec
        workspace = self._clients.fleet.workspaces[spec.workspace].spec.id.lower()
        service = self._services[spec.workspace, spec.web_service].id or spec.web_service
        return f"{workspace}/{service}/{spec.endpoint}"

    def desired(self) -> tuple[DesiredTarget, ...]:
        """See `Driver.desired`."""
        group = self._clients.fleet.set_of
        return tuple(
            classic_state.desired(self._identity(document), document, group.get(document.name, ""))
            for document in self._documents
        )

    def orphans(self, names: Mapping[str, str]) -> tuple[tuple[DesiredTarget, LiveTarget], ...]:
        """See `Driver.orphans`."""
        found = classic_orphans.find(self._clients.fleet, self._services, self._specs.keys(), names)
        self._orphans = {orphan.target.identity: orphan for orphan in found}
        return tuple((orphan.target, orphan.live) for orphan in found)

    # -- observe

    async def observe(self, recorded: Mapping[str, str]) -> dict[str, LiveTarget]:
        """See `Driver.observe`. One list of endpoints a web service.

        The names of updatable resources, which the listing may leave out, cost one ``GET`` for each service in which
        a target does not carry the marker that it should.
        """
        wanted: dict[tuple[str, str], list[str]] = {place: [] for place in classic_orphans.places(self._clients.fleet)}
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
        live = classic_state.live(identity, spec, self._service(identity))
        tier = self._clients.fleet.workspaces[spec.workspace].spec.tier
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
                listed = await self._clients.web_services(workspace)
            except (ServiceError, MissingSecret, CloudError) as error:
                problem = await workspace_problem(self._clients, workspace, error)
            for name in names:
                self._services[workspace, name] = classic_state.resolve(workspace, name, listed, problem)

        await asyncio.gather(*(look(workspace, names) for workspace, names in by_workspace.items()))

    async def _list_endpoints(self, service: Service, identities: list[str]) -> None:
        if service.problem is not None:
            return
        management = self._clients.management(service.workspace)
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
        _, markers, managed = split_description(endpoint.description)
        found = {(marker.version.model, marker.version.label) for marker in markers}
        return managed and found >= {(use.name, use.version) for use in spec.bindings}

    async def _probe(self, live: dict[str, LiveTarget], recorded: Mapping[str, str]) -> None:
        gate = asyncio.Semaphore(_PROBES_AT_ONCE)

        async def one(identity: str, before: str) -> None:
            async with gate:
                answers = await self._answers(identity)
            if probing.comparable(before, answers):
                live[identity] = replace(live[identity], answers=answers)

        unclear = [identity for identity in recorded if identity in live and not live[identity].bound]
        await asyncio.gather(*(one(identity, recorded[identity]) for identity in unclear if live[identity].exists))

    def requirements(self, identity: str, step: Step) -> Requirements:
        """See `Driver.requirements`: room among the endpoints of its web service, ``default`` among them."""
        return Requirements(quota=self._quota(identity)) if step.action is Action.CREATE else Requirements()

    def _quota(self, identity: str) -> Quota:
        spec = self._specs[identity].spec
        service = self._services[spec.workspace, spec.web_service]
        tier = self._clients.fleet.workspaces[spec.workspace].spec.tier
        return endpoint_quota(
            f"web service {service.name} of workspace {spec.workspace}",
            spec.workspace,
            tier if tier is not None else self._shown_tier(spec.workspace),
            len(service.endpoints),
        )

    def _shown_tier(self, workspace: str) -> Literal["standard"] | None:
        """Return a workspace that has what no free one may have (classic-protocol 1.6) is a standard one."""
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
        scoring = self._clients.scoring(endpoint.api_location, endpoint.primary_key)

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
        return self._clients.scoring(default.api_location, default.primary_key)

    async def diagnose(self, reach: Reach) -> Diagnosis:
        """See `Driver.diagnose`."""
        return await check_services(self._clients, reach)

    async def inventory(self, scopes: Sequence[Scope]) -> Inventory:
        """See `Driver.inventory`."""
        del scopes  # They are of Resource Manager.
        return await take_inventory(self._clients)

    # -- carry out

    async def carry_out(self, step: Step, target: DesiredTarget, artifacts: Artifacts) -> None:
        """See `Driver.carry_out`."""
        spec, service = self._specs[target.identity].spec, self._service(target.identity)
        self._written.add(target.identity)
        try:
            match step.action:
                case Action.CREATE:
                    await self._writer.create(service, spec)
                case Action.REFRESH:
                    await self._writer.refresh(service, spec.endpoint)
                case Action.REPOINT:
                    await self._writer.repoint(step, service, spec, target, artifacts)
                case Action.SETTINGS:
                    await self._writer.settings(step, service, spec, artifacts)
                case Action.ADOPT:
                    await self._writer.adopt(service, spec.endpoint, artifacts)
                case _:
                    raise TargetError(f"a Classic endpoint has no step {step.action}")
        except (ServiceError, TooLong) as error:
            raise TargetError(str(error)) from error

    async def delete(self, target: DesiredTarget) -> None:
        """See `Driver.delete`."""
        orphan = self._orphans.get(target.identity)
        try:
            if orphan is not None:
                await self._writer.delete(orphan.service, orphan.endpoint)
            else:
                name = self._specs[target.identity].spec.endpoint
                await self._writer.delete(self._service(target.identity), name)
        except ServiceError as error:
            raise TargetError(str(error)) from error

    async def verify(self, target: DesiredTarget, artifacts: Artifacts, before: str | None, notify: Notify) -> Verified:
        """See `Driver.verify`."""
        service = self._service(target.identity)
        name = self._specs[target.identity].spec.endpoint

        async def read() -> LiveTarget:
            endpoint = await self._writer.read(service, name)
            return classic_state.live_endpoint(target.identity, endpoint, service)

        proving = Verification(
            cloud=self._clients.cloud,
            target=target,
            artifacts=artifacts,
            before=self._writer.before.get(target.identity),
            written=target.identity in self._written,
            read=read,
            score=lambda: self._answers(target.identity),
            notify=notify,
        )
        try:
            return await proving.verified(before)
        except ServiceError as error:
            raise TargetError(str(error)) from error

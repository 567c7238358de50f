"""Writes to one Classic endpoint, each safe to be done again: a run may be killed between any two lines."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from reconciler.azure.classic import ClassicManagement, Endpoint, EndpointPatch, ResourceUpdate
from reconciler.azure.errors import Conflict, LostReply, ServiceError, ServiceUnavailable
from reconciler.plan.document import Step
from reconciler.plan.states import DesiredTarget, Location
from reconciler.spec.documents import ClassicEndpointSpec
from reconciler.targets.classic import state as classic_state
from reconciler.targets.classic.state import Service
from reconciler.targets.clients import Clients
from reconciler.targets.driver import Artifacts, TargetChangedError, TargetError
from reconciler.targets.ownership import TooLong, marked_description, markers_for, split_description
from reconciler.targets.polling import Patience

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Before:
    """What a target showed as its models, by resource, before this pass wrote them.

    Attributes:
        replaced: Of those that were replaced.
        rewritten: Of those that were in sync and were written once more, with the others or after a refresh. They may
            be shown where they were, or as another copy when the write has taken effect.
    """

    replaced: Mapping[str, Location]
    rewritten: Mapping[str, Location]


class Writer:
    """Carries out steps. Raises TargetError, PlanMoved, TooLong and ServiceError."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self.before: dict[str, Before] = {}
        """By the identity of each target that was repointed."""

    def _management(self, service: Service) -> ClassicManagement:
        return self._clients.management(service.workspace)

    async def read(self, service: Service, name: str) -> Endpoint:
        """Return an endpoint as it is now."""
        endpoint = await self._management(service).get_endpoint(service.id, name)
        if endpoint is None:
            raise TargetError(f"endpoint {name} of {service.name} does not exist any more. Run again to create it")
        service.endpoints[name] = endpoint
        return endpoint

    async def create(self, service: Service, spec: ClassicEndpointSpec) -> None:
        """Create an endpoint with the ownership marker from the first moment, unless it exists."""
        management, name = self._management(service), spec.endpoint
        endpoint = await management.get_endpoint(service.id, name)
        if endpoint is None:
            try:
                endpoint = await management.create_endpoint(
                    service.id,
                    name,
                    description=marked_description(spec.description or "", ()),
                    throttle_level=spec.throttle_level,
                    max_concurrent_calls=spec.max_concurrent_calls,
                )
            except ServiceError as error:
                # Whether a PUT on an existing name is an upsert, a 409 or a 400 is unknown (classic-protocol 1.6), and
                # so is what a lost reply did: what is there now decides.
                endpoint = await management.get_endpoint(service.id, name)
                if endpoint is None and not isinstance(error, LostReply | Conflict):
                    raise
        if endpoint is None:
            raise TargetError(f"endpoint {name} was not created, although the service reported success. Run again")
        service.endpoints[name] = endpoint

    async def refresh(self, service: Service, name: str) -> None:
        """Make it of what ``default`` is made of. What it serves is written again by the repoint that follows."""
        patience = self._patience()
        while True:
            try:
                await self._management(service).refresh_endpoint(service.id, name)
                return
            except (LostReply, ServiceUnavailable):
                if not await patience.again():  # Twice ends in the same state (classic-protocol 6).
                    raise

    async def repoint(
        self,
        step: Step,
        service: Service,
        spec: ClassicEndpointSpec,
        target: DesiredTarget,
        artifacts: Artifacts,
    ) -> None:
        """Write all its models, with their ownership marker."""
        moving = frozenset(moved.resource for moved in step.differences if moved.old != moved.new)
        markers = markers_for(artifacts)
        planned_on = service.endpoints.get(spec.endpoint)
        patience = self._patience()
        while True:
            endpoint = await self.read(service, spec.endpoint)
            for resource in artifacts:
                classic_state.check_resource(endpoint, resource, service.name)
            classic_state.check_unmoved(endpoint, planned_on, markers)
            shown = classic_state.places(endpoint)
            self.before.setdefault(
                target.identity,
                Before(
                    replaced={name: place for name, place in shown.items() if name in moving},
                    rewritten={name: place for name, place in shown.items() if name in artifacts.keys() - moving},
                ),
            )
            # Read, compare, write: a text that someone else wrote meanwhile stays, unless the spec manages it.
            text = split_description(endpoint.description).text if spec.description is None else spec.description
            patch = EndpointPatch(
                resources=tuple(
                    ResourceUpdate(resource, artifact.location.base, artifact.location.relative, artifact.signature)
                    for resource, artifact in artifacts.items()
                ),
                description=marked_description(text, markers),
            )
            try:
                await self._management(service).patch_endpoint(service.id, spec.endpoint, patch)
                return
            except (LostReply, ServiceUnavailable):
                # It may have been done, and the same PATCH twice ends in the same state (classic-protocol 6). Or the
                # endpoint is too new to be patched: whether one can be right after its PUT is unknown.
                if not await patience.again():
                    raise

    async def settings(self, step: Step, service: Service, spec: ClassicEndpointSpec, artifacts: Artifacts) -> None:
        """Write the settings of a step that still differ, and the marker where it is missing."""
        endpoint = await self.read(service, spec.endpoint)
        live = classic_state.live_endpoint("", endpoint, service).settings
        # What the creation or the repoint just before took along is there by now.
        changed = {wanted.field for wanted in step.differences if live.get(wanted.field) != wanted.new}
        if not changed:
            return
        described = split_description(endpoint.description)
        markers = markers_for(artifacts) or described.markers
        description: str | None = None
        if "Description" in changed:
            description = marked_description(described.text if spec.description is None else spec.description, markers)
        elif not described.managed or described.markers != markers:
            # Whoever rewrote the text removed the marker too; the plan has seen that the model is unchanged.
            with suppress(TooLong):  # A text that leaves no room is theirs, and the settings are written without.
                description = marked_description(described.text, markers)
        values = {each.field: getattr(spec, each.field) for each in classic_state.SETTINGS if each.wire in changed}
        patch = EndpointPatch(**{**values, "description": description})
        await self._patch(service, spec.endpoint, patch)

    async def adopt(self, service: Service, name: str, artifacts: Artifacts) -> None:
        """Write the ownership marker; description and model stay."""
        markers = markers_for(artifacts)
        planned_on = service.endpoints.get(name)
        endpoint = await self.read(service, name)
        classic_state.check_unmoved(endpoint, planned_on, markers)
        if planned_on is not None and classic_state.places(endpoint) != classic_state.places(planned_on):
            raise TargetChangedError("the endpoint was pointed to another model after the plan was made; plan again")
        text, markers_found, managed = split_description(endpoint.description)
        if not managed or markers_found != markers:
            await self._patch(service, name, EndpointPatch(description=marked_description(text, markers)))

    async def _patch(self, service: Service, name: str, patch: EndpointPatch) -> None:
        """Once more after a lost reply: the same ``PATCH`` twice ends in the same state (classic-protocol 6)."""
        management = self._management(service)
        try:
            await management.patch_endpoint(service.id, name, patch)
        except (LostReply, ServiceUnavailable):
            await management.patch_endpoint(service.id, name, patch)

    async def delete(self, service: Service, name: str) -> None:
        """Delete an endpoint that has the ownership marker, and check that it is gone."""
        planned_on = service.endpoints.get(name)
        patience = self._patience()
        management = self._management(service)
        endpoint = await management.get_endpoint(service.id, name)
        while endpoint is not None:
            if not split_description(endpoint.description).managed:
                raise TargetChangedError(f"endpoint {name} no longer has the ownership marker, so it was not deleted")
            classic_state.check_unmoved(endpoint, planned_on, intended=())
            with suppress(LostReply, ServiceUnavailable):  # The next look tells whether it was done.
                await management.delete_endpoint(service.id, name)
            endpoint = await management.get_endpoint(service.id, name)
            if endpoint is not None and not await patience.again():
                raise TargetError(f"endpoint {name} still exists, although the service reported that it was deleted")
        service.endpoints.pop(name, None)

    def _patience(self) -> Patience:
        cloud = self._clients.cloud
        return Patience(cloud.settle, cloud.poll, tries=_TRIES)

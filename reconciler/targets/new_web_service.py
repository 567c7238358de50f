"""New web services: one definition each on Azure Resource Manager, repointed by a ``PATCH`` of its assets.

A ``200`` proves nothing here (new-protocol 6.1, 6.2): only the uri that a later ``GET`` shows does.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonpatch

from reconciler.azure.definitions import TrainedModelAsset, api_location, find_trained_model
from reconciler.azure.errors import Conflict, DefinitionError, LostReply, NotFound, ServiceError
from reconciler.plan.document import Action, Step
from reconciler.plan.preflight.facts import Need
from reconciler.plan.states import (
    Bound,
    DesiredTarget,
    LiveTarget,
    Location,
    Problem,
    Proof,
    Scalar,
    Use,
    VersionKey,
)
from reconciler.spec.documents import NewWebService
from reconciler.spec.secrets import MissingSecret
from reconciler.targets import probing
from reconciler.targets.connections import Connections
from reconciler.targets.contract import Artefact, Artefacts, Driver, Notify, PlanMoved, TargetError, Verified
from reconciler.targets.marker import marked_tags, markers_for, markers_of_tags

_AT_ONCE = 16
_TRIES = 3
_BUSY_FOR = 60.0
"""Seconds that a refused write is tried again for; a write takes 10 to 18 (new-protocol 3)."""
_LONGEST_PAUSE = 5.0
_ACTIONS = "Microsoft.MachineLearning/webServices"
_NEEDED: Mapping[Action, tuple[str, ...]] = {
    Action.CREATE: ("read", "write"),
    Action.REPOINT: ("read", "write"),
    Action.SETTINGS: ("read", "write"),
    Action.DELETE: ("read", "delete"),
}
"""What a step does, in the words of Azure's roles (new-protocol 6.8)."""

Definition = Mapping[str, Any]


class NewWebServices(Driver):
    """The fleet's New web services."""

    kind = "NewWebService"
    probes = False

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._specs: dict[str, NewWebService] = {
            document.spec.resource_id.lower(): document for document in connections.fleet.new_web_services.values()
        }
        self._seen: dict[str, Definition] = {}

    async def prepare(self) -> None:
        """See `Driver.prepare`. A resource id is an identity by itself."""

    def desired(self) -> tuple[DesiredTarget, ...]:
        """See `Driver.desired`."""
        return tuple(_desired(identity, document) for identity, document in self._specs.items())

    # -- observe

    async def observe(self, recorded: Mapping[str, str]) -> dict[str, LiveTarget]:
        """See `Driver.observe`. One ``GET`` each, side by side: the list does not show assets (new-protocol 1)."""
        del recorded  # The definition shows its model's uri, so nothing has to be scored.
        gate = asyncio.Semaphore(_AT_ONCE)

        async def look(identity: str) -> LiveTarget:
            async with gate:
                return await self._look(identity)

        found = await asyncio.gather(*(look(identity) for identity in self._specs))
        return {live.identity: live for live in found}

    async def _look(self, identity: str) -> LiveTarget:
        spec = self._specs[identity].spec
        try:
            definition = await self._get(identity)
        except NotFound:
            problem = Problem(
                "create-unsupported",
                f"{spec.resource_id} does not exist, and New web services are not created by this version",
                "deploy it once from Studio, or correct its resourceId",
            )
            return LiveTarget(identity, exists=False, problem=problem, fingerprint=_digest("absent"))
        except (ServiceError, MissingSecret) as error:
            problem = Problem("service-unreadable", f"{spec.resource_id}: {error}")
            return LiveTarget(identity, exists=False, problem=problem, fingerprint=_digest(problem.code))
        return _live(identity, [use.resource for use in spec.uses], definition)

    async def _get(self, identity: str) -> Definition:
        definition = await self._connections.definitions.get(self._specs[identity].spec.resource_id)
        self._seen[identity] = definition
        return definition

    def needs(self, identity: str, action: Action) -> tuple[Need, ...]:
        """See `Driver.needs`: the actions of Microsoft.MachineLearning, asked for on the resource group."""
        resource_id = self._specs[identity].spec.resource_id
        return tuple(Need(action=f"{_ACTIONS}/{verb}", resource=resource_id) for verb in _NEEDED.get(action, ()))

    async def answers(self, target: DesiredTarget) -> str | None:
        """See `Driver.answers`."""
        document = self._specs[target.identity]
        definition = self._seen.get(target.identity)
        if definition is None:
            return None
        try:
            key = await self._connections.definitions.list_keys(document.spec.resource_id)
        except (ServiceError, MissingSecret):
            return None
        base = api_location(definition)
        if base is None:
            return None
        scoring = self._connections.scoring(base, key)
        return await probing.score(scoring, document.spec.probe, scoring.swagger)

    # -- carry out

    async def carry_out(self, step: Step, target: DesiredTarget, artefacts: Artefacts) -> None:
        """See `Driver.carry_out`."""
        try:
            match step.action:
                case Action.REPOINT:
                    await self._repoint(step, target, artefacts)
                case Action.SETTINGS:
                    await self._settings(step, target)
                case _:
                    raise TargetError(f"a New web service has no step {step.action}")
        except (ServiceError, DefinitionError) as error:
            raise TargetError(str(error)) from error

    async def _repoint(self, step: Step, target: DesiredTarget, artefacts: Artefacts) -> None:
        def body(definition: Definition) -> dict[str, Any] | None:
            assets = {resource: find_trained_model(definition, resource) for resource in artefacts}
            if all(_without_query(assets[name].uri) == artefacts[name].location.uri for name in artefacts):
                return None  # An earlier try, ours or another run's, got through.
            return _repoint_body(definition, assets, step, artefacts)

        await self._write(target.identity, body)

    async def _settings(self, step: Step, target: DesiredTarget) -> None:
        changed = {difference.field: difference.new for difference in step.differences}
        properties: dict[str, Any] = {"packageType": "Graph"}
        if "maxConcurrentCalls" in changed:
            properties["realtimeConfiguration"] = {"maxConcurrentCalls": changed["maxConcurrentCalls"]}
        if "diagnostics" in changed:
            properties["diagnostics"] = {"level": changed["diagnostics"]}
        await self._write(target.identity, lambda _: {"properties": properties})

    async def _write(self, identity: str, body: Callable[[Definition], dict[str, Any] | None]) -> None:
        """PATCH what ``body`` makes of the definition as it then is, unless that is None.

        A service that is busy with an earlier write refuses others until that is through (new-protocol 3): ours,
        whose reply was lost or whose run was killed, or somebody else's. So it is waited for, and looked at again.
        """
        resource_id = self._specs[identity].spec.resource_id
        loop = asyncio.get_running_loop()
        busy_until = loop.time() + _BUSY_FOR
        pause = self._connections.cloud.poll.total_seconds()
        lost = 0
        while True:
            wanted = body(await self._get(identity))
            if wanted is None:
                return
            try:
                await self._connections.definitions.patch(resource_id, wanted)
                return
            except LostReply:
                # Unknown whether it was taken: what GET shows decides, or the refusal of a second one.
                lost += 1
                if lost == _TRIES:
                    raise
            except Conflict:
                if loop.time() >= busy_until:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def delete(self, target: DesiredTarget) -> None:
        """See `Driver.delete`."""
        raise TargetError(f"{target.name} is not deleted by this version; delete it by hand")

    async def verify(self, target: DesiredTarget, artefacts: Artefacts, before: str | None, notify: Notify) -> Verified:
        """See `Driver.verify`. The proof is the uri that the definition shows, whatever the answers are."""
        notify("reading the definition again")
        try:
            definition = await self._get(target.identity)
            live = _live(target.identity, list(artefacts), definition)
        except ServiceError as error:
            raise TargetError(str(error)) from error
        if live.problem is not None:
            raise TargetError(live.problem.message)
        for resource, artefact in artefacts.items():
            location = live.bound[resource].location
            if location != artefact.location:
                shown = "nothing" if location is None else location.uri
                raise TargetError(
                    f"the service answered with success, but its definition shows {shown}, not {artefact.location.uri}"
                )
        not_taken = {name: value for name, value in target.settings.items() if live.settings.get(name) != value}
        answers = await self.answers(target)
        text = "the definition shows the new location" if artefacts else "the definition shows its settings"
        if probing.comparable(before, answers):
            text += ", the answers are the same as before" if answers == before else ", the answers changed"
        return Verified(Proof.PROVEN, text, answers, not_taken)


def _desired(identity: str, document: NewWebService) -> DesiredTarget:
    spec = document.spec
    managed: dict[str, Scalar] = {}
    if spec.settings is not None:
        managed = {
            "maxConcurrentCalls": spec.settings.max_concurrent_calls,
            "diagnostics": spec.settings.diagnostics,
        }
    return DesiredTarget(
        name=document.metadata.name,
        kind=NewWebServices.kind,
        identity=identity,
        uses=tuple(Use(use.resource, VersionKey(use.name, use.version)) for use in spec.uses),
        settings={name: value for name, value in managed.items() if value is not None},
    )


def _live(identity: str, resources: Sequence[str], definition: Definition) -> LiveTarget:
    properties = _member(definition, "properties") or {}
    settings: dict[str, Scalar] = {
        "maxConcurrentCalls": _member(_member(properties, "realtimeConfiguration") or {}, "maxConcurrentCalls"),
        "diagnostics": _member(_member(properties, "diagnostics") or {}, "level"),
    }
    markers = markers_of_tags(_member(definition, "tags") or {})
    state = str(_member(properties, "provisioningState") or "")
    modified = str(_member(properties, "modifiedOn") or "")
    try:
        assets = {resource: find_trained_model(definition, resource) for resource in resources}
    except DefinitionError as error:
        problem = Problem("no-trained-model", str(error), "correct model.resource in the spec")
        return LiveTarget(
            identity,
            exists=True,
            markers=markers,
            settings=settings,
            problem=problem,
            fingerprint=_digest(state),
        )
    return LiveTarget(
        identity,
        exists=True,
        resources=tuple(resources),
        bound={
            resource: Bound(_location(asset.uri), asset.pointer, _without_query(asset.uri))
            for resource, asset in assets.items()
        },
        markers=markers,
        settings=settings,
        fingerprint=_digest(
            state,
            modified,
            {resource: _without_query(asset.uri) for resource, asset in assets.items()},
            settings,
            [str(marker.version) for marker in markers],
        ),
    )


def _repoint_body(
    definition: Definition, found: Mapping[str, TrainedModelAsset], step: Step, artefacts: Artefacts
) -> dict[str, Any]:
    """The whole assets map with the uris changed, right whether the service merges or replaces (new-protocol 2)."""
    operations = [operation.model_dump(mode="json") for operation in step.patch]
    resources = {asset.pointer: resource for resource, asset in found.items()}
    for operation in operations:
        resource = resources.get(operation["path"])
        if resource is None:
            raise PlanMoved(f"the definition has no trained model at {operation['path']} any more; plan again")
        asset, artefact = found[resource], artefacts[resource]
        if operation["op"] == "test":
            # A signature in the live uri is no part of what was planned on, and never was in the plan.
            operation["value"] = asset.uri if operation["value"] == _without_query(asset.uri) else operation["value"]
        else:
            operation["value"] = artefact.location.uri + _signature_if_foreign(definition, artefact)
    try:
        patched = jsonpatch.apply_patch(copy.deepcopy(dict(definition)), operations)
    except (
        jsonpatch.JsonPatchTestFailed,
        jsonpatch.JsonPatchConflict,
        jsonpatch.JsonPointerException,
    ) as error:
        shown = ", ".join(_without_query(asset.uri) for asset in found.values())
        raise PlanMoved(
            f"the definition's trained model is now {shown}, which is not what was planned on; plan again"
        ) from error
    properties = _member(patched, "properties")
    assets = next(name for name in properties if name.lower() == "assets")
    return {
        "tags": marked_tags(_member(definition, "tags") or {}, markers_for(artefacts)),
        "properties": {"packageType": "Graph", assets: properties[assets]},
    }


def _signature_if_foreign(definition: Definition, artefact: Artefact) -> str:
    """A service reads blobs of its own storage account by its own key; any other account needs a signature."""
    account = _member(_member(_member(definition, "properties") or {}, "storageAccount") or {}, "name")
    if account and account.lower() in artefact.location.base.lower():
        return ""
    return artefact.signature.get_secret_value()


def _member(members: Mapping[str, Any], name: str) -> Any:
    """A member whatever its casing: a definition mixes them (new-protocol 1)."""
    if name in members:
        return members[name]
    return next((value for key, value in members.items() if key.lower() == name.lower()), None)


def _without_query(uri: str) -> str:
    return uri.partition("?")[0]


def _location(uri: str) -> Location:
    """A uri as a place: how it is cut does not matter, only the joined text is compared."""
    return Location(*uri_parts(uri))


def uri_parts(uri: str) -> tuple[str, str]:
    """A blob's uri as (base of the account, the rest), without its query.

    A path-style address, as an account on an IP address has, keeps the account's name in the base.
    """
    scheme, _, rest = _without_query(uri).partition("://")
    host, _, path = rest.partition("/")
    if host.partition(":")[0].replace(".", "").isdigit() or host.startswith("localhost"):
        account, _, path = path.partition("/")
        host = f"{host}/{account}"
    return f"{scheme}://{host}/", path


def _digest(*observed: object) -> str:
    return hashlib.sha256(json.dumps(observed, sort_keys=True, default=str).encode()).hexdigest()

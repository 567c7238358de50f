"""What a write makes of a New web service: pure proposals, and the work that brings one into service.

A write is checked at once and answered with a tiny body. The definition that it proposes goes live when its operation
succeeds, which needs every trained model whose uri or credentials it changed to be read and loaded (new-protocol 2).
If one cannot, the operation fails; the definition that was live stays live and its service stands at ``Failed`` [I].
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.emulator import web_services
from reconciler.emulator.arm_errors import ArmError, bad_request, invalid_json
from reconciler.emulator.definition_shape import (
    AssetsMerge,
    Json,
    TrainedModelAsset,
    check,
    member,
    merged,
    seal,
    trained_models,
    unsealed,
    written_properties,
)
from reconciler.emulator.documents import Documents
from reconciler.emulator.operations import Conclusion, Failure, Operation
from reconciler.emulator.web_services import CachedModel, WebService, timestamp

REGIONS = (
    "South Central US",
    "West Central US",
    "East US 2",
    "West Europe",
    "Southeast Asia",
    "Japan East",
    "Australia East",
    "Germany Central",
)
"""Locations of the provider in display form; the first, fourth and fifth are of 2016, not all others are confirmed."""

_log = logging.getLogger(__name__)

RandomBytes = Callable[[int], bytes]


class StorageAccount(NamedTuple):
    """The storage account that a service reads its models from."""

    name: str
    key: str


class ModelUnavailable(Exception):
    """A trained model could not be brought into service; the message is for the poll of the operation."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


FetchModel = Callable[[TrainedModelAsset, StorageAccount], Awaitable[str]]
"""Reads a model, checks that it loads, keeps its bytes and gives their digest; raises `ModelUnavailable`."""


@dataclass(frozen=True)
class Proposal:
    """A whole service as a write wants it. The properties hold no key, and no envelope."""

    location: str
    tags: dict[str, str] | None
    properties: Json = field(repr=False)
    keys: dict[str, str] = field(repr=False)
    storage_key: str = field(repr=False)
    commitment_plan: str | None


def region_code(location: str) -> str:
    """``South Central US`` as URLs have it: ``southcentralus``."""
    return location.replace(" ", "").lower()


def new_key(random_bytes: RandomBytes) -> str:
    """A service key like the ones that the service makes: base64 of 64 bytes."""
    return base64.b64encode(random_bytes(64)).decode()


def propose_put(current: WebService | None, body: Mapping[str, Any], random_bytes: RandomBytes) -> Proposal:
    """What a PUT proposes: it overwrites silently, and members that it leaves out are gone.

    Keys that are left out are made anew [I]. The commitment plan stays the one of the creation.

    Raises:
        ArmError: 400 or 409, saying what is wrong.
    """
    location = _location(body, current)
    written = written_properties(body)
    _check_writable(current)
    keys = written.pop("keys", {})
    proposal = Proposal(
        location=location,
        tags=_tags(body) or {},
        properties=written,
        keys={name: str(keys.get(name) or new_key(random_bytes)) for name in ("primary", "secondary")},
        storage_key=str(written.get("storageAccount", {}).get("key", "")),
        commitment_plan=_commitment_plan(current, written),
    )
    return _checked(current, proposal)


def propose_patch(current: WebService, body: Mapping[str, Any], assets: AssetsMerge) -> Proposal:
    """What a PATCH proposes; a location in it is ignored (new-protocol 3, "PATCH body rules").

    Raises:
        ArmError: 400, saying what is wrong.
    """
    written = unsealed(written_properties(body), current.contents)
    _check_writable(current)
    storage_key = str(written.get("storageAccount", {}).get("key", "")) or current.storage_key
    keys = written.pop("keys", {})
    tags = _tags(body)
    proposal = Proposal(
        location=current.location,
        tags=current.tags if tags is None else tags,
        properties=merged(unsealed(current.properties or {}, current.contents), written, assets=assets),
        keys={**current.keys, **{name: str(value) for name, value in keys.items()}},
        storage_key=storage_key,
        commitment_plan=_commitment_plan(current, written),
    )
    return _checked(current, proposal)


def _checked(current: WebService | None, proposal: Proposal) -> Proposal:
    check(proposal.properties)
    storage = str(member(proposal.properties, "storageAccount", "name") or "")
    if not storage or not proposal.storage_key:
        raise bad_request("StorageAccountRequired", "The storage account needs a name and a key.")
    before = None if current is None else member(current.properties, "storageAccount", "name")
    if before is not None and before.lower() != storage.lower():
        raise bad_request(
            "CannotChangeStorageAccount", "The storage account of a web service cannot be changed after its creation."
        )
    properties = {
        name: value
        for name, value in proposal.properties.items()
        if name not in ("commitmentPlan", "payloadsInBlobStorage", "payloadsLocation")
    }
    return replace(proposal, properties={**properties, "storageAccount": {"name": storage}})


def _check_writable(current: WebService | None) -> None:
    # new-protocol 1: true is one-way, the service can then only be deleted; the code is [I].
    if current is not None and member(current.properties, "readOnly") is True:
        raise bad_request("WebServiceIsReadOnly", "The web service is read-only: it can be deleted, not changed.")


def _commitment_plan(current: WebService | None, written: Json) -> str | None:
    given = written.get("commitmentPlan", {}).get("id")
    before = None if current is None else current.commitment_plan
    if before is not None and given is not None and str(given).lower() != before.lower():
        raise bad_request("CannotChangeCommitmentPlan", "The commitment plan is set at creation and cannot be changed.")
    return before if given is None else str(given)


def _tags(body: Mapping[str, Any]) -> dict[str, str] | None:
    tags = member(body, "tags")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(tag, str) for tag in tags.values())):
        raise invalid_json("tags must be an object whose values are strings")
    return tags


def _location(body: Mapping[str, Any], current: WebService | None) -> str:
    given = member(body, "location")
    if not isinstance(given, str) or not given:
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    location = next((region for region in REGIONS if region_code(region) == region_code(given)), None)
    if location is None:
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{given}' is not available for resource type '{web_services.RESOURCE_TYPE}'. "
            f"List of available regions for the resource type is '{','.join(map(region_code, REGIONS))}'.",
        )
    if current is not None and current.location != location:
        raise ArmError(
            409,
            "InvalidResourceLocation",
            f"The resource '{current.name}' already exists in location '{region_code(current.location)}'. A resource "
            f"with the same name cannot be created in location '{region_code(location)}'. Please select a new "
            "resource name.",
        )
    return location


class Provisioning:
    """Carries out the operations of New web services.

    Args:
        documents: Where the services are.
        clock: The time now.
        random_bytes: A number of random bytes, for envelopes.
        fetch_model: Brings a model into service.
        expose: Makes the execution service of a web service answer as its definition says.
        withdraw: Ends the execution service of a web service.
    """

    def __init__(
        self,
        documents: Documents,
        clock: Callable[[], datetime],
        *,
        random_bytes: RandomBytes,
        fetch_model: FetchModel,
        expose: Callable[[WebService], None],
        withdraw: Callable[[WebService], None],
    ) -> None:
        self._services = documents.collection(web_services.COLLECTION)
        self._clock = clock
        self._random_bytes = random_bytes
        self._fetch_model = fetch_model
        self._expose = expose
        self._withdraw = withdraw

    async def work(self, operation: Operation) -> Conclusion:
        """Does the work of `operation` up to the write that concludes it."""
        if operation.action == "delete":
            return Conclusion(lambda: self._delete(operation))
        proposal = Proposal(**(operation.proposal or {}))
        try:
            document = self._services.get(operation.resource)
            cached = {} if document is None else WebService.from_document(document).models
            models = await self.fetch(proposal, cached)
        except ModelUnavailable as error:
            failure = Failure(error.code, str(error))
            return Conclusion(lambda: self._fail(operation), failure)
        except Exception:  # noqa: BLE001 - a poll that never ends tells nobody that the emulator is at fault
            _log.exception("%s %s failed inside the emulator", operation.action, operation.resource)
            failure = Failure("InternalServerError", "Something failed inside the emulator; see its log.")
            return Conclusion(lambda: self._fail(operation), failure)
        return Conclusion(lambda: self._succeed(operation, proposal, models))

    async def fetch(self, proposal: Proposal, cached: Mapping[str, CachedModel]) -> dict[str, CachedModel]:
        """The models of a proposal: those that it did not change as they are cached, the others fetched now.

        Raises:
            ModelUnavailable: one cannot be read or loaded.
        """
        storage = StorageAccount(proposal.properties["storageAccount"]["name"], proposal.storage_key)
        models = {}
        for asset in trained_models(proposal.properties):
            have = cached.get(asset.key)
            if have is None or (have.uri, have.credentials) != (asset.uri, asset.credentials):
                digest = await self._fetch_model(asset, storage)
                have = CachedModel(asset.name, asset.uri, asset.credentials, digest)
            models[asset.key] = replace(have, name=asset.name)
        return models

    def live(self, service: WebService, proposal: Proposal, models: dict[str, CachedModel]) -> WebService:
        """`service` with `proposal` in service; every secret in it gets a new envelope."""
        sealed = seal(proposal.properties, self._random_bytes)
        return replace(
            service,
            location=proposal.location,
            tags=proposal.tags,
            properties=sealed.properties,
            contents=sealed.contents,
            keys=proposal.keys,
            storage_key=proposal.storage_key,
            commitment_plan=proposal.commitment_plan,
            models=models,
            modified_on=timestamp(self._clock()),
        )

    def store(self, service: WebService) -> None:
        """Writes a service whose definition is live, and makes it answer. Call it in a transaction."""
        self._services[service.id.lower()] = service.to_document()
        self._expose(service)

    def _service(self, operation: Operation) -> WebService:
        return WebService.from_document(self._services[operation.resource])

    def _succeed(self, operation: Operation, proposal: Proposal, models: dict[str, CachedModel]) -> None:
        if operation.resource in self._services:
            service = self.live(self._service(operation), proposal, models)
            self.store(_concluded(service, operation, "Succeeded"))

    def _fail(self, operation: Operation) -> None:
        if operation.resource in self._services:
            service = replace(self._service(operation), modified_on=timestamp(self._clock()))
            self._services[operation.resource] = _concluded(service, operation, "Failed").to_document()

    def _delete(self, operation: Operation) -> None:
        if operation.resource in self._services:
            self._withdraw(self._service(operation))
            del self._services[operation.resource]


def _concluded(service: WebService, operation: Operation, state: str) -> WebService:
    # Where a second write is let in while one is under way, the state is that of the last one that was begun.
    if service.operation != operation.id:
        return service
    return replace(service, state=state, operation=None)


def as_json(proposal: Proposal) -> Json:
    """A proposal as an operation keeps it."""
    return asdict(proposal)

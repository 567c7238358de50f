"""The work that brings what a write proposes into service.

A write is checked at once and answered with a tiny body. The definition that it proposes goes live when its operation
succeeds (new-protocol 2). For that, the payload must be fetched if it lies in a blob, the key must be one of the
storage account, and every trained model whose uri or credentials it changed must be read and loaded. If something of
this fails, the operation does; the definition that was live stays live and its service stands at ``Failed`` [I].
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, Protocol

from reconciler.emulator.arm import web_services
from reconciler.emulator.arm.definition import (
    PAYLOAD,
    AssetsMerge,
    Json,
    Sealed,
    TrainedModelAsset,
    payload_members,
    payload_size,
    seal,
    trained_models,
    unsealed,
)
from reconciler.emulator.arm.errors import ArmError
from reconciler.emulator.arm.operations import Conclusion, Failure, Operation
from reconciler.emulator.arm.proposals import Proposal, RandomBytes, with_payload
from reconciler.emulator.arm.regional_payloads import contents_everywhere, for_region
from reconciler.emulator.arm.web_services import CachedModel, WebService, timestamp
from reconciler.emulator.documents import Documents

_log = logging.getLogger(__name__)


class StorageAccount(NamedTuple):
    """The storage account of a service: it has its models and, if it is large, its payload."""

    name: str
    key: str


class Unprovisionable(Exception):
    """A write cannot be brought into service; the message is for the poll of the operation."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ModelUnavailable(Unprovisionable):
    """A trained model could not be brought into service."""


FetchModel = Callable[[TrainedModelAsset, StorageAccount], Awaitable[str]]
"""Reads a model, checks that it loads, keeps its bytes and gives their digest; raises `ModelUnavailable`."""


class Payloads(Protocol):
    """Payloads in blobs. Both methods raise `Unprovisionable`."""

    async def read(self, uri: str, credentials: str, storage: StorageAccount) -> Json:
        """Return the JSON object in a blob."""

    async def write(self, storage: StorageAccount, name: str, payload: Json) -> None:
        """Keep a payload in a blob of a service's own storage account."""


@dataclass(frozen=True)
class Stored:
    """A definition that is ready to go live.

    Attributes:
        sealed: the definition with every secret in a new envelope.
        blob: name of the blob with its payload; None for one that is small enough to be shown.
        regions: the regions that it is prepared for, by their codes, with the names of their blobs.
    """

    sealed: Sealed
    blob: str | None = None
    regions: dict[str, str | None] = field(default_factory=dict)


class Provisioning:
    """The work of the operations of New web services.

    Args:
        documents: Where the services are.
        clock: The time now.
        random_bytes: A number of random bytes, for envelopes.
        fetch_model: Brings a model into service.
        payloads: Payloads in blobs.
        inline_payload_bytes: A payload that is larger goes into a blob.
        patch_assets: What a PATCH does with the assets that it does not name.
        is_key_of: Whether a key is one of the account; True for an account that the emulator cannot ask.
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
        payloads: Payloads,
        inline_payload_bytes: int,
        patch_assets: AssetsMerge,
        is_key_of: Callable[[StorageAccount], bool],
        expose: Callable[[WebService], None],
        withdraw: Callable[[WebService], None],
    ) -> None:
        self._services = documents.collection(web_services.COLLECTION)
        self._clock = clock
        self._random_bytes = random_bytes
        self._fetch_model = fetch_model
        self._payloads = payloads
        self._inline_payload_bytes = inline_payload_bytes
        self._patch_assets = patch_assets
        self._is_key_of = is_key_of
        self._expose = expose
        self._withdraw = withdraw

    async def work(self, operation: Operation) -> Conclusion:
        """Carry out `operation` up to the write that concludes it."""
        if operation.action == "delete":
            return Conclusion(lambda: self._delete(operation))
        try:
            if operation.action == "regional":
                return await self._prepare_region(operation)
            return await self._provision(operation)
        except Unprovisionable as error:
            failure = Failure(error.code, str(error))
        except ArmError as error:
            # What is wrong with a payload comes to light only when it has been fetched.
            code, message = error.details[0] if error.details else (error.code, error.message)
            failure = Failure(code, message)
        except Exception:  # noqa: BLE001 - a poll that never ends would hide an error of the emulator
            _log.exception("%s %s failed inside the emulator", operation.action, operation.resource)
            failure = Failure("InternalServerError", "Something failed inside the emulator; see its log.")
        return Conclusion(lambda: self._fail(operation), failure)

    async def _provision(self, operation: Operation) -> Conclusion:
        proposal = Proposal(**(operation.proposal or {}))
        storage = StorageAccount(proposal.properties["storageAccount"]["name"], proposal.storage_key)
        if not self._is_key_of(storage):
            message = f"The key is not one of the storage account '{storage.name}'."
            raise Unprovisionable("InvalidStorageAccountKey", message)
        document = self._services.get(operation.resource)
        service = None if document is None else WebService.from_document(document)
        if proposal.payload is not None:
            content = await self._payloads.read(proposal.payload["uri"], proposal.payload["credentials"], storage)
            known = {} if service is None else contents_everywhere(service.contents, service.regions)
            payload = unsealed(payload_members(content), known)
            proposal = with_payload(proposal, payload, self._patch_assets if operation.action == "patch" else None)
        models = await self.fetch(proposal, {} if service is None else service.models)
        stored = Stored(seal(proposal.properties, self._random_bytes))
        if service is not None:
            stored = await self._keep_payload(stored, service, storage, operation.id)
        return Conclusion(lambda: self._succeed(operation, proposal, models, stored))

    async def _keep_payload(
        self, stored: Stored, service: WebService, storage: StorageAccount, operation: str
    ) -> Stored:
        """Write a payload that is too large to be shown, for each region that the service is prepared for."""
        if payload_size(stored.sealed.properties) <= self._inline_payload_bytes:
            return replace(stored, regions=dict.fromkeys(service.regions))
        # A name of its own for each write: the one before is live until this one is.
        name = f"{service.service}/{operation}"
        await self._payloads.write(storage, f"{name}.json", _payload(stored.sealed.properties))
        regions: dict[str, str | None] = {}
        for region in service.regions:
            regional = for_region(stored.sealed.properties, stored.sealed.contents, region)
            regions[region] = f"{name}.{region}.json"
            await self._payloads.write(storage, f"{name}.{region}.json", _payload(regional))
        return replace(stored, blob=f"{name}.json", regions=regions)

    async def _prepare_region(self, operation: Operation) -> Conclusion:
        service, region = self._service(operation), str(operation.region)
        if service.properties is None:
            message = f"The web service '{service.name}' has no definition that could be prepared."
            raise Unprovisionable("WebServiceNotProvisioned", message)
        blob = None
        if service.payload_blob is not None:
            storage = StorageAccount(service.properties["storageAccount"]["name"], service.storage_key)
            blob = f"{service.service}/{operation.id}.{region}.json"
            regional = for_region(service.properties, service.contents, region)
            await self._payloads.write(storage, blob, _payload(regional))

        def prepared() -> None:
            if operation.resource in self._services:
                now = self._service(operation)
                now = replace(now, regions={**now.regions, region: blob}, modified_on=timestamp(self._clock()))
                self._services[operation.resource] = _concluded(now, operation, "Succeeded").to_document()

        return Conclusion(prepared)

    async def fetch(self, proposal: Proposal, cached: Mapping[str, CachedModel]) -> dict[str, CachedModel]:
        """Return the models of a proposal: those that it did not change as they are cached, the others fetched now.

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

    def live(
        self, service: WebService, proposal: Proposal, models: dict[str, CachedModel], stored: Stored | None = None
    ) -> WebService:
        """Return `service` with `proposal` live; every secret gets a new envelope unless it has one already."""
        stored = stored or Stored(seal(proposal.properties, self._random_bytes))
        return replace(
            service,
            location=proposal.location,
            tags=proposal.tags,
            properties=stored.sealed.properties,
            contents=stored.sealed.contents,
            keys=proposal.keys,
            storage_key=proposal.storage_key,
            models=models,
            payload_blob=stored.blob,
            regions=stored.regions,
            modified_on=timestamp(self._clock()),
        )

    def store(self, service: WebService) -> None:
        """Write a service whose definition is live, and make the service answer. Needs a transaction."""
        self._services[service.id.lower()] = service.to_document()
        self._expose(service)

    def _service(self, operation: Operation) -> WebService:
        return WebService.from_document(self._services[operation.resource])

    def _succeed(
        self, operation: Operation, proposal: Proposal, models: dict[str, CachedModel], stored: Stored
    ) -> None:
        if operation.resource in self._services:
            service = self.live(self._service(operation), proposal, models, stored)
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


def _payload(properties: Json) -> Json:
    return {name: properties[name] for name in PAYLOAD if name in properties}

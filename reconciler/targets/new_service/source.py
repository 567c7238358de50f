"""What a New web service is created from: a definition file, or a service in another region."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from reconciler.azure.arm.definition import member
from reconciler.azure.arm.web_service_writes import ServiceWrites
from reconciler.azure.arm.web_services import Definitions
from reconciler.plan.states import Problem, Scalar
from reconciler.spec.documents import NewWebService, NewWebServiceSpec, SecretReference
from reconciler.spec.secrets import MissingSecret
from reconciler.targets.clients import Clients
from reconciler.targets.driver import Artifacts
from reconciler.targets.new_service.bodies import Creation, creation_body
from reconciler.targets.new_service.definition.file import (
    DefinitionFileError,
    Written,
    export_definition,
    read_definition,
    resolved,
)
from reconciler.targets.new_service.definition.form import Definition, is_placeholder, pointer, walk, without_query
from reconciler.targets.new_service.definition.validation import reference_of
from reconciler.targets.new_service.payloads import with_payload
from reconciler.targets.new_service.state import KIND, SETTINGS, account_of, is_storage_key, uri_parts
from reconciler.targets.ownership import with_tags
from reconciler.targets.settings import managed

UNUSABLE = "definition-unusable"
"""The code of the problem with a definition file."""
_KEY_BYTES = 64
_SIGNATURE_LASTS = timedelta(hours=24)
_NOT_COPIED = frozenset({"keys", "commitmentplan", "storageaccount", "machinelearningworkspace"})

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class ResolvedDocument:
    """What a document refers to, looked up before anything is observed.

    Attributes:
        file: The definition in its file.
        storage_key: The key of its storage account.
        keys: The keys that it is to have, by ``primary`` and ``secondary``.
        problem: What could not be looked up.
    """

    file: Written | None = None
    storage_key: SecretStr | None = None
    keys: Mapping[str, SecretStr] = field(default_factory=dict)
    problem: Problem | None = None


class ServiceSources:
    """Where the services of a fleet come from."""

    def __init__(self, clients: Clients, writes: ServiceWrites, random_bytes: RandomBytes) -> None:
        self._clients = clients
        self._writes = writes
        self._random_bytes = random_bytes

    @property
    def _definitions(self) -> Definitions:
        return self._clients.definitions

    async def secret(self, document: NewWebService, reference: SecretReference, field: str) -> SecretStr:
        """Return what a reference of a document stands for; raises MissingSecret."""
        base = self._clients.fleet.base_dir_of(KIND, document.name)
        asked = f"{KIND} {document.name}, {field}"
        return await self._clients.secret(reference, base, wanted_for=asked)

    async def look_up(self, document: NewWebService) -> ResolvedDocument:
        """Read a document's definition file, and the secrets that it refers to."""
        spec = document.spec
        if spec.state == "absent":
            return ResolvedDocument()
        try:
            file = None
            if spec.definition is not None:
                base = self._clients.fleet.base_dir_of(KIND, document.name)
                file = read_definition(base / spec.definition.path)
            storage_key = None
            if spec.storage is not None:
                storage_key = await self.secret(document, spec.storage.key, "spec.storage.key")
                if not is_storage_key(storage_key):
                    text = f"{KIND} {document.name}, spec.storage.key: the secret is not a storage account key"
                    return ResolvedDocument(
                        problem=Problem("storage-key-malformed", text, "Refer to the key only, in base64")
                    )
            references = {} if spec.keys is None else {"primary": spec.keys.primary, "secondary": spec.keys.secondary}
            keys = {
                name: await self.secret(document, reference, f"spec.keys.{name}")
                for name, reference in references.items()
                if reference is not None
            }
        except MissingSecret as error:
            return ResolvedDocument(problem=Problem("secret-missing", str(error)))
        except DefinitionFileError as error:
            return ResolvedDocument(problem=Problem(UNUSABLE, str(error)))
        return ResolvedDocument(file, storage_key, keys)

    async def properties(self, document: NewWebService, given: ResolvedDocument) -> Definition:
        """Return the definition that a service would be created with, as far as reading alone tells.

        Raises:
            ServiceError, DefinitionError: the service that it is to be a copy of cannot be read.
        """
        if given.file is not None:
            return given.file.properties
        source = await self._definitions.get(self._copied_from(document.spec))
        found = await with_payload(self._clients.http, source)
        return dict(member(found, "properties") or {})

    async def body(self, document: NewWebService, given: ResolvedDocument, artifacts: Artifacts) -> dict[str, Any]:
        """Return the body that creates a service.

        Raises:
            MissingSecret, ServiceError, DefinitionError: as what it is made of cannot be had.
        """
        spec = document.spec
        if spec.storage is None or spec.commitment_plan is None or given.storage_key is None:
            raise MissingSecret("a service is created with a storage account and a commitment plan only")
        file = given.file
        properties = await self._copied(spec) if file is None else file.properties
        tags = {} if file is None else file.tags
        location = spec.location or (None if file is None else file.location)
        creation = Creation(
            target=document.name,
            location=str(location),
            account=spec.storage.account,
            storage_key=given.storage_key.get_secret_value().strip(),
            plan=spec.commitment_plan,
            keys={name: self._key(given, name) for name in ("primary", "secondary")},
            settings=_given_settings(spec),
            tags=with_tags(tags, spec.tags),
        )
        return await self.with_secrets(document, creation_body(properties, creation, artifacts))

    async def with_secrets(self, document: NewWebService, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body with the secrets in it that its placeholders stand for; raises MissingSecret."""
        secrets = {
            pointer(path): (
                await self.secret(document, reference_of(value), f"spec.definition, {pointer(path)}")
            ).get_secret_value()
            for path, value in walk(body)
            if is_placeholder(value)
        }
        found: dict[str, Any] = resolved(body, secrets)
        return found

    def missing_for_creation(self, document: NewWebService, given: ResolvedDocument) -> Problem | None:
        """Return what a service that does not exist cannot be created for; None if it can."""
        spec = document.spec
        if spec.definition is None and spec.copy_of is None:
            return Problem(
                "nothing-to-create-from",
                f"{spec.resource_id} does not exist, and the spec has no definition to create it from",
                "Correct resourceId, or add a definition (`reconcile export` writes one) or copyOf to the spec",
            )
        located = spec.location is not None or (given.file is not None and given.file.location is not None)
        needed = {"location": located, "storage": spec.storage, "commitmentPlan": spec.commitment_plan}
        missing = [name for name, value in needed.items() if not value]
        if missing:
            told = ", which definitions do not have" if "location" not in missing else ""
            return Problem(
                "cannot-create",
                f"{spec.resource_id} does not exist, and cannot be created without {' and '.join(missing)}",
                f"Add {', '.join(f'spec.{name}' for name in missing)}{told}",
            )
        return None

    def source(self, spec: NewWebServiceSpec) -> str | None:
        """Return the resource id of what a service is to be a copy of; None if it is to be no copy."""
        return None if spec.copy_of is None else self._copied_from(spec)

    def _copied_from(self, spec: NewWebServiceSpec) -> str:
        named = str(spec.copy_of)
        fleet = self._clients.fleet
        document = {**fleet.unselected, **fleet.target_documents}.get(named)
        return document.spec.resource_id if isinstance(document, NewWebService) else named

    async def _copied(self, spec: NewWebServiceSpec) -> dict[str, Any]:
        """Return a service's definition with its secrets encrypted for another region (new-protocol 1, 3)."""
        source, region = self._copied_from(spec), str(spec.location).replace(" ", "").lower()
        await self._writes.prepare_region(source, region)
        shown = await with_payload(self._clients.http, await self._definitions.get(source, region=region))
        exported = export_definition(shown).content["properties"]
        # The envelopes are for this very region, so they are taken along and not asked for.
        properties = {
            name: _with_envelopes(value, member(shown, "properties", name))
            for name, value in exported.items()
            if name.casefold() not in _NOT_COPIED
        }
        account = spec.storage.account if spec.storage is not None else ""
        for path, value in list(walk(properties)):
            if path[-1:] and path[-1].casefold() == "uri" and isinstance(value, str) and path[0].casefold() == "assets":
                member(properties, *path[:-1])[path[-1]] = await self._readable(value, account)
        return properties

    async def _readable(self, uri: str, account: str) -> str:
        """Return the uri of a model with a signature, if it lies in another account that the fleet has a key of."""
        place = without_query(uri)
        if "://" not in place or not place.startswith("http") or account_of(place).casefold() == account.casefold():
            return uri
        base, relative = uri_parts(place)
        for workspace in self._clients.fleet.workspaces:
            blobs = await self._clients.blobs(workspace)
            if blobs.holds(base):
                container, _, name = relative.partition("/")
                return place + (await blobs.sign(container, name, _SIGNATURE_LASTS)).get_secret_value()
        return uri

    def _key(self, given: ResolvedDocument, name: str) -> str:
        """Return a key of the caller's, or a new one like those that the service makes."""
        if name in given.keys:
            return given.keys[name].get_secret_value()
        return base64.b64encode(self._random_bytes(_KEY_BYTES)).decode()


def _given_settings(spec: NewWebServiceSpec) -> dict[str, Scalar]:
    return managed(SETTINGS, spec.settings)


def _with_envelopes(exported: Any, shown: Any) -> Any:
    """Return an exported value with what was shown where a placeholder stands."""
    if is_placeholder(exported):
        return shown
    if isinstance(exported, Mapping):
        return {name: _with_envelopes(value, member(shown, name)) for name, value in exported.items()}
    if isinstance(exported, list) and isinstance(shown, list):
        return [_with_envelopes(one, other) for one, other in zip(exported, shown, strict=True)]
    return exported

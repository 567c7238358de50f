"""New web services as the emulator keeps them, and the three forms in which Azure Resource Manager shows them.

A service is one document of the collection ``webServices``, under its resource id in lower case:

* ``id``, ``name``, ``location`` ("South Central US"), ``tags`` as they were written; ``subscription`` as a GUID;
* ``service``: the 32-hex id in the paths of its execution service, the same for the service's whole life;
* ``properties``: the definition that is live, as GET shows it, or null while there has never been one;
* ``contents``: what the envelopes in ``properties`` hold, by envelope;
* ``keys``, ``storage_key``: what GET never shows;
* ``payload_blob``: in which blob of the storage account the payload lies; null while it is small enough to be shown;
* ``regions``: the other regions that it is prepared for, by their codes, each with such a blob's name or null;
* ``models``: by asset key, each trained model that is in service: ``name``, ``uri``, ``credentials`` and ``digest``,
  under which its bytes are kept;
* ``experiment``: the experiment of the studio file that it was deployed from, null for one that a client made;
* ``state``: provisioning state; ``created_on``, ``modified_on``; ``operation``: the id of the one in progress, or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

from reconciler.emulator.arm.definition import PAYLOAD, Json
from reconciler.emulator.arm.definition_versions import CURRENT, has_payload_members

COLLECTION = "webServices"
RESOURCE_TYPE = "Microsoft.MachineLearning/webServices"

# The order of the recordings, which people compare with.
_ENVELOPE_ORDER = ("title", "description", "swaggerLocation", "readOnly", "realtimeConfiguration", "diagnostics")
_AFTER_ENVELOPE = ("storageAccount", "machineLearningWorkspace")
_FULL_ORDER = (
    "assets",
    "input",
    "output",
    "packageType",
    "exampleRequest",
    "exposeSampleData",
    "parameters",
    "package",
)
_LIST_ORDER = ("packageType", "exposeSampleData")
_DEFAULTS: Json = {"readOnly": False, "realtimeConfiguration": {"maxConcurrentCalls": 20}, "exposeSampleData": True}


@dataclass(frozen=True)
class CachedModel:
    """A trained model that was fetched when its service was provisioned."""

    name: str
    uri: str
    credentials: str
    digest: str

    def __repr__(self) -> str:
        return f"CachedModel({self.name!r}, digest={self.digest!r})"  # the uri may carry a signature


@dataclass(frozen=True)
class WebService:
    """One New web service; the module's docstring says what each field holds."""

    id: str
    name: str
    location: str
    tags: dict[str, str] | None
    subscription: str
    service: str
    created_on: str
    modified_on: str
    state: str = "Provisioning"
    properties: Json | None = None
    contents: dict[str, str] = field(default_factory=dict, repr=False)
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    storage_key: str = field(default="", repr=False)
    models: dict[str, CachedModel] = field(default_factory=dict)
    experiment: str | None = None
    operation: str | None = None
    payload_blob: str | None = None
    regions: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the service of a document of the collection."""
        models = {key: CachedModel(**model) for key, model in document["models"].items()}
        # A state that an earlier version wrote may have members that there are no more.
        known = {name: value for name, value in document.items() if name in _FIELDS}
        return cls(**{**known, "models": models})

    def to_document(self) -> dict[str, Any]:
        """Return the document of the service."""
        return asdict(self)


_FIELDS = frozenset(one.name for one in fields(WebService))


def timestamp(moment: datetime) -> str:
    """Return ISO 8601 with ``Z`` and a fraction whose trailing zeros are trimmed, as recorded."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def accepted_view(service: WebService, *, patch: bool, version: str = CURRENT) -> Json:
    """Return the tiny first body of a write [O]."""
    properties: Json = {}
    if not patch and has_payload_members(version):
        properties["payloadsInBlobStorage"] = service.payload_blob is not None
    return _enveloped(service, {**properties, "provisioningState": "Provisioning"})


def regional_view(service: WebService) -> Json:
    """Return the first body of ``CreateRegionalBlob``: the id is the bare name, and there are no tags [O]."""
    body = accepted_view(service, patch=False)
    body.pop("tags", None)
    return {**body, "id": service.name}


def full_view(service: WebService, base_url: str, version: str = CURRENT, location: Json | None = None) -> Json:
    """Return what GET by name shows.

    Args:
        service: its properties are shown as they are.
        base_url: where the client reached the server.
        version: of the request.
        location: where the payload lies, instead of the payload.
    """
    if location is None:
        return _view(service, base_url, _FULL_ORDER, version, {})
    tail = tuple(name for name in _FULL_ORDER if name not in PAYLOAD)
    return _view(service, base_url, tail, version, {"payloadsLocation": location})


def list_view(service: WebService, base_url: str, version: str = CURRENT) -> Json:
    """Return what an item of a list shows: no payload (new-protocol 1, column "list item")."""
    return _view(service, base_url, _LIST_ORDER, version, {})


def swagger_location(service: WebService, base_url: str) -> str:
    """Return the URL of the service's API description: the subscription id is without dashes (new-protocol 4)."""
    subscription = service.subscription.replace("-", "")
    return f"{base_url}/subscriptions/{subscription}/services/{service.service}/swagger.json"


def _view(service: WebService, base_url: str, tail: tuple[str, ...], version: str, location: Json) -> Json:
    # A service whose first provisioning failed has no definition: no tags, title, diagnostics, workspace, packageType,
    # and an empty storage account [O].
    live = {**_DEFAULTS, "storageAccount": {}} if service.properties is None else {**_DEFAULTS, **service.properties}
    live["swaggerLocation"] = swagger_location(service, base_url)
    shown: Json = {}
    if has_payload_members(version):
        shown = {"payloadsInBlobStorage": service.payload_blob is not None, **location}
    shown |= {
        "provisioningState": service.state,
        "createdOn": service.created_on,
        "modifiedOn": service.modified_on,
    }
    shown |= {name: live[name] for name in (*_ENVELOPE_ORDER, *_AFTER_ENVELOPE, *tail) if name in live}
    return _enveloped(service, shown)


def _enveloped(service: WebService, properties: Json) -> Json:
    body: Json = {
        "id": service.id,
        "name": service.name,
        "type": RESOURCE_TYPE,
        "location": service.location,
        "tags": service.tags,
        "properties": properties,
    }
    if service.tags is None or (service.state == "Failed" and service.properties is None):
        del body["tags"]
    return body

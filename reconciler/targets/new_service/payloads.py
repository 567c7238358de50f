"""Payloads of definitions that are too large to be shown: read from their blob, and handed over as one.

Above 3 MB a definition shows where its payload lies, with a signature, and takes it in the same way (new-protocol 1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from pydantic import SecretStr

from reconciler.azure.arm.definition import member, spelling
from reconciler.azure.errors import DefinitionError
from reconciler.azure.http import Http
from reconciler.azure.storage.blobs import Blobs
from reconciler.targets.new_service.definition.form import INLINE_LIMIT, PAYLOAD, Definition

_CONTAINER = "reconciler"


async def with_payload(http: Http, definition: Definition) -> Definition:
    """Return a definition with its payload in it, whatever way it is shown; the members keep the blob's own spelling.

    Raises:
        DefinitionError: it does not say where its payload lies, or something else lies there.
        ServiceError: the blob cannot be read.
    """
    if not is_in_blob(definition):
        return definition
    uri = member(definition, "properties", "payloadsLocation", "uri")
    if not isinstance(uri, str) or not uri:
        raise DefinitionError(
            "the definition keeps its payload in a blob (payloadsInBlobStorage), but does not name the blob"
        )
    base, _, query = uri.partition("?")
    reply = await http.request("GET", base, operation="read the payload of a definition", params=dict(parse_qsl(query)))
    if not isinstance(reply.json, Mapping):
        raise DefinitionError("the blob with the definition's payload does not hold a JSON object")
    wanted = {name.casefold() for name in PAYLOAD}
    payload = {name: value for name, value in reply.json.items() if name.casefold() in wanted}
    key = spelling(definition, "properties") or "properties"
    shown = {name: value for name, value in definition[key].items() if name.casefold() not in wanted}
    return {**definition, key: {**shown, **payload}}


def is_in_blob(definition: Definition) -> bool:
    """Whether a definition's payload lies in a blob."""
    return member(definition, "properties", "payloadsInBlobStorage") is True


def payload_of(properties: Definition) -> dict[str, Any]:
    """Return the members of a definition's properties that are its payload."""
    wanted = {name.casefold() for name in PAYLOAD}
    return {name: value for name, value in properties.items() if name.casefold() in wanted}


def is_too_large(properties: Definition) -> bool:
    """Whether a definition has to be handed over as a blob."""
    return sum(len(json.dumps(value)) for value in payload_of(properties).values()) > INLINE_LIMIT


class HandedOver:
    """A payload that lies in a blob of the service's own account for as long as a write takes.

    It may hold secrets of Credential parameters, so it is removed when the service has its own copy. An async context
    manager; gives the properties that say where it is.
    """

    def __init__(self, storage: SecretStr, properties: Definition) -> None:
        self._blobs = Blobs(storage)
        self._properties = properties
        content = json.dumps(payload_of(properties), separators=(",", ":")).encode()
        self._content = content
        self._name = f"payloads/{hashlib.sha256(content).hexdigest()}.json"

    async def __aenter__(self) -> dict[str, Any]:
        await self._blobs.__aenter__()
        await self._blobs.put(_CONTAINER, self._name, self._content)
        signature = (await self._blobs.sign(_CONTAINER, self._name, timedelta(hours=1))).get_secret_value()
        uri = f"{self._blobs.base}{_CONTAINER}/{self._name}{signature}"
        payload = payload_of(self._properties)
        rest = {name: value for name, value in self._properties.items() if name not in payload}
        return {**rest, "payloadsInBlobStorage": True, "payloadsLocation": {"uri": uri, "credentials": ""}}

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._blobs.remove(_CONTAINER, self._name)
        finally:
            await self._blobs.__aexit__()

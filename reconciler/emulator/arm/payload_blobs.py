"""Payloads of web service definitions that lie in blobs (new-protocol 1, ``payloadsInBlobStorage``).

A client may hand over a payload as a blob; one that is larger than 3 MB is given out as one, in the storage account of
its service.
"""

from __future__ import annotations

import json

from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.model_source import UnusableLocation, blob_reference
from reconciler.emulator.arm.provisioning import StorageAccount, Unprovisionable
from reconciler.emulator.context import Context
from reconciler.emulator.storage.client import BlobAccessError, BlobReference

CONTAINER = "azuremlassetscontainer"
"""The container in which the published walkthrough has its trained model; where payloads lie is in no source [I]."""


class PayloadBlobs:
    """Payloads in blobs: read from anywhere, kept in the emulator's storage accounts."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self, uri: str, credentials: str, storage: StorageAccount) -> Json:
        """Return the JSON object in a blob.

        Args:
            uri: of the blob, with or without a SAS.
            credentials: a connection string, or nothing.
            storage: the account of the service.

        Raises:
            Unprovisionable: it cannot be read, or holds something else.
        """
        try:
            content = await self._context.blobs.read(blob_reference("of the payload", uri, credentials, storage))
        except UnusableLocation as error:
            raise Unprovisionable(f"Payload{error.code}", str(error)) from error
        except BlobAccessError as error:
            raise Unprovisionable(error.code, f"The payload could not be read: {error.message}.") from error
        try:
            payload = json.loads(content)
        except ValueError as error:
            raise Unprovisionable("InvalidPayload", "The payload is not JSON.") from error
        if not isinstance(payload, dict):
            raise Unprovisionable("InvalidPayload", "The payload is not a JSON object.")
        return payload

    async def write(self, storage: StorageAccount, name: str, payload: Json) -> None:
        """Keep a payload in a blob of a service's storage account, with that service's key.

        Raises:
            Unprovisionable: the account is not one of the emulator, or refuses.
        """
        if storage.name not in self._accounts():
            message = (
                f"The payload is too large to be shown, and '{storage.name}' is not a storage account of this emulator."
            )
            raise Unprovisionable("PayloadNotAccessible", message)
        connection_string = self._context.storage.connection_string(storage.name, self._context.server_url)
        place = BlobReference(f"{CONTAINER}/{name}", connection_string=connection_string)
        content = json.dumps(payload, separators=(",", ":")).encode()
        try:
            await self._context.storage.create_container(storage.name, CONTAINER)
            await self._context.blobs.write(place, content)
        except BlobAccessError as error:
            raise Unprovisionable(error.code, f"The payload could not be written: {error.message}.") from error

    def location(self, account: str, name: str, base_url: str) -> Json:
        """Return where a client reads a kept payload: a uri with a SAS of its own, and no credentials."""
        valid_for = self._context.studio.timings.sas_valid_for
        token = self._context.storage.sign(account, CONTAINER, blob=name, valid_for=valid_for)
        endpoint = self._context.storage.url(account, base_url)
        return {"uri": f"{endpoint}/{CONTAINER}/{name}{token}", "credentials": ""}

    def is_key_of(self, storage: StorageAccount) -> bool:
        """Return whether a key is one of the account's; True also for an account that is not the emulator's."""
        if storage.name not in self._accounts():
            return True
        secrets, given = self._context.secrets, storage.key.strip()
        return any(secrets.matches(key, given) for key in self._context.storage.keys(storage.name))

    def _accounts(self) -> set[str]:
        return {account.name for account in self._context.studio.storage_accounts}

"""Where the trained model of a definition is read, and with what right (new-protocol 2).

A SAS in the uri's query is used if there is one, else the connection string in the asset's ``credentials``, else the
key of the service's own storage account. Only the last way is in a public walkthrough; the others are [I].
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from reconciler.emulator.arm.definition import TrainedModelAsset
from reconciler.emulator.arm.provisioning import FetchModel, ModelUnavailable, StorageAccount
from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.context import Context
from reconciler.emulator.execution.model_copies import ModelRefused
from reconciler.emulator.storage.client import BlobReference


class BlobPlace(NamedTuple):
    """A blob's URI in its parts: the account, its endpoint with a slash at the end, and ``container/blob``."""

    account: str
    endpoint: str
    relative: str


def blob_place(uri: str) -> BlobPlace | None:
    """Return the parts of a blob's URI less its query, or None if it is not that of a blob.

    The account is in the host's name or, where the host is an address, at the start of the path.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    path = unquote(parts.path.lstrip("/"))
    account, endpoint = parts.hostname.partition(".")[0], f"{parts.scheme}://{parts.netloc}/"
    if _in_path_style(parts):
        account, _, path = path.partition("/")
        endpoint = f"{endpoint}{account}/"
    container, _, blob = path.partition("/")
    return BlobPlace(account, endpoint, path) if container and blob else None


def _in_path_style(parts: SplitResult) -> bool:
    try:
        ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return parts.hostname == "localhost"
    return True


def reference_to(asset: TrainedModelAsset, storage: StorageAccount) -> BlobReference:
    """Return how to read the model of `asset` for a service whose storage account is `storage`.

    Raises:
        ModelUnavailable: the uri is not a blob's, or nothing gives the right to read it.
    """
    try:
        return blob_reference(f"of the asset '{asset.name}'", asset.uri, asset.credentials, storage)
    except UnusableLocation as error:
        code = "InvalidAssetUri" if error.code == "InvalidUri" else "AssetNotAccessible"
        raise ModelUnavailable(code, str(error)) from error


class UnusableLocation(Exception):
    """A blob location that does not name a blob (``InvalidUri``), or may not be read (``NotAccessible``)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def blob_reference(what: str, uri: str, credentials: str, storage: StorageAccount) -> BlobReference:
    """Return how to read the blob of a location, which is a uri and credentials.

    Args:
        what: the blob's, for messages, such as "of the payload".
        uri: it may carry a SAS.
        credentials: a connection string, or nothing.
        storage: the account of the service, which is used if nothing else gives a right.

    Raises:
        UnusableLocation: see there.
    """
    place = blob_place(uri)
    if place is None:
        raise UnusableLocation("InvalidUri", f"The uri {what} is not that of a blob.")
    query = urlsplit(uri).query
    if query:
        return BlobReference(place.relative, base_location=place.endpoint, sas_blob_token=f"?{query}")
    if credentials:
        return BlobReference(place.relative, connection_string=credentials)
    if place.account.lower() != storage.name.lower():
        raise UnusableLocation(
            "NotAccessible",
            f"The blob {what} is in the storage account '{place.account}', and that of the web service is "
            f"'{storage.name}'; give credentials, or a shared access signature in the uri.",
        )
    scheme = urlsplit(place.endpoint).scheme
    return BlobReference(
        place.relative,
        connection_string=f"DefaultEndpointsProtocol={scheme};AccountName={storage.name};AccountKey={storage.key};"
        f"BlobEndpoint={place.endpoint.rstrip('/')};",
    )


def _allowed(asset: TrainedModelAsset, behaviour: Behaviour) -> TrainedModelAsset:
    """Return an asset with the only credential for its blob that this emulator checks."""
    match behaviour.foreign_model:
        case "sas":
            return asset._replace(credentials="")
        case "credentials":
            return asset._replace(uri=asset.uri.partition("?")[0])
    return asset


def fetcher(context: Context) -> FetchModel:
    """Return a function that reads, checks and keeps models."""

    async def fetch(asset: TrainedModelAsset, storage: StorageAccount) -> str:
        reference = reference_to(_allowed(asset, context.studio.behaviour), storage)
        try:
            bound = await context.models.fetch(context.blobs, context.workers, reference)
        except ModelRefused as error:
            message = f"The trained model of the asset '{asset.name}' could not be loaded: {error.message}."
            raise ModelUnavailable(error.code, message) from error
        return bound.digest

    return fetch

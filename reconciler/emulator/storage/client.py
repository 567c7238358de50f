"""The blobs that a batch job or an update of an endpoint refers to: reading and writing them.

Over HTTP and with azure-storage-blob, even when the blob lies in the local account: what a caller hands over
is then judged by its own signature or key, and a real storage account works too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import BlobClient as AzureBlobClient
from azure.storage.blob.aio import ContainerClient, LinearRetry

from reconciler.emulator.faults.visits import OWN_CALL_HEADER

_LARGEST: Final = 512 << 20
_CONNECT_SECONDS: Final = 10
_READ_SECONDS: Final = 60
_PIECE: Final = 1 << 18
_LARGEST_PIECE: Final = 1 << 20

_MESSAGES: Final = {
    "AuthenticationFailed": "the storage account refuses the signature or key: wrong, expired, or too early",
    "AuthorizationPermissionMismatch": "the SAS does not allow this operation",
    "BlobNotFound": "there is no such blob",
    "ContainerNotFound": "there is no such container",
    "ResourceNotFound": "there is no such blob",
}


@dataclass(frozen=True)
class BlobReference:
    """Where a blob is, as batch jobs and endpoint updates say it (classic-protocol 1.7, 3).

    Either a connection string, or a base location with an optional SAS.

    Attributes:
        relative_location: ``container/blob``, with or without a leading slash.
        connection_string: of the storage account.
        base_location: the account's blob endpoint, with or without a slash at its end.
        sas_blob_token: with or without its leading ``?``.
    """

    relative_location: str
    connection_string: str | None = field(default=None, repr=False)
    base_location: str | None = None
    sas_blob_token: str | None = field(default=None, repr=False)


class BlobAccessError(Exception):
    """A blob that cannot be read or written.

    Attributes:
        code: the storage account's error code, such as BlobNotFound or AuthenticationFailed; or
            InvalidBlobConnectionString, InputBlobRelativeLocationInvalid or MissingInputBlobInformation
            (classic-protocol 4.1); or StorageUnreachable, BlobTooLarge or InvalidUri.
        message: what is wrong, without any part of a key or a signature.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class BlobClient:
    """Blobs by reference; one connection pool for all of them, made at the first call and closed by `aclose`.

    Args:
        largest: the most bytes that are read into memory.
    """

    def __init__(self, *, largest: int = _LARGEST) -> None:
        self._largest = largest
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def read(self, reference: BlobReference) -> bytes:
        """Return the blob's whole content.

        Raises:
            BlobAccessError: see there.
        """
        blob = self._open(reference)
        try:
            download = await blob.download_blob()
            if download.size > self._largest:
                raise BlobAccessError("BlobTooLarge", f"{_place(reference)} is larger than {self._largest} bytes")
            return await download.readall()
        except (HttpResponseError, ServiceRequestError, ServiceResponseError) as error:
            raise _access_error(error, reference) from None

    async def write(self, reference: BlobReference, data: bytes) -> None:
        """Write the blob, replacing it if it is there; its container must exist.

        Raises:
            BlobAccessError: see there.
        """
        blob = self._open(reference)
        try:
            await blob.upload_blob(data, overwrite=True)
        except (HttpResponseError, ServiceRequestError, ServiceResponseError) as error:
            raise _access_error(error, reference) from None

    async def create_container(self, connection_string: str, container: str) -> None:
        """Make an empty private container; one that exists is left alone.

        Raises:
            BlobAccessError: see there.
        """
        try:
            client = ContainerClient.from_connection_string(connection_string, container, **self._options())
        except ValueError:
            raise _no_connection_string() from None
        try:
            await client.create_container()
        except ResourceExistsError as error:
            # A container that is being deleted exists as well, and goes on doing so for some time.
            found = _access_error(error, BlobReference(container))
            if found.code != "ContainerAlreadyExists":
                raise found from None
        except (HttpResponseError, ServiceRequestError, ServiceResponseError) as error:
            raise _access_error(error, BlobReference(container)) from None

    async def exists(self, reference: BlobReference) -> bool:
        """Return whether the blob is there; a missing container counts as a missing blob.

        Raises:
            BlobAccessError: if the account does not say.
        """
        blob = self._open(reference)
        try:
            await blob.get_blob_properties()
        except ResourceNotFoundError:
            return False
        except (HttpResponseError, ServiceRequestError, ServiceResponseError) as error:
            raise _access_error(error, reference) from None
        return True

    async def fetch_url(self, url: str) -> bytes:
        """Return what a plain GET of a URL gives: data that a global parameter points to.

        Args:
            url: http or https; it may carry a SAS.

        Raises:
            BlobAccessError: see there.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BlobAccessError("InvalidUri", "the data's location is not an http or https URL")
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        try:
            async with self._connections().get(url) as response:
                if response.status != 200:
                    code = response.headers.get("x-ms-error-code", f"Http{response.status}")
                    raise BlobAccessError(
                        code, f"{place}: {_MESSAGES.get(code, f'answered with status {response.status}')}"
                    )
                return await self._receive(response, place)
        except (TimeoutError, ValueError, aiohttp.ClientError):
            raise BlobAccessError("StorageUnreachable", f"{place} does not answer") from None

    async def _receive(self, response: aiohttp.ClientResponse, place: str) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_PIECE):
            body += chunk
            if len(body) > self._largest:
                raise BlobAccessError("BlobTooLarge", f"{place} is larger than {self._largest} bytes")
        return bytes(body)

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Azure's own clients expect bytes as they were sent, and no cookies.
                auto_decompress=False,
                # So that the journal can distinguish the emulator's own requests from its callers'.
                headers={OWN_CALL_HEADER: "yes"},
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS),
            )
        return self._session

    def _options(self) -> dict[str, Any]:
        # The session is shared, so no client needs to be closed: the pipeline owns no connection.
        return {
            "transport": AioHttpTransport(session=self._connections(), session_owner=False),
            "retry_policy": LinearRetry(backoff=1, retry_total=2, random_jitter_range=0),
            # A larger piece would go through the event loop in one go; aiohttp warns of it.
            "max_single_put_size": _LARGEST_PIECE,
            "max_block_size": _LARGEST_PIECE,
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
        }

    def _open(self, reference: BlobReference) -> AzureBlobClient:
        container, _, name = reference.relative_location.strip().lstrip("/").partition("/")
        if not container or not name:
            raise BlobAccessError(
                "InputBlobRelativeLocationInvalid",
                f"a relative location is container/blob, not {reference.relative_location!r}",
            )
        options = self._options()
        if reference.connection_string is not None:
            try:
                return AzureBlobClient.from_connection_string(
                    reference.connection_string, container_name=container, blob_name=name, **options
                )
            except ValueError:
                raise _no_connection_string() from None
        if not reference.base_location:
            raise BlobAccessError(
                "MissingInputBlobInformation", "neither a connection string nor a base location is given"
            )
        return self._by_base_location(reference, container, name, options)

    @staticmethod
    def _by_base_location(
        reference: BlobReference, container: str, name: str, options: dict[str, Any]
    ) -> AzureBlobClient:
        base = urlsplit((reference.base_location or "").strip())
        if base.scheme not in {"http", "https"} or not base.hostname or base.query:
            raise BlobAccessError("InvalidUri", "the base location is not the http or https URL of an account")
        token = (reference.sas_blob_token or "").strip().lstrip("?")
        return AzureBlobClient(
            f"{base.scheme}://{base.netloc}{base.path.rstrip('/')}",
            container_name=container,
            blob_name=name,
            credential=token or None,
            **options,
        )


def _no_connection_string() -> BlobAccessError:
    # In own words: the library's sentence may repeat a part of the connection string.
    return BlobAccessError("InvalidBlobConnectionString", "the connection string is not one of a storage account")


def _place(reference: BlobReference) -> str:
    return reference.relative_location.strip().lstrip("/")


def _access_error(
    error: HttpResponseError | ServiceRequestError | ServiceResponseError, reference: BlobReference
) -> BlobAccessError:
    """Return an error in the emulator's own words: the library's text repeats what the other side sent."""
    if not isinstance(error, HttpResponseError):
        return BlobAccessError("StorageUnreachable", f"{_place(reference)}: the storage account does not answer")
    given = getattr(error, "error_code", None)
    code = str(getattr(given, "value", given) or "")
    if not code:
        # A reply without x-ms-error-code: something that is not a storage account, or a proxy before one.
        code = "BlobNotFound" if isinstance(error, ResourceNotFoundError) else f"Http{error.status_code}"
    reason = _MESSAGES.get(code, f"the storage account answered with status {error.status_code}")
    return BlobAccessError(code, f"{_place(reference)}: {reason}")

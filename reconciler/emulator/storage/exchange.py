"""One authorized request to the local storage account, and its answer."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from reconciler.emulator.storage.authentication import Grant
from reconciler.emulator.storage.blob_store import BlobStore
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.leases import Lease

METADATA_PREFIX: Final = "x-ms-meta-"
_METADATA_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BODY_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Exchange:
    """An authorized request, with the names in its URL.

    Attributes:
        request: the HTTP request.
        store: what it is about.
        account: the account's name.
        container: the container's name, empty for a request to the account itself.
        blob: the blob's name, decoded; empty for a request to a container.
        grant: what the caller may do.
        headers: what every answer carries: request id, version, date.
        now: the moment of the request.
    """

    request: web.Request
    store: BlobStore
    account: str
    container: str
    blob: str
    grant: Grant
    headers: Mapping[str, str]
    now: datetime

    @property
    def endpoint(self) -> str:
        """The account's URL, as the caller reaches it."""
        return f"{self.request.scheme}://{self.request.host}/{self.account}/"

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return an answer without a body."""
        # The length is said even where HTTP would do without: a HEAD's reader takes it for the blob's.
        return web.Response(status=status, headers={"Content-Length": "0", **self.headers, **(headers or {})})

    def answer_xml(self, body: bytes, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return a 200 with an XML body."""
        return web.Response(body=body, headers={**self.headers, **(headers or {}), "Content-Type": "application/xml"})

    def metadata(self) -> dict[str, str]:
        """Return the user's own names and values, from the x-ms-meta- headers.

        Raises:
            StorageError: EmptyMetadataKey or InvalidMetadata: a name is that of a C# identifier.
        """
        found: dict[str, str] = {}
        for header, value in self.request.headers.items():
            if not header.lower().startswith(METADATA_PREFIX):
                continue
            name = header[len(METADATA_PREFIX) :]
            if not name:
                raise StorageError("EmptyMetadataKey")
            if not _METADATA_NAME.fullmatch(name):
                raise StorageError("InvalidMetadata", f"{header} does not end with an identifier.")
            found[name] = value
        return found

    @property
    def lease_id(self) -> str | None:
        """The lease that the caller says to hold."""
        return self.request.headers.get("x-ms-lease-id") or None

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the body, as it comes in."""
        return self.request.content.iter_chunked(_BODY_CHUNK).__aiter__()

    async def small_body(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            StorageError: RequestBodyTooLarge past `limit` bytes.
        """
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                raise StorageError("RequestBodyTooLarge")
        return bytes(body)

    def page_size(self) -> int:
        """Return how many entries a page of a listing may have.

        Raises:
            StorageError: InvalidQueryParameterValue or OutOfRangeInput.
        """
        text = self.request.query.get("maxresults", "5000")
        if not text.isdecimal():
            raise StorageError("InvalidQueryParameterValue", "maxresults is not a number.")
        if int(text) < 1:
            raise StorageError("OutOfRangeInput", "maxresults is below 1.")
        return min(int(text), 5000)

    def echoed(self, **names: str) -> dict[str, str]:
        """Return the query's parameters, under the names by which a listing repeats them."""
        return {element: self.request.query[name] for name, element in names.items() if name in self.request.query}


def lease_headers(lease: Lease, now: datetime) -> dict[str, str]:
    """Return the headers that describe a lease."""
    return {f"x-ms-lease-{name}": value for name, value in lease.described(now).items()}


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with the user's own metadata."""
    return {f"{METADATA_PREFIX}{name}": value for name, value in metadata.items()}

"""One authorised request to the local storage account, and how it is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from reconciler.emulator.blob_store import BlobStore
from reconciler.emulator.shared_access import Grant
from reconciler.emulator.storage_errors import StorageError

_METADATA: Final = "x-ms-meta-"
_BODY_CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Exchange:
    """A request that was allowed, with the names in its URL taken apart.

    Attributes:
        request: the HTTP request.
        store: what it is about.
        account: the account's name.
        container: the container's name, empty for a request to the account itself.
        blob: the blob's name, decoded; empty for a request to a container.
        grant: what the caller may do.
        headers: what every answer carries: request id, version, date.
    """

    request: web.Request
    store: BlobStore
    account: str
    container: str
    blob: str
    grant: Grant
    headers: Mapping[str, str]

    @property
    def endpoint(self) -> str:
        """The account's URL, as the caller reaches it."""
        return f"{self.request.scheme}://{self.request.host}/{self.account}/"

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
        """An answer without a body."""
        # The length is said even where HTTP would do without: a HEAD's reader takes it for the blob's.
        return web.Response(status=status, headers={"Content-Length": "0", **self.headers, **(headers or {})})

    def answer_xml(self, body: bytes, headers: Mapping[str, str] | None = None) -> web.Response:
        """A 200 with an XML body."""
        return web.Response(body=body, headers={**self.headers, **(headers or {}), "Content-Type": "application/xml"})

    def metadata(self) -> dict[str, str]:
        """The user's own names and values, from the x-ms-meta- headers."""
        return {
            name[len(_METADATA) :]: value
            for name, value in self.request.headers.items()
            if name.lower().startswith(_METADATA)
        }

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, as it comes in."""
        return self.request.content.iter_chunked(_BODY_CHUNK).__aiter__()

    async def small_body(self, limit: int) -> bytes:
        """The whole body.

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
        """How many entries a page of a listing may have.

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
        """Those of the query's parameters that were given, under the names that a listing repeats them by."""
        return {element: self.request.query[name] for name, element in names.items() if name in self.request.query}


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """The headers that give a user's own names and values back."""
    return {f"{_METADATA}{name}": value for name, value in metadata.items()}

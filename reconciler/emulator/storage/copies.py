"""Copy Blob, Copy Blob From URL and Put Blob From URL: all done when they answer.

The real service may take its time over a Copy Blob and answers with ``pending`` then; a copy within one account is
at once there too. The source is a blob of this server, which costs no second request, or whatever a plain GET of its
URL gives: one with a SAS, in any account.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote
from uuid import uuid4

import aiohttp
from aiohttp import web
from yarl import URL

from reconciler.emulator.faults.visits import OWN_CALL_HEADER
from reconciler.emulator.storage import leases
from reconciler.emulator.storage.authentication import SignedRequest
from reconciler.emulator.storage.blob_routes import (
    STORED_HEADERS,
    check_md5,
    check_write,
    stored_headers,
    written,
)
from reconciler.emulator.storage.blob_store import BlobStore
from reconciler.emulator.storage.conditions import Conditions
from reconciler.emulator.storage.content_files import Content
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.exchange import METADATA_PREFIX, Exchange
from reconciler.emulator.storage.xml import http_date

AuthorizeRead = Callable[[SignedRequest, str, str, str], object]
"""Raises StorageError unless a request may read a blob: account, container and name."""

_PIECE: Final = 1 << 20
_TIMEOUT: Final = aiohttp.ClientTimeout(sock_connect=10, sock_read=60)


@dataclass(frozen=True)
class _Source:
    etag: str
    modified: datetime
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    blocks: Sequence[tuple[str, int]]
    chunks: AsyncIterator[bytes]


class BlobCopies:
    """Copies into the accounts of one Blob service.

    Args:
        store: their blobs.
        accounts: their names.
        authorize_read: judges what a source's URL carries.
    """

    def __init__(self, store: BlobStore, accounts: frozenset[str], authorize_read: AuthorizeRead) -> None:
        self._store = store
        self._accounts = accounts
        self._authorize_read = authorize_read

    async def copy_blob(self, exchange: Exchange) -> web.StreamResponse:
        """Copy Blob; with x-ms-requires-sync Copy Blob From URL; with x-ms-blob-type Put Blob From URL."""
        sent = exchange.request.headers
        is_put = "x-ms-blob-type" in sent
        if is_put and sent["x-ms-blob-type"] != "BlockBlob":
            raise StorageError("InvalidHeaderValue", "Only block blobs are kept here: x-ms-blob-type.")
        if "x-ms-copy-source-authorization" in sent:
            raise StorageError("UnsupportedHeader", "A source is authorised by a SAS: x-ms-copy-source-authorization.")
        check_write(exchange, exchange.store.find(exchange.account, exchange.container, exchange.blob))
        own_metadata = exchange.metadata()
        async with self._source(exchange) as source:
            if not Conditions.of(sent, "x-ms-source-").holds_for(source):
                raise StorageError("SourceConditionNotMet")
            copied: dict[str, str] = {} if is_put else _copied(exchange)

            def accept(content: Content) -> None:
                check_md5(content, sent.get("x-ms-source-content-md5"))
                if copied:
                    copied["x-ms-copy-progress"] = f"{content.length}/{content.length}"

            blob = await exchange.store.put(
                exchange.account,
                exchange.container,
                exchange.blob,
                source.chunks,
                headers={**source.headers, **(stored_headers(exchange) if is_put else {})},
                metadata=own_metadata if own_metadata or is_put else source.metadata,
                precondition=lambda current: check_write(exchange, current),
                accept=accept,
                blocks=source.blocks,
                copied=copied,
            )
        answer = written(blob)
        if is_put:
            return exchange.answer(201, answer | {"Content-MD5": blob.headers["Content-MD5"]})
        if sent.get("x-ms-requires-sync", "").lower() == "true":
            answer["Content-MD5"] = blob.headers["Content-MD5"]
        return exchange.answer(
            202, answer | {"x-ms-copy-id": copied["x-ms-copy-id"], "x-ms-copy-status": copied["x-ms-copy-status"]}
        )

    @asynccontextmanager
    async def _source(self, exchange: Exchange) -> AsyncIterator[_Source]:
        url = URL(exchange.request.headers["x-ms-copy-source"], encoded=True)
        if url.scheme not in {"http", "https"} or not url.host:
            raise StorageError("InvalidHeaderValue", "x-ms-copy-source is not the URL of a blob.")
        path = [unquote(part) for part in url.raw_path.lstrip("/").split("/", 2)]
        is_here = url.authority == exchange.request.host and path[0] in self._accounts
        if is_here and len(path) == 3:
            async with self._stored(exchange, url, *path) as source:
                yield source
            return
        async with _fetched(url) as source:
            yield source

    @asynccontextmanager
    async def _stored(
        self, exchange: Exchange, url: URL, account: str, container: str, name: str
    ) -> AsyncIterator[_Source]:
        # Whoever has the account's key may read all that is in it.
        if account != exchange.account or "Authorization" not in exchange.request.headers or "sig" in url.query:
            request = SignedRequest(
                "GET", url.raw_path, list(url.query.items()), {}, url.scheme, exchange.request.remote
            )
            try:
                self._authorize_read(request, account, container, name)
            except StorageError as error:
                raise StorageError("CannotVerifyCopySource", error.detail or error.message, status=403) from None
        blob = self._store.find(account, container, name)
        if blob is None:
            raise StorageError("CannotVerifyCopySource", "The source of the copy does not exist.")
        source_lease = exchange.request.headers.get("x-ms-source-lease-id")
        leases.check_read(blob.lease, source_lease, "Blob", exchange.now)
        with self._store.open(blob) as file:

            async def chunks() -> AsyncIterator[bytes]:
                while data := await asyncio.to_thread(file.read, _PIECE):
                    yield data

            yield _Source(blob.etag, blob.modified, blob.headers, blob.metadata, blob.blocks, chunks())


async def abort_copy(exchange: Exchange) -> web.StreamResponse:
    """Abort Copy Blob: no copy is ever pending.

    Raises:
        StorageError: NoPendingCopyOperation, always.
    """
    raise StorageError("NoPendingCopyOperation", f"{exchange.blob} was copied when its copy was answered.")


@asynccontextmanager
async def _fetched(url: URL) -> AsyncIterator[_Source]:
    try:
        async with (
            aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={OWN_CALL_HEADER: "yes"},
                timeout=_TIMEOUT,
            ) as session,
            session.get(url, allow_redirects=False) as reply,
        ):
            if reply.status != 200:
                status = reply.status if 400 <= reply.status < 500 else 404
                raise StorageError("CannotVerifyCopySource", f"The source answered {reply.status}.", status=status)
            stored = {name: reply.headers[name] for name in STORED_HEADERS if name in reply.headers}
            metadata = {
                name[len(METADATA_PREFIX) :]: value
                for name, value in reply.headers.items()
                if name.lower().startswith(METADATA_PREFIX)
            }
            modified = datetime.now(UTC)
            if "Last-Modified" in reply.headers:
                modified = parsedate_to_datetime(reply.headers["Last-Modified"])
            chunks = reply.content.iter_chunked(_PIECE).__aiter__()
            yield _Source(reply.headers.get("ETag", ""), modified, stored, metadata, (), chunks)
    except (TimeoutError, ValueError, aiohttp.ClientError):
        raise StorageError("CannotVerifyCopySource", "The source does not answer.") from None


def _copied(exchange: Exchange) -> dict[str, str]:
    # The signature in the source's URL is nobody's business, and is left out by the real service too.
    source = exchange.request.headers["x-ms-copy-source"].partition("?")[0]
    return {
        "x-ms-copy-id": str(uuid4()),
        "x-ms-copy-status": "success",
        "x-ms-copy-source": source,
        "x-ms-copy-completion-time": http_date(exchange.now),
    }

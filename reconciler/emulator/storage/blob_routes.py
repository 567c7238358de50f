"""Requests to one block blob: write, in one piece or in blocks, read, describe, delete."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from typing import Final

from aiohttp import web

from reconciler.emulator.faults.visits import reply_must_be_whole
from reconciler.emulator.storage import leases
from reconciler.emulator.storage.conditions import Conditions
from reconciler.emulator.storage.content_files import Content
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.exchange import Exchange, lease_headers, metadata_headers
from reconciler.emulator.storage.records import Blob
from reconciler.emulator.storage.xml import block_list, http_date, parse_block_list

_SEND_SIZE: Final = 1 << 20
_BLOCK_LIST_LIMIT: Final = 16 << 20
_LONGEST_NAME: Final = 1024
STORED_HEADERS: Final = (
    "Content-Type",
    "Content-Encoding",
    "Content-Language",
    "Content-Disposition",
    "Cache-Control",
)
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


async def put_blob(exchange: Exchange) -> web.StreamResponse:
    """Put Blob: write a whole block blob."""
    headers = exchange.request.headers
    kind = headers.get("x-ms-blob-type")
    if kind is None:
        raise StorageError("MissingRequiredHeader", "x-ms-blob-type is missing.")
    if kind != "BlockBlob":
        raise StorageError("InvalidHeaderValue", "Only block blobs are kept here: x-ms-blob-type.")
    if len(exchange.blob) > _LONGEST_NAME:
        raise StorageError("OutOfRangeInput", "The blob's name is longer than 1024 characters.")
    stored = stored_headers(exchange)
    blob = await exchange.store.put(
        exchange.account,
        exchange.container,
        exchange.blob,
        exchange.chunks(),
        headers={"Content-Type": headers.get("Content-Type", "application/octet-stream")} | stored,
        metadata=exchange.metadata(),
        precondition=lambda current: check_write(exchange, current),
        accept=lambda content: check_md5(content, headers.get("Content-MD5"), stored.get("Content-MD5")),
    )
    return exchange.answer(201, written(blob) | {"Content-MD5": blob.headers["Content-MD5"]})


async def put_block(exchange: Exchange) -> web.StreamResponse:
    """Put Block: store a part of a later blob."""
    if "x-ms-copy-source" in exchange.request.headers:
        raise StorageError("UnsupportedHeader", "A block cannot be copied here: x-ms-copy-source.")
    block_id = exchange.request.query.get("blockid", "")
    try:
        valid = 0 < len(base64.b64decode(block_id, validate=True)) <= 64
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise StorageError("InvalidBlockId")
    current = exchange.store.find(exchange.account, exchange.container, exchange.blob)
    if current is not None:
        leases.check_write(current.lease, exchange.lease_id, "Blob", exchange.now)
    content = await exchange.store.put_block(
        exchange.account,
        exchange.container,
        exchange.blob,
        block_id,
        exchange.chunks(),
        accept=lambda content: check_md5(content, exchange.request.headers.get("Content-MD5")),
    )
    return exchange.answer(201, {"Content-MD5": content.md5, "x-ms-request-server-encrypted": "true"})


async def put_block_list(exchange: Exchange) -> web.StreamResponse:
    """Put Block List: make the blob out of its blocks."""
    wanted = parse_block_list(await exchange.small_body(_BLOCK_LIST_LIMIT))
    stored = stored_headers(exchange)
    blob = await exchange.store.commit(
        exchange.account,
        exchange.container,
        exchange.blob,
        wanted,
        headers={"Content-Type": "application/octet-stream"} | stored,
        metadata=exchange.metadata(),
        precondition=lambda current: check_write(exchange, current),
    )
    return exchange.answer(201, written(blob))


async def get_block_list(exchange: Exchange) -> web.StreamResponse:
    """Get Block List."""
    blob = exchange.store.find(exchange.account, exchange.container, exchange.blob)
    if blob is not None:
        leases.check_read(blob.lease, exchange.lease_id, "Blob", exchange.now)
    waiting = exchange.store.uncommitted(exchange.account, exchange.container, exchange.blob)
    if blob is None and not waiting:
        raise StorageError("BlobNotFound")
    which = exchange.request.query.get("blocklisttype", "committed").lower()
    body = block_list(
        blob.blocks if blob is not None and which in {"committed", "all"} else (),
        [(i, b["length"]) for i, b in waiting.items()] if which in {"uncommitted", "all"} else (),
    )
    headers = {"x-ms-blob-content-length": str(blob.length if blob else 0)}
    return exchange.answer_xml(body, headers | (identity(blob) if blob else {}))


async def set_blob_metadata(exchange: Exchange) -> web.StreamResponse:
    """Set Blob Metadata."""
    blob = existing(exchange)
    check_write(exchange, blob, creates=False)
    changed = exchange.store.describe(exchange.account, exchange.container, blob, metadata=exchange.metadata())
    return exchange.answer(200, written(changed))


async def get_blob_metadata(exchange: Exchange) -> web.StreamResponse:
    """Get Blob Metadata."""
    blob = existing(exchange)
    _check_read(exchange, blob)
    return exchange.answer(200, identity(blob) | metadata_headers(blob.metadata))


async def set_blob_properties(exchange: Exchange) -> web.StreamResponse:
    """Set Blob Properties: all content headers, of which those that are not sent are cleared; or none at all."""
    blob = existing(exchange)
    check_write(exchange, blob, creates=False)
    headers = stored_headers(exchange) or blob.headers
    changed = exchange.store.describe(exchange.account, exchange.container, blob, headers=headers)
    return exchange.answer(200, identity(changed))


async def delete_blob(exchange: Exchange) -> web.StreamResponse:
    """Delete Blob."""
    _check_change(exchange, existing(exchange))
    exchange.store.delete(exchange.account, exchange.container, exchange.blob)
    return exchange.answer(202, {"x-ms-delete-type-permanent": "true"})


async def head_blob(exchange: Exchange) -> web.StreamResponse:
    """Get Blob Properties."""
    blob = existing(exchange)
    _check_read(exchange, blob)
    return exchange.answer(200, _description(exchange, blob) | {"Content-Length": str(blob.length)})


async def get_blob(exchange: Exchange) -> web.StreamResponse:
    """Get Blob, whole or one range of it."""
    blob = existing(exchange)
    _check_read(exchange, blob)
    headers = {**exchange.headers, **_description(exchange, blob)}
    start, end, status = 0, blob.length, 200
    wanted = exchange.request.headers.get("x-ms-range") or exchange.request.headers.get("Range")
    match = _RANGE.fullmatch(wanted or "")
    if match:
        start = int(match[1])
        end = min(blob.length, int(match[2]) + 1) if match[2] else blob.length
        if start >= end:
            raise StorageError("InvalidRange")
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.length}"
        # The stored digest is of the whole blob, so it goes by another name beside a part.
        whole = headers.pop("Content-MD5", None)
        if whole is not None:
            headers["x-ms-blob-content-md5"] = whole
    # Opened before anything is awaited: afterwards the file may be gone, but can still be read.
    with exchange.store.open(blob) as file:
        file.seek(start)
        if end - start <= _SEND_SIZE or reply_must_be_whole():
            body = await asyncio.to_thread(file.read, end - start)
            return web.Response(status=status, body=body, headers=headers)
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = end - start
        await response.prepare(exchange.request)
        left = end - start
        while left:
            data = await asyncio.to_thread(file.read, min(left, _SEND_SIZE))
            await response.write(data)
            left -= len(data)
        await response.write_eof()
        return response


def existing(exchange: Exchange) -> Blob:
    """Return the blob that the URL names.

    Raises:
        StorageError: ContainerNotFound or BlobNotFound.
    """
    blob = exchange.store.find(exchange.account, exchange.container, exchange.blob)
    if blob is None:
        raise StorageError("BlobNotFound")
    return blob


def stored_headers(exchange: Exchange) -> dict[str, str]:
    """Return what the request wants the blob's content headers to be, from its x-ms-blob- headers."""
    if "x-ms-structured-body" in exchange.request.headers:
        raise StorageError("UnsupportedHeader", "The body's structure is not known here: x-ms-structured-body.")
    given = {}
    for name in (*STORED_HEADERS, "Content-MD5"):
        value = exchange.request.headers.get(f"x-ms-blob-{name.lower()}")
        if value is not None:
            given[name] = value
    cache = exchange.request.headers.get("x-ms-blob-cache-control")
    if cache is not None:
        given["Cache-Control"] = cache
    return given


def check_md5(content: Content, *claimed: str | None) -> None:
    """Check a content against the MD5 that the caller sends.

    Raises:
        StorageError: Md5Mismatch.
    """
    for md5 in claimed:
        if md5 is not None and md5 != content.md5:
            raise StorageError("Md5Mismatch")


def check_write(exchange: Exchange, current: Blob | None, *, creates: bool = True) -> None:
    """Judge a write to a blob as it is at this moment: by the caller's right, the conditions and the lease.

    Raises:
        StorageError: UnauthorizedBlobOverwrite, or what `conditions` and `leases` raise.
    """
    # Permission to create is not permission to overwrite.
    if current is not None and "w" not in exchange.grant.permissions:
        raise StorageError("UnauthorizedBlobOverwrite")
    _check_change(exchange, current, creates=creates)


def _check_change(exchange: Exchange, current: Blob | None, *, creates: bool = False) -> None:
    Conditions.of(exchange.request.headers).check_write(current, creates=creates)
    lease = current.lease if current is not None else leases.NO_LEASE
    leases.check_write(lease, exchange.lease_id, "Blob", exchange.now)


def _check_read(exchange: Exchange, blob: Blob) -> None:
    Conditions.of(exchange.request.headers).check_read(blob)
    leases.check_read(blob.lease, exchange.lease_id, "Blob", exchange.now)


def identity(blob: Blob) -> dict[str, str]:
    """Return the headers by which conditions know a blob."""
    return {"ETag": blob.etag, "Last-Modified": http_date(blob.modified)}


def written(blob: Blob) -> dict[str, str]:
    """Return the headers of an answer to a write."""
    return identity(blob) | {"x-ms-request-server-encrypted": "true"}


def _description(exchange: Exchange, blob: Blob) -> dict[str, str]:
    return {
        **identity(blob),
        **blob.headers,
        **metadata_headers(blob.metadata),
        **blob.copied,
        **lease_headers(blob.lease, exchange.now),
        **exchange.grant.overrides,
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-creation-time": http_date(blob.created),
        "x-ms-server-encrypted": "true",
    }

"""XML bodies of the Blob service: errors, listings of containers and blobs, block lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final, Literal
from urllib.parse import quote
from uuid import uuid4
from xml.etree import ElementTree as ET

from aiohttp import web

from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.leases import Lease
from reconciler.emulator.storage.records import Blob, BlobPage, Container

BlockSource = Literal["Committed", "Uncommitted", "Latest"]
_SOURCES: Final[dict[str, BlockSource]] = {
    "Committed": "Committed",
    "Uncommitted": "Uncommitted",
    "Latest": "Latest",
}
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def error_body(error: StorageError, request_id: str, now: datetime) -> bytes:
    """Return the body that goes with an error's status."""
    message = f"{error.message}\nRequestId:{request_id}\nTime:{now:%Y-%m-%dT%H:%M:%S.%f}0Z"
    root = _error(error.code, message)
    if error.detail is not None:
        name = "AuthenticationErrorDetail" if error.code == "AuthenticationFailed" else "Detail"
        _leaf(root, name, error.detail)
    return _document(root)


def storage_error_reply(status: int, code: str, _: str, message: str) -> web.Response:
    """Return an error that a fault rule orders."""
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code, "x-ms-request-id": str(uuid4())}
    return web.Response(status=status, headers=headers, body=_document(_error(code, message)))


def container_list(
    containers: Iterable[Container], endpoint: str, echoed: Mapping[str, str], next_marker: str, now: datetime
) -> bytes:
    """Return the body of List Containers.

    Args:
        containers: one page of them.
        endpoint: the account's URL.
        echoed: those of the request's parameters that the answer repeats, by their XML names.
        next_marker: where the next page starts; empty at the end.
        now: the present moment, for leases.
    """
    root = ET.Element("EnumerationResults", ServiceEndpoint=endpoint)
    for name, value in echoed.items():
        _leaf(root, name, value)
    listed = ET.SubElement(root, "Containers")
    for container in containers:
        item = ET.SubElement(listed, "Container")
        _leaf(item, "Name", container.name)
        properties = ET.SubElement(item, "Properties")
        _leaf(properties, "Last-Modified", http_date(container.modified))
        _leaf(properties, "Etag", container.etag)
        _lease(properties, container.lease, now)
        if container.public:
            _leaf(properties, "PublicAccess", container.public)
        _metadata(item, container.metadata)
    _leaf(root, "NextMarker", next_marker)
    return _document(root)


def blob_list(
    page: BlobPage, endpoint: str, container: str, echoed: Mapping[str, str], now: datetime, *, with_metadata: bool
) -> bytes:
    """Return the body of List Blobs; `echoed` and `now` as in `container_list`."""
    root = ET.Element("EnumerationResults", ServiceEndpoint=endpoint, ContainerName=container)
    for name, value in echoed.items():
        _leaf(root, name, value)
    listed = ET.SubElement(root, "Blobs")
    for entry in page.entries:
        if isinstance(entry, str):
            _name(ET.SubElement(listed, "BlobPrefix"), entry)
        else:
            _blob(listed, entry, now, with_metadata=with_metadata)
    _leaf(root, "NextMarker", page.next_marker)
    return _document(root)


def _blob(listed: ET.Element, blob: Blob, now: datetime, *, with_metadata: bool) -> None:
    item = ET.SubElement(listed, "Blob")
    _name(item, blob.name)
    properties = ET.SubElement(item, "Properties")
    _leaf(properties, "Creation-Time", http_date(blob.created))
    _leaf(properties, "Last-Modified", http_date(blob.modified))
    _leaf(properties, "Etag", blob.etag.strip('"'))
    _leaf(properties, "Content-Length", str(blob.length))
    for header in ("Content-Type", "Content-Encoding", "Content-Language", "Content-MD5", "Cache-Control"):
        _leaf(properties, header, blob.headers.get(header, ""))
    _leaf(properties, "BlobType", "BlockBlob")
    _leaf(properties, "AccessTier", "Hot")
    _leaf(properties, "AccessTierInferred", "true")
    _lease(properties, blob.lease, now)
    _leaf(properties, "ServerEncrypted", "true")
    if with_metadata:
        _metadata(item, blob.metadata)


def block_list(committed: Iterable[tuple[str, int]], uncommitted: Iterable[tuple[str, int]]) -> bytes:
    """Return the body of Get Block List, from block ids and their lengths."""
    root = ET.Element("BlockList")
    for name, blocks in (("CommittedBlocks", committed), ("UncommittedBlocks", uncommitted)):
        group = ET.SubElement(root, name)
        for block_id, length in blocks:
            block = ET.SubElement(group, "Block")
            _leaf(block, "Name", block_id)
            _leaf(block, "Size", str(length))
    return _document(root)


def parse_block_list(body: bytes) -> list[tuple[BlockSource, str]]:
    """Read the body of Put Block List: for each block where to look for it, and its id.

    Raises:
        StorageError: InvalidXmlDocument or InvalidBlockList.
    """
    if b"<!DOCTYPE" in body:
        raise StorageError("InvalidXmlDocument")
    try:
        root = ET.fromstring(body)  # noqa: S314 - without a document type there is nothing to expand
    except ET.ParseError:
        raise StorageError("InvalidXmlDocument") from None
    blocks: list[tuple[BlockSource, str]] = []
    for element in root:
        source = _SOURCES.get(element.tag)
        if source is None or root.tag != "BlockList":
            raise StorageError("InvalidXmlDocument")
        blocks.append((source, (element.text or "").strip()))
    return blocks


def http_date(moment: datetime) -> str:
    """Return a moment as HTTP's headers have it, to the second."""
    return format_datetime(moment, usegmt=True)


def _error(code: str, message: str) -> ET.Element:
    root = ET.Element("Error")
    _leaf(root, "Code", code)
    _leaf(root, "Message", message)
    return root


def _leaf(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _name(parent: ET.Element, name: str) -> None:
    # A blob's name may hold what XML cannot; the service then sends it percent-encoded and says so.
    if _NOT_IN_XML.search(name):
        ET.SubElement(parent, "Name", Encoded="true").text = quote(name)
    else:
        _leaf(parent, "Name", name)


def _lease(parent: ET.Element, lease: Lease, now: datetime) -> None:
    for name, value in lease.described(now).items():
        _leaf(parent, f"Lease{name.capitalize()}", value)


def _metadata(parent: ET.Element, metadata: Mapping[str, str]) -> None:
    if metadata:
        group = ET.SubElement(parent, "Metadata")
        for name, value in metadata.items():
            _leaf(group, name, value)


def _document(root: ET.Element) -> bytes:
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body

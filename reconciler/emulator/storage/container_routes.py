"""Requests to a storage account and to its containers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from aiohttp import web

from reconciler.emulator.storage import leases
from reconciler.emulator.storage.conditions import Conditions
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.exchange import Exchange, lease_headers, metadata_headers
from reconciler.emulator.storage.records import Container
from reconciler.emulator.storage.xml import blob_list, container_list, http_date

_PUBLIC_ACCESS: Final = ("", "blob", "container")


async def list_containers(exchange: Exchange) -> web.StreamResponse:
    """List Containers: prefix, marker and maxresults."""
    query = exchange.request.query
    prefix, marker = query.get("prefix", ""), query.get("marker", "")
    size = exchange.page_size()
    found: Iterable[Container] = (
        c for c in exchange.store.containers(exchange.account) if c.name.startswith(prefix) and c.name >= marker
    )
    page = list(islice(found, size + 1))
    following = page[size].name if len(page) > size else ""
    echoed = exchange.echoed(prefix="Prefix", marker="Marker", maxresults="MaxResults")
    return exchange.answer_xml(container_list(page[:size], exchange.endpoint, echoed, following, exchange.now))


async def get_account(exchange: Exchange) -> web.StreamResponse:
    """Get Account Information."""
    return exchange.answer(200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2"})


async def create_container(exchange: Exchange) -> web.StreamResponse:
    """Create Container, which anybody may read if x-ms-blob-public-access says so."""
    public = exchange.request.headers.get("x-ms-blob-public-access", "")
    if public not in _PUBLIC_ACCESS:
        raise StorageError("InvalidHeaderValue", "x-ms-blob-public-access is neither blob nor container.")
    container = exchange.store.create_container(exchange.account, exchange.container, public, exchange.metadata())
    return exchange.answer(201, _identity(container))


async def get_container(exchange: Exchange) -> web.StreamResponse:
    """Get Container Properties."""
    container = exchange.store.container(exchange.account, exchange.container)
    leases.check_read(container.lease, exchange.lease_id, "Container", exchange.now)
    headers = _identity(container) | metadata_headers(container.metadata)
    headers |= lease_headers(container.lease, exchange.now)
    headers |= {
        "x-ms-has-immutability-policy": "false",
        "x-ms-has-legal-hold": "false",
    }
    if container.public:
        headers["x-ms-blob-public-access"] = container.public
    return exchange.answer(200, headers)


async def set_container_metadata(exchange: Exchange) -> web.StreamResponse:
    """Set Container Metadata; a lease does not prevent it, but an id that is sent must be the lease's."""
    container = exchange.store.container(exchange.account, exchange.container)
    Conditions.of(exchange.request.headers).check_write(container, creates=False)
    leases.check_read(container.lease, exchange.lease_id, "Container", exchange.now)
    changed = exchange.store.set_container_metadata(exchange.account, exchange.container, exchange.metadata())
    return exchange.answer(200, _identity(changed))


async def delete_container(exchange: Exchange) -> web.StreamResponse:
    """Delete Container; the name is free again at once, where the real service takes half a minute."""
    container = exchange.store.container(exchange.account, exchange.container)
    Conditions.of(exchange.request.headers).check_write(container, creates=False)
    leases.check_write(container.lease, exchange.lease_id, "Container", exchange.now)
    exchange.store.delete_container(exchange.account, exchange.container)
    return exchange.answer(202)


async def list_blobs(exchange: Exchange) -> web.StreamResponse:
    """List Blobs: prefix, delimiter, marker, maxresults, and the metadata if asked for."""
    query = exchange.request.query
    page = exchange.store.page(
        exchange.account,
        exchange.container,
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        marker=query.get("marker", ""),
        size=exchange.page_size(),
    )
    body = blob_list(
        page,
        exchange.endpoint,
        exchange.container,
        exchange.echoed(prefix="Prefix", marker="Marker", maxresults="MaxResults", delimiter="Delimiter"),
        exchange.now,
        with_metadata="metadata" in query.get("include", "").split(","),
    )
    return exchange.answer_xml(body)


def _identity(container: Container) -> dict[str, str]:
    return {"ETag": container.etag, "Last-Modified": http_date(container.modified)}

"""The Blob service of the local storage accounts, over HTTP, in path style: ``/account/container/blob``.

What azure-storage-blob needs to keep containers and block blobs, with its errors and its authentication. Left
out, and refused rather than passed over: append and page blobs, snapshots, versions, tags, stored access
policies and user delegation keys.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote
from uuid import uuid4

from aiohttp import web

from reconciler.emulator.documents import Documents
from reconciler.emulator.storage import blob_routes, container_routes, lease_routes
from reconciler.emulator.storage.authentication import (
    SIGNED_VERSION,
    Grant,
    Level,
    Operation,
    SignedRequest,
    authorize,
    sign,
)
from reconciler.emulator.storage.blob_store import BlobStore
from reconciler.emulator.storage.copies import BlobCopies, abort_copy
from reconciler.emulator.storage.errors import StorageError
from reconciler.emulator.storage.exchange import Exchange
from reconciler.emulator.storage.xml import error_body, http_date

Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]

_CONTAINER_NAME: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*|\$root|\$web")
_ACCOUNT_NAME: Final = re.compile(r"[a-z0-9]{3,24}")

_SERVICE: Final[Mapping[tuple[str, str, str], tuple[Operation, Handler]]] = {
    ("GET", "", "list"): (Operation(Level.SERVICE, "l"), container_routes.list_containers),
    ("GET", "account", "properties"): (Operation(Level.SERVICE, "rl"), container_routes.get_account),
    ("HEAD", "account", "properties"): (Operation(Level.SERVICE, "rl"), container_routes.get_account),
}
_LOOK: Final = Operation(Level.CONTAINER, "r", by_service_sas=False)
_CONTAINER: Final[Mapping[tuple[str, str, str], tuple[Operation, Handler]]] = {
    ("PUT", "container", ""): (
        Operation(Level.CONTAINER, "cw", by_service_sas=False),
        container_routes.create_container,
    ),
    ("GET", "container", ""): (_LOOK, container_routes.get_container),
    ("HEAD", "container", ""): (_LOOK, container_routes.get_container),
    ("DELETE", "container", ""): (
        Operation(Level.CONTAINER, "d", by_service_sas=False),
        container_routes.delete_container,
    ),
    ("GET", "container", "metadata"): (_LOOK, container_routes.get_container),
    ("HEAD", "container", "metadata"): (_LOOK, container_routes.get_container),
    ("PUT", "container", "metadata"): (
        Operation(Level.CONTAINER, "w", by_service_sas=False),
        container_routes.set_container_metadata,
    ),
    ("PUT", "container", "lease"): (
        Operation(Level.CONTAINER, "w", by_service_sas=False),
        lease_routes.lease_container,
    ),
    ("GET", "container", "list"): (Operation(Level.CONTAINER, "l"), container_routes.list_blobs),
}
_READ: Final = Operation(Level.OBJECT, "r")
_WRITE: Final = Operation(Level.OBJECT, "w")
_BLOB: Final[Mapping[tuple[str, str, str], tuple[Operation, Handler]]] = {
    ("PUT", "", ""): (Operation(Level.OBJECT, "cw"), blob_routes.put_blob),
    ("PUT", "", "block"): (_WRITE, blob_routes.put_block),
    ("PUT", "", "blocklist"): (_WRITE, blob_routes.put_block_list),
    ("PUT", "", "metadata"): (_WRITE, blob_routes.set_blob_metadata),
    ("GET", "", "metadata"): (_READ, blob_routes.get_blob_metadata),
    ("HEAD", "", "metadata"): (_READ, blob_routes.get_blob_metadata),
    ("PUT", "", "properties"): (_WRITE, blob_routes.set_blob_properties),
    ("PUT", "", "lease"): (_WRITE, lease_routes.lease_blob),
    ("PUT", "", "copy"): (_WRITE, abort_copy),
    ("GET", "", "blocklist"): (_READ, blob_routes.get_block_list),
    ("GET", "", ""): (_READ, blob_routes.get_blob),
    ("HEAD", "", ""): (_READ, blob_routes.head_blob),
    ("DELETE", "", ""): (Operation(Level.OBJECT, "d"), blob_routes.delete_blob),
}
_REFUSED_PARAMETERS: Final = ("snapshot", "versionid")


class BlobService:
    """The storage accounts of one emulator.

    Args:
        documents: where containers and blobs are remembered.
        directory: where contents are kept; files in it that no blob refers to are removed.
        accounts: the accounts' keys, in base64, by their names.
        second_keys: the other key of those that have two.
        clock: the present moment.
        new_id: hexadecimal names for contents and ETags that never repeat.

    Raises:
        ValueError: for an account whose name or key no storage account could have.
    """

    def __init__(
        self,
        documents: Documents,
        directory: Path,
        accounts: Mapping[str, str],
        *,
        second_keys: Mapping[str, str] = MappingProxyType({}),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        for account, key in (*accounts.items(), *second_keys.items()):
            if not _ACCOUNT_NAME.fullmatch(account):
                raise ValueError(f"a storage account is named by 3 to 24 lower-case letters and digits: {account!r}")
            try:
                base64.b64decode(key, validate=True)
            except ValueError:
                raise ValueError(f"the key of storage account {account!r} is not base64") from None
        self._accounts = dict(accounts)
        self._second_keys = dict(second_keys)
        self._clock = clock
        self._store = BlobStore(documents, directory, clock=clock, new_id=new_id)
        self._copies = BlobCopies(self._store, frozenset(accounts), self._authorize_read)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of every account; they match no URL that does not start with an account's name."""
        return [
            web.route("*", f"/{account}{rest}", self._handle)
            for account in self._accounts
            for rest in ("", "/", "/{path:.+}")
        ]

    def connection_string(self, account: str, server_url: str, *, second: bool = False) -> str:
        """Return what azure-storage-blob's ``from_connection_string`` takes.

        Args:
            account: one of the accounts.
            server_url: where this service is reached, such as ``http://127.0.0.1:8080``.
            second: with the account's other key.
        """
        endpoint = f"{server_url.rstrip('/')}/{account}"
        scheme = endpoint.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={scheme};AccountName={account};AccountKey={self.key(account, second=second)};"
            f"BlobEndpoint={endpoint};"
        )

    def sign(
        self,
        account: str,
        container: str,
        *,
        permissions: str = "rl",
        valid_for: timedelta,
        blob: str | None = None,
    ) -> str:
        """Return a service SAS for a container, or for one blob of it: ``?sv=…&sig=…`` (classic-protocol 3)."""
        return sign(
            account,
            self._accounts[account],
            container,
            permissions=permissions,
            valid_for=valid_for,
            now=self._clock(),
            blob=blob,
        )

    def key(self, account: str, *, second: bool = False) -> str:
        """Return an account's key, in base64, or its other one."""
        return (self._second_keys if second else self._accounts)[account]

    def exchange_key(self, account: str, key: str, *, second: bool = False) -> None:
        """Give an account another key, in base64; signatures of the old key are refused from now on."""
        (self._second_keys if second else self._accounts)[account] = key

    def keys(self, account: str) -> tuple[str, ...]:
        """Return all keys of an account."""
        return tuple(known[account] for known in (self._accounts, self._second_keys) if account in known)

    def create_container(self, account: str, container: str) -> None:
        """Make an empty private container; one that exists is left alone."""
        try:
            self._store.container(account, container)
        except StorageError:
            self._store.create_container(account, container, "", {})

    async def seed(self, account: str, container: str, blob: str, data: bytes) -> None:
        """Write a blob, and its container if need be; one that has this content already is left alone.

        Args:
            account: one of the accounts.
            container: the container's name.
            blob: the blob's name.
            data: the content.
        """
        if account not in self._accounts:
            raise ValueError(f"there is no storage account {account!r}")
        try:
            current = self._store.find(account, container, blob)
        except StorageError:
            self._store.create_container(account, container, "", {})
            current = None
        if current is not None and current.length == len(data):
            with self._store.open(current) as file:
                if file.read() == data:
                    return
        await self._store.put(
            account,
            container,
            blob,
            _one_chunk(data),
            headers={"Content-Type": "application/octet-stream"},
            metadata={},
            precondition=lambda _current: None,
            accept=lambda _content: None,
        )

    def delete_where(self, chosen: Callable[[str], bool]) -> list[str]:
        """Delete blobs without a request, as a fault.

        Args:
            chosen: whether to delete the blob at a path, ``/account/container/blob``.

        Returns:
            The paths of those that are gone.
        """
        gone = [path for path in self._store.paths() if chosen(path)]
        for path in gone:
            self._store.delete(*path[1:].split("/", 2))
        return gone

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {
            "Server": "Windows-Azure-Blob/1.0",
            "Date": http_date(self._clock()),
            "x-ms-request-id": str(uuid4()),
            "x-ms-version": request.headers.get("x-ms-version", SIGNED_VERSION),
        }
        if "x-ms-client-request-id" in request.headers:
            headers["x-ms-client-request-id"] = request.headers["x-ms-client-request-id"]
        try:
            return await self._answer(request, headers)
        except StorageError as error:
            headers["x-ms-error-code"] = error.code
            if error.status == 304:
                return web.Response(status=304, headers=headers)
            body = error_body(error, headers["x-ms-request-id"], self._clock())
            headers["Content-Type"] = "application/xml"
            return web.Response(status=error.status, headers=headers, body=body)

    async def _answer(self, request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
        raw_path = request.rel_url.raw_path
        account, container, blob = (unquote(part) for part in [*raw_path.lstrip("/").split("/", 2), "", ""][:3])
        operation, handler = _operation(request, container, blob)
        grant = authorize(
            SignedRequest(
                request.method,
                raw_path,
                list(request.query.items()),
                request.headers,
                request.scheme,
                request.remote,
            ),
            operation,
            account=account,
            keys=self.keys(account),
            container=container or None,
            blob=blob or None,
            public=self._is_public(account, container, operation),
            now=self._clock(),
        )
        if container and not _CONTAINER_NAME.fullmatch(container):
            raise StorageError("InvalidResourceName", "A container is named by lower-case letters, digits and hyphens.")
        if container and not container.startswith("$") and not 3 <= len(container) <= 63:
            raise StorageError("OutOfRangeInput", "A container's name has 3 to 63 characters.")
        if handler is blob_routes.put_blob and "x-ms-copy-source" in request.headers:
            handler = self._copies.copy_blob
        return await handler(Exchange(request, self._store, account, container, blob, grant, headers, self._clock()))

    def _authorize_read(self, request: SignedRequest, account: str, container: str, blob: str) -> Grant:
        return authorize(
            request,
            _READ,
            account=account,
            keys=self.keys(account),
            container=container,
            blob=blob,
            public=self._is_public(account, container, _READ),
            now=self._clock(),
        )

    def _is_public(self, account: str, container: str, operation: Operation) -> bool:
        try:
            public = self._store.container(account, container).public
        except StorageError:
            return False
        if operation.level is Level.OBJECT:
            return operation is _READ and public != ""
        return public == "container" and (operation is _LOOK or "l" in operation.permissions)


def _operation(request: web.Request, container: str, blob: str) -> tuple[Operation, Handler]:
    query = request.query
    for name in _REFUSED_PARAMETERS:
        if name in query:
            raise StorageError("UnsupportedQueryParameter", f"There are no snapshots or versions here: {name}.")
    table = _BLOB if blob else _CONTAINER if container else _SERVICE
    key = (request.method, query.get("restype", ""), query.get("comp", ""))
    found = table.get(key)
    if found is not None:
        operation, handler = found
        if key[2] == "lease" and request.headers.get("x-ms-lease-action", "").lower() == "break":
            # Whoever may delete a thing may break its lease; its other actions are a writer's.
            operation = replace(operation, permissions=operation.permissions + "d")
        return operation, handler
    if any((restype, comp) == key[1:] for _, restype, comp in table):
        raise StorageError("UnsupportedHttpVerb")
    raise StorageError("UnsupportedQueryParameter", "This restype and comp are not known here.")


async def _one_chunk(data: bytes) -> AsyncIterator[bytes]:
    yield data

"""New web services in Azure Resource Manager, through azure-mgmt-resource (new-protocol 1 to 3 and 7)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from pydantic import SecretStr

from reconciler.azure.arm.definition import member
from reconciler.azure.arm.sign_in import ResourceManagerSignIn
from reconciler.azure.clouds import Cloud, is_loopback
from reconciler.azure.error_mapping import Call, body_of, error_of, read_error_body, request_id_of, translated
from reconciler.azure.errors import (
    InvalidReply,
    ServiceError,
    ServiceUnavailable,
    redact,
)
from reconciler.azure.retries import Retries
from reconciler.bounded_json import read_json

if TYPE_CHECKING:
    from azure.mgmt.resource.resources.aio import ResourceManagementClient

API_VERSION = "2017-01-01"

# A PATCH takes 10 to 15 s (new-protocol 3); one that is not through after this long is stuck.
_PATIENCE = timedelta(minutes=15)


class Definitions:
    """The New web services of one cloud. An async context manager; safe to use from many tasks."""

    def __init__(self, cloud: Cloud, credential: AsyncTokenCredential, *, retries: Retries | None = None) -> None:
        """Make a client; nothing is sent. The credential is the caller's to close."""
        self._cloud = cloud
        self._sign_in = ResourceManagerSignIn(cloud, credential)
        self._credential = credential
        self._retries = retries or Retries()
        self._client: ResourceManagementClient | None = None

    async def __aenter__(self) -> Self:
        from azure.mgmt.resource.resources.aio import ResourceManagementClient  # noqa: PLC0415 - late: takes 0.1 s

        self._client = ResourceManagementClient(
            self._credential,
            "",  # the operations used here take the subscription from the resource id
            base_url=self._cloud.resource_manager_url,
            credential_scopes=[self._cloud.scope],
            polling_interval=self._cloud.poll.total_seconds(),
            # Few of them: each costs time on every call, and the client's own list also registers resource
            # providers.
            policies=[RequestIdPolicy(), UserAgentPolicy("reconciler"), copy(self._retries), self._sign_in],
            transport=self._transport(),
        )
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.__aexit__()
            self._client = None

    def _transport(self) -> AioHttpTransport:
        # A session of its own: given the file as `connection_verify`, the transport reads it for every request, and
        # no two requests share a connection.
        verify = True if self._cloud.ca_file is None else ssl.create_default_context(cafile=self._cloud.ca_file)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=verify),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=not is_loopback(urlsplit(self._cloud.resource_manager_url).hostname or ""),
        )
        return AioHttpTransport(session=session, session_owner=True, connection_timeout=10, read_timeout=60)

    async def get(self, resource_id: str, version: str = API_VERSION, **query: str) -> dict[str, Any]:
        """Return a service's definition, in the letter case that the service has it in; ``region`` may be asked for.

        Raises:
            NotFound: there is no such service.
            Retired: nobody there knows such services any more.
            ServiceError: as the tree in `reconciler.azure.errors` says.
        """
        return await self.read(resource_id, version, f"get definition of {_name(resource_id)}", **query)

    async def patch(
        self,
        resource_id: str,
        body: Mapping[str, Any],
        *,
        version: str = API_VERSION,
        patience: timedelta = _PATIENCE,
    ) -> None:
        """PATCH a definition, and wait until the operation has succeeded.

        Even then only reading it again proves anything (new-protocol 6, first pitfall).

        Args:
            resource_id: The service.
            body: ``properties`` with ``packageType`` and the whole ``assets`` map (new-protocol 2, 3).
            version: The api-version.
            patience: After how long to give up; the operation may still end then.

        Raises:
            Conflict: the service is being worked on.
            LostReply: it may have been done: read before repeating.
            ServiceUnavailable: the operation was not through in time.
            ServiceError: refused, or the operation failed; with the service's own code.
        """
        client, call = self._opened(), self._call(resource_id, f"patch definition of {_name(resource_id)}")
        try:
            async with asyncio.timeout(patience.total_seconds()):
                poller = await client.resources.begin_update_by_id(
                    _path(resource_id).lstrip("/"), dict(body), api_version=version
                )
                await poller.result()
        except TimeoutError:
            message = f"the operation has not ended after {patience}"
            raise ServiceUnavailable(message, operation=call.operation) from None
        except HttpResponseError as error:
            if error.response is None or (error.status_code or 0) >= 400:
                raise translated(call, error) from None
            raise _failed_operation(call, error) from None
        except AzureError as error:
            raise translated(call, error) from None

    async def list_keys(self, resource_id: str) -> SecretStr:
        """Return the primary key, for jobs and scoring.

        Raises:
            ServiceError: as `get`.
        """
        keys = await self.all_keys(resource_id)
        if "primary" not in keys:
            raise InvalidReply("the answer has no primary key", operation=f"list keys of {_name(resource_id)}")
        return keys["primary"]

    async def all_keys(self, resource_id: str, version: str = API_VERSION) -> dict[str, SecretStr]:
        """Both keys, by ``primary`` and ``secondary``. This is a GET (new-protocol 3).

        Raises:
            ServiceError: as `get`.
        """
        shown = await self.read(f"{resource_id}/listKeys", version, f"list keys of {_name(resource_id)}")
        keys = {name: member(shown, name) for name in ("primary", "secondary")}
        return {name: SecretStr(key) for name, key in keys.items() if isinstance(key, str) and key}

    async def list_group(self, subscription: str, group: str) -> list[dict[str, Any]]:
        """All services of a resource group, with the sparse members of new-protocol 1; follows all pages.

        Raises:
            ServiceError: as `get`.
        """
        return await self._list(f"/subscriptions/{subscription}/resourceGroups/{group}", f"resource group {group}")

    async def list_subscription(self, subscription: str) -> list[dict[str, Any]]:
        """All services of a subscription, as `list_group`.

        Raises:
            ServiceError: as `get`.
        """
        return await self._list(f"/subscriptions/{subscription}", f"subscription {subscription}")

    async def read(self, path: str, version: str, operation: str, **query: str) -> dict[str, Any]:
        """Return what Resource Manager has at a path besides definitions, by the ``api-version`` of its kind.

        Raises:
            ServiceError: as `get`.
        """
        # Not get_by_id: it builds a model of the whole body, which doubles the cost (new-protocol 7).
        asked = urlencode({"api-version": version, **query})
        return await self._fetch(f"{{endpoint}}{_path(path)}?{asked}", operation)

    async def read_all(self, path: str, version: str, operation: str) -> list[dict[str, Any]]:
        """All items of a list; follows all pages.

        Raises:
            ServiceError: as `get`.
        """
        page = await self.read(path, version, operation)
        found: list[Any] = list(page.get("value") or [])
        seen = set[str]()
        while isinstance(link := page.get("nextLink"), str) and link and link not in seen:
            seen.add(link)
            page = await self._fetch(link, operation)
            found += page.get("value") or []
        return [item for item in found if isinstance(item, dict)]

    async def _list(self, scope: str, where: str) -> list[dict[str, Any]]:
        path = f"{scope}/providers/Microsoft.MachineLearning/webServices"
        return await self.read_all(path, API_VERSION, f"list New web services of {where}")

    async def send(self, request: HttpRequest, operation: str) -> tuple[Any, Mapping[str, str]]:
        """Return the answer to any other request: its JSON, None if it is none, and its headers.

        Raises:
            ServiceError: as `get`.
        """
        client, call = self._opened(), self._call("", operation)
        try:
            response: AsyncHttpResponse = await client.send_request(request)
        except AzureError as error:
            raise translated(call, error) from None
        text = response.content.decode("utf-8-sig", errors="replace")
        if response.status_code >= 400:
            raise error_of(call, response.status_code, text, response.headers)
        try:
            return read_json(text), response.headers
        except ValueError:
            return None, response.headers

    async def follow(self, url: str, operation: str) -> dict[str, Any]:
        """Return the reply at an absolute URL that Resource Manager gave, such as an operation (new-protocol 3)."""
        return await self._fetch(url, operation)

    @property
    def pace(self) -> timedelta:
        """How often to ask how far an operation is."""
        return self._cloud.poll

    async def _fetch(self, url: str, operation: str) -> dict[str, Any]:
        content, headers = await self.send(HttpRequest("GET", url), operation)
        if not isinstance(content, dict):
            request_id = request_id_of(headers)
            raise InvalidReply("the answer is not a JSON object", operation=operation, request_id=request_id)
        return content

    def _opened(self) -> ResourceManagementClient:
        if self._client is None:
            raise RuntimeError("Definitions is used outside of its async with")
        return self._client

    def _call(self, resource_id: str, operation: str) -> Call:
        return Call(operation, self._cloud.resource_manager_url + resource_id, secrets=self._sign_in.tokens)


def _failed_operation(call: Call, error: HttpResponseError) -> ServiceError:
    """Return what a failed operation says, in ``error`` or, as the spec has it, in ``errorInfo`` (new-protocol 3)."""
    body = read_error_body(redact(body_of(error), call.secrets))
    message = body.message if body.structured else "and reports no reason"
    return ServiceError(
        f"the operation failed: {message}",
        operation=call.operation,
        code=body.code,
        detail_codes=body.detail_codes,
        request_id=request_id_of(getattr(error.response, "headers", {})),
    )


def _path(resource_id: str) -> str:
    return "/" + quote(resource_id.strip("/"), safe="/")


def _name(resource_id: str) -> str:
    return resource_id.rstrip("/").rpartition("/")[2] or resource_id

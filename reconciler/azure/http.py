"""The shared pipeline: one aiohttp session behind azure-core policies, for Studio's own hosts.

Resource Manager and storage have clients of their own (`definitions`, `blobs`).

What it promises:

1. A call that may be repeated is repeated a few times after 408, 429, 5xx and broken connections, with a
   short backoff or after as long as ``Retry-After`` says. A call that may not be is sent once.
2. Whatever fails, fails as one of `reconciler.azure.errors`, with the service's own words and request id.
3. Keys and tokens travel in headers and bodies only and are in no message and no log.
4. A 401 to a token whose place is known is answered by looking it up again, and by one more call if it is another.
5. Cancelling the task cancels the call.
6. What each host's clock shows is remembered, because signatures are judged by it.
"""

from __future__ import annotations

import json as jsonlib
import logging
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from azure.core.exceptions import AzureError
from azure.core.pipeline import AsyncPipeline, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from pydantic import SecretStr

from reconciler.azure.clocks import ahead_by
from reconciler.azure.clouds import Cloud, is_loopback
from reconciler.azure.credentials import Credential, call_with_refresh
from reconciler.azure.error_mapping import (
    Call,
    connection_error,
    error_of,
    is_unknown_name,
    request_id_of,
    retired_host,
)
from reconciler.azure.errors import InvalidReply, SignInError
from reconciler.azure.retries import Repeat, Retries

_LOG = logging.getLogger(__name__)
# It warns of a download that broke off, which is raised as well, and would be printed where nobody set logging up.
logging.getLogger("azure.core").addHandler(logging.NullHandler())

_USER_AGENT = "reconciler"
_OWN_ID = "x-ms-client-request-id"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer below 300, or a 304.

    Attributes:
        status: The HTTP status.
        json: The body as JSON; None for an empty body, for ``null`` and for what is not JSON.
        text: The body as it came.
        headers: Letter case of names does not matter.
    """

    status: int
    json: Any
    text: str
    headers: Mapping[str, str]

    def expect(self, kind: type[_T], operation: str) -> _T | None:
        """Return the JSON, which must be a ``kind``; None for no body and ``null`` (classic-protocol 1.3).

        Raises:
            InvalidReply: it is something else. The message does not repeat it, because it may hold keys.
        """
        if isinstance(self.json, kind):
            return self.json
        if self.json is None and self.text.strip() in {"", "null"}:
            return None
        found = "not JSON" if self.json is None else f"a JSON {type(self.json).__name__}"
        raise InvalidReply(
            f"the answer should be a JSON {kind.__name__} and is {found}",
            operation=operation,
            status=self.status,
            request_id=request_id_of(self.headers),
        )


@dataclass(frozen=True, slots=True)
class Download:
    """An answer whose body comes in chunks. Letter case of the headers' names does not matter."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class _Resolver(aiohttp.ThreadedResolver):
    """The system's resolver, as it keeps the reason why a name was not found, which the diagnosis needs."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; a name under ``.invalid`` has none, and nobody is asked (RFC 6761, 6.4)."""
        if host.rstrip(".").lower().endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return await super().resolve(host, port, family)


class _UnknownNameError(Exception):
    """The host's name does not exist. No azure-core error, so the retry policy lets it pass."""


class _Diagnosis(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Sits below the retries, so that a host that has gone is not asked again and again."""

    async def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        try:
            return await self.next.send(request)
        except AzureError as error:
            if is_unknown_name(error):
                raise _UnknownNameError from error
            raise


class Http:
    """One connection pool for one program run. An async context manager; safe to use from many tasks."""

    def __init__(
        self,
        *,
        connections: int = 64,
        connect_timeout: float = 10.0,
        read_timeout: float = 100.0,
        retries: Retries | None = None,
        proxies: bool = True,
        resolver: AbstractResolver | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Make a pool; it opens in ``async with``.

        Args:
            connections: The most connections at once; further calls wait for one.
            connect_timeout: Seconds to connect in.
            read_timeout: Seconds without a byte until an answer is lost. Scoring may take 90
                (classic-protocol 2).
            retries: The retry policy; the default one if left out.
            proxies: Whether ``HTTPS_PROXY`` and its like count.
            resolver: Looks names up; the system's way if left out.
            ca_file: The authorities that alone are trusted; the system's if left out.
        """
        self._connections = connections
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._retries = retries or Retries()
        self._proxies = proxies
        self._resolver = resolver
        self._ca_file = ca_file
        self._clocks: dict[str, timedelta] = {}
        self._pipeline: AsyncPipeline[HttpRequest, AsyncHttpResponse] | None = None
        self._alive: set[str] = set()

    @classmethod
    def for_cloud(cls, cloud: Cloud, *, connections: int = 64) -> Self:
        """Return a pool for ``cloud``. One on loopback is not reached through a proxy."""
        return cls(connections=connections, proxies=not cloud.allow_http)

    async def __aenter__(self) -> Self:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                # The threaded resolver keeps the reason why a name was not found, which the diagnosis needs.
                resolver=self._resolver or _Resolver(),
                ssl=True if self._ca_file is None else ssl.create_default_context(cafile=self._ca_file),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._proxies,
            headers={"User-Agent": _USER_AGENT, "Accept": "application/json"},
        )
        transport = AioHttpTransport(
            session=session,
            session_owner=True,
            connection_timeout=self._connect_timeout,
            read_timeout=self._read_timeout,
        )
        self._pipeline = AsyncPipeline(
            transport, [copy(self._retries), _Diagnosis()]
        )  # a policy belongs to one pipeline
        await self._pipeline.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pipeline is not None:
            await self._pipeline.__aexit__()
            self._pipeline = None

    @property
    def clocks(self) -> Mapping[str, timedelta]:
        """By host name and port, how far the host's clock is ahead of this machine's, to a second or so."""
        return self._clocks

    async def request(
        self,
        method: str,
        url: str,
        *,
        operation: str,
        token: Credential | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
    ) -> Reply:
        """Make a call.

        Args:
            method: ``GET``, ``PUT``, …
            url: Absolute, without a query.
            operation: What is being done, for people; starts every error message.
            token: Sent as ``Authorization: Bearer``; one with a place is looked up again after a 401.
            json: Body, to be sent as JSON.
            form: Body, to be sent as a form, instead of ``json``.
            params: The query.
            idempotent: True: may be repeated even if it may have been done. False: is sent once, come what
                may. None: as the verb says; PATCH and POST then are repeated after a 429 alone.

        Raises:
            ServiceError: as the tree in `reconciler.azure.errors` says.
        """
        body, media_type = _body(json, form)
        target = f"{url}?{urlencode(params)}" if params else url

        async def once(given: SecretStr | None) -> Reply:
            secret = _header_safe(given, url, operation) if given is not None else ""
            call = Call(operation, url, str(uuid.uuid4()), (secret, *(form or {}).values()))
            headers = {_OWN_ID: call.own_id}
            if media_type:
                headers["Content-Type"] = media_type
            if secret:
                headers["Authorization"] = f"Bearer {secret}"
            request = HttpRequest(method, target, headers=headers, content=body)
            return self._reply(call, await self._send(request, call, idempotent))

        return await once(None) if token is None else await call_with_refresh(token, once, _is_refusal)

    @asynccontextmanager
    async def download(self, url: str, *, operation: str) -> AsyncIterator[Download]:
        """GET what may be large, without any key; the connection is given back at the end of the block.

        Raises:
            ServiceError: as `request`; also where the chunks are read.
        """
        call = Call(operation, url, str(uuid.uuid4()))
        # Compressed anew at each call, the same content would not come as the same bytes.
        headers = {_OWN_ID: call.own_id, "Accept": "*/*", "Accept-Encoding": "identity"}
        response = await self._send(HttpRequest("GET", url, headers=headers), call, None, stream=True)
        try:
            if response.status_code >= 300:
                await response.read()
                self._reply(call, response)
            yield Download(response.headers, _chunks(call, response))
        finally:
            await response.close()

    async def _send(
        self, request: HttpRequest, call: Call, idempotent: bool | None, *, stream: bool = False
    ) -> AsyncHttpResponse:
        if self._pipeline is None:
            raise RuntimeError("Http is used outside of its async with")
        repeat = {None: None, True: Repeat.ALWAYS, False: Repeat.NEVER}[idempotent]
        started = time.monotonic()
        try:
            response = (await self._pipeline.run(request, repeat=repeat, stream=stream)).http_response
        except _UnknownNameError:
            raise retired_host(call) from None
        except AzureError as error:
            raise connection_error(call, error) from None
        ahead = ahead_by(response.headers.get("Date"), time.time())
        if ahead is not None:
            self._clocks[call.host] = ahead
        if _LOG.isEnabledFor(logging.DEBUG):
            elapsed = round((time.monotonic() - started) * 1000)
            request_id = request_id_of(response.headers, call.own_id)
            _LOG.debug("%s: %d in %d ms [request %s]", call.operation, response.status_code, elapsed, request_id)
        return response

    def _reply(self, call: Call, response: AsyncHttpResponse) -> Reply:
        status, headers = response.status_code, response.headers
        text = response.content.decode("utf-8-sig", errors="replace")
        if status < 300 or status == 304:
            self._alive.add(call.host)
            return Reply(status, _json_or_none(text), text, headers)
        if status < 400:
            elsewhere = urlsplit(headers.get("Location", "")).netloc or "nowhere"
            raise InvalidReply(
                f"{call.host} redirects to {elsewhere}. Check for a proxy or a sign-in page in between",
                operation=call.operation,
                status=status,
                request_id=request_id_of(headers, call.own_id),
            )
        alive = call.host in self._alive
        error = error_of(call, status, text, headers, host_is_alive=alive, now=time.time())
        if error.code:
            self._alive.add(call.host)
        raise error


async def _chunks(call: Call, response: AsyncHttpResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.iter_bytes():
            yield chunk
    except AzureError as error:
        raise connection_error(call, error) from None


def _body(json: object, form: Mapping[str, str] | None) -> tuple[bytes | None, str]:
    if json is not None:
        return jsonlib.dumps(json).encode(), "application/json"
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    return None, ""


def _is_refusal(error: SignInError) -> bool:
    # A 403 is said to somebody who is known.
    return error.status == 401


def _header_safe(token: SecretStr, url: str, operation: str) -> str:
    secret = token.get_secret_value().strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        problem = "holds characters that a header cannot carry" if secret else "is empty"
        raise SignInError(f"the key or token {problem}", operation=operation)
    parts = urlsplit(url)
    # The service itself names the host of an endpoint's key (ApiLocation), so the cloud's own check is not enough.
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise SignInError(f"no key or token is sent to {parts.netloc} without TLS", operation=operation)
    return secret


def _json_or_none(text: str) -> Any:
    if not text or text.isspace():
        return None
    try:
        return jsonlib.loads(text)
    except (ValueError, RecursionError):
        return None

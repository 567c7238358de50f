"""Blob storage: where inputs go and where trained models lie.

An account's key may be exchanged while a run goes on; where the connection string's place is known, it is looked up
again when storage does not accept a signature any more, and the call is made once more with the new key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from reconciler.azure.clocks import ahead_by
from reconciler.azure.clouds import is_loopback
from reconciler.azure.errors import (
    Conflict,
    ConnectionStringError,
    InvalidReply,
    NotFound,
    ServiceError,
    SignInError,
)
from reconciler.azure.renewal import ANOTHER_ONE, Renewable, refused
from reconciler.azure.uploads import BLOCK, Content, Progress, send

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.storage.blob.aio import BlobClient, BlobServiceClient

# A signature is valid from a little before now, because clocks differ.
_BACKDATED = timedelta(minutes=5)

# What storage calls a signature that was not made with the account's key, with status 403.
_REFUSED = "AuthenticationFailed"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob by its account and ``container/name``: what a job reads from or writes to (classic-protocol 3)."""

    connection_string: SecretStr
    relative: str


@dataclass(frozen=True, slots=True)
class BlobReference:
    """A blob by its place and a signature (classic-protocol 3).

    Attributes:
        base: Ends with ``/``.
        relative: ``container/name``, without a leading ``/``.
        sas: Begins with ``?``, or is empty.
    """

    base: str
    relative: str
    sas: SecretStr

    @classmethod
    def of(cls, base: str, relative: str, sas: str) -> BlobReference:
        """From the parts as they come on the wire, where every mixture of slashes and ``?`` was seen."""
        token = sas.strip().lstrip("?")
        return cls(base.rstrip("/") + "/", relative.lstrip("/"), SecretStr(f"?{token}" if token else ""))


@dataclass(frozen=True, slots=True)
class BlobProperties:
    """What a blob is, without its content."""

    length: int
    etag: str
    md5: bytes | None


class Blobs:
    """One storage account, by its connection string. An async context manager."""

    def __init__(
        self,
        connection_string: SecretStr,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        retry_pause: int = 1,
        source: Renewable | None = None,
    ) -> None:
        """Make a client; nothing is sent.

        Args:
            connection_string: With ``AccountName`` and ``AccountKey``.
            clock: The time that signatures count from.
            retry_pause: Seconds between the few tries of a call.
            source: Where the connection string is from, to look it up again.

        Raises:
            ConnectionStringError: it is not a connection string with an account and a key.
        """
        parts = _parts(connection_string.get_secret_value())
        self._account = parts["accountname"]
        self._key = SecretStr(parts["accountkey"])
        self._clock = clock
        self._retry_pause = retry_pause
        self._connection_string = connection_string
        self._source = source
        self.ahead: timedelta | None = None
        """By how much the account's clock was ahead of ours at the last `look`, if it told."""
        self._service = _service(connection_string, retry_pause)
        self._base = f"{self._service.url.split('?')[0].rstrip('/')}/"
        self._replaced: list[BlobServiceClient] = []
        place = urlsplit(self._base)
        # The service is handed the string as it is, whatever our own library makes of it.
        in_clear = "http" in {place.scheme, parts.get("defaultendpointsprotocol", "").lower()}
        if in_clear and not is_loopback(place.hostname or ""):
            raise ConnectionStringError(
                f"the storage connection string leads to {place.netloc} without TLS, where data would go in clear; "
                "write DefaultEndpointsProtocol=https, or an https BlobEndpoint"
            )

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        # Those that were replaced too, and not before: calls may have been under way with them.
        for service in (*self._replaced, self._service):
            await service.close()

    @property
    def account(self) -> str:
        """The account's name."""
        return self._account

    @property
    def base(self) -> str:
        """The account's blob endpoint with a trailing slash, as a location's base has it."""
        return self._base

    async def look(self, container: str) -> bool:
        """Ask with the account's key whether a container is there; sets `ahead`, whatever is answered.

        Raises:
            SignInError: the key is not accepted.
            NotFound: what answers is not this account.
            ServiceError: storage refuses, or can't be reached.
        """

        def note(response: PipelineResponse[Any, Any]) -> None:
            self.ahead = ahead_by(response.http_response.headers.get("Date"), self._clock().timestamp())

        async def ask() -> None:
            await self._service.get_container_client(container).get_container_properties(raw_response_hook=note)

        try:
            await self._ask(f"look at container {container}", ask)
        except NotFound as error:
            if not error.has_code("ContainerNotFound"):
                raise
            return False
        return True

    def holds(self, base: str) -> bool:
        """Whether ``base``, of some location, is this account; letter case, slashes and http or https aside."""
        return _identity(base) == _identity(self._base)

    async def upload_once(
        self, container: str, name: str, content: Content | Path, progress: Progress | None = None
    ) -> bool:
        """Upload content unless the blob is there; never overwrites. Makes the container if it is missing.

        Returns:
            Whether it was uploaded: False if the blob was there, or came to be there meanwhile.

        Raises:
            Conflict: what is there has another length, so it is something else.
            ContentChanged: the content is not what it was announced as; nothing was stored.
            OSError: the content can't be read.
            ServiceError: storage refuses, or can't be reached.
        """
        if isinstance(content, Path):
            content = await asyncio.to_thread(Content.of, content)
        if await self._is_there(container, name, content.size):
            return False
        await self._make(container)
        try:
            await self._ask(
                f"upload blob {container}/{name}", lambda: send(self._blob(container, name), content, progress)
            )
        except ServiceError as error:
            # Another process was quicker, which also takes our blocks away, or our own upload's answer was lost and
            # the second try met it.
            taken = isinstance(error, Conflict) or error.has_code("InvalidBlockList")
            if not taken or not await self._is_there(container, name, content.size):
                raise
            return False
        return True

    async def properties(self, container: str, name: str) -> BlobProperties | None:
        """A blob's properties; None when there is no such blob or container.

        Raises:
            ServiceError: storage refuses, or can't be reached.
        """
        try:
            found = await self._ask(
                f"look for blob {container}/{name}", lambda: self._blob(container, name).get_blob_properties()
            )
        except NotFound:
            return None
        md5 = found.content_settings.content_md5
        return BlobProperties(found.size, str(found.etag), bytes(md5) if md5 else None)

    async def read(self, container: str, name: str) -> bytes:
        """A whole blob.

        Raises:
            NotFound: there is none.
            ServiceError: storage refuses, or can't be reached.
        """
        return await self._ask(f"read blob {container}/{name}", lambda: _content(self._blob(container, name)))

    async def put(self, container: str, name: str, content: bytes) -> None:
        """Write a blob, over the one that may be there. Makes the container if it is missing.

        Raises:
            ServiceError: storage refuses, or can't be reached.
        """
        await self._make(container)
        async with self._asking(f"write blob {container}/{name}"):
            await self._blob(container, name).upload_blob(content, overwrite=True)

    async def remove(self, container: str, name: str) -> None:
        """Delete a blob; one that is not there is deleted.

        Raises:
            ServiceError: storage refuses, or can't be reached.
        """
        with suppress(NotFound):
            async with self._asking(f"delete blob {container}/{name}"):
                await self._blob(container, name).delete_blob()

    async def read_reference(self, reference: BlobReference) -> bytes:
        """A whole blob, of whatever account, by the reference's own signature.

        One of this account is read by its key if that was exchanged meanwhile: a service signs with the key that it
        was told.

        Raises:
            NotFound: there is none.
            SignInError: the signature is not accepted; it may have expired.
            ServiceError: storage refuses, or can't be reached.
        """
        try:
            return await self._read_by_signature(reference)
        except SignInError:
            if not self._replaced or not self.holds(reference.base):
                raise
            container, _, name = reference.relative.partition("/")
            return await self.read(container, name)

    async def _read_by_signature(self, reference: BlobReference) -> bytes:
        from azure.storage.blob.aio import BlobClient  # noqa: PLC0415 - late: takes 0.3 s

        url = reference.base + quote(reference.relative) + reference.sas.get_secret_value()
        async with self._asking(f"read blob {reference.relative}", reference.base):
            client = BlobClient.from_blob_url(url, **_options(reference.base, self._retry_pause))
            async with client:
                return await _content(client)

    def sign(self, container: str, name: str, valid_for: timedelta) -> SecretStr:
        """A signature, ``?sv=…``, that lets its holder read this one blob for so long. Nothing is sent."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415 - late: takes 0.3 s

        now = self._clock()
        token = generate_blob_sas(
            self._account,
            container,
            name,
            account_key=self._key.get_secret_value(),
            permission=BlobSasPermissions(read=True),
            start=now - _BACKDATED,
            expiry=now + valid_for,
        )
        return SecretStr(f"?{token}")

    async def _is_there(self, container: str, name: str, size: int) -> bool:
        found = await self.properties(container, name)
        if found is not None and found.length != size:
            raise Conflict(
                f"a blob of {found.length} bytes is there already, and the content has {size}",
                operation=f"upload blob {container}/{name}",
            )
        return found is not None

    async def _make(self, container: str) -> None:
        try:
            await self._ask(f"make container {container}", lambda: self._service.create_container(container))
        except Conflict:
            return

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._service.get_blob_client(container, name)

    async def _ask(self, operation: str, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call with the account's key; ``call`` makes it anew each time, with the key as it then is."""
        used = self._connection_string
        try:
            async with self._asking(operation):
                return await call()
        except SignInError as error:
            if self._source is None or not error.has_code(_REFUSED):
                raise
            reason = await self._renew(self._source, used)
            if reason:
                raise refused(error, self._source, reason) from None
        try:
            async with self._asking(operation):
                return await call()
        except SignInError as error:
            if not error.has_code(_REFUSED):
                raise
            raise refused(error, self._source, ANOTHER_ONE) from None

    async def _renew(self, source: Renewable, used: SecretStr) -> str:
        """Take up the key of a connection string that is another one by now; else why there is none."""
        if used is not self._connection_string:
            return ""  # Another call has done it.
        renewal = await source.renewed(used)
        if renewal.value is None:
            return renewal.reason
        if used is not self._connection_string:
            return ""
        try:
            parts, service = _parts(renewal.value.get_secret_value()), _service(renewal.value, self._retry_pause)
        except ConnectionStringError as error:
            return f"looked up again it is no good: {error}"
        if not self.holds(service.url.split("?")[0]):
            # What is known of blobs, in the store and in plans, is known of the account that the run began with.
            await service.close()
            return f"looked up again it is of another account, {service.url.split('?')[0]}; run again to go on there"
        self._replaced.append(self._service)
        self._service, self._key = service, SecretStr(parts["accountkey"])
        self._connection_string = renewal.value
        return ""

    @asynccontextmanager
    async def _asking(self, operation: str, url: str | None = None) -> AsyncIterator[None]:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - as late as the client itself

        from reconciler.azure.failures import Call, translated  # noqa: PLC0415

        try:
            yield
        except AzureError as error:
            raise translated(Call(operation, url or self._base), error) from None
        except ValueError as error:
            # The library's word for an answer that lacks a header, or for a URL that is none.
            raise InvalidReply(str(error), operation=operation) from None


async def _content(client: BlobClient) -> bytes:
    return await (await client.download_blob()).readall()


def _parts(connection_string: str) -> dict[str, str]:
    parts = {
        name.strip().lower(): value.strip()
        for name, sign, value in (part.partition("=") for part in connection_string.split(";"))
        if sign
    }
    missing = [name for name in ("AccountName", "AccountKey") if not parts.get(name.lower())]
    if missing:
        raise ConnectionStringError(
            f"the storage connection string has no {' and no '.join(missing)}; "
            "it should read like DefaultEndpointsProtocol=https;AccountName=…;AccountKey=…"
        )
    return parts


def _service(connection_string: SecretStr, retry_pause: int) -> BlobServiceClient:
    from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415 - late: takes 0.3 s

    secret = connection_string.get_secret_value()
    endpoint = _parts(secret).get("blobendpoint", "")
    try:
        return BlobServiceClient.from_connection_string(secret, **_options(endpoint, retry_pause))
    except ValueError as error:
        raise ConnectionStringError(f"the storage connection string can't be used: {error}") from None


def _options(endpoint: str, retry_pause: int) -> dict[str, Any]:
    """Few tries, short waits; and no proxy between us and a loopback account."""
    from azure.storage.blob.aio import LinearRetry  # noqa: PLC0415 - late: takes 0.3 s

    return {
        "retry_policy": LinearRetry(backoff=retry_pause, retry_total=3, random_jitter_range=retry_pause),
        "max_single_put_size": BLOCK,
        "connection_timeout": 10,
        "read_timeout": 60,
        "use_env_settings": not is_loopback(urlsplit(endpoint).hostname or ""),
    }


def _identity(base: str) -> tuple[str, str]:
    parts = urlsplit(base.lower())
    return parts.netloc, parts.path.strip("/")

"""Blob storage: where inputs go and where trained models lie.

What is done with an account's key is done with one that the account accepts (`reconciler.azure.storage.account`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from pydantic import SecretStr

from reconciler.azure.clocks import ahead_by
from reconciler.azure.credentials import RefreshableSecret
from reconciler.azure.errors import (
    Conflict,
    NotFound,
    ServiceError,
    SignInError,
)
from reconciler.azure.storage.account import StorageAccount, client_options
from reconciler.azure.storage.uploads import Content, Progress, send

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineResponse
    from azure.storage.blob.aio import BlobClient

# A signature is valid from a little before now, because clocks differ.
_BACKDATED = timedelta(minutes=5)

ANY_CONTAINER = "reconciler"
"""Asked for to see whether a key is accepted: it need not be there."""


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
        source: RefreshableSecret | None = None,
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
        self._account = StorageAccount(connection_string, source, retry_pause)
        self._clock = clock
        self._retry_pause = retry_pause
        self.ahead: timedelta | None = None
        """By how much the account's clock was ahead of this machine's at the last `look`, if known."""

    async def __aenter__(self) -> Self:
        await self._account.service.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._account.close()

    def also(self, connection_string: SecretStr, source: RefreshableSecret | None = None) -> None:
        """Give the account's other key, which is taken when the one in use is refused.

        Raises:
            ConnectionStringError: not a connection string with a key, or of another account.
        """
        self._account.also(connection_string, source)

    @property
    def account(self) -> str:
        """The account's name."""
        return self._account.name

    @property
    def base(self) -> str:
        """The account's blob endpoint with a trailing slash, as a location's base has it."""
        return self._account.base

    async def connection_string(self) -> SecretStr:
        """Return the account's connection string with a key that it accepts, as far as one is known to be.

        Where there are two, the account is asked once, unless it was used before.
        """
        await self._choose()
        return self._account.connection_string

    async def _choose(self) -> None:
        with suppress(ServiceError):  # What needs the key says it, and more of it.
            await self._account.accepted(lambda: self.look(ANY_CONTAINER))

    async def look(self, container: str) -> bool:
        """Ask with the account's key whether a container is there; sets `ahead`, whatever is answered.

        Raises:
            SignInError: the key is not accepted.
            NotFound: what answers is not this account.
            ServiceError: storage refuses, or cannot be reached.
        """

        def note(response: PipelineResponse[Any, Any]) -> None:
            self.ahead = ahead_by(response.http_response.headers.get("Date"), self._clock().timestamp())

        async def ask() -> None:
            await self._account.service.get_container_client(container).get_container_properties(raw_response_hook=note)

        try:
            await self._account.ask(f"look at container {container}", ask)
        except NotFound as error:
            if not error.has_code("ContainerNotFound"):
                raise
            return False
        return True

    def holds(self, base: str) -> bool:
        """Whether ``base``, of some location, is this account; letter case, slashes and http or https aside."""
        return self._account.holds(base)

    async def upload_once(
        self, container: str, name: str, content: Content | Path, progress: Progress | None = None
    ) -> bool:
        """Upload content unless the blob is there; never overwrites. Makes the container if it is missing.

        Returns:
            Whether it was uploaded: False if the blob was there, or came to be there meanwhile.

        Raises:
            Conflict: what is there has another length, so it is something else.
            ContentChanged: the content is not what it was announced as; nothing was stored.
            OSError: the content cannot be read.
            ServiceError: storage refuses, or cannot be reached.
        """
        if isinstance(content, Path):
            content = await asyncio.to_thread(Content.of, content)
        if await self._is_there(container, name, content.size):
            return False
        await self._make(container)
        try:
            await self._account.ask(
                f"upload blob {container}/{name}", lambda: send(self._blob(container, name), content, progress)
            )
        except ServiceError as error:
            # Another process was quicker, which also takes these blocks away, or this upload's answer was lost and
            # the second try met it.
            taken = isinstance(error, Conflict) or error.has_code("InvalidBlockList")
            if not taken or not await self._is_there(container, name, content.size):
                raise
            return False
        return True

    async def properties(self, container: str, name: str) -> BlobProperties | None:
        """Return a blob's properties; None when there is no such blob or container.

        Raises:
            ServiceError: storage refuses, or cannot be reached.
        """
        try:
            found = await self._account.ask(
                f"look for blob {container}/{name}", lambda: self._blob(container, name).get_blob_properties()
            )
        except NotFound:
            return None
        md5 = found.content_settings.content_md5
        return BlobProperties(found.size, str(found.etag), bytes(md5) if md5 else None)

    async def read(self, container: str, name: str) -> bytes:
        """Return a whole blob.

        Raises:
            NotFound: there is none.
            ServiceError: storage refuses, or cannot be reached.
        """
        return await self._account.ask(f"read blob {container}/{name}", lambda: _content(self._blob(container, name)))

    async def put(self, container: str, name: str, content: bytes) -> None:
        """Write a blob, over the one that may be there. Makes the container if it is missing.

        Raises:
            ServiceError: storage refuses, or cannot be reached.
        """
        await self._make(container)
        async with self._account.asking(f"write blob {container}/{name}"):
            await self._blob(container, name).upload_blob(content, overwrite=True)

    async def remove(self, container: str, name: str) -> None:
        """Delete a blob; one that is not there is deleted.

        Raises:
            ServiceError: storage refuses, or cannot be reached.
        """
        with suppress(NotFound):
            async with self._account.asking(f"delete blob {container}/{name}"):
                await self._blob(container, name).delete_blob()

    async def read_reference(self, reference: BlobReference) -> bytes:
        """Return a whole blob, of whatever account, by the reference's own signature.

        One of this account is read by its key if that was exchanged meanwhile, or is one of two: a service signs with
        the key that it was told.

        Raises:
            NotFound: there is none.
            SignInError: the signature is not accepted; it may have expired.
            ServiceError: storage refuses, or cannot be reached.
        """
        try:
            return await self._read_by_signature(reference)
        except SignInError:
            if not self._account.has_another or not self.holds(reference.base):
                raise
            container, _, name = reference.relative.partition("/")
            return await self.read(container, name)

    async def _read_by_signature(self, reference: BlobReference) -> bytes:
        from azure.storage.blob.aio import BlobClient  # noqa: PLC0415 - late: takes 0.3 s

        url = reference.base + quote(reference.relative) + reference.sas.get_secret_value()
        async with self._account.asking(f"read blob {reference.relative}", reference.base):
            client = BlobClient.from_blob_url(url, **client_options(reference.base, self._retry_pause))
            async with client:
                return await _content(client)

    async def sign(self, container: str, name: str, valid_for: timedelta) -> SecretStr:
        """Return a signature, ``?sv=…``, that lets its holder read this one blob for so long.

        Nothing is sent, unless there are two keys of which neither was used yet.
        """
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415 - late: takes 0.3 s

        await self._choose()
        now = self._clock()
        token = generate_blob_sas(
            self._account.name,
            container,
            name,
            account_key=self._account.key.get_secret_value(),
            permission=BlobSasPermissions(read=True),
            start=now - _BACKDATED,
            expiry=now + valid_for,
        )
        return SecretStr(f"?{token}")

    async def _is_there(self, container: str, name: str, size: int) -> bool:
        found = await self.properties(container, name)
        if found is not None and found.length != size:
            raise Conflict(
                f"a blob of {found.length:,} bytes exists already, and the new content has {size:,} bytes",
                operation=f"upload blob {container}/{name}",
            )
        return found is not None

    async def _make(self, container: str) -> None:
        try:
            await self._account.ask(
                f"make container {container}", lambda: self._account.service.create_container(container)
            )
        except Conflict:
            return

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._account.service.get_blob_client(container, name)


async def _content(client: BlobClient) -> bytes:
    return await (await client.download_blob()).readall()

"""The storage accounts of an emulator: the emulator's own, and real ones that the studio file names.

A real account is one that the emulator does not serve: in Azure, or Azurite. All that is done with it is done over
HTTP, with the key in its connection string; what a SAS is, is the same in both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from aiohttp import web
from azure.storage.blob import BlobServiceClient

from reconciler.emulator.config.studio_file import StorageAccount, StudioFileError
from reconciler.emulator.storage.authentication import sign
from reconciler.emulator.storage.client import BlobAccessError, BlobClient, BlobReference
from reconciler.emulator.storage.routes import BlobService


@dataclass(frozen=True)
class RealAccount:
    """A storage account that the emulator does not serve.

    Attributes:
        name: the account's name.
        key: its key, in base64.
        url: its blob endpoint, without a slash at the end.
        connection_string: as the environment gave it.
    """

    name: str
    key: str = field(repr=False)
    url: str
    connection_string: str = field(repr=False)


def real_accounts(accounts: Sequence[StorageAccount], environment: Mapping[str, str] = os.environ) -> list[RealAccount]:
    """Return the studio file's accounts that have a connection string of their own.

    Args:
        accounts: of the studio file.
        environment: where the connection strings are.

    Raises:
        StudioFileError: with every connection string that is missing or cannot be used, none of them quoted.
    """
    found, problems = [], []
    for account in accounts:
        if account.connection_string is None:
            continue
        variable = account.connection_string.env
        try:
            found.append(_real_account(account.name, environment.get(variable, "")))
        except ValueError as error:
            problems.append(f"storage account {account.name!r}: the environment variable {variable} {error}")
    if problems:
        raise StudioFileError("\n".join(problems))
    return found


def _real_account(name: str, connection_string: str) -> RealAccount:
    if not connection_string.strip():
        raise ValueError("is not set; set it to the account's connection string")
    try:
        with BlobServiceClient.from_connection_string(connection_string) as client:
            key = getattr(client.credential, "account_key", None)
            given, url = getattr(client.credential, "account_name", None), client.primary_endpoint
    except ValueError:
        # The library's own sentence may repeat a part of the connection string.
        raise ValueError("does not hold the connection string of a storage account") from None
    if key is None:
        raise ValueError("does not hold an account key, which signing a job's results needs")
    if given != name:
        raise ValueError(f"is of another account: {given!r}")
    parts = urlsplit(url)
    return RealAccount(
        name, str(key), f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"), connection_string.strip()
    )


class StorageAccounts:
    """What the rest of the emulator knows of storage, whoever serves it.

    Args:
        own: the accounts that the emulator serves.
        real: those that it does not.
        blobs: by which real ones are read and written.
        clock: the present moment.
    """

    def __init__(
        self,
        own: BlobService,
        real: Sequence[RealAccount],
        blobs: BlobClient,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._own = own
        self._real = {account.name: account for account in real}
        self._blobs = blobs
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the emulator's own accounts."""
        return self._own.routes()

    def url(self, account: str, server_url: str) -> str:
        """Return an account's blob endpoint without a slash at its end.

        Args:
            account: one of the accounts.
            server_url: where the emulator's own accounts are reached.
        """
        real = self._real.get(account)
        return real.url if real is not None else f"{server_url.rstrip('/')}/{account}"

    def connection_string(self, account: str, server_url: str, *, second: bool = False) -> str:
        """Return what azure-storage-blob's ``from_connection_string`` takes.

        Args:
            account: one of the accounts.
            server_url: as in `url`.
            second: with the other key of an account of the emulator's own; of a real one only one is known.
        """
        real = self._real.get(account)
        if real is not None:
            return real.connection_string
        return self._own.connection_string(account, server_url, second=second)

    def key(self, account: str) -> str:
        """Return an account's key, in base64."""
        real = self._real.get(account)
        return real.key if real is not None else self._own.key(account)

    def keys(self, account: str) -> tuple[str, ...]:
        """Return all keys of an account that are known, in base64."""
        real = self._real.get(account)
        return (real.key,) if real is not None else self._own.keys(account)

    def exchange_key(self, account: str, key: str, *, second: bool = False) -> None:
        """Give an account of the emulator's own another key."""
        self._own.exchange_key(account, key, second=second)

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
        real = self._real.get(account)
        if real is None:
            return self._own.sign(account, container, permissions=permissions, valid_for=valid_for, blob=blob)
        return sign(
            account,
            real.key,
            container,
            permissions=permissions,
            valid_for=valid_for,
            now=self._clock(),
            blob=blob,
        )

    async def create_container(self, account: str, container: str) -> None:
        """Make an empty private container; one that exists is left alone.

        Raises:
            BlobAccessError: a real account refuses, or does not answer.
        """
        real = self._real.get(account)
        if real is None:
            self._own.create_container(account, container)
        else:
            with _naming(account):
                await self._blobs.create_container(real.connection_string, container)

    async def seed(self, account: str, container: str, blob: str, data: bytes) -> None:
        """Write a blob, and its container if need be; one that has this content already is left alone.

        Args:
            account: one of the accounts.
            container: the container's name.
            blob: the blob's name.
            data: the content.

        Raises:
            BlobAccessError: a real account refuses, or does not answer.
        """
        real = self._real.get(account)
        if real is None:
            await self._own.seed(account, container, blob, data)
            return
        place = BlobReference(f"{container}/{blob}", connection_string=real.connection_string)
        with _naming(account):
            try:
                if await self._blobs.read(place) == data:
                    return
            except BlobAccessError as error:
                if error.code == "ContainerNotFound":
                    await self._blobs.create_container(real.connection_string, container)
                elif error.code not in {"BlobNotFound", "ResourceNotFound", "BlobTooLarge"}:
                    raise
            await self._blobs.write(place, data)

    def seeding(self, account: str) -> str:
        """Return what distinguishes this account from others of its name, for which a state is seeded again."""
        real = self._real.get(account)
        return "" if real is None else f"@{real.url}"

    def delete_where(self, chosen: Callable[[str], bool]) -> list[str]:
        """Delete blobs of the emulator's own accounts; see `BlobService.delete_where`."""
        return self._own.delete_where(chosen)


@contextmanager
def _naming(account: str) -> Iterator[None]:
    try:
        yield
    except BlobAccessError as error:
        raise BlobAccessError(error.code, f"storage account {account!r}: {error.message}") from None

"""The wire clients that a pass needs, made from the fleet's documents when they are first asked for.

Here the references of the specs become secrets, as late as possible, and stay wrapped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import SecretStr

from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.classic import ClassicManagement, WebService
from reconciler.azure.clouds import Cloud
from reconciler.azure.credentials import RefreshableSecret
from reconciler.azure.errors import ConnectionStringError
from reconciler.azure.execution.batch import BatchExecution
from reconciler.azure.execution.scoring import Scoring
from reconciler.azure.http import Http
from reconciler.azure.key_vault import KeyVaults
from reconciler.azure.sign_in import SignIn
from reconciler.azure.storage.blobs import Blobs
from reconciler.spec.documents import SecretReference
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import MissingSecret, SecretResolver, read_env_file
from reconciler.targets.secrets import SecretLookup

_T = TypeVar("_T")


class Clients:
    """One pass's clients. An async context manager; everything it opened is closed at its end."""

    def __init__(self, fleet: Fleet, cloud: Cloud, secrets: SecretResolver, *, resource_manager: bool = False) -> None:
        """Make the clients' home; nothing is sent.

        Args:
            fleet: The documents.
            cloud: The cloud.
            secrets: Where the documents' references are looked up.
            resource_manager: Whether `definitions` is wanted, though the fleet has no New web services.
        """
        self.fleet = fleet
        self.cloud = cloud
        self._secrets = secrets
        self._resource_manager = resource_manager or _knows_resource_manager(fleet)
        self._sign_in = SignIn(cloud, self._sign_in_secret)
        self._vaults = KeyVaults(cloud, self._sign_in)
        self._references = SecretLookup(secrets, self._vaults)
        self._stack = AsyncExitStack()
        self._http: Http | None = None
        self._management: dict[str, ClassicManagement] = {}
        self._blobs: dict[str, Blobs] = {}
        self._cached: dict[Hashable, asyncio.Task[Any]] = {}
        self._definitions: Definitions | None = None

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(Http.for_cloud(self.cloud))
        credential = await self._stack.enter_async_context(self._sign_in)
        await self._stack.enter_async_context(self._vaults)
        if self._resource_manager:
            self._definitions = await self._stack.enter_async_context(Definitions(self.cloud, credential))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What nobody waits for any more must not find its client closed.
        for task in self._cached.values():
            task.cancel()
        await asyncio.gather(*self._cached.values(), return_exceptions=True)
        await self._stack.aclose()

    async def cached(self, key: Hashable, ask: Callable[[], Awaitable[_T]], *, refresh: bool = False) -> _T:
        """Return what ``ask`` gives, which is asked once a pass for each key, whoever wants to know.

        What it raises, everybody gets. Whoever stops waiting leaves the others waiting. ``refresh`` asks again, for all
        that come later.
        """
        if refresh or key not in self._cached:

            async def asking() -> _T:
                return await ask()

            self._cached[key] = asyncio.create_task(asking())
        found: _T = await asyncio.shield(self._cached[key])
        return found

    @property
    def http(self) -> Http:
        """The shared pipeline."""
        if self._http is None:
            raise RuntimeError("Connections is used outside its context")
        return self._http

    def management(self, workspace: str) -> ClassicManagement:
        """Return the Classic management API of a workspace document; its token is looked up at the first call.

        Raises:
            CloudError: the cloud does not know its region.
        """
        if workspace not in self._management:
            region = self.fleet.workspaces[workspace].spec.region
            self._management[workspace] = self.management_at(self.cloud.management_url(region), workspace)
        return self._management[workspace]

    def management_at(self, url: str, workspace: str) -> ClassicManagement:
        """Return the Classic management API of a workspace document as the host at ``url`` has it, if it does."""
        spec = self.fleet.workspaces[workspace].spec
        return ClassicManagement(self.http, url, spec.id, self._credential(spec.token, workspace, "spec.token"))

    async def web_services(self, workspace: str) -> list[WebService]:
        """Return the web services of a workspace document, listed once a pass.

        Raises:
            MissingSecret: the workspace's token cannot be had.
            CloudError, ServiceError: as `management` and the list do.
        """
        return await self.cached(("web services", workspace), self.management(workspace).list_services)

    async def connection_string(self, workspace: str) -> SecretStr:
        """Return the connection string of a workspace's storage account, with a key that the account accepts."""
        return await (await self.blobs(workspace)).connection_string()

    async def blobs(self, workspace: str) -> Blobs:
        """Return the storage account of a workspace document.

        Raises:
            MissingSecret: its connection string cannot be had, or is none.
        """
        if workspace not in self._blobs:
            sources = self.storage_keys(workspace)
            strings = {field: await source.current() for field, source in sources.items()}
            if workspace in self._blobs:  # Made by somebody else meanwhile.
                return self._blobs[workspace]
            client = None
            for field, source in sources.items():
                try:
                    if client is None:
                        client = Blobs(strings[field], source=source)
                    else:
                        client.also(strings[field], source)
                except ConnectionStringError as error:
                    raise MissingSecret(f"Workspace {workspace}, {field}: {error}") from None
            assert client is not None  # noqa: S101 - a workspace has a connection string
            self._stack.push_async_exit(client)
            self._blobs[workspace] = client
        return self._blobs[workspace]

    async def account_url(self, account: str) -> str:
        """Return the blob endpoint of a storage account, with a trailing slash, as a connection string has it.

        Raises:
            CloudError: no workspace has that account, and it is the name of none.
        """
        for workspace in self.fleet.workspaces:
            try:
                blobs = await self.blobs(workspace)
            except MissingSecret:
                continue  # It says nothing of where this account is.
            if blobs.account.casefold() == account.casefold():
                return blobs.base
        return self.cloud.storage_url(account)

    def storage_keys(self, workspace: str) -> dict[str, RefreshableSecret]:
        """Return the connection strings of a workspace's storage account, one with each of its keys, by their field."""
        given = self.fleet.workspaces[workspace].spec.storage.connection_strings
        return {field: self._credential(reference, workspace, field) for field, reference in given.items()}

    @property
    def definitions(self) -> Definitions:
        """The Azure Resource Manager side; signs in at its first call.

        It is there for a fleet that has New web services, or a model that is trained by one.
        """
        if self._definitions is None:
            raise RuntimeError("Connections is used outside its context, or has no New web services")
        return self._definitions

    @property
    def needs_resource_manager(self) -> bool:
        """Whether the fleet has anything for which `definitions` and `sign_in` are there."""
        return _knows_resource_manager(self.fleet)

    @property
    def sign_in(self) -> SignIn:
        """The credential of `definitions`, and of Key Vaults."""
        return self._sign_in

    def batch(self, api_location: str, key: SecretStr) -> BatchExecution:
        """Return the Batch Execution Service of one endpoint."""
        return BatchExecution(self.http, api_location, key)

    def scoring(self, api_location: str, key: SecretStr) -> Scoring:
        """Return the Request/Response Service of one endpoint."""
        return Scoring(self.http, api_location, key)

    async def secret(self, reference: SecretReference, base: Path, *, wanted_for: str = "") -> SecretStr:
        """Return a reference's secret; raises MissingSecret, which names the referrer ``wanted_for``."""
        return await self._references.secret(reference, base, wanted_for=wanted_for)

    def _credential(self, reference: SecretReference, workspace: str, field: str) -> RefreshableSecret:
        base = self.fleet.base_dir_of("Workspace", workspace)
        return self._references.credential(reference, base, wanted_for=f"Workspace {workspace}, {field}")

    def _sign_in_secret(self, name: str) -> SecretStr:
        """Return what the cloud signs in with: from its env file if it has one, and then from nowhere else.

        ``AZURE_CLIENT_SECRET`` of the environment is often somebody's real one, which no other cloud should see.
        """
        asked, env_file = f"cloud {self.cloud.name}", self.cloud.env_file
        if env_file is None:
            return self._secrets.resolve(SecretReference(env=name), Path(), wanted_for=asked)
        value = read_env_file(env_file).get(name)
        if not value:
            raise MissingSecret(
                f"the environment variable {name}, which {asked} refers to, is not set in its env file {env_file}; "
                "add it there: the environment itself may hold credentials for another cloud, so it is not looked at"
            )
        return SecretStr(value)


def _knows_resource_manager(fleet: Fleet) -> bool:
    """Whether anything of the fleet is in Azure Resource Manager: what it takes is imported late, and only then."""
    trainings = (model.spec.training for model in fleet.models.values())
    return any(target.IN_RESOURCE_MANAGER for target in fleet.targets) or any(
        each is not None and each.new is not None for each in trainings
    )

"""The wire clients that a pass needs, made from the fleet's documents when they are first asked for.

Here the references of the specs become secrets, as late as possible, and stay wrapped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AsyncExitStack
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
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


KEPT_FOR = timedelta(minutes=10)
"""For so long what one pass found is good for later ones, unless it is refused before: secrets, training services."""


class _Shared:
    """What outlives a pass: connection pools, the sign-in, secrets, storage accounts, and answers that last."""

    def __init__(self, cloud: Cloud, secrets: SecretResolver, clock: Callable[[], datetime]) -> None:
        self.cloud = cloud
        self.clock = clock
        self.sign_in = SignIn(cloud, partial(_sign_in_secret, cloud, secrets))
        self.vaults = KeyVaults(cloud, self.sign_in)
        self.references = SecretLookup(secrets, self.vaults, clock=clock)
        self.stack = AsyncExitStack()
        self.http: Http | None = None
        self.definitions: Definitions | None = None
        self.management: dict[Hashable, ClassicManagement] = {}
        self.blobs: dict[Hashable, Blobs] = {}
        self.kept: dict[Hashable, tuple[datetime, asyncio.Task[Any]]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Open the connection pools."""
        self.http = await self.stack.enter_async_context(Http.for_cloud(self.cloud))
        await self.stack.enter_async_context(self.sign_in)
        await self.stack.enter_async_context(self.vaults)

    async def open_resource_manager(self) -> None:
        """Open the client of Azure Resource Manager, unless it is open."""
        if self.definitions is None:
            self.definitions = await self.stack.enter_async_context(Definitions(self.cloud, self.sign_in))

    async def close(self) -> None:
        """Close all that was opened. What nobody waits for any more must not find its client closed."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.stack.aclose()


class Clients:
    """One pass's clients. An async context manager; everything it opened is closed at its end.

    `next_pass` gives those of another pass, which share what may outlive one and are closed with the first.
    """

    def __init__(
        self,
        fleet: Fleet,
        cloud: Cloud,
        secrets: SecretResolver,
        *,
        resource_manager: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make the clients' home; nothing is sent.

        Args:
            fleet: The documents.
            cloud: The cloud.
            secrets: Where the documents' references are looked up.
            resource_manager: Whether `definitions` is wanted, though the fleet has nothing that needs it.
            clock: The time now, with a time zone.
        """
        self.fleet = fleet
        self.cloud = cloud
        self._resource_manager = resource_manager
        self._shared = _Shared(cloud, secrets, clock)
        self._cached: dict[Hashable, asyncio.Task[Any]] = {}

    async def __aenter__(self) -> Self:
        await self._shared.open()
        if self._resource_manager or self.needs_resource_manager:
            await self._shared.open_resource_manager()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._shared.close()

    async def next_pass(self, fleet: Fleet) -> Clients:
        """Return the clients of another pass: what is live is asked again, and a secret that could not be had too."""
        later = copy(self)
        later.fleet = fleet
        later._cached = {}
        self._shared.references.begin_pass(KEPT_FOR)
        if later.needs_resource_manager:
            await self._shared.open_resource_manager()
        return later

    async def cached(
        self, key: Hashable, ask: Callable[[], Awaitable[_T]], *, refresh: bool = False, lasting: bool = False
    ) -> _T:
        """Return what ``ask`` gives, which is asked once a pass for each key, whoever wants to know.

        What it raises, everybody gets. Whoever stops waiting leaves the others waiting. ``refresh`` asks again, for all
        that come later. What is ``lasting`` is good for later passes too, for `KEPT_FOR`, if it was no error.
        """
        if not refresh and key not in self._cached and lasting and (kept := self._shared.kept.get(key)) is not None:
            made, task = kept
            if self._shared.clock() - made < KEPT_FOR and not (task.done() and (task.cancelled() or task.exception())):
                self._cached[key] = task
        if refresh or key not in self._cached:

            async def asking() -> _T:
                return await ask()

            task = asyncio.create_task(asking())
            self._shared.tasks.add(task)
            task.add_done_callback(self._shared.tasks.discard)
            self._cached[key] = task
            if lasting:
                self._shared.kept[key] = self._shared.clock(), task
        found: _T = await asyncio.shield(self._cached[key])
        return found

    @property
    def http(self) -> Http:
        """The shared pipeline."""
        if self._shared.http is None:
            raise RuntimeError("Clients is used outside its context")
        return self._shared.http

    def management(self, workspace: str) -> ClassicManagement:
        """Return the Classic management API of a workspace document; its token is looked up at the first call.

        Raises:
            CloudError: the cloud does not know its region.
        """
        spec = self.fleet.workspaces[workspace].spec
        url = self.cloud.management_url(spec.region)
        key = (url, spec.id, workspace, str(spec.token), self.fleet.base_dir_of("Workspace", workspace))
        if key not in self._shared.management:
            self._shared.management[key] = self.management_at(url, workspace)
        return self._shared.management[key]

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
        sources = self.storage_keys(workspace)
        names = tuple(source.name for source in sources.values())
        key = (names, self.fleet.base_dir_of("Workspace", workspace))
        known = self._shared.blobs
        if key not in known:
            strings = {field: await source.current() for field, source in sources.items()}
            if key in known:  # Made by somebody else meanwhile.
                return known[key]
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
            self._shared.stack.push_async_exit(client)
            known[key] = client
        return known[key]

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
        if self._shared.definitions is None:
            raise RuntimeError("Clients is used outside its context, or has nothing in Azure Resource Manager")
        return self._shared.definitions

    @property
    def needs_resource_manager(self) -> bool:
        """Whether the fleet has anything for which `definitions` and `sign_in` are there."""
        return _knows_resource_manager(self.fleet)

    @property
    def sign_in(self) -> SignIn:
        """The credential of `definitions`, and of Key Vaults."""
        return self._shared.sign_in

    def batch(self, api_location: str, key: SecretStr) -> BatchExecution:
        """Return the Batch Execution Service of one endpoint."""
        return BatchExecution(self.http, api_location, key)

    def scoring(self, api_location: str, key: SecretStr) -> Scoring:
        """Return the Request/Response Service of one endpoint."""
        return Scoring(self.http, api_location, key)

    async def secret(self, reference: SecretReference, base: Path, *, wanted_for: str = "") -> SecretStr:
        """Return a reference's secret; raises MissingSecret, which names the referrer ``wanted_for``."""
        return await self._shared.references.secret(reference, base, wanted_for=wanted_for)

    def _credential(self, reference: SecretReference, workspace: str, field: str) -> RefreshableSecret:
        base = self.fleet.base_dir_of("Workspace", workspace)
        return self._shared.references.credential(reference, base, wanted_for=f"Workspace {workspace}, {field}")


def _sign_in_secret(cloud: Cloud, secrets: SecretResolver, name: str) -> SecretStr:
    """Return what the cloud signs in with: from its env file if it has one, and then from nowhere else.

    ``AZURE_CLIENT_SECRET`` of the environment is often somebody's real one, which no other cloud should see.
    """
    asked, env_file = f"cloud {cloud.name}", cloud.env_file
    if env_file is None:
        return secrets.resolve(SecretReference(env=name), Path(), wanted_for=asked)
    value = read_env_file(env_file).get(name)
    if not value:
        raise MissingSecret(
            f"environment variable {name} (used by {asked}) is not set in env file {env_file}. "
            "Add it there: the environment is not used, because it may have credentials of another cloud"
        )
    return SecretStr(value)


def _knows_resource_manager(fleet: Fleet) -> bool:
    """Whether anything of the fleet is in Azure Resource Manager: what it takes is imported late, and only then."""
    trainings = (model.spec.training for model in fleet.models.values())
    return any(target.IN_RESOURCE_MANAGER for target in fleet.targets) or any(
        each is not None and each.new is not None for each in trainings
    )

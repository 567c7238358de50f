"""The wire clients that a pass needs, made from the fleet's documents when they are first asked for.

Here the references of the specs become secrets, as late as possible, and stay wrapped.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from reconciler.azure.batch import BatchExecution
from reconciler.azure.blobs import Blobs
from reconciler.azure.classic import ClassicManagement, WebService
from reconciler.azure.clouds import Cloud
from reconciler.azure.definitions import Definitions
from reconciler.azure.errors import ConnectionStringError
from reconciler.azure.http import Http
from reconciler.azure.scoring import Scoring
from reconciler.azure.sign_in import SignIn
from reconciler.spec.documents import FileInput, SecretReference
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import MissingSecret, SecretResolver, read_env_file


class Connections:
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
        self._resource_manager = resource_manager or bool(fleet.new_web_services)
        self._stack = AsyncExitStack()
        self._http: Http | None = None
        self._management: dict[str, ClassicManagement] = {}
        self._blobs: dict[str, Blobs] = {}
        self._web_services: dict[str, asyncio.Future[list[WebService]]] = {}
        self._definitions: Definitions | None = None

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(Http.for_cloud(self.cloud))
        if self._resource_manager:
            credential = await self._stack.enter_async_context(SignIn(self.cloud, self._sign_in_secret))
            self._definitions = await self._stack.enter_async_context(Definitions(self.cloud, credential))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def http(self) -> Http:
        """The shared pipeline."""
        if self._http is None:
            raise RuntimeError("Connections is used outside its context")
        return self._http

    def management(self, workspace: str) -> ClassicManagement:
        """The Classic management API of a workspace document.

        Raises:
            MissingSecret: its token can't be resolved.
            CloudError: the cloud does not know its region.
        """
        if workspace not in self._management:
            spec = self.fleet.workspaces[workspace].spec
            self._management[workspace] = ClassicManagement(
                self.http,
                self.cloud.management_url(spec.region),
                spec.id,
                self._workspace_secret(spec.token, workspace, "spec.token"),
            )
        return self._management[workspace]

    async def web_services(self, workspace: str) -> list[WebService]:
        """The web services of a workspace document, listed once a pass; raises as `management` and the list do."""
        if workspace not in self._web_services:
            listing = self.management(workspace).list_services()
            self._web_services[workspace] = asyncio.ensure_future(listing)
        return await asyncio.shield(self._web_services[workspace])

    def connection_string(self, workspace: str) -> SecretStr:
        """The connection string of a workspace's storage account."""
        reference = self.fleet.workspaces[workspace].spec.storage.connection_string
        return self._workspace_secret(reference, workspace, "spec.storage.connectionString")

    def blobs(self, workspace: str) -> Blobs:
        """The storage account of a workspace document.

        Raises:
            MissingSecret: its connection string can't be resolved, or is none.
        """
        if workspace not in self._blobs:
            try:
                client = Blobs(self.connection_string(workspace))
            except ConnectionStringError as error:
                raise MissingSecret(f"Workspace {workspace}, spec.storage.connectionString: {error}") from None
            self._stack.push_async_exit(client)
            self._blobs[workspace] = client
        return self._blobs[workspace]

    @property
    def definitions(self) -> Definitions:
        """The Azure Resource Manager side, there for a fleet that has New web services; signs in at its first call."""
        if self._definitions is None:
            raise RuntimeError("Connections is used outside its context, or has no New web services")
        return self._definitions

    def batch(self, api_location: str, key: SecretStr) -> BatchExecution:
        """The Batch Execution Service of one endpoint."""
        return BatchExecution(self.http, api_location, key)

    def scoring(self, api_location: str, key: SecretStr) -> Scoring:
        """The Request/Response Service of one endpoint."""
        return Scoring(self.http, api_location, key)

    def secret(self, reference: SecretReference, base: Path, *, wanted_for: str = "") -> SecretStr:
        """What a reference stands for; raises MissingSecret. ``wanted_for`` says in its message who refers to it."""
        return self._secrets.resolve(reference, base, wanted_for=wanted_for)

    def _workspace_secret(self, reference: SecretReference, workspace: str, field: str) -> SecretStr:
        base = self.fleet.base_dir_of("Workspace", workspace)
        return self._secrets.resolve(reference, base, wanted_for=f"Workspace {workspace}, {field}")

    def _sign_in_secret(self, name: str) -> SecretStr:
        """What the cloud signs in with: from its env file if it has one, and then from nowhere else.

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

    def input_file(self, model: str, given: FileInput) -> Path:
        """The path of a model's training file: relative ones are meant from the spec file's directory."""
        return self.fleet.base_dir_of("Model", model) / given.file

    async def url_identity(self, url: str) -> str:
        """What identifies the content behind a URL: its ETag, else its date and length, else nothing."""
        reply = await self.http.request("HEAD", url, token=None, operation="look at a training input")
        headers = {name.lower(): value for name, value in reply.headers.items()}
        if etag := headers.get("etag"):
            return f"etag:{etag}"
        if date := headers.get("last-modified"):
            return f"date:{date}:{headers.get('content-length', '')}"
        return "unpinned"

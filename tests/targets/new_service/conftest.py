"""Whole passes over New web services, in this process, on a Studio that the tests of a module share.

Each test has services of its own, so that no two of them meet.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.apply.report import Report
from reconciler.azure.clouds import load_cloud
from reconciler.emulator.config.studio_file import StudioFile
from reconciler.emulator.pytest_plugin import StudioThread
from reconciler.plan.document import Plan
from reconciler.reconciliation import Reconciliation
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import SecretResolver
from reconciler.store import Store
from reconciler.targets.clients import Clients
from reconciler.targets.new_service.definition.file import export_definition
from reconciler.targets.new_service.payloads import with_payload
from tests.support.fleets import load_fleet

DEFAULT_STUDIO = Path(__file__).parents[3] / "reconciler" / "emulator" / "config" / "default_studio.yaml"
GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml"
PROVIDER = f"{GROUP}/providers/Microsoft.MachineLearning"
EXAMPLE = f"{PROVIDER}/webServices/BreastCancer"
PLAN = f"{PROVIDER}/commitmentPlans/contoso-plan"
MODEL = "Breast Cancer [trained model]"


def variable_of(client_id: str) -> str:
    """The variable with the secret of another principal of a test's Studio."""
    return f"SECRET_{client_id[:8]}"


@dataclass
class Desk:
    """A directory of specs, a store, and a Studio to converge on."""

    home: Path
    studio: Any
    environ: dict[str, str] = field(repr=False, default_factory=dict)
    client_id: str | None = None
    """Who signs in, if it is another than the Studio's first principal; its secret is in `variable_of` it."""

    def __post_init__(self) -> None:
        lines = [line for line in self.studio.env_file.read_text().splitlines() if "=" in line]
        pairs = (line.removeprefix("export ").partition("=") for line in lines)
        self.environ |= {name: shlex.split(value)[0] for name, _, value in pairs}
        storage = dict(part.split("=", 1) for part in self.environ["CONTOSO_STORAGE"].split(";") if part)
        self.environ |= {"STORAGE_KEY": storage["AccountKey"]}
        self.base = storage["BlobEndpoint"].rstrip("/") + "/"

    @property
    def cloud(self) -> Any:
        cloud = load_cloud(str(self.studio.cloud_file))
        if self.client_id is None:
            return cloud
        env_file = self.home / "other.env"
        secrets = {"AZURE_CLIENT_ID": self.client_id, "AZURE_CLIENT_SECRET": self.environ[variable_of(self.client_id)]}
        env_file.write_text("".join(f"{name}='{value}'\n" for name, value in secrets.items()))
        return replace(cloud, env_file=env_file)

    @property
    def secrets(self) -> SecretResolver:
        return SecretResolver(self.environ)

    def write(self, **services: dict[str, Any]) -> Fleet:
        """The specs: a workspace, a model with two ready-made versions, and these services by name."""
        where = {"old": "models/initial/breast-cancer.ilearner", "new": "models/initial/diabetes.ilearner"}
        ready = {
            label: {"location": {"baseLocation": self.base, "relativeLocation": path}} for label, path in where.items()
        }
        storage = {"connectionString": {"env": "CONTOSO_STORAGE"}, "container": "models"}
        workspace = {
            "id": "3ad1c2b4e5f60718293a4b5c6d7e8f90",
            "region": "South Central US",
            "token": {"env": "CONTOSO_WORKSPACE_TOKEN"},
            "storage": storage,
        }
        documents = [
            {"kind": "Workspace", "metadata": {"name": "contoso"}, "spec": workspace},
            {"kind": "Model", "metadata": {"name": "bc"}, "spec": {"workspace": "contoso", "versions": ready}},
            *({"kind": "NewWebService", "metadata": {"name": name}, "spec": spec} for name, spec in services.items()),
        ]
        text = yaml.safe_dump_all([{"apiVersion": "reconciler/v1", **document} for document in documents])
        (self.home / "fleet.yaml").write_text(text)
        return load_fleet([self.home])

    def service(self, name: str, version: str | None = "old", **more: Any) -> dict[str, Any]:
        """A service of the name that is created from a file and serves a version."""
        spec: dict[str, Any] = {
            "resourceId": f"{PROVIDER}/webServices/{name}",
            "definition": {"file": "definition.json"},
            "storage": {"account": "contosostore", "key": {"env": "STORAGE_KEY"}},
            "commitmentPlan": PLAN,
        }
        if version is not None:
            spec["model"] = {"resource": MODEL, "name": "bc", "version": version}
        return {name: value for name, value in {**spec, **more}.items() if value is not None}

    async def plan(self, **services: dict[str, Any]) -> Plan:
        with self._store() as store:
            async with Reconciliation(self.write(**services), self.cloud, store, self.secrets) as one:
                return await one.plan()

    async def converge(self, **services: dict[str, Any]) -> Report:
        """Plan and carry out."""
        with self._store() as store:
            async with Reconciliation(self.write(**services), self.cloud, store, self.secrets) as one:
                return await one.apply(await one.plan())

    def _store(self) -> Store:
        return Store.open(str(self.home / "state.db"), clock=lambda: datetime.now(UTC))

    async def live(self, resource_id: str, **query: str) -> dict[str, Any]:
        """A service as Resource Manager shows it."""
        async with Clients(Fleet.empty(), self.cloud, self.secrets, resource_manager=True) as clients:
            return await clients.definitions.get(resource_id, **query)

    async def keys(self, resource_id: str) -> dict[str, str]:
        async with Clients(Fleet.empty(), self.cloud, self.secrets, resource_manager=True) as clients:
            keys = await clients.definitions.all_keys(resource_id)
        return {name: key.get_secret_value() for name, key in keys.items()}

    async def patch(self, resource_id: str, **properties: Any) -> None:
        """Change a service outside reconciler."""
        async with Clients(Fleet.empty(), self.cloud, self.secrets, resource_manager=True) as clients:
            await clients.definitions.patch(resource_id, {"properties": {"packageType": "Graph", **properties}})

    async def export(self, resource_id: str = EXAMPLE, **properties: Any) -> dict[str, Any]:
        """Export a service into the definition file, with some of its properties changed."""
        async with Clients(Fleet.empty(), self.cloud, self.secrets, resource_manager=True) as clients:
            shown = await with_payload(clients.http, await clients.definitions.get(resource_id))
        content = export_definition(shown).content
        content["properties"] |= properties
        self.file(content)
        return content

    def file(self, content: Any) -> None:
        (self.home / "definition.json").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def thread() -> Iterator[StudioThread]:
    made = StudioThread()
    yield made
    made.close()


@pytest.fixture(scope="module")
def studio(thread: StudioThread, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """A Studio; a module changes sections of its file by a variable ``STUDIO``."""
    content = yaml.safe_load(DEFAULT_STUDIO.read_text("utf-8"))
    content["timings"] |= {"patchTakesEffect": "0s", "provisioning": "0.05s"}
    content["profile"] = os.environ.get("STUDIO_PROFILE", "documented")
    group = content["subscriptions"][0]["resourceGroups"][0]
    group["commitmentPlans"].append({"name": "other-plan", "sku": "S1", "capacity": 1})
    for section, changes in getattr(request.module, "STUDIO", {}).items():
        given = content[section]
        content[section] = [*given, *changes] if isinstance(given, list) else {**given, **changes}
    state = tmp_path_factory.mktemp("studio") / "state"
    with thread.studio(StudioFile.model_validate(content), state=state) as running:
        yield running


@pytest.fixture
def desk(studio: Any, tmp_path: Path) -> Desk:
    return Desk(tmp_path, studio)

"""A Studio with a New web service, and what speaks to its Azure Resource Manager over plain HTTP."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.storage.blob import BlobClient

from reconciler.emulator.config.studio_file import StudioFile
from reconciler.emulator.documents import Documents
from reconciler.emulator.identity.routes import SignIn

VERSION = "2017-01-01"
SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices"
SERVICE = f"{SERVICES}/BreastCancer"
PLAN = SERVICES.replace("webServices", "commitmentPlans") + "/plan"
MODEL = "Breast Cancer [trained model]"
# Read once: it takes longer than the start of a Studio.
DEFAULT_STUDIO = yaml.safe_load(
    (Path(__file__).parents[3] / "reconciler" / "emulator" / "config" / "default_studio.yaml").read_text("utf-8")
)
NOW = timedelta(0)

CHANGES = {
    "storageAccounts": [
        {"name": "contosostore", "containers": ["models", "datasets"]},
        {"name": "other", "containers": ["models"]},
    ],
    "subscriptions": [
        {
            "id": SUBSCRIPTION,
            "resourceGroups": [
                {
                    "name": "contoso-ml",
                    "commitmentPlans": [{"name": "plan"}, {"name": "other", "sku": "S2", "capacity": 2}],
                    "webServices": [
                        {
                            "name": "BreastCancer",
                            "experiment": "Breast Cancer [predictive exp.]",
                            "title": "Breast Cancer",
                        },
                        {"name": "Training", "experiment": "Breast Cancer [training exp.]"},
                        {"name": "ByUrl", "experiment": "Diabetes by URL [training exp.]"},
                    ],
                }
            ],
        }
    ],
    "timings": {"provisioning": "0.05s"},
}


@dataclass
class LocalArm:
    """The Azure Resource Manager of a running Studio."""

    client: Any
    token: str = field(repr=False)
    another_model: bytes = field(repr=False)
    """A trained model that no New web service has at first."""

    @property
    def context(self) -> Any:
        return self.client.context

    @property
    def url(self) -> str:
        return str(self.client.url)

    async def send(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        version = {} if "?" in path else {"api-version": VERSION}
        return await self.client.send(method, path, body, token=self.token, **{**version, **query})

    async def get(self, path: str = SERVICE, **query: str) -> Any:
        reply = await self.send("GET", path, **query)
        assert reply.status == 200, reply.body
        return reply.body

    async def patch(self, properties: Mapping[str, Any], path: str = SERVICE) -> Any:
        return await self.send("PATCH", path, {"properties": {"packageType": "Graph", **properties}})

    def definition(self, **properties: Any) -> dict[str, Any]:
        """A whole definition of somebody's own service, with keys, storage key and a Credential parameter."""
        key = self.context.secrets.storage_key("contosostore")
        node = {
            "assetId": "asset1",
            "parameters": {
                "Account Name": {"value": "bohurp", "certificateThumbprint": ""},
                "Account Key": {"value": "the account's key", "certificateThumbprint": "AB5C39DB6124"},
            },
        }
        return {
            "location": "southcentralus",
            "properties": {
                "title": "Mine",
                "packageType": "Graph",
                "storageAccount": {"name": "contosostore", "key": key},
                "commitmentPlan": {"id": PLAN},
                "assets": {
                    "asset1": {"name": "Import Data", "type": "Module", "locationInfo": {"uri": "aml://module/1.2"}}
                },
                "package": {"nodes": {"node1": node}, "edges": [], "graphParameters": {}},
                "parameters": {},
                **properties,
            },
        }

    async def repoint(self, uri: str, **more: str) -> Any:
        """Patches the model's uri in the whole assets map, as a careful client does."""
        assets = (await self.get())["properties"]["assets"]
        key, asset = model_asset(assets)
        return await self.patch({"assets": {**assets, key: {**asset, "locationInfo": {"uri": uri, **more}}}})

    async def model_uri(self) -> str:
        return str(model_asset((await self.get())["properties"]["assets"])[1]["locationInfo"]["uri"])

    async def finished(self, reply: Any) -> Any:
        """Polls the operation that `reply` started until it ended, and gives its last body."""
        assert reply.status in (200, 201, 202), reply.body
        while (poll := await self.get(reply.headers["Azure-AsyncOperation"]))["status"] == "Provisioning":
            pass
        return poll

    async def converged(self, reply: Any) -> None:
        poll = await self.finished(reply)
        assert poll["status"] == "Succeeded", poll

    async def upload(self, relative: str, content: bytes, account: str = "contosostore") -> str:
        """Writes a blob, and gives its uri."""
        await asyncio.to_thread(_upload, self.context.storage.connection_string(account, self.url), relative, content)
        return f"{self.url}/{account}/{relative}"

    def served(self, name: str = "BreastCancer") -> bytes | None:
        """The model that scoring uses."""
        for document in self.context.documents.collection("webServices").values():
            if document["name"] == name:
                path = f"subscriptions/{SUBSCRIPTION.replace('-', '')}/services/{document['service']}"
                bound = self.context.execution.model(path, MODEL)
                return None if bound is None else bytes(self.context.models.read(bound.digest))
        return None


def model_asset(assets: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    ((key, asset),) = [(key, asset) for key, asset in assets.items() if asset["type"] == "Resource"]
    return key, asset


def _upload(connection_string: str, relative: str, content: bytes) -> None:
    container, _, name = relative.partition("/")
    with BlobClient.from_connection_string(connection_string, container, name) as blob:
        blob.upload_blob(content, overwrite=True)


@pytest.fixture(scope="session")
def arm_state(first_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of the default Studio without its second New web service, which would be one more in every list."""
    state = tmp_path_factory.mktemp("arm") / "state"
    shutil.copytree(first_state, state)
    with closing(Documents.open(state)) as documents:
        for collection in map(documents.collection, ("webServices", "execution-services")):
            for key in [key for key, document in collection.items() if "BreastCancerTraining" in document.values()]:
                del collection[key]
    return state


@pytest.fixture
def start_arm(studio_thread: Any, arm_state: Path, connect: Callable[[Any], Any]) -> Callable[..., Any]:
    """Starts a Studio in a directory, `late` by its clock, with some sections of its file changed.

    Ending it writes nothing about operations, so a second start finds them as after a kill.
    """

    @contextmanager
    def started(
        state: Path, *, late: timedelta = NOW, clock: Callable[[], datetime] | None = None, **changes: Any
    ) -> Iterator[LocalArm]:
        if not state.exists():
            shutil.copytree(arm_state, state)
        content = {**DEFAULT_STUDIO, **CHANGES, **changes}
        # The service of the default Studio is seeded already; the other ones come with this start.
        studio_file = StudioFile.model_validate(content)
        clock = clock or (lambda: datetime.now(UTC) + late)
        with studio_thread.studio(studio_file, state=state, clock=clock) as studio:
            context = studio.context
            model = context.models.read(context.documents.collection("initial-models")[OTHER_EXPERIMENT]["digest"])
            yield LocalArm(connect(studio), _token(context), model)

    return started


OTHER_EXPERIMENT = "Diabetes [predictive exp.]"


def _token(context: Any) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": context.studio.principal.client_id,
        "client_secret": context.secrets.client_secret(),
        "scope": "https://management.azure.com/.default",
    }
    return str(SignIn(context).issue(context.studio.principal.tenant_id, form)["access_token"])


@pytest.fixture
def local(start_arm: Callable[..., Any], tmp_path: Path) -> Iterator[LocalArm]:
    """The Azure Resource Manager of a Studio whose operations end quickly."""
    with start_arm(tmp_path / "state") as running:
        yield running

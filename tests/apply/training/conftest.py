"""A fleet of models alone, a server that stands for all of Studio, and a run to train in."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.apply.progress import ProgressEvent
from reconciler.apply.run import Run
from reconciler.azure.clouds import Cloud
from reconciler.plan.states import Ledger
from reconciler.spec.secrets import SecretResolver
from reconciler.targets.clients import Clients
from tests.support.fleets import load_fleet
from tests.support.peer import Peer, serving

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
KEY = base64.b64encode(b"k" * 64).decode()
HOME = f"""
apiVersion: reconciler/v1
kind: Workspace
metadata: {{name: contoso}}
spec:
  id: {WORKSPACE}
  region: South Central US
  token: {{env: TOKEN}}
  storage: {{connectionString: {{env: STORAGE}}, container: models}}
"""

Open = Callable[..., AbstractAsyncContextManager[Run]]


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with serving() as made:
        yield made


@pytest.fixture
def notes() -> list[ProgressEvent]:
    """What the run tells."""
    return []


@pytest.fixture
def opened(peer: Peer, tmp_path: Path, notes: list[ProgressEvent]) -> Open:
    """Makes a run over models, each given by its name and its training as YAML; the peer is its whole cloud."""

    @asynccontextmanager
    async def open_run(**trainings: str) -> AsyncIterator[Run]:
        models = [
            f"---\napiVersion: reconciler/v1\nkind: Model\nmetadata: {{name: {name}}}\n"
            f"spec: {{workspace: contoso, training: {training}}}\n"
            for name, training in trainings.items()
        ]
        (tmp_path / "fleet.yaml").write_text("".join([HOME, *models]))
        storage = f"DefaultEndpointsProtocol=http;AccountName=store;AccountKey={KEY};BlobEndpoint={peer.url}/store"
        cloud = Cloud("local", peer.url, "https://a/", management_base=peer.url, allow_http=True)
        secrets = SecretResolver({"TOKEN": "t", "STORAGE": storage})
        async with Clients(load_fleet([tmp_path]), cloud, secrets) as clients:
            yield Run(
                run_id="r",
                holder=cast("Any", None),
                store=cast("Any", None),
                clients=clients,
                drivers={},
                versions={},
                targets={},
                ledger=Ledger(),
                clock=lambda: datetime(2026, 11, 1, tzinfo=UTC),
                progress=notes.append,
            )

    return open_run

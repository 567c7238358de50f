"""One local storage account on a loopback port, with a clock that a test can move."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from reconciler.emulator.documents import Documents
from reconciler.emulator.storage.routes import BlobService
from tests.support.azurite import Azurite, running_azurite

KEY = base64.b64encode(b"k" * 64).decode()


async def refusal(work: Awaitable[Any]) -> tuple[int | None, str]:
    """Status and code of what must be refused."""
    with pytest.raises(HttpResponseError) as raised:
        await work
    return raised.value.status_code, str(getattr(raised.value.error_code, "value", raised.value.error_code))


@dataclass
class Clock:
    """The real time, plus what the test says; clients sign with the real one."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True)
class Account:
    name: str
    key: str
    server_url: str
    url: str
    connection_string: str
    service: BlobService
    clock: Clock
    directory: Path


@pytest.fixture
async def account(tmp_path) -> AsyncIterator[Account]:
    clock = Clock()
    documents = Documents.open(None)
    service = BlobService(documents, tmp_path / "contents", {"studiostore": KEY, "other": KEY}, clock=clock)
    app = web.Application()
    app.add_routes(service.routes())
    app.add_routes([web.get("/workspaces/{w}", _elsewhere)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield Account(
        "studiostore",
        KEY,
        server_url,
        f"{server_url}/studiostore",
        service.connection_string("studiostore", server_url),
        service,
        clock,
        tmp_path / "contents",
    )
    await runner.cleanup()
    documents.close()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """An Azurite, one for each worker of the tests."""
    with running_azurite(tmp_path_factory.mktemp("azurite")) as running:
        yield running


@pytest.fixture(params=["ours", "azurite"])
async def any_service(request: pytest.FixtureRequest, account: Account) -> AsyncIterator[BlobServiceClient]:
    """A storage account: ours, and Azurite's, which must do the same."""
    own = request.param == "ours"
    connection_string = account.connection_string if own else request.getfixturevalue("azurite").connection_string
    async with BlobServiceClient.from_connection_string(connection_string) as client:
        yield client


@pytest.fixture
async def any_container(any_service: BlobServiceClient) -> ContainerClient:
    """A new container in either account."""
    return await any_service.create_container(f"c{uuid4().hex}")


async def _elsewhere(_: web.Request) -> web.Response:
    return web.Response(text="not storage")

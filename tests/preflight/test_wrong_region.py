"""A workspace of another region: its host does not know it, and we say where it is (classic-protocol 4.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from reconciler.azure.clouds import Cloud
from reconciler.preflight.doctor import examine
from reconciler.reconciliation import Reconciliation
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import SecretResolver
from reconciler.store import Store
from tests.apply.training.conftest import HOME
from tests.support.fleets import load_fleet

SPECS = f"""{HOME}---
apiVersion: reconciler/v1
kind: Model
metadata: {{name: m}}
spec:
  workspace: contoso
  versions:
    "1": {{location: {{baseLocation: "https://x.blob.core.windows.net/", relativeLocation: c/m.ilearner}}}}
---
apiVersion: reconciler/v1
kind: ClassicEndpoint
metadata: {{name: clinic-a}}
spec:
  workspace: contoso
  webService: Scoring
  endpoint: clinica
  model: {{resource: M, name: m, version: "1"}}
"""
SECRETS = {
    "TOKEN": "the-token",
    "STORAGE": "AccountName=x;AccountKey=eA==;BlobEndpoint=http://127.0.0.1:1/x",
}


def clock() -> datetime:
    return datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


Answers = Callable[[web.Request], web.Response]


def refuses(status: int, code: str) -> Answers:
    return lambda _: web.json_response({"error": {"code": code, "message": "no"}}, status=status)


def lists(_: web.Request) -> web.Response:
    return web.json_response([{"Id": "5" * 32, "Name": "Scoring", "EndpointCount": 1}])


@pytest.fixture
async def hosts() -> AsyncIterator[Callable[..., Any]]:
    """Starts management hosts of regions, and gives the cloud that has them."""
    async with AsyncExitStack() as stack:

        async def started(**regions: Answers) -> Cloud:
            urls = {}
            for region, answers in regions.items():

                async def handle(request: web.Request, answers: Answers = answers) -> web.Response:
                    return answers(request)

                app = web.Application()
                app.router.add_route("*", "/{tail:.*}", handle)
                server = await stack.enter_async_context(TestServer(app))
                urls[region.replace("_", " ")] = str(server.make_url("")).rstrip("/")
            return Cloud(
                name="local",
                resource_manager_url="https://127.0.0.1:1",
                audience="https://management.azure.com/",
                regions=urls,
                allow_http=True,
            )

        yield started


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    (tmp_path / "specs.yaml").write_text(SPECS)
    return load_fleet([tmp_path / "specs.yaml"])


async def planned(fleet: Fleet, cloud: Cloud, tmp_path: Path) -> Any:
    with Store.open(str(tmp_path / "state.db"), clock=clock) as store:
        async with Reconciliation(fleet, cloud, store, SecretResolver(SECRETS)) as one:
            return (await one.plan()).blocked[0]


@pytest.mark.parametrize(("status", "code"), [(404, "WorkspaceNotFound"), (500, "GetWorkspaceFailed")])
async def test_the_region_that_knows_the_workspace_is_named(fleet, hosts, tmp_path, status, code):
    cloud = await hosts(
        South_Central_US=refuses(status, code), West_Europe=lists, Japan_East=refuses(404, "WorkspaceNotFound")
    )

    blocked = await planned(fleet, cloud, tmp_path)

    assert [reason.code for reason in blocked.reasons] == ["wrong-region"]
    assert f"is not in South Central US, whose host returned {status} {code}" in blocked.reasons[0].text
    assert "The workspace is in West Europe" in blocked.reasons[0].text
    assert blocked.remedy == "Write region: West Europe in Workspace contoso"
    checks = await examine(fleet, cloud, SecretResolver(SECRETS), clock)
    (told,) = [check for check in checks if check.name == "wrong-region"]
    assert (told.outcome, told.remedy) == ("failed", blocked.remedy)


async def test_where_no_region_knows_it_none_is_guessed(fleet, hosts, tmp_path):
    cloud = await hosts(South_Central_US=refuses(404, "WorkspaceNotFound"), West_Europe=refuses(401, "Unauthorized"))

    blocked = await planned(fleet, cloud, tmp_path)

    assert [reason.code for reason in blocked.reasons] == ["workspace-unknown"]
    assert "nor do those of 1 other region" in blocked.reasons[0].text
    assert "spec.region" in blocked.remedy


async def test_a_region_that_the_cloud_has_not_is_no_wrong_region_of_the_workspace(fleet, hosts, tmp_path):
    cloud = await hosts(West_Europe=lists)

    blocked = await planned(fleet, cloud, tmp_path)

    assert [reason.code for reason in blocked.reasons] == ["region-unknown"]
    assert "it has West Europe" in blocked.reasons[0].text

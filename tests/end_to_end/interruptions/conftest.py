"""A fleet of each test's own behind a proxy, on one Studio for all tests of a worker.

Tests keep out of each other's way by names: the model and the Classic endpoints are called after the test. Only the New
web service is there once; each test that moves it moves it to its own model.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.proxy import Proxy
from tests.support.rig import Rig
from tests.support.studio import Studio, running


@pytest.fixture(scope="session")
def shared(prepared_state: Path, quick_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One Studio for the tests of this worker."""
    state = tmp_path_factory.mktemp("shared") / "studio"
    shutil.copytree(prepared_state, state, ignore=shutil.ignore_patterns("lock", "cloud.json", "emulator.env"))
    with running(state, "--studio", str(quick_studio)) as studio:
        yield studio


@pytest.fixture
def proxy(shared: Studio) -> Iterator[Proxy]:
    """A proxy of this test's own before the shared Studio."""
    with Proxy(shared.url) as one:
        yield one


@pytest.fixture
def rig(shared: Studio, proxy: Proxy, tmp_path: Path, request: pytest.FixtureRequest) -> Rig:
    """A user's directory, without specs yet, whose command goes through the proxy."""
    home = tmp_path / "home"
    home.mkdir()
    cloud = json.loads(shared.cloud_file.read_text().replace(shared.url, proxy.url))
    beside = {
        "caFile": str(shared.cloud_file.parent / cloud["caFile"]),
        "envFile": str(shared.env_file),
        # Without TLS, as the proxy speaks none; signing in goes straight to the Studio.
        "resourceManagerUrl": proxy.url,
    }
    cloud_file = tmp_path / "cloud.json"
    cloud_file.write_text(json.dumps({**cloud, **beside, "settleSeconds": 1.0, "pollSeconds": 0.05}))
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    return Rig(home, shared, cloud_file=cloud_file, proxy=proxy, name=name)

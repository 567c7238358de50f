from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

import reconciler
from reconciler.azure.clouds import Cloud, load_cloud
from reconciler.azure.http import Http
from reconciler.azure.retries import Retries
from reconciler.emulator.identity.certificates import ServerTls, new_authority
from tests.support.peer import Peer, serving


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with serving() as made:
        yield made


@pytest.fixture(scope="session")
def tls() -> ServerTls:
    """A certificate authority for loopback, and a server's side of TLS."""
    return ServerTls(new_authority())


@pytest.fixture
def ca_file(tls: ServerTls, tmp_path: Path) -> Path:
    """The authority that vouches for `secure_peer`."""
    path = tmp_path / "ca.pem"
    path.write_text(tls.authority)
    return path


@pytest.fixture
async def secure_peer(tls: ServerTls) -> AsyncIterator[Peer]:
    """A peer that speaks TLS."""
    async with serving(tls.context) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """The pipeline, with no pauses between its tries."""
    async with Http(retries=Retries(backoff=0), proxies=False) as made:
        yield made


@pytest.fixture
def closed_url() -> Iterator[str]:
    """A port where nobody listens, held so that nobody else will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def cloud(peer: Peer) -> Cloud:
    """A cloud file's cloud, all of it at the peer."""
    return Cloud(
        name="local",
        resource_manager_url=peer.url,
        audience="https://management.azure.com/",
        management_base=peer.url,
        settle=timedelta(0),
        poll=timedelta(0),
        allow_http=True,
    )


@dataclass(frozen=True)
class LocalStudio:
    """An emulator in a process of its own, known to the tests by the two files that it wrote."""

    cloud: Cloud
    environ: dict[str, str]
    cloud_file: Path

    def secret(self, name: str) -> SecretStr:
        return SecretStr(self.environ[name])


@pytest.fixture(scope="session")
def local_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStudio]:
    """The default Studio, except that nothing takes longer than it must. One for all tests of the process."""
    root, directory = Path(reconciler.__file__).parents[1], tmp_path_factory.mktemp("studio")
    content = yaml.safe_load((root / "reconciler/emulator/config/default_studio.yaml").read_text("utf-8"))
    content["timings"] |= {"patchTakesEffect": "0s", "provisioning": "0.1s"}
    content["profile"] = os.environ.get("STUDIO_PROFILE", "documented")
    (directory / "studio.yaml").write_text(yaml.safe_dump(content), "utf-8")
    command = [sys.executable, "-m", "reconciler.emulator", "--studio", str(directory / "studio.yaml"), "--port", "0"]
    with (
        (directory / "log").open("w") as log,
        subprocess.Popen(
            command,
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (directory / "log").read_text()
        files = json.loads(line)
        lines = Path(files["envFile"]).read_text("utf-8").splitlines()
        environ = {name: shlex.split(value)[0] for name, _, value in (entry.partition("=") for entry in lines)}
        yield LocalStudio(load_cloud(files["cloudFile"]), environ, Path(files["cloudFile"]))
        process.send_signal(signal.SIGTERM)

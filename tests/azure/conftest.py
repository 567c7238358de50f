from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from pydantic import SecretStr

import reconciler
from reconciler.azure.clouds import Cloud, load_cloud
from reconciler.azure.http import Http
from reconciler.azure.retries import Retries
from reconciler.emulator.identity.certificates import ServerTls, new_authority

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Peer:
    """A server on loopback that answers as it is told, misbehaviour included.

    ``peer.on("GET", "/x", peer.cuts, peer.says([]))``: breaks the connection once, then answers.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.connections: set[int] = set()
        self.ended = asyncio.Event()
        self._answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        self._default: Answer | None = None

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Give ``answers`` one after the other; the last one is repeated."""
        self._answers[method, path] = list(answers)

    def on_everything(self, answer: Answer) -> None:
        self._default = answer

    def seen_of(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    @staticmethod
    def says(content: Any, status: int = 200, **headers: str) -> Answer:
        """JSON."""

        async def answer(_: web.Request) -> web.StreamResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.json_response(content, status=status, headers=named)

        return answer

    @staticmethod
    def says_text(text: str, status: int = 200, content_type: str = "text/plain", **headers: str) -> Answer:
        async def answer(_: web.Request) -> web.StreamResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(text=text, status=status, content_type=content_type, headers=named)

        return answer

    @staticmethod
    def refuses(status: int, code: str, message: str = "no", *details: str, **headers: str) -> Answer:
        """An error body of the service's own format."""
        error: dict[str, Any] = {"code": code, "message": message}
        if details:
            error["details"] = [{"code": detail, "message": f"because of {detail}"} for detail in details]
        return Peer.says({"error": error}, status, **headers)

    @staticmethod
    def nothing(status: int = 204) -> Answer:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status)

        return answer

    @staticmethod
    async def cuts(request: web.Request) -> web.StreamResponse:
        """The request was read; the connection breaks before a byte of the answer."""
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    @staticmethod
    async def cuts_in_the_body(request: web.Request) -> web.StreamResponse:
        """The answer breaks off in its middle."""
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"half":')
        assert request.transport is not None
        request.transport.abort()
        return response

    async def hangs(self, _: web.Request) -> web.StreamResponse:
        """No answer while the test runs."""
        await self.ended.wait()
        return web.Response()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.connections.add(id(request.transport))
        self.seen.append(
            Seen(
                request.method,
                request.path,
                dict(request.query),
                {k.lower(): v for k, v in request.headers.items()},
                body,
            )
        )
        answers = self._answers.get((request.method, request.path))
        if not answers:
            if self._default is not None:
                return await self._default(request)
            return web.json_response({"error": {"code": "NotFound", "message": "no such route"}}, status=404)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return await answer(request)


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


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    made = Peer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"{'http' if context is None else 'https'}://{host}:{port}"
    yield made
    made.ended.set()
    await runner.cleanup()


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

"""How fast and how large the local Studio is with 10,000 endpoints, beside a bare aiohttp server with the same bytes.

    python tests/benchmarks/emulator.py [--endpoints 10000] [--requests 6000]

Both servers run in one core each and are asked by the same client. Rates are requests for each second of the
server's processor time, so a machine that has other things to do does not change them much; the ratio of the two
servers changes least. Nothing here is collected by pytest, and no test asserts a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
SERVICE = "00000000000000000000000000010000"
PREDICTIVE = "Breast Cancer [predictive exp.]"
_TICKS = os.sysconf("SC_CLK_TCK")
_CONNECTIONS = 16


def studio_text(endpoints: int) -> str:
    """The default Studio with another predictive service of so many endpoints (``default`` is one of them)."""
    import yaml  # noqa: PLC0415 - the bare server needs none of this

    default = Path(__file__).parents[2] / "reconciler" / "emulator" / "config" / "default_studio.yaml"
    content = yaml.safe_load(default.read_text("utf-8"))
    named = [{"name": f"rentalloc{number:05}", "description": f"Location {number}"} for number in range(1, endpoints)]
    content["workspaces"][0]["services"].append(
        {"id": SERVICE, "name": "Many", "experiment": PREDICTIVE, "endpoints": named}
    )
    return json.dumps(content)  # JSON is YAML, and is read faster


@dataclass
class Server:
    """A server process and what it costs."""

    process: asyncio.subprocess.Process
    url: str
    headers: Mapping[str, str]
    seconds_to_start: float

    def cpu(self) -> float:
        """Seconds of processor time so far, without those of its own workers."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> dict[str, float]:
        """Resident megabytes: of the server itself, and of its children."""
        own = _resident(self.process.pid)
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split()
        return {"server": own, "workers": sum(_resident(int(child)) for child in children)}


def _resident(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text("ascii").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Server]:
    """Starts a server that says where it is in one line of JSON, and ends it."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, limit=1 << 20
    )
    assert process.stdout is not None
    try:
        said = json.loads(await process.stdout.readline())
        seconds = time.perf_counter() - began
        headers = {}
        if "envFile" in said:
            lines = Path(said["envFile"]).read_text("utf-8").splitlines()
            (token,) = [line.partition("=")[2] for line in lines if line.startswith("CONTOSO_WORKSPACE_TOKEN=")]
            headers["Authorization"] = f"Bearer {token}"
        yield Server(process, said["url"], headers, seconds)
    finally:
        process.terminate()
        await process.wait()


async def ask(server: Server, path: str, times: int) -> dict[str, float]:
    """Asks for a path again and again: requests a second of wall time and of the server's processor time."""
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers=server.headers) as session:

        async def one_connection(number: int) -> None:
            for _ in range(number):
                async with session.get(server.url + path) as reply:
                    assert reply.status == 200, await reply.text()
                    await reply.read()

        lanes = min(_CONNECTIONS, times)
        await one_connection(min(times, 50))
        cpu, wall = server.cpu(), time.perf_counter()
        await asyncio.gather(*(one_connection(times // lanes) for _ in range(lanes)))
        done = times // lanes * lanes
        cpu, wall = server.cpu() - cpu, time.perf_counter() - wall
    return {"wall": done / wall, "cpu": done / max(cpu, 1 / _TICKS)}


async def fetch(server: Server, path: str) -> bytes:
    """The bytes of an answer."""
    async with aiohttp.ClientSession(headers=server.headers) as session, session.get(server.url + path) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.read()


async def measure(endpoints: int, requests: int) -> None:
    """Runs everything and prints it."""
    services = f"/workspaces/{WORKSPACE}/webservices"
    listing = f"{services}/{SERVICE}/endpoints"
    asked = {
        "GET one endpoint": (f"{listing}/rentalloc00500", requests),
        "GET the list of web services": (services, requests),
        f"GET the list of {endpoints:,} endpoints": (listing, 20),
    }
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        studio, state = Path(directory) / "studio.yaml", Path(directory) / "state"
        studio.write_text(studio_text(endpoints), "utf-8")
        command = ("-m", "reconciler.emulator", "--studio", str(studio), "--state", str(state))
        async with running(*command) as first:
            print(f"first start, with training and {endpoints:,} endpoints to make: {first.seconds_to_start:.2f} s")
        async with running(*command) as server:
            print(
                f"start with that state (budget 2 s): {server.seconds_to_start:.2f} s, "
                f"{server.cpu():.2f} s of processor time"
            )
            bodies = {}
            for path, _ in asked.values():
                bodies[path] = (await fetch(server, path)).decode()
            file = Path(directory) / "bodies.json"
            file.write_text(json.dumps(bodies), "utf-8")
            async with running(__file__, "--bare", str(file)) as bare:
                for name, (path, times) in asked.items():
                    _print(name, await ask(server, path, times), await ask(bare, path, times), len(bodies[path]))
                await _page(server)
                memory, least = server.memory(), bare.memory()["server"]
                print(
                    f"memory (budget 400 MB): {memory['server']:.0f} MB, with workers "
                    f"{memory['server'] + memory['workers']:.0f} MB; bare server {least:.0f} MB, "
                    f"ratio {memory['server'] / least:.1f}"
                )


async def _page(server: Server) -> None:
    for name, path in (("", "/_studio/state?limit=25"), (" with a search", "/_studio/state?limit=25&search=loc00777")):
        rates = await ask(server, path, 32)
        print(f"state of the page{name}: {1000 / rates['cpu']:.1f} ms processor time")


def _print(name: str, studio: Mapping[str, float], bare: Mapping[str, float], size: int) -> None:
    print(
        f"{name} ({size:,} bytes): {studio['cpu']:,.0f} a processor second, {studio['wall']:,.0f} a second here, "
        f"{1000 / studio['cpu']:.2f} ms each; bare {bare['cpu']:,.0f}; ratio {studio['cpu'] / bare['cpu']:.2f}"
    )


def serve_bare(file: Path) -> None:
    """The least that aiohttp does: a route for each path that answers with ready bytes of JSON."""
    bodies: dict[str, str] = json.loads(file.read_text("utf-8"))

    def handler(body: bytes) -> Any:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=body, content_type="application/json", charset="utf-8")

        return answer

    async def run() -> None:
        app = web.Application()
        app.add_routes([web.get(path, handler(body.encode())) for path, body in bodies.items()])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(json.dumps({"url": "http://{}:{}".format(*runner.addresses[0])}), flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def main() -> None:
    """Parses the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=6_000)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare is not None:
        serve_bare(given.bare)
    else:
        asyncio.run(measure(given.endpoints, given.requests))


if __name__ == "__main__":
    main()

"""The least that does what the client is measured by: aiohttp, PyYAML's C loader, and nothing that looks at anything.

    python tests/benchmarks/client_bare.py look URL SPECS SERVICES ENDPOINTS NEW
    python tests/benchmarks/client_bare.py patch URL SERVICES ENDPOINTS CONCURRENCY CALLS

``look`` loads all spec files, and gets and parses all listings and definitions, sixteen at once. ``patch`` sends each
endpoint the calls that CALLS has a letter for: g(et), p(atch), s(core), one after the other, CONCURRENCY endpoints at
once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.client_world import NEW, RESOURCE, WORKSPACE, World, artifact, fingerprint

_AT_ONCE = 16
_HEADERS = {"Authorization": "Bearer made-up"}


async def look(url: str, specs: Path, world: World) -> int:
    """Loads and lists everything; gives how many things were found."""
    found = 0
    for file in sorted(specs.iterdir()):
        found += len(list(yaml.load_all(file.read_bytes(), yaml.CSafeLoader)))
    paths = iter(world.paths())

    async def work(session: aiohttp.ClientSession) -> int:
        seen = 0
        for path, _ in paths:
            async with session.get(url + path) as reply:
                content = json.loads(await reply.text())
                seen += len(content) if isinstance(content, list) else 1
        return seen

    async with aiohttp.ClientSession(headers=_HEADERS) as session:
        return found + sum(await asyncio.gather(*(work(session) for _ in range(_AT_ONCE))))


async def patch(url: str, world: World, at_once: int, calls: str) -> None:
    """Patches every endpoint."""
    base, relative = artifact(NEW)
    location = {"BaseLocation": base, "RelativeLocation": relative, "SasBlobToken": "?sv=2026&sig=made-up"}
    body = {
        "Resources": [{"Name": RESOURCE, "Location": location}],
        "Description": f"Rentals [reconciler: bike-rental@{NEW} {fingerprint(NEW)[:12]}]",
    }
    rows = [{"hour": 1, "temp": 1.5}, {"hour": 2, "temp": 2.5}, {"hour": 3, "temp": 3.5}]
    scored = {"Inputs": {"input1": rows}, "GlobalParameters": {}}
    places = iter(
        [
            (world.service(service)[0], world.endpoint(endpoint))
            for service in range(world.services)
            for endpoint in range(world.endpoints)
        ]
    )

    async def work(session: aiohttp.ClientSession) -> None:
        for service, name in places:
            endpoint = f"{url}/workspaces/{WORKSPACE}/webservices/{service}/endpoints/{name}"
            sent = {
                "g": lambda: session.get(endpoint),  # noqa: B023 - called before the next one begins
                "p": lambda: session.patch(endpoint, json=body),  # noqa: B023 - as above
                "s": lambda: session.post(f"{url}/score/{service}/{name}/execute", json=scored),  # noqa: B023 - as above
            }
            for call in calls:
                async with sent[call]() as reply:
                    text = await reply.text()
                    if text:
                        json.loads(text)

    async with aiohttp.ClientSession(headers=_HEADERS) as session:
        await asyncio.gather(*(work(session) for _ in range(at_once)))


def main() -> None:
    """Does what the arguments say."""
    if sys.argv[1] == "look":
        print(asyncio.run(look(sys.argv[2], Path(sys.argv[3]), World(*map(int, sys.argv[4:7])))))
    else:
        world = World(int(sys.argv[3]), int(sys.argv[4]))
        asyncio.run(patch(sys.argv[2], world, int(sys.argv[5]), sys.argv[6]))


if __name__ == "__main__":
    main()

"""The services that `client.py` lets the client and the bare script ask: the least that answers as they would.

    python tests/benchmarks/client_server.py DIRECTORY SERVICES ENDPOINTS NEW TAKES

A call about a single endpoint takes at least TAKES seconds.

Listings and definitions are ready bytes. An endpoint can be read, patched and scored; it answers other than before
once another model was patched into it. Writes a cloud file and a file of secrets into the directory, and prints a
line when it listens. ``GET /_span`` gives how many patches there were since it was last asked, and the seconds from
the first call about a single endpoint to the end of the last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from reconciler.emulator.identity.certificates import ServerTls, new_authority
from tests.benchmarks.client_world import RESOURCE, WORKSPACE, World

_TENANT = "99999999-8888-7777-6666-555555555555"
_JSON = {"Content-Type": "application/json; charset=utf-8"}
_SWAGGER = {
    "swagger": "2.0",
    "paths": {"/execute": {"post": {"parameters": [{"schema": {"$ref": "#/definitions/ExecutionRequest"}}]}}},
    "definitions": {
        "ExecutionRequest": {
            "type": "object",
            "properties": {
                "Inputs": {
                    "type": "object",
                    "properties": {"input1": {"type": "array", "items": {"$ref": "#/definitions/ExecutionInputsItem"}}},
                }
            },
        },
        "ExecutionInputsItem": {
            "type": "object",
            "properties": {"hour": {"type": "integer"}, "temp": {"type": "number"}},
        },
    },
}


class Services:
    """All that the server answers."""

    def __init__(self, world: World, url: str, takes: float) -> None:
        self._takes = takes
        self._ready: dict[str, bytes] = {}
        self._endpoints: dict[tuple[str, str], dict[str, Any]] = {}
        self._models: dict[tuple[str, str], str] = {}
        self._patches, self._first, self._last = 0, 0.0, 0.0
        services = f"/workspaces/{WORKSPACE}/webservices"
        self._ready[services] = json.dumps(world.services_listed()).encode()
        for number in range(world.services):
            identifier, _ = world.service(number)
            listed = world.endpoints_listed(number, url)
            self._ready[f"{services}/{identifier}/endpoints"] = json.dumps(listed).encode()
            self._endpoints |= {(identifier, each["Name"]): each for each in listed}
        for number in range(world.new):
            self._ready[world.resource_id(number)] = json.dumps(world.definition(number)).encode()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answers one call."""
        ready = self._ready.get(request.path)
        if ready is not None:
            return web.Response(body=ready, headers=_JSON)
        match request.path.split("/")[1:]:
            case ["workspaces", _, "webservices", service, "endpoints", name]:
                return await self._timed(self._endpoint(request, (service, name)))
            case ["score", _, _, "swagger.json"]:
                return web.json_response(_SWAGGER)
            case ["score", service, name, "execute"]:
                return await self._timed(self._score(request, (service, name)))
            case [tenant, "oauth2", "v2.0", "token"] if tenant == _TENANT:
                return web.json_response({"token_type": "Bearer", "expires_in": 3600, "access_token": "made-up"})
            case ["_span"]:
                return self._span()
        return web.json_response({"error": {"code": "NotFound", "message": request.path}}, status=404)

    async def _timed(self, work: Any) -> web.Response:
        self._first = self._first or time.monotonic()
        if self._takes:
            await asyncio.sleep(self._takes)
        response: web.Response = await work
        self._last = time.monotonic()
        return response

    async def _endpoint(self, request: web.BaseRequest, key: tuple[str, str]) -> web.Response:
        endpoint = self._endpoints[key]
        if request.method == "PATCH":
            patch = await request.json()
            self._patches += 1
            self._models[key] = patch["Resources"][0]["Location"]["RelativeLocation"]
            endpoint["Description"] = patch.get("Description", endpoint["Description"])
            return web.Response(status=200)
        shown = {**endpoint, "Resources": [{"Name": RESOURCE, "Kind": "TrainedModel"}]}
        return web.Response(body=json.dumps(shown).encode(), headers=_JSON)

    async def _score(self, request: web.BaseRequest, key: tuple[str, str]) -> web.Response:
        rows = next(iter((await request.json())["Inputs"].values()))
        model = self._models.get(key, "")
        answers = [{"Scored Labels": f"{len(model) + len(row)}"} for row in rows]
        return web.Response(body=json.dumps({"Results": {"output1": answers}}).encode(), headers=_JSON)

    def _span(self) -> web.Response:
        found = {"patches": self._patches, "seconds": self._last - self._first}
        self._patches, self._first, self._last = 0, 0.0, 0.0
        return web.json_response(found)


async def serve(directory: Path, world: World, takes: float) -> None:
    """Listens until it is ended."""
    tls = ServerTls(new_authority())
    services: Services | None = None

    async def answer(request: web.BaseRequest) -> web.Response:
        assert services is not None
        return await services.answer(request)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.context).start()
    (_, plain), (_, secure) = (address[:2] for address in runner.addresses)
    url = f"http://127.0.0.1:{plain}"
    services = Services(world, url, takes)
    (directory / "ca.pem").write_text(tls.authority, "ascii")
    (directory / "secrets.env").write_text(
        "RENTALS_TOKEN=made-up\nRENTALS_SAS=?sv=2026&sr=b&sig=made-up&se=2036-01-01&sp=r\n"
        "RENTALS_CLIENT=made-up\nRENTALS_SECRET=made-up\nRENTALS_STORAGE=UseDevelopmentStorage=true\n",
        "utf-8",
    )
    cloud = {
        "formatVersion": "1.0",
        "name": "benchmark",
        "managementUrl": url,
        "resourceManagerUrl": url,
        "audience": "https://management.azure.com/",
        "signIn": {
            "authority": f"https://localhost:{secure}",
            "tenantId": _TENANT,
            "clientId": {"env": "RENTALS_CLIENT"},
            "clientSecret": {"env": "RENTALS_SECRET"},
        },
        "caFile": "ca.pem",
        "envFile": "secrets.env",
        "settleSeconds": 0,
        "pollSeconds": 0.05,
    }
    (directory / "cloud.json").write_text(json.dumps(cloud), "utf-8")
    print(json.dumps({"url": url}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), World(*map(int, sys.argv[2:5])), float(sys.argv[5])))

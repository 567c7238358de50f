"""A vault as a client meets it: plain HTTP with the host's name in a header, or Azure's own library over TLS."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from reconciler.emulator.server import Studio

HOME = "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21"
READER = "4e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40"


@dataclass
class Answer:
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        error = self.body["error"]
        return "/".join([error["code"], *([error["innererror"]["code"]] if "innererror" in error else [])])


@dataclass
class Visitor:
    """Somebody who talks to the vaults of a Studio, as its first principal if nothing else is said."""

    studio: Studio
    session: aiohttp.ClientSession = field(repr=False)

    @property
    def environ(self) -> dict[str, str]:
        lines = (line.partition("=") for line in self.studio.env_file.read_text("utf-8").splitlines())
        return {name: shlex.split(value)[0] for name, _, value in lines}

    @property
    def cloud(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.studio.cloud_file.read_text("utf-8"))
        return found

    async def token(self, scope: str = "https://vault.azure.net/.default", **client: str) -> str:
        environ = self.environ
        form = {
            "grant_type": "client_credentials",
            "client_id": environ["AZURE_CLIENT_ID"],
            "client_secret": environ["AZURE_CLIENT_SECRET"],
            "scope": scope,
        } | client
        url = f"{self.studio.url}/{form.pop('tenant', HOME)}/oauth2/v2.0/token"
        async with self.session.post(url, data=form) as reply:
            body = await reply.json()
            assert reply.status == 200, body
            return str(body["access_token"])

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        host: str = "",
        version: str | None = "7.4",
    ) -> Answer:
        token = await self.token() if token == "" else token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if host:
            headers["Host"] = host
        params = {} if version is None else {"api-version": version}
        async with self.session.request(
            method, f"{self.studio.url}{path}", headers=headers, params=params, json=body
        ) as reply:
            return Answer(reply.status, reply.headers, await reply.json())

    async def value(self, path: str) -> str:
        answer = await self.send("GET", path)
        assert answer.status == 200, answer.body
        return str(answer.body["value"])

    async def status(self, path: str, token: str = "") -> int:
        """What a service of the Studio answers to a token, or without one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.get(f"{self.studio.url}{path}", headers=headers) as reply:
            return reply.status

    async def rotate(self, **asked: Any) -> int:
        async with self.session.post(f"{self.studio.url}/_studio/rotations", json=asked) as reply:
            return reply.status


@pytest.fixture
async def visit() -> AsyncIterator[Callable[[Studio], Visitor]]:
    async with aiohttp.ClientSession() as session:
        yield lambda studio: Visitor(studio, session)


@pytest.fixture
def visitor(studio: Studio, visit: Callable[[Studio], Visitor]) -> Visitor:
    """Of the default Studio."""
    return visit(studio)

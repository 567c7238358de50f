"""A Studio with faults, and callers that see every byte of what it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from reconciler.emulator.server import Studio

TRAINING = "Breast Cancer [training exp.]"


@dataclass
class RawReply:
    """What came over a connection until its end."""

    data: bytes

    @property
    def head(self) -> str:
        return self.data.partition(b"\r\n\r\n")[0].decode()

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = (line.partition(":") for line in self.head.splitlines()[1:])
        return {name.lower(): value.strip() for name, _, value in lines}


class Faulty:
    """A Studio and a client of it, for tests that make it fail."""

    def __init__(self, studio: Studio, client: Any) -> None:
        self.studio = studio
        self.faults = studio.faults
        self.journal = studio.journal
        self.client = client

    async def raw(
        self, method: str, target: str, body: Any = None, *, token: str = "", headers: Mapping[str, str] | None = None
    ) -> RawReply:
        """One request on a connection of its own: no client library that would try again.

        Raises:
            ConnectionError: the connection was refused or reset.
        """
        url = urlsplit(target if target.startswith("http") else self.studio.url + target)
        content = b"" if body is None else json.dumps(body).encode()
        lines = {
            "Host": url.netloc,
            "Connection": "close",
            "Content-Length": str(len(content)),
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
            **(headers or {}),
        }
        path = url.path + (f"?{url.query}" if url.query else "")
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        try:
            writer.write(head.encode() + b"\r\n" + content)
            return RawReply(await reader.read())
        finally:
            writer.close()

    async def training(self) -> dict[str, Any]:
        endpoint: dict[str, Any] = await self.client.endpoint(TRAINING, "default")
        return endpoint

    def job_request(self, run: str = "run") -> dict[str, Any]:
        return {
            "Inputs": {"input1": self.client.stored("datasets/breast-cancer-2026-10.csv")},
            "Outputs": {
                "output1": self.client.stored(f"models/{run}/model.ilearner"),
                "output2": self.client.stored(f"models/{run}/evaluation.csv"),
            },
            "GlobalParameters": {},
        }

    async def batch(self, endpoint: Mapping[str, Any], method: str, path: str, body: Any = None) -> RawReply:
        target = f"{endpoint['ApiLocation']}{path}?api-version=2.0"
        return await self.raw(method, target, body, token=endpoint["PrimaryKey"])

    async def registered(self, endpoint: Mapping[str, Any], run: str = "run") -> str:
        reply = await self.client.call(endpoint, "POST", "/jobs", self.job_request(run))
        assert reply.status == 200, reply.body
        return str(reply.body)

    async def jobs(self) -> dict[str, str]:
        """The state of every job by its id, as the emulator's own list has it."""
        listed = (await self.client.send("GET", "/_studio/jobs")).body["jobs"]
        return {job["id"]: job["state"] for job in listed}


@pytest.fixture
def faulty(studio: Studio, client: Any) -> Faulty:
    return Faulty(studio, client)


@pytest.fixture
def make_faulty(start_studio: Any, connect: Any) -> Any:
    """Starts a Studio with other options."""

    def make(**options: Any) -> Faulty:
        studio = start_studio(**options)
        return Faulty(studio, connect(studio))

    return make

"""Plain HTTP to an emulator in this process, and the default studio file with changes."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from azure.storage.blob import BlobClient

from reconciler.emulator.config.studio_file import StudioFile
from reconciler.emulator.context import Context

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
MODEL = "Breast Cancer [trained model]"
DEFAULT_STUDIO = Path(__file__).parents[2] / "reconciler" / "emulator" / "config" / "default_studio.yaml"


@functools.cache
def _default_content() -> Mapping[str, Any]:
    """Read once: it takes longer than the start of a Studio."""
    content: Mapping[str, Any] = yaml.safe_load(DEFAULT_STUDIO.read_text("utf-8"))
    return content


def changed_studio(**changes: Any) -> StudioFile:
    """The default Studio with some sections changed."""
    content = dict(_default_content())
    for section, value in changes.items():
        content[section] = {**content[section], **value} if isinstance(value, Mapping) else value
    return StudioFile.model_validate(content)


@dataclass
class Reply:
    """An answer, read whole; ``body`` is the JSON in it, None if it is empty."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str:
        """The most specific error code: that of the details, where there are any."""
        error = self.body["error"]
        return str((error.get("details") or [error])[0]["code"])


@dataclass
class Client:
    """Plain HTTP to one Studio."""

    context: Context
    session: aiohttp.ClientSession = field(repr=False)

    @property
    def url(self) -> str:
        return self.context.server_url

    @property
    def token(self) -> str:
        return self.context.secrets.workspace_token(WORKSPACE)

    @property
    def storage(self) -> str:
        return self.context.storage.connection_string("contosostore", self.url)

    async def send(self, method: str, path: str, body: Any = None, *, token: str | None = None, **query: str) -> Reply:
        target = path if path.startswith("http") else self.url + path
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if isinstance(body, str | bytes):
            content: dict[str, Any] = {"data": body}
        else:
            content = {} if body is None else {"json": body}
        async with self.session.request(method, target, params=query, headers=headers, **content) as response:
            text = await response.text()
            return Reply(response.status, response.headers, _json(text, response.content_type))

    async def manage(self, method: str, path: str = "", body: Any = None, *, token: str | None = None) -> Reply:
        """A call to the management API below …/webservices, with the workspace's token if no other is given."""
        return await self.send(method, f"/workspaces/{WORKSPACE}/webservices{path}", body, token=token or self.token)

    async def service_id(self, name: str) -> str:
        services = (await self.manage("GET")).body
        (found,) = [service["Id"] for service in services if service["Name"] == name]
        return str(found)

    async def endpoint(self, service: str = PREDICTIVE, name: str = "clinica") -> dict[str, Any]:
        reply = await self.manage("GET", f"/{await self.service_id(service)}/endpoints/{name}")
        assert reply.status == 200, reply.body
        found: dict[str, Any] = reply.body
        return found

    async def new_service(self, name: str = "BreastCancer") -> dict[str, str]:
        """Base URL and key of a New web service, under the names that a Classic endpoint has for them."""
        for document in self.context.documents.collection("webServices").values():
            if document["name"] == name:
                subscription = document["subscription"].replace("-", "")
                location = f"{self.url}/subscriptions/{subscription}/services/{document['service']}"
                return {"ApiLocation": location, "PrimaryKey": document["keys"]["primary"]}
        raise KeyError(name)

    async def call(self, endpoint: Mapping[str, Any], method: str, path: str, body: Any = None, **query: str) -> Reply:
        """A call to an endpoint's execution API with its primary key."""
        return await self.send(
            method,
            endpoint["ApiLocation"] + path,
            body,
            token=endpoint["PrimaryKey"],
            **{"api-version": "2.0", **query},
        )

    async def upload(self, blob: str, data: bytes) -> None:
        account, _, path = f"contosostore/{blob}".partition("/")
        container, _, name = path.partition("/")
        await asyncio.to_thread(_upload, self.storage, container, name, data)
        assert account == "contosostore"

    async def download(self, blob: str) -> bytes:
        container, _, name = blob.partition("/")
        return await asyncio.to_thread(_download, self.storage, container, name)

    def stored(self, blob: str) -> dict[str, str]:
        """A blob of the Studio's own account as a batch job names it."""
        return {"ConnectionString": self.storage, "RelativeLocation": blob}

    def signed(self, blob: str, *, container: str = "models", **options: Any) -> dict[str, str]:
        """A blob as a result and a PATCH name it."""
        token = self.context.storage.sign(
            "contosostore", container, **{"valid_for": timedelta(hours=1), "permissions": "rl", **options}
        )
        return {
            "BaseLocation": f"{self.url}/contosostore/",
            "RelativeLocation": f"{container}/{blob}",
            "SasBlobToken": token,
        }

    async def finished(self, endpoint: Mapping[str, Any], job_id: str) -> dict[str, Any]:
        """Polls a job until it has ended."""
        async with asyncio.timeout(60):
            while True:
                status = (await self.call(endpoint, "GET", f"/jobs/{job_id}")).body
                if status["StatusCode"] not in {"NotStarted", "Running"}:
                    found: dict[str, Any] = status
                    return found
                await asyncio.sleep(0.02)

    async def run_job(self, endpoint: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
        """Registers and starts a job and waits for its end."""
        job_id = (await self.call(endpoint, "POST", "/jobs", request)).body
        assert isinstance(job_id, str), job_id
        started = await self.call(endpoint, "POST", f"/jobs/{job_id}/start")
        assert started.status == 204, started.body
        return await self.finished(endpoint, job_id)


def _json(text: str, content_type: str) -> Any:
    return json.loads(text) if text and content_type == "application/json" else text or None


def _upload(connection_string: str, container: str, name: str, data: bytes) -> None:
    with BlobClient.from_connection_string(connection_string, container, name) as blob:
        blob.upload_blob(data, overwrite=True)


def _download(connection_string: str, container: str, name: str) -> bytes:
    with BlobClient.from_connection_string(connection_string, container, name) as blob:
        return blob.download_blob().readall()

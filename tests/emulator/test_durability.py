"""What was acknowledged survives ``kill -9``; tested with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from reconciler.emulator.config.studio_file import load_studio
from reconciler.emulator.documents import Documents, StateInUse, StateUnreadable

TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"

WRITER = """
import sys
from pathlib import Path
from reconciler.emulator.documents import Documents
documents = Documents.open(Path(sys.argv[1]))
numbers = documents.collection("numbers")
number = 0
while True:
    with documents.transaction():
        numbers[str(number)] = {"value": number}
        documents.collection("last")["n"] = {"value": number}
    print(number, flush=True)
    number += 1
"""


class TestDocuments:
    def test_every_acknowledged_write_survives_a_kill(self, tmp_path: Path) -> None:
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(100)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        process.stdout.close()
        documents = Documents.open(tmp_path)
        found = [document["value"] for document in documents.collection("numbers").values()]
        # One more may have been written than could be acknowledged; a transaction is there as a whole.
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) - len(acknowledged) in {0, 1}
        assert documents.collection("last")["n"]["value"] == found[-1]
        documents.close()

    def test_order_is_that_of_the_first_write(self, tmp_path: Path) -> None:
        documents = Documents.open(tmp_path)
        letters = documents.collection("letters")
        for key in "cab":
            letters[key] = {"n": 1}
        letters["a"] = {"n": 2}
        del letters["c"]
        documents.close()
        again = Documents.open(tmp_path)
        assert list(again.collection("letters").items()) == [("a", {"n": 2}), ("b", {"n": 1})]
        again.close()

    @pytest.mark.parametrize("durable", [True, False])
    def test_a_transaction_that_fails_leaves_nothing(self, tmp_path: Path, durable: bool) -> None:
        documents = Documents.open(tmp_path if durable else None)
        letters = documents.collection("letters")
        letters["a"] = {"n": 1}

        def fail() -> None:
            with documents.transaction():
                letters["a"] = {"n": 2}
                with documents.transaction():
                    letters["b"] = {"n": 1}
                    del letters["a"]
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert dict(letters) == {"a": {"n": 1}}
        documents.close()

    def test_what_the_caller_does_with_its_dictionary_afterwards_changes_nothing(self) -> None:
        letters = Documents.open(None).collection("letters")
        mine = {"n": [1]}
        letters["a"] = mine
        mine["n"].append(2)
        assert letters["a"] == {"n": [1]}

    def test_a_directory_that_is_in_use_is_refused_and_says_by_whom(self, tmp_path: Path) -> None:
        documents = Documents.open(tmp_path)
        with pytest.raises(StateInUse, match=f"in use by another emulator \\(process {os.getpid()}\\)"):
            Documents.open(tmp_path)
        documents.close()
        Documents.open(tmp_path).close()

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "documents.db").write_bytes(b"something else" * 100)
        with pytest.raises(StateUnreadable, match=r"documents\.db cannot be read"):
            Documents.open(tmp_path)
        # The lock is not kept by the one that failed.
        (tmp_path / "documents.db").unlink()
        Documents.open(tmp_path).close()


@dataclass
class Emulator:
    """An emulator in a process of its own."""

    process: subprocess.Popen[str]
    log: Path
    url: str
    cloud_file: Path
    env_file: Path

    @property
    def environment(self) -> Mapping[str, str]:
        lines = self.env_file.read_text("utf-8").splitlines()
        return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


StartEmulator = Callable[..., Emulator]


@pytest.fixture
def start_emulator(tmp_path: Path, first_state: Path) -> Iterator[StartEmulator]:
    with ExitStack() as stack:

        def start(*arguments: str) -> Emulator:
            state = tmp_path / "state"
            if not state.exists():
                shutil.copytree(first_state, state)
            log = (tmp_path / "log.txt").open("a")
            stack.callback(log.close)
            command = [sys.executable, "-m", "reconciler.emulator", "--state", str(state), *arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.kill)
            line = process.stdout.readline()
            assert line, (tmp_path / "log.txt").read_text()
            where = json.loads(line)
            return Emulator(
                process, tmp_path / "log.txt", where["url"], Path(where["cloudFile"]), Path(where["envFile"])
            )

        yield start


class Caller:
    """Requests to an emulator that may have another address after its restart."""

    def __init__(self, session: aiohttp.ClientSession, emulator: Emulator) -> None:
        self.session = session
        self.emulator = emulator
        self.workspace = load_studio(None).workspaces[0].id

    async def send(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        token = key or self.emulator.environment["CONTOSO_WORKSPACE_TOKEN"]
        url = path if path.startswith("http") else f"{self.emulator.url}/workspaces/{self.workspace}/{path}"
        content = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.request(method, url, headers=headers, **content) as response:
            text = await response.text()
            assert response.status < 300, text
            return json.loads(text) if text else None

    async def endpoint(self, service: str, name: str = "default") -> dict[str, Any]:
        services = await self.send("GET", "webservices")
        (service_id,) = [found["Id"] for found in services if found["Name"] == service]
        endpoint: dict[str, Any] = await self.send("GET", f"webservices/{service_id}/endpoints/{name}")
        return endpoint

    async def jobs(self) -> dict[str, dict[str, Any]]:
        listed = await self.send("GET", f"{self.emulator.url}/_studio/jobs")
        return {job["id"]: job for job in listed["jobs"]}

    async def job(self, endpoint: dict[str, Any], method: str, path: str = "", body: Any = None) -> Any:
        url = f"{endpoint['ApiLocation']}/jobs{path}?api-version=2.0"
        return await self.send(method, url, body, key=endpoint["PrimaryKey"])


@pytest.fixture
async def session() -> Any:
    async with aiohttp.ClientSession() as session:
        yield session


def job_request(emulator: Emulator, name: str) -> dict[str, Any]:
    storage = emulator.environment["CONTOSO_STORAGE"]
    return {
        "Inputs": {"input1": {"ConnectionString": storage, "RelativeLocation": "datasets/breast-cancer-2026-11.csv"}},
        "Outputs": {"output1": {"ConnectionString": storage, "RelativeLocation": f"models/{name}/model.ilearner"}},
    }


async def finished(caller: Caller, endpoint: dict[str, Any], job_id: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            status = await caller.job(endpoint, "GET", f"/{job_id}")
            if status["StatusCode"] != "Running":
                return status
            await asyncio.sleep(0.05)


async def test_a_killed_emulator_goes_on_where_it_stood_even_at_another_port(
    start_emulator: StartEmulator, session: aiohttp.ClientSession
) -> None:
    first = start_emulator()
    caller = Caller(session, first)
    environment = first.environment
    endpoint = await caller.endpoint(TRAINING)
    before = await caller.endpoint(PREDICTIVE, "clinica")
    done, waiting, running, *queued = [
        await caller.job(endpoint, "POST", "", job_request(first, f"job{number}")) for number in range(5)
    ]
    await caller.job(endpoint, "POST", f"/{done}/start")
    finished_before = await finished(caller, endpoint, done)
    await caller.send(
        "PATCH",
        f"webservices/{before['WebServiceId']}/endpoints/clinica",
        {
            "Description": "patched",
            "Resources": [{"Name": "Breast Cancer [trained model]", "Location": finished_before["Results"]["output1"]}],
        },
    )
    for job_id in (running, *queued):
        await caller.job(endpoint, "POST", f"/{job_id}/start")
    first.kill()

    # Somebody else has the port now, so connection strings in the jobs' requests lead nowhere.
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", urlsplit(first.url).port or 0))
        other.listen()
        second = start_emulator()
    assert second.url != first.url
    caller = Caller(session, second)
    endpoint = await caller.endpoint(TRAINING)
    assert (await caller.job(endpoint, "GET", f"/{waiting}"))["StatusCode"] == "NotStarted"
    for job_id in (done, running, *queued):
        status = await finished(caller, endpoint, job_id)
        assert status["StatusCode"] == "Finished", status
        result = status["Results"]["output1"]
        assert result["BaseLocation"] == f"{second.url}/contosostore/"
        url = "".join(result[part] for part in ("BaseLocation", "RelativeLocation", "SasBlobToken"))
        async with session.get(url) as response:
            assert response.status == 200
            assert len(await response.read()) > 1000
    states = {job_id: job["state"] for job_id, job in (await caller.jobs()).items()}
    assert states == {job_id: "NotStarted" if job_id == waiting else "Finished" for job_id in states}
    after = await caller.endpoint(PREDICTIVE, "clinica")
    assert after["Description"] == "patched"
    assert after["PrimaryKey"] == before["PrimaryKey"]
    secrets = {name: value for name, value in environment.items() if not name.startswith("CONTOSO_STORAGE")}
    assert secrets.items() <= second.environment.items()
    assert second.url in second.environment["CONTOSO_STORAGE"]


async def test_a_restart_takes_the_port_of_the_last_time(start_emulator: StartEmulator) -> None:
    first = start_emulator()
    first.kill()
    assert start_emulator().url == first.url


def test_a_second_emulator_on_the_same_state_says_who_has_it(start_emulator: StartEmulator, tmp_path: Path) -> None:
    first = start_emulator()
    command = [sys.executable, "-m", "reconciler.emulator", "--state", str(tmp_path / "state")]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stdout == ""
    assert f"process {first.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "reconciler.emulator", "--port", str(port)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert str(port) in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_in_one_line_and_ends_when_it_is_told(
    start_emulator: StartEmulator, tmp_path: Path, number: signal.Signals
) -> None:
    files = ("--cloud-file", str(tmp_path / "a" / "cloud.json"), "--env-file", str(tmp_path / "b" / "secrets.env"))
    emulator = start_emulator(*files)
    assert stat.S_IMODE(emulator.env_file.stat().st_mode) == 0o600
    cloud = json.loads(emulator.cloud_file.read_text())
    assert (cloud["formatVersion"], cloud["managementUrl"]) == ("1.0", emulator.url)
    assert (emulator.cloud_file.parent / cloud["envFile"]).resolve() == emulator.env_file
    environment = emulator.environment
    assert environment.keys() == {
        "CONTOSO_WORKSPACE_TOKEN",
        "CONTOSO_STORAGE",
        "CONTOSO_STORAGE_2",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
        "AZURE_AUTHORITY_HOST",
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_FEDERATED_TOKEN_FILE",
        "READER_CLIENT_SECRET",
    }
    emulator.process.send_signal(number)
    assert emulator.process.wait(60) == 0
    assert emulator.process.stdout is not None
    assert emulator.process.stdout.read() == ""
    log = emulator.log.read_text()
    key = environment["CONTOSO_STORAGE"].partition("AccountKey=")[2].partition(";")[0]
    assert not [secret for secret in (key, environment["AZURE_CLIENT_SECRET"]) if secret in log]


def test_the_first_start_trains_the_models_and_needs_no_state() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler.emulator"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        assert Path(where["envFile"]).exists()
        process.terminate()
        process.communicate()
    assert process.returncode == 0
    assert not Path(where["envFile"]).exists()

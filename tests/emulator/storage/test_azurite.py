"""A Studio whose storage account is not the emulator's own: it is Azurite's, known by its connection string alone."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.blob.aio import LinearRetry

from reconciler.emulator.config.studio_file import FromEnvironment, StorageAccount, StudioFileError
from reconciler.emulator.storage.accounts import real_accounts
from reconciler.emulator.storage.client import BlobAccessError
from tests.support.azurite import ACCOUNT, KEY, running_azurite
from tests.support.emulator_client import changed_studio

TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
REAL = [
    {
        "name": ACCOUNT,
        "containers": ["models", "datasets"],
        "connectionString": {"env": "REAL_STORAGE"},
        "connectionStringEnv": "CONTOSO_STORAGE",
    }
]


@pytest.fixture
def real(azurite: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Azurite, named in the environment, and empty."""
    monkeypatch.setenv("REAL_STORAGE", azurite.connection_string)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as account:
        for container in account.list_containers():
            account.delete_container(container.name)
        yield account


@pytest.fixture
def studio(real: Any, start_studio: Any) -> Any:
    return start_studio(storageAccounts=REAL, timings={"patchTakesEffect": "0s"})


def url_of(location: dict[str, str]) -> str:
    return "".join(location[part] for part in ("BaseLocation", "RelativeLocation", "SasBlobToken"))


async def get(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def predictions(client: Any, endpoint: dict[str, Any]) -> Any:
    swagger = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
    rows = swagger["definitions"]["ExecutionRequest"]["example"]
    return (await client.call(endpoint, "POST", "/execute", rows, format="swagger")).body["Results"]["output1"]


async def test_the_batch_flow_ends_with_another_prediction(client: Any, azurite: Any) -> None:
    """Register, start, poll, read the .ilearner by its SAS, PATCH the endpoint with it, score: all through Azurite."""
    training = await client.endpoint(TRAINING, "default")
    stored = {"ConnectionString": azurite.connection_string}
    job = {
        "Inputs": {"input1": {**stored, "RelativeLocation": "datasets/breast-cancer-2026-11.csv"}},
        "Outputs": {
            "output1": {**stored, "RelativeLocation": "models/november/model.ilearner"},
            "output2": {**stored, "RelativeLocation": "models/november/evaluation.csv"},
        },
        "GlobalParameters": {},
    }

    results = (await client.run_job(training, job))["Results"]

    assert results["output1"]["BaseLocation"] == azurite.url + "/"
    assert len(await get(url_of(results["output1"]))) > 1000
    (metrics,) = csv.DictReader(io.StringIO((await get(url_of(results["output2"]))).decode()))
    assert float(metrics["AUC"]) > 0.95
    endpoint = await client.endpoint(PREDICTIVE, "clinica")
    before = await predictions(client, endpoint)
    (resource,) = endpoint["Resources"]
    patch = {"Resources": [{"Name": resource["Name"], "Location": results["output1"]}]}
    service = await client.service_id(PREDICTIVE)
    patched = await client.manage("PATCH", f"/{service}/endpoints/clinica", patch)
    assert patched.status == 200, patched.body
    assert await predictions(client, endpoint) != before


async def test_outputs_without_a_place_are_written_to_the_workspaces_account(client: Any, azurite: Any) -> None:
    stored = {
        "ConnectionString": azurite.connection_string,
        "RelativeLocation": "datasets/breast-cancer-2026-10.csv",
    }

    results = (await client.run_job(await client.endpoint(TRAINING, "default"), {"Inputs": {"input1": stored}}))[
        "Results"
    ]

    assert results["output1"]["BaseLocation"] == azurite.url + "/"
    assert results["output1"]["RelativeLocation"].startswith("experimentoutput/")
    assert len(await get(url_of(results["output1"]))) > 1000


async def test_a_result_by_base_location_is_signed_with_the_accounts_key(client: Any, azurite: Any) -> None:
    """Who names a blob by a SAS that may only write still gets a result that can be read."""
    token = client.context.storage.sign(ACCOUNT, "models", permissions="cw", valid_for=timedelta(hours=1))
    read = client.context.storage.sign(ACCOUNT, "datasets", permissions="r", valid_for=timedelta(hours=1))
    job = {
        "Inputs": {
            "input1": {
                "BaseLocation": azurite.url,
                "RelativeLocation": "datasets/breast-cancer-2026-10.csv",
                "SasBlobToken": read,
            }
        },
        "Outputs": {
            "output1": {"BaseLocation": azurite.url, "RelativeLocation": "models/sas.ilearner", "SasBlobToken": token}
        },
    }

    status = await client.run_job(await client.endpoint(TRAINING, "default"), job)

    assert len(await get(url_of(status["Results"]["output1"]))) > 1000


async def test_a_new_service_reads_its_model_from_the_account(client: Any) -> None:
    endpoint = await client.new_service()

    assert await predictions(client, endpoint)


def test_what_the_studio_consists_of_is_written_to_the_account_once(real: Any, studio: Any) -> None:
    names = {container.name for container in real.list_containers()}
    assert names >= {"models", "datasets", "experimentoutput"}
    assert "initial/breast-cancer.ilearner" in real.get_container_client("models").list_blob_names()
    assert len(list(real.get_container_client("datasets").list_blob_names())) == 6
    assert "CONTOSO_STORAGE" in studio.env_file.read_text()


def test_what_a_user_deleted_does_not_come_back(real: Any, studio_thread: Any, tmp_path: Any) -> None:
    state = tmp_path / "kept"
    with studio_thread.studio(changed_studio(storageAccounts=REAL), state=state):
        real.get_blob_client("datasets", "diabetes-2026-09.csv").delete_blob()

    with studio_thread.studio(changed_studio(storageAccounts=REAL), state=state):
        assert not real.get_blob_client("datasets", "diabetes-2026-09.csv").exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "is not set"),
        ("AccountName", "does not hold the connection string"),
        ("BlobEndpoint=http://127.0.0.1:1/x;SharedAccessSignature=sv=1&sig=hidden", "does not hold an account key"),
        (f"AccountName=another;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/another", "another account"),
    ],
)
def test_a_connection_string_that_cannot_be_used_is_named_by_its_variable(value: str | None, words: str) -> None:
    account = StorageAccount(name=ACCOUNT, connection_string=FromEnvironment(env="REAL_STORAGE"))
    with pytest.raises(StudioFileError) as raised:
        real_accounts([account], {} if value is None else {"REAL_STORAGE": value})

    message = str(raised.value)
    assert "REAL_STORAGE" in message
    assert words in message
    assert KEY not in message
    assert "hidden" not in message


def test_an_account_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, start_studio: Any) -> None:
    # It is asked as often as ever, and nobody waits in between.
    monkeypatch.setattr(LinearRetry, "get_backoff_time", lambda *_: 0)
    url = f"http://127.0.0.1:1/{ACCOUNT}"
    monkeypatch.setenv("REAL_STORAGE", f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};")

    with pytest.raises(BlobAccessError, match=rf"StorageUnreachable: storage account '{ACCOUNT}'"):
        start_studio(storageAccounts=REAL)


def test_without_node_it_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(pytest.skip.Exception, match="node is not on the PATH"), running_azurite(tmp_path):
        pass

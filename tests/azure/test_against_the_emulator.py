"""The whole conversation, with the emulator in a process of its own: what the emulator expects and we say agree."""

from __future__ import annotations

import asyncio
import copy
import socket
from dataclasses import replace
from datetime import timedelta

import aiohttp
import jsonpatch
import pytest
from pydantic import SecretStr

from reconciler.azure.arm.definition import api_location, find_trained_model
from reconciler.azure.arm.web_services import Definitions
from reconciler.azure.classic import ClassicManagement, EndpointPatch, ResourceUpdate
from reconciler.azure.clouds import load_cloud
from reconciler.azure.errors import NotFound, Retired, ServiceError, SignInError
from reconciler.azure.execution.batch import BatchExecution, BatchRequest, JobState, StoredBlob
from reconciler.azure.execution.scoring import Scoring, answers_digest, probe_rows
from reconciler.azure.http import Http
from reconciler.azure.sign_in import SignIn
from reconciler.azure.storage.blobs import Blobs

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml"
SERVICES = f"{GROUP}/providers/Microsoft.MachineLearning/webServices"
RESOURCE_ID = f"{SERVICES}/BreastCancer"
TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
MODEL = "Breast Cancer [trained model]"
READER = "4e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40"


@pytest.fixture
async def http(local_studio):
    async with Http.for_cloud(local_studio.cloud) as made:
        yield made


@pytest.fixture
def management(local_studio, http):
    token = local_studio.secret("CONTOSO_WORKSPACE_TOKEN")
    return ClassicManagement(http, local_studio.cloud.management_url("South Central US"), WORKSPACE, token)


@pytest.fixture
async def blobs(local_studio):
    async with Blobs(local_studio.secret("CONTOSO_STORAGE")) as opened:
        yield opened


@pytest.fixture
async def definitions(local_studio):
    async with (
        SignIn(local_studio.cloud, local_studio.secret) as credential,
        Definitions(local_studio.cloud, credential) as opened,
    ):
        yield opened


def update_body(definition):
    """A PATCH of the complete assets map, right whether the service merges or replaces inside it (new-protocol 2)."""
    return {"properties": {"packageType": "Graph", "assets": definition["properties"]["assets"]}}


async def service_id(management, name):
    (found,) = [service.id for service in await management.list_services() if service.name == name]
    return found


async def train(http, management, storage, relative):
    """One job, from registration to its result."""
    endpoint = await management.get_endpoint(await service_id(management, TRAINING), "default")
    batch = BatchExecution(http, endpoint.api_location, endpoint.primary_key)
    job_id = await batch.register(
        BatchRequest(
            inputs={"input1": StoredBlob(storage, "datasets/breast-cancer-2026-11.csv")},
            outputs={
                "output1": StoredBlob(storage, f"{relative}.ilearner"),
                "output2": StoredBlob(storage, f"{relative}.csv"),
            },
        )
    )
    assert (await batch.status(job_id)).state is JobState.NOT_STARTED
    status = await batch.start(job_id)
    async with asyncio.timeout(60):
        while not status.state.ended:
            await asyncio.sleep(0.05)
            status = await batch.status(job_id)
    assert status.state is JobState.FINISHED, status.details
    assert (await batch.start(job_id)).state is JobState.FINISHED
    await batch.cancel(job_id)
    return status.results


async def test_a_model_is_trained_and_served_by_both_kinds_of_target(
    local_studio, management, blobs, definitions, http
):
    results = await train(http, management, local_studio.secret("CONTOSO_STORAGE"), "models/e2e/2026-11")
    model = results["output1"]
    assert blobs.holds(model.base)
    assert len(await blobs.read_reference(model)) == (await blobs.properties("models", "e2e/2026-11.ilearner")).length
    assert b"AUC" in await blobs.read_reference(results["output2"])

    # Classic: an endpoint of our own, so that tests do not meet.
    predictive = await service_id(management, PREDICTIVE)
    made = await management.create_endpoint(predictive, "e2e", description="mine", throttle_level="High")
    names = [resource.name for resource in (await management.get_endpoint(predictive, "e2e")).resources]
    assert names == [MODEL]
    scoring = Scoring(http, made.api_location, made.primary_key)
    input_name, rows = probe_rows(await scoring.swagger())
    before = await scoring.execute(input_name, rows)
    sas = await blobs.sign("models", "e2e/2026-11.ilearner", timedelta(hours=1))
    await management.patch_endpoint(
        predictive,
        "e2e",
        EndpointPatch(
            resources=(ResourceUpdate(MODEL, blobs.base, "models/e2e/2026-11.ilearner", sas),), description="changed"
        ),
    )
    listed = {endpoint.name: endpoint for endpoint in await management.list_endpoints(predictive)}
    assert listed["e2e"].description == "changed"
    after = await scoring.execute(input_name, rows)
    assert answers_digest(after) != answers_digest(before)
    assert answers_digest(after) == answers_digest(await scoring.execute(input_name, rows))
    await management.delete_endpoint(predictive, "e2e")
    await management.delete_endpoint(predictive, "e2e")
    assert await management.get_endpoint(predictive, "e2e") is None

    # New: the same model, through its definition.
    definition = await definitions.get(RESOURCE_ID)
    asset = find_trained_model(definition, MODEL)
    uri = model.base + model.relative
    changed = jsonpatch.JsonPatch(
        [
            {"op": "test", "path": asset.pointer, "value": asset.uri},
            {"op": "replace", "path": asset.pointer, "value": uri},
        ]
    ).apply(copy.deepcopy(definition))
    await definitions.patch(RESOURCE_ID, update_body(changed))
    assert find_trained_model(await definitions.get(RESOURCE_ID), MODEL).uri == uri
    new = Scoring(http, api_location(definition), await definitions.list_keys(RESOURCE_ID))
    assert answers_digest(await new.execute(input_name, rows)) == answers_digest(after)
    names = [service["name"] for service in await definitions.list_group(SERVICES.split("/")[2], "contoso-ml")]
    assert "BreastCancer" in names


async def test_a_file_goes_up_once(blobs, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("a,b\n1,2\n")

    assert await blobs.upload_once("datasets", "e2e/in.csv", path)
    assert not await blobs.upload_once("datasets", "e2e/in.csv", path)


async def test_what_is_refused_is_refused_in_the_services_words(local_studio, http, management, blobs):
    predictive = await service_id(management, PREDICTIVE)
    sas = await blobs.sign("models", "missing.ilearner", timedelta(hours=1))
    update = ResourceUpdate(MODEL, blobs.base, "models/missing.ilearner", sas)

    with pytest.raises(ServiceError) as default:
        await management.patch_endpoint(predictive, "default", EndpointPatch(resources=(update,)))
    with pytest.raises(ServiceError) as missing:
        await management.patch_endpoint(predictive, "clinica", EndpointPatch(resources=(update,)))
    with pytest.raises(NotFound):
        await management.list_endpoints("0" * 32)

    for raised in (default, missing):
        assert raised.value.status == 400
        assert sas.get_secret_value() not in str(raised.value)


async def test_an_unknown_job_is_not_found(http, management):
    endpoint = await management.get_endpoint(await service_id(management, TRAINING), "default")
    batch = BatchExecution(http, endpoint.api_location, endpoint.primary_key)

    with pytest.raises(NotFound):
        await batch.status("0" * 32)
    with pytest.raises(NotFound):
        await batch.start("0" * 32)


async def test_a_wrong_token_is_a_sign_in_error(local_studio, http):
    wrong = local_studio.secret("AZURE_CLIENT_SECRET")
    stranger = ClassicManagement(http, local_studio.cloud.management_url("x"), WORKSPACE, wrong)

    with pytest.raises(SignInError):
        await stranger.list_services()


async def test_a_wrong_client_is_a_sign_in_error(local_studio):
    async with (
        SignIn(local_studio.cloud, lambda _: local_studio.secret("AZURE_CLIENT_ID")) as credential,
        Definitions(local_studio.cloud, credential) as stranger,
    ):
        with pytest.raises(SignInError, match="sign in to local: 401 invalid_client: AADSTS7000215"):
            await stranger.get(RESOURCE_ID)


async def test_a_client_without_the_right_role_is_told_what_it_lacks(local_studio):
    reader = {"AZURE_CLIENT_ID": SecretStr(READER), "AZURE_CLIENT_SECRET": local_studio.secret("READER_CLIENT_SECRET")}
    async with (
        SignIn(local_studio.cloud, reader.__getitem__) as credential,
        Definitions(local_studio.cloud, credential) as opened,
    ):
        definition = await opened.get(RESOURCE_ID)
        with pytest.raises(
            SignInError, match=r"403 AuthorizationFailed: .*Microsoft\.MachineLearning/webServices/write"
        ):
            await opened.patch(RESOURCE_ID, update_body(definition))


async def test_resource_manager_over_plain_http_on_loopback_takes_the_same_token(local_studio, definitions):
    """As through a proxy in front of it."""
    plain = replace(local_studio.cloud, resource_manager_url=local_studio.cloud.management_url("x"))
    async with SignIn(plain, local_studio.secret) as credential, Definitions(plain, credential) as opened:
        definition = await opened.get(RESOURCE_ID)
        assert definition == await definitions.get(RESOURCE_ID)
        await opened.patch(RESOURCE_ID, update_body(definition))


async def test_a_missing_new_service_is_not_found(definitions):
    with pytest.raises(NotFound, match=r"WebServiceNotFound|ResourceNotFound"):
        await definitions.get(f"{SERVICES}/Missing")


async def test_a_service_whose_name_is_gone_is_the_retirement_and_no_resolver_is_asked(
    local_studio, management, monkeypatch
):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *host, **_: asked.append(host))
    monkeypatch.setenv("NO_PROXY", "*")  # nor a proxy
    faults = f"{local_studio.cloud.management_base}/_studio/faults"
    async with aiohttp.ClientSession() as control, control.post(faults, json={"retired": "name-not-found"}) as reply:
        (rule,) = (await reply.json())["added"]
        try:
            cloud = load_cloud(local_studio.cloud_file)
            async with Http.for_cloud(cloud) as http:
                token = local_studio.secret("CONTOSO_WORKSPACE_TOKEN")
                gone = ClassicManagement(http, cloud.management_url("South Central US"), WORKSPACE, token)
                with pytest.raises(
                    Retired, match=r"host management\.azureml\.invalid does not exist: Microsoft retired .* 2024"
                ):
                    await gone.list_services()
        finally:
            async with control.delete(f"{faults}/{rule}"):
                pass

    assert asked == []
    assert load_cloud(local_studio.cloud_file) == local_studio.cloud
    assert await management.list_services()

"""What the local Azure Resource Manager shows of New web services, and what it refuses (new-protocol 1, 3, 5)."""

from __future__ import annotations

import re
from typing import Any

import pytest

VERSION = "2017-01-01"
SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
OTHER_SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml"
SERVICES = f"{GROUP}/providers/Microsoft.MachineLearning/webServices"
SERVICE = f"{SERVICES}/BreastCancer"


# -- what reads show ---------------------------------------------------------------------------------------------------


async def test_a_definition_has_the_members_of_a_recorded_one_and_no_secret(local) -> None:
    reply = await local.send("GET", SERVICE)
    assert {name: reply.body[name] for name in ("id", "name", "type", "location", "tags")} == {
        "id": SERVICE,
        "name": "BreastCancer",
        "type": "Microsoft.MachineLearning/webServices",
        "location": "South Central US",
        "tags": {},
    }
    assert list(reply.body["properties"]) == [
        "payloadsInBlobStorage",
        "provisioningState",
        "createdOn",
        "modifiedOn",
        "title",
        "description",
        "swaggerLocation",
        "readOnly",
        "realtimeConfiguration",
        "diagnostics",
        "storageAccount",
        "machineLearningWorkspace",
        "assets",
        "input",
        "output",
        "packageType",
        "exampleRequest",
        "exposeSampleData",
        "parameters",
        "package",
    ]
    assert reply.body["properties"]["storageAccount"] == {"name": "contosostore"}
    assert "Azure-AsyncOperation" not in reply.headers


async def test_the_trained_model_is_the_one_resource_and_lies_in_the_storage_account(local):
    assets = (await local.get())["properties"]["assets"].values()
    (asset,) = [asset for asset in assets if asset["type"] == "Resource"]
    uri = asset["locationInfo"].pop("uri")
    assert asset == {
        "name": "Breast Cancer [trained model]",
        "type": "Resource",
        "locationInfo": {},
        "outputPorts": {"Results dataset": {"type": "Dataset"}},
    }
    assert uri.endswith("/contosostore/models/initial/breast-cancer.ilearner")
    assert local.served() == await local.client.download("models/initial/breast-cancer.ilearner")


async def test_a_definition_describes_the_columns_that_its_model_takes_and_gives(local):
    properties = (await local.get())["properties"]
    columns = properties["input"]["properties"]["input1"]["properties"]
    assert columns["mean radius"] == {"type": "Number", "format": "Double", "x-ms-isnullable": True}
    assert "diagnosis" not in columns
    outputs = properties["output"]["properties"]["output1"]["properties"]
    assert list(outputs) == [*columns, "Scored Labels", "Scored Probabilities"]
    assert all(len(row) == len(columns) for row in properties["exampleRequest"]["inputs"]["input1"])


async def test_a_training_service_has_modules_only(local):
    properties = (await local.get(f"{SERVICES}/Training"))["properties"]
    assert {asset["type"] for asset in properties["assets"].values()} == {"Module"}
    assert list(properties["output"]["properties"]) == ["output1", "output2"]
    label = properties["input"]["properties"]["input1"]["properties"]["diagnosis"]
    assert label == {"type": "String", "format": "", "x-ms-isnullable": False}


async def test_a_service_that_reads_its_data_from_a_url_has_a_parameter_for_it(local):
    properties = (await local.get(f"{SERVICES}/ByUrl"))["properties"]
    assert properties["input"]["properties"] == {}
    assert properties["parameters"] == {"URI": {"value": "", "certificateThumbprint": ""}}
    ((link,),) = [parameter["links"] for parameter in properties["package"]["graphParameters"].values()]
    assert link["parameterKey"] in properties["package"]["nodes"][link["nodeId"]]["parameters"]


@pytest.mark.parametrize(
    "collection", [SERVICES, f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning/webServices"]
)
async def test_a_list_is_sparse_and_ends_without_a_next_link(local, collection: str) -> None:
    body = await local.get(collection)
    assert list(body) == ["value"]
    assert [item["name"] for item in body["value"]] == ["BreastCancer", "Training", "ByUrl"]
    properties = body["value"][0]["properties"]
    full = (await local.get())["properties"]
    assert properties == {name: full[name] for name in properties}
    assert not {"assets", "input", "output", "exampleRequest", "package", "parameters", "keys"} & set(properties)


async def test_keys_are_read_with_a_get(local) -> None:
    keys = await local.get(f"{SERVICE}/listKeys")
    assert list(keys) == ["primary", "secondary"]
    assert (await local.send("POST", f"{SERVICE}/listKeys")).status == 405


async def test_paths_have_no_casing(local) -> None:
    assert await local.get(SERVICE.upper().replace("/SUBSCRIPTIONS", "/subscriptions")) == await local.get()


async def test_replies_carry_the_headers_of_the_resource_manager(local) -> None:
    headers = (await local.send("GET", SERVICE)).headers
    correlation = headers["x-ms-correlation-request-id"]
    assert headers["x-ms-request-id"] != correlation
    assert re.fullmatch(rf"[A-Z0-9]+:\d{{8}}T\d{{6}}Z:{correlation}", headers["x-ms-routing-request-id"])
    before = int(headers["x-ms-ratelimit-remaining-subscription-reads"])
    after = (await local.send("GET", SERVICE)).headers["x-ms-ratelimit-remaining-subscription-reads"]
    assert int(after) == before - 1
    written = await local.patch({})
    assert "x-ms-ratelimit-remaining-subscription-writes" in written.headers
    assert "x-ms-ratelimit-remaining-subscription-reads" not in written.headers
    await local.finished(written)


async def test_swagger_is_where_the_host_was_reached_and_stays_there(local) -> None:
    location = (await local.get())["properties"]["swaggerLocation"]
    pattern = rf"{local.url}/subscriptions/{SUBSCRIPTION.replace('-', '')}/services/[0-9a-f]{{32}}/swagger\.json"
    assert re.fullmatch(pattern, location)
    await local.converged(await local.patch({"description": "changed"}))
    assert (await local.get())["properties"]["swaggerLocation"] == location


# -- what is refused ---------------------------------------------------------------------------------------------------


async def test_an_absent_service_is_an_error_on_two_levels(local) -> None:
    reply = await local.send("GET", f"{SERVICES}/amlws2463")
    assert reply.status == 404
    assert reply.body == {
        "error": {
            "code": "NotFound",
            "message": "The specified resource was not found.",
            "details": [
                {
                    "code": "WebServiceNotFound",
                    "message": "No Web Service could be found with the provided name: amlws2463.",
                }
            ],
        }
    }


@pytest.mark.parametrize(
    ("path", "version", "status", "code"),
    [
        (SERVICE, None, 400, "MissingApiVersionParameter"),
        (SERVICE, "2020-02-02", 400, "NoRegisteredProviderFound"),
        (GROUP, "1999-01-01", 400, "InvalidApiVersionParameter"),
        (SERVICE.replace(SUBSCRIPTION, OTHER_SUBSCRIPTION), VERSION, 404, "SubscriptionNotFound"),
        (SERVICE.replace("contoso-ml", "nowhere"), VERSION, 404, "ResourceGroupNotFound"),
        (f"{GROUP}/providers/Microsoft.Nothing/webServices/BreastCancer", VERSION, 404, "InvalidResourceNamespace"),
        (f"{GROUP}/providers/Microsoft.MachineLearning/nothing/BreastCancer", VERSION, 404, "InvalidResourceType"),
        (f"{GROUP}/providers/Microsoft.MachineLearning/locations", VERSION, 404, "InvalidResourceType"),
        (f"{GROUP}/providers/Microsoft.MachineLearning", VERSION, 404, "InvalidResourceType"),
    ],
)
async def test_the_resource_manager_refuses_what_it_does_not_know(
    local, path: str, version: str | None, status: int, code: str
) -> None:
    params = {} if version is None else {"api-version": version}
    reply = await local.client.send("GET", path, token=local.token, **params)
    assert (reply.status, reply.body["error"]["code"]) == (status, code)
    assert "details" not in reply.body["error"]


async def test_a_wrong_api_version_is_told_the_right_one(local) -> None:
    reply = await local.send("GET", f"{SERVICE}?api-version=2020-02-02")
    assert VERSION in reply.body["error"]["message"]


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"packageType": "Web"}, "InvalidPackageType"),
        ({"packageType": None}, "InvalidPackageType"),
        ({"realtimeConfiguration": {"maxConcurrentCalls": 3}}, "InvalidRealtimeConfiguration"),
        ({"realtimeConfiguration": {"maxConcurrentCalls": 201}}, "InvalidRealtimeConfiguration"),
        ({"diagnostics": {"level": "Loud"}}, "InvalidDiagnostics"),
        ({"storageAccount": {"name": "other", "key": "a2V5"}}, "CannotChangeStorageAccount"),
        ({"assets": {"asset9": {"name": "no type"}}}, "InvalidAsset"),
        ({"package": {"nodes": {"node1": {"assetId": "asset9"}}}}, "InvalidGraph"),
    ],
)
async def test_a_patch_is_checked_before_it_is_accepted(local, properties: dict[str, Any], code: str) -> None:
    before = await local.get()
    reply = await local.patch(properties)
    assert (reply.status, reply.body["error"]["code"], reply.code) == (400, "BadRequest", code)
    assert await local.get() == before


@pytest.mark.parametrize("body", [b"\xff{", "[]", ""])
async def test_a_body_that_is_not_a_json_object_is_refused(local, body):
    reply = await local.send("PATCH", SERVICE, body)
    assert (reply.status, reply.body["error"]["code"]) == (400, "InvalidRequestContent")


async def test_a_request_without_a_token_is_challenged(local):
    reply = await local.client.send("GET", f"{SERVICE}?api-version={VERSION}")
    assert (reply.status, reply.body["error"]["code"]) == (401, "AuthenticationFailed")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")

"""Putting and deleting New web services, and the resource groups around them (new-protocol 1 to 3)."""

from __future__ import annotations

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices"
SERVICE = f"{SERVICES}/BreastCancer"
MINE = f"{SERVICES}/Mine.2026.11.24"


def account_key(body):
    return body["properties"]["package"]["nodes"]["node1"]["parameters"]["Account Key"]["value"]


# -- put and delete ----------------------------------------------------------------------------------------------------


async def test_a_put_creates_and_the_next_one_overwrites_silently(local):
    reply = await local.send("PUT", MINE, local.definition())
    assert reply.status == 201
    assert reply.body["properties"] == {"payloadsInBlobStorage": False, "provisioningState": "Provisioning"}
    await local.converged(reply)
    created = await local.get(MINE)
    assert (created["location"], created["properties"]["title"]) == ("South Central US", "Mine")
    again = local.definition(description="second")
    del again["properties"]["title"]
    reply = await local.send("PUT", MINE, again)
    assert reply.status == 200
    await local.converged(reply)
    properties = (await local.get(MINE))["properties"]
    assert "title" not in properties
    assert properties["description"] == "second"
    assert properties["createdOn"] == created["properties"]["createdOn"]


async def test_what_is_secret_is_never_shown(local):
    await local.converged(await local.send("PUT", MINE, local.definition(keys={"primary": "p", "secondary": "s"})))
    body = await local.get(MINE)
    assert not {"keys", "commitmentPlan"} & set(body["properties"])
    assert body["properties"]["storageAccount"] == {"name": "contosostore"}
    assert "the account's key" not in str(body)
    assert await local.get(f"{MINE}/listKeys") == {"primary": "p", "secondary": "s"}


async def test_credential_parameters_are_encrypted_again_at_each_write_and_only_then(local):
    await local.converged(await local.send("PUT", MINE, local.definition()))
    first = account_key(await local.get(MINE))
    assert first == account_key(await local.get(MINE))
    assert first.startswith("MIICZAYJKoZIhvcNAQcDoIICVT")
    await local.converged(await local.patch({"description": "touches no package"}, MINE))
    assert account_key(await local.get(MINE)) != first


async def test_a_payload_comes_back_in_the_casing_in_which_it_was_written(local):
    assets = {"asset1": {"Name": "Import Data", "Type": "Module", "LocationInfo": {"Uri": "aml://module/1.2"}}}
    body = local.definition()
    del body["properties"]["assets"]
    body["properties"]["Assets"] = assets
    await local.converged(await local.send("PUT", MINE, body))
    assert (await local.get(MINE))["properties"]["assets"] == assets


async def test_a_service_with_a_known_trained_model_scores(local):
    uri = await local.upload("models/mine.ilearner", local.another_model)
    asset = {"name": "Breast Cancer [trained model]", "type": "Resource", "locationInfo": {"uri": uri}}
    body = local.definition()
    body["properties"]["assets"]["asset2"] = asset
    await local.converged(await local.send("PUT", MINE, body))
    assert local.served("Mine.2026.11.24") == local.another_model


async def test_a_service_whose_creation_failed_is_sparse(local):
    asset = {
        "name": "X [trained model]",
        "type": "Resource",
        "locationInfo": {"uri": f"{local.url}/contosostore/models/no.ilearner"},
    }
    body = local.definition(assets={"asset1": asset})
    assert (await local.finished(await local.send("PUT", MINE, body)))["status"] == "Failed"
    shown = await local.get(MINE)
    assert "tags" not in shown
    assert set(shown["properties"]) == {
        "payloadsInBlobStorage",
        "provisioningState",
        "createdOn",
        "modifiedOn",
        "swaggerLocation",
        "readOnly",
        "realtimeConfiguration",
        "storageAccount",
        "exposeSampleData",
    }
    assert (shown["properties"]["provisioningState"], shown["properties"]["storageAccount"]) == ("Failed", {})


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"location": None}, 400, "LocationRequired"),
        ({"location": "Atlantis"}, 400, "LocationNotAvailableForResourceType"),
        ({"properties": None}, 400, "BadRequest"),
    ],
)
async def test_a_put_needs_a_location_and_properties(local, change, status, code):
    reply = await local.send("PUT", MINE, {**local.definition(), **change})
    assert (reply.status, reply.body["error"]["code"]) == (status, code)


async def test_what_get_shows_is_not_what_put_wants(local):
    # new-protocol 6.5: the storage key is missing.
    reply = await local.send("PUT", SERVICE, await local.get())
    assert reply.code == "StorageAccountRequired"


async def test_a_delete_is_an_operation_and_deleting_what_is_absent_is_not(local):
    reply = await local.send("DELETE", SERVICE)
    assert (reply.status, reply.body) == (202, None)
    result = reply.headers["Location"]
    assert "/operationresults/" in result
    await local.converged(reply)
    assert (await local.send("GET", result)).status == 200
    assert (await local.send("GET", SERVICE)).status == 404
    assert local.served() is None
    reply = await local.send("DELETE", SERVICE)
    assert (reply.status, reply.body) == (204, None)
    assert "Azure-AsyncOperation" not in reply.headers


# -- resource groups ---------------------------------------------------------------------------------------------------


async def test_resource_groups_are_listed_shown_and_made(local):
    groups, version = f"/subscriptions/{SUBSCRIPTION}/resourcegroups", "?api-version=2021-04-01"
    listed = await local.get(f"{groups}{version}")
    assert [group["name"] for group in listed["value"]] == ["contoso-ml"]
    assert await local.get(f"{groups}/CONTOSO-ML{version}") == listed["value"][0]
    body = {"location": "West Europe", "tags": {"a": "b"}}
    made = [(await local.send("PUT", f"{groups}/new{version}", body)).status for _ in range(2)]
    assert made == [201, 200]
    shown = await local.get(f"{groups}/new{version}")
    assert (shown["location"], shown["properties"]) == ("westeurope", {"provisioningState": "Succeeded"})
    missing = await local.send("GET", f"{groups}/nowhere{version}")
    assert (missing.status, missing.code) == (404, "ResourceGroupNotFound")


async def test_subscriptions_are_shown(local):
    version = "?api-version=2022-12-01"
    listed = await local.get(f"/subscriptions{version}")
    assert [item["subscriptionId"] for item in listed["value"]] == [SUBSCRIPTION]
    assert await local.get(f"/subscriptions/{SUBSCRIPTION}{version}") == listed["value"][0]

"""A web service for another region: CreateRegionalBlob, and GET with a region (new-protocol 1, 3)."""

from __future__ import annotations

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices"
MINE = f"{SERVICES}/Mine"
REGION = "westcentralus"


def account_key(body):
    return body["properties"]["package"]["nodes"]["node1"]["parameters"]["Account Key"]


def without_secrets(body):
    properties = {name: value for name, value in body["properties"].items() if name != "modifiedOn"}
    account_key({"properties": properties}).clear()
    return {**body, "properties": properties}


@pytest.fixture
async def mine(local):
    """A service of one's own, with a secret in it."""
    await local.converged(await local.send("PUT", MINE, local.definition()))
    return await local.get(MINE)


async def prepare(local, path=MINE, region=REGION):
    return await local.send("POST", f"{path}/CreateRegionalBlob", region=region)


@pytest.mark.usefixtures("mine")
async def test_a_region_that_was_never_prepared_is_not_found(local):
    reply = await local.send("GET", MINE, region=REGION)
    assert (reply.status, reply.body["error"]["code"], reply.code) == (404, "NotFound", "PerRegionPayloadNotFound")
    assert f"for region {REGION} was not found" in reply.body["error"]["details"][0]["message"]


async def test_the_preparation_of_a_region_is_an_operation_whose_body_has_the_bare_name(local, mine):
    reply = await prepare(local)
    assert reply.status == 202
    assert reply.body == {
        "id": "Mine",
        "name": "Mine",
        "type": "Microsoft.MachineLearning/webServices",
        "location": "South Central US",
        "properties": {"payloadsInBlobStorage": False, "provisioningState": "Provisioning"},
    }
    assert "Location" not in reply.headers
    await local.converged(reply)
    # It changes nothing that a client wrote, and yet it moves modifiedOn.
    after = await local.get(MINE)
    assert after["properties"].pop("modifiedOn") > mine["properties"].pop("modifiedOn")
    assert after == mine


async def test_a_prepared_region_has_secrets_of_its_own(local, mine):
    await local.converged(await prepare(local))
    there = await local.get(MINE, region=REGION)
    assert without_secrets(there) == without_secrets(await local.get(MINE))
    secret = account_key(await local.get(MINE, region="West Central US"))
    assert secret["value"].startswith("MIICZAYJKoZIhvcNAQcDoIICVT")
    assert account_key(await local.get(MINE, region=REGION)) == secret
    assert {**account_key(mine)}.items().isdisjoint(secret.items())


async def test_a_region_needs_to_be_prepared_once_only(local, mine):
    await local.converged(await prepare(local))
    before = account_key(await local.get(MINE, region=REGION))
    await local.converged(await local.patch({"description": "changed"}, MINE))
    after = await local.get(MINE, region=REGION)
    assert after["properties"]["description"] == "changed"
    assert account_key(after)["value"] != before["value"]
    assert account_key(after)["certificateThumbprint"] == before["certificateThumbprint"]


async def test_what_was_read_for_a_region_can_be_written_back(local, mine):
    await local.converged(await prepare(local))
    package = (await local.get(MINE, region=REGION))["properties"]["package"]
    await local.converged(await local.patch({"package": package}, MINE))
    (document,) = [one for one in local.context.documents.collection("webServices").values() if one["name"] == "Mine"]
    assert list(document["contents"].values()) == ["the account's key"]


async def test_the_own_region_needs_no_preparation(local, mine):
    assert await local.get(MINE, region="southcentralus") == mine


@pytest.mark.parametrize(
    ("path", "region", "status", "code"),
    [(MINE, "atlantis", 400, "InvalidRegion"), (f"{SERVICES}/Nothing", REGION, 404, "WebServiceNotFound")],
)
@pytest.mark.usefixtures("mine")
async def test_what_cannot_be_prepared_is_refused(local, path, region, status, code):
    reply = await prepare(local, path, region)
    assert (reply.status, reply.code) == (status, code)


async def test_a_preparation_is_a_write_like_others_to_the_next_one(start_arm, tmp_path):
    with start_arm(tmp_path / "state", timings={"provisioning": "300s"}) as local:
        assert (await prepare(local, f"{SERVICES}/BreastCancer")).status == 202
        assert (await local.patch({})).code == "WebServiceProvisioning"


@pytest.mark.parametrize("prepared", [True, False])
async def test_a_copy_in_the_region_can_open_what_was_read_for_it_and_nothing_else(local, mine, prepared):
    await local.converged(await prepare(local))
    there = await local.get(MINE, **({"region": REGION} if prepared else {}))
    plan = f"{SERVICES.replace('webServices', 'commitmentPlans')}/there"
    body = {"location": "West Central US", "sku": {"name": "S1"}}
    assert (await local.send("PUT", plan, body, **{"api-version": "2016-05-01-preview"})).status == 200
    copy = local.definition(package=there["properties"]["package"], commitmentPlan={"id": plan})
    await local.converged(await local.send("PUT", f"{SERVICES}/Copy", {**copy, "location": "westcentralus"}))
    (document,) = [one for one in local.context.documents.collection("webServices").values() if one["name"] == "Copy"]
    assert (list(document["contents"].values()) == ["the account's key"]) is prepared

"""Commitment plans: everything about them is answered at once (new-protocol 5)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml"
PLANS = f"{GROUP}/providers/Microsoft.MachineLearning/commitmentPlans"
MINE = f"{PLANS}/onesdk6692"
VERSION = {"api-version": "2016-05-01-preview"}
S1 = {"capacity": 1, "name": "S1", "tier": "Standard"}
S2 = {"capacity": 2, "name": "S2", "tier": "Standard"}


async def put(local, sku=S1, path=MINE, location="southcentralus", **more):
    return await local.send("PUT", path, {"location": location, "sku": sku, **more}, **VERSION)


def quantity(allowance, included, overage):
    return {"allowance": allowance, "amount": 0.0, "includedQuantityMeter": included, "overageMeter": overage}


async def test_a_plan_is_made_at_once_and_looks_as_recorded(local):
    reply = await put(local)
    assert reply.status == 200
    assert re.fullmatch(r"[0-9a-f]{8}-0000-0000-0000-[0-9a-f]{8}0000", reply.body.pop("etag"))
    created = reply.body["properties"].pop("creationDate")
    assert abs(datetime.fromisoformat(created) - datetime.now(UTC)) < timedelta(minutes=1)
    assert list(reply.body) == ["id", "location", "name", "properties", "sku", "tags", "type"]
    assert reply.body == {
        "id": MINE,
        "location": "southcentralus",
        "name": "onesdk6692",
        "properties": {
            "chargeForOverage": True,
            "chargeForPlan": True,
            "includedQuantities": {
                "machineLearningWebServiceComputeHours": quantity(
                    25.0, "29187de1-b4a1-4503-a6f6-078271b3fc9d", "842f92f7-a46b-4522-ac62-8134271dc591"
                ),
                "machineLearningWebServiceTransactions": quantity(
                    100000.0, "303743b6-4cd0-44df-8ec2-a93c8f14943b", "c906e161-98b8-41b1-81e2-b59e0b263740"
                ),
            },
            "maxAssociationLimit": 10000,
            "maxCapacityLimit": 10,
            "minCapacityLimit": 1,
            "planMeter": "4a5a4b83-6216-47c5-b3db-fe430fa6e2c3",
            "refillFrequencyInDays": 30,
            "suspendPlanOnOverage": False,
        },
        "sku": S1,
        "tags": {},
        "type": "Microsoft.MachineLearning/commitmentPlans",
    }


async def test_a_patch_changes_sku_and_tags_and_moves_the_etag(local):
    made = (await put(local)).body
    reply = await local.send("PATCH", MINE, {"tags": {"tag1": "value1"}, "sku": S2}, **VERSION)
    assert reply.status == 200
    assert reply.body == await local.get(MINE, **VERSION)
    assert reply.body["etag"] != made["etag"]
    assert (reply.body["tags"], reply.body["sku"]) == ({"tag1": "value1"}, S2)
    properties = reply.body["properties"]
    assert properties["creationDate"] == made["properties"]["creationDate"]
    assert properties["planMeter"] == "0242cdc7-456a-4024-a1d5-f00b54f37b76"
    # The figures are those of the tier, not multiplied by the capacity.
    allowances = [each["allowance"] for each in properties["includedQuantities"].values()]
    assert allowances == [500.0, 2000000.0]
    renamed = await local.send("PATCH", MINE, {"tags": {}}, **VERSION)
    assert (renamed.body["tags"], renamed.body["sku"]) == ({}, S2)


async def test_a_put_overwrites(local):
    created = (await put(local, tags={"a": "b"})).body["properties"]["creationDate"]
    reply = await put(local, S2)
    assert (reply.status, reply.body["tags"], reply.body["sku"]) == (200, {}, S2)
    assert reply.body["properties"]["creationDate"] == created


@pytest.mark.parametrize(
    ("sku", "allowances", "charged"),
    [("DevTest", [2.0, 1000.0], False), ("S3", [12500.0, 50000000.0], True)],
)
async def test_each_sku_has_its_own_quantities(local, sku, allowances, charged):
    properties = (await put(local, {"name": sku})).body["properties"]
    assert [each["allowance"] for each in properties["includedQuantities"].values()] == allowances
    assert (properties["chargeForPlan"], properties["suspendPlanOnOverage"]) == (charged, not charged)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"sku": S1}, "LocationRequired"),
        ({"sku": S1, "location": "Atlantis"}, "LocationNotAvailableForResourceType"),
        ({"location": "southcentralus"}, "InvalidSku"),
        ({"location": "southcentralus", "sku": {"name": "S4"}}, "InvalidSku"),
        ({"location": "southcentralus", "sku": {"name": "S1", "tier": "Free"}}, "InvalidSku"),
        ({"location": "southcentralus", "sku": {**S1, "capacity": 11}}, "InvalidSkuCapacity"),
        ({"location": "southcentralus", "sku": {**S1, "capacity": 0}}, "InvalidSkuCapacity"),
        ({"location": "southcentralus", "sku": {"name": "DevTest", "capacity": 2}}, "InvalidSkuCapacity"),
    ],
)
async def test_a_plan_is_checked(local, body, code):
    reply = await local.send("PUT", MINE, body, **VERSION)
    assert (reply.status, reply.code) == (400, code)
    assert (await local.send("GET", MINE, **VERSION)).status == 404


async def test_a_plan_stays_in_its_region(local):
    await put(local)
    reply = await put(local, location="West Europe")
    assert (reply.status, reply.code) == (409, "InvalidResourceLocation")


async def test_a_plan_that_is_not_there_is_an_error_of_the_resource_manager_itself(local):
    reply = await local.send("GET", MINE, **VERSION)
    assert reply.status == 404
    assert reply.body == {
        "error": {
            "code": "ResourceNotFound",
            "message": "The Resource 'Microsoft.MachineLearning/commitmentPlans/onesdk6692' under resource group "
            "'contoso-ml' was not found.",
        }
    }
    assert reply.headers["x-ms-failure-cause"] == "gateway"
    assert reply.headers["x-ms-request-id"] == reply.headers["x-ms-correlation-request-id"]
    assert (await local.send("PATCH", MINE, {"tags": {}}, **VERSION)).status == 404


async def test_a_plan_is_deleted_at_once(local):
    await put(local)
    reply = await local.send("DELETE", MINE, **VERSION)
    assert (reply.status, reply.body) == (200, None)
    assert (await local.send("GET", MINE, **VERSION)).status == 404
    assert (await local.send("DELETE", MINE, **VERSION)).status == 204


async def test_an_etag_that_is_not_the_current_one_is_refused(local):
    etag = (await put(local)).body["etag"]
    reply = await put(local, S2, etag=etag)
    assert reply.status == 200
    for body in ({"sku": S1, "etag": etag}, {"tags": {}, "etag": etag}):
        assert (await local.send("PATCH", MINE, body, **VERSION)).code == "PreconditionFailed"
    assert (await local.get(MINE, **VERSION))["sku"] == S2


@pytest.mark.parametrize("collection", [PLANS, f"/subscriptions/{SUBSCRIPTION}/providers/{PLANS.split('/', 6)[-1]}"])
async def test_plans_are_listed(local, collection):
    await put(local)
    body = await local.get(collection, **VERSION)
    assert [plan["name"] for plan in body["value"]] == ["contoso-plan", "plan", "other", "onesdk6692"]
    assert body["value"][-1] == await local.get(MINE, **VERSION)


async def test_the_skus_are_listed_with_their_limits(local):
    skus = (await local.get(f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning/skus", **VERSION))[
        "value"
    ]
    assert {sku["name"]: (sku["tier"], sku["capacity"]["maximum"]) for sku in skus} == {
        "DevTest": ("DevTest", 1),
        "S1": ("Standard", 10),
        "S2": ("Standard", 10),
        "S3": ("Standard", 10),
    }
    assert "South Central US" in skus[0]["locations"]


async def test_usage_is_calculated_once_a_day(start_arm, tmp_path):
    state = tmp_path / "state"
    with start_arm(state) as local:
        await put(local)
        assert await local.get(f"{MINE}/usageHistory", **VERSION) == {"value": []}
    with start_arm(state, late=timedelta(days=2, hours=1)) as local:
        history = (await local.get(f"{MINE}/usageHistory", **VERSION))["value"]
        plan = (await local.get(MINE, **VERSION))["properties"]
    assert len(history) == 2
    assert history[0]["usageDate"] > history[1]["usageDate"] > plan["creationDate"]
    assert set(history[0]["usage"].values()) == {0.0}
    allowances = {name: each["allowance"] for name, each in plan["includedQuantities"].items()}
    assert history[0]["planQuantitiesAfterUsage"] == allowances
    # What is left is known from the first calculation on.
    assert {name: each["amount"] for name, each in plan["includedQuantities"].items()} == allowances


async def test_a_plan_outlives_a_restart(start_arm, tmp_path):
    state = tmp_path / "state"
    with start_arm(state) as local:
        made = (await put(local)).body
        await local.send("DELETE", f"{PLANS}/other", **VERSION)
    with start_arm(state) as local:
        assert await local.get(MINE, **VERSION) == made
        assert (await local.send("GET", f"{PLANS}/other", **VERSION)).status == 404


async def test_what_the_studio_file_says_is_used_up_is_not_left(start_arm, tmp_path):
    plan = {"name": "spent", "sku": "DevTest", "used": 0.75}
    group = {"name": "contoso-ml", "commitmentPlans": [plan]}
    with start_arm(tmp_path / "state", subscriptions=[{"id": SUBSCRIPTION, "resourceGroups": [group]}]) as local:
        properties = (await local.get(f"{PLANS}/spent", **VERSION))["properties"]
        left = {name: each["amount"] for name, each in properties["includedQuantities"].items()}
        assert left == {"machineLearningWebServiceComputeHours": 0.5, "machineLearningWebServiceTransactions": 250.0}
        assert properties["suspendPlanOnOverage"] is True

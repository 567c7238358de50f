"""Which commitment plan pays for which web service (new-protocol 1, 5)."""

from __future__ import annotations

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml"
PROVIDER = f"{GROUP}/providers/Microsoft.MachineLearning"
PLAN = f"{PROVIDER}/commitmentPlans/plan"
OTHER = f"{PROVIDER}/commitmentPlans/other"
MINE = f"{PROVIDER}/webServices/Mine"
VERSION = {"api-version": "2016-05-01-preview"}


async def associations(local, plan=PLAN):
    return (await local.get(f"{plan}/commitmentAssociations", **VERSION))["value"]


@pytest.fixture
async def association(local):
    """That of a web service that was created with a plan."""
    await local.converged(await local.send("PUT", MINE, local.definition()))
    (found,) = await associations(local)
    return found


async def test_a_service_that_names_a_plan_is_associated_with_it(local, association):
    name = association["name"]
    assert {key: association[key] for key in ("id", "location", "type")} == {
        "id": f"{PLAN}/commitmentAssociations/{name}",
        "location": "southcentralus",
        "type": "Microsoft.MachineLearning/commitmentPlans/commitmentAssociations",
    }
    assert association["etag"]
    created = association["properties"].pop("creationDate")
    assert created.endswith("Z")
    assert association["properties"] == {"associatedResourceId": MINE, "commitmentPlanId": PLAN}
    shown = await local.get(f"{PLAN}/commitmentAssociations/{name.upper()}", **VERSION)
    assert shown["properties"] == {**association["properties"], "creationDate": created}
    # The service itself never says which plan it has.
    assert "commitmentPlan" not in (await local.get(MINE))["properties"]


async def test_the_example_service_has_the_example_plan(local):
    (found,) = await associations(local, f"{PROVIDER}/commitmentPlans/contoso-plan")
    assert found["properties"]["associatedResourceId"] == f"{PROVIDER}/webServices/BreastCancer"


async def test_a_plan_in_use_cannot_be_deleted(local, association):
    reply = await local.send("DELETE", PLAN, **VERSION)
    assert (reply.status, reply.body["error"]["code"], reply.code) == (409, "Conflict", "CommitmentPlanInUse")
    await local.converged(await local.send("DELETE", MINE))
    assert await associations(local) == []
    assert (await local.send("DELETE", PLAN, **VERSION)).status == 200


async def test_a_plan_cannot_be_changed_on_the_service(local, association):
    for method, body in (
        ("PATCH", {"properties": {"packageType": "Graph", "commitmentPlan": {"id": OTHER}}}),
        ("PUT", local.definition(commitmentPlan={"id": OTHER})),
    ):
        reply = await local.send(method, MINE, body)
        assert (reply.status, reply.code) == (400, "CannotChangeCommitmentPlan")
    # A full definition with the same plan is accepted, and so is one without.
    await local.converged(await local.patch({"commitmentPlan": {"id": PLAN.upper()}}, MINE))
    without = local.definition()
    del without["properties"]["commitmentPlan"]
    await local.converged(await local.send("PUT", MINE, without))
    assert len(await associations(local)) == 1


async def test_a_move_gives_the_service_another_plan(local, association):
    path = f"{PLAN}/commitmentAssociations/{association['name']}"
    reply = await local.send("POST", f"{path}/move", {"destinationPlanId": OTHER}, **VERSION)
    assert reply.status == 200
    assert reply.body["id"] == f"{OTHER}/commitmentAssociations/{association['name']}"
    assert reply.body["properties"]["commitmentPlanId"] == OTHER
    assert reply.body["properties"]["creationDate"] == association["properties"]["creationDate"]
    assert reply.body["etag"] != association["etag"]
    assert (await associations(local), await associations(local, OTHER)) == ([], [reply.body])
    gone = await local.send("GET", path, **VERSION)
    assert (gone.status, gone.code) == (404, "ResourceNotFound")
    # From now on that is the plan that a full definition may name.
    await local.converged(await local.patch({"commitmentPlan": {"id": OTHER}}, MINE))
    assert (await local.patch({"commitmentPlan": {"id": PLAN}}, MINE)).code == "CannotChangeCommitmentPlan"


async def test_a_move_needs_a_plan_in_the_same_region(local, association):
    path = f"{PLAN}/commitmentAssociations/{association['name']}/move"
    abroad = f"{PROVIDER}/commitmentPlans/abroad"
    body = {"location": "West Europe", "sku": {"name": "S1"}}
    assert (await local.send("PUT", abroad, body, **VERSION)).status == 200
    for destination, code in (
        (None, "DestinationPlanRequired"),
        (f"{PLAN}-absent", "CommitmentPlanNotFound"),
        (abroad, "CommitmentPlanRegionMismatch"),
    ):
        reply = await local.send("POST", path, {"destinationPlanId": destination}, **VERSION)
        assert (reply.status, reply.code) == (400, code)
    assert len(await associations(local)) == 1


@pytest.mark.parametrize(
    ("plan", "code"),
    [(f"{PLAN}-absent", "CommitmentPlanNotFound"), ("/subscriptions/x/plan", "CommitmentPlanNotFound")],
)
async def test_a_service_with_a_plan_that_is_not_there_is_not_created(local, plan, code):
    reply = await local.send("PUT", MINE, local.definition(commitmentPlan={"id": plan}))
    assert (reply.status, reply.code) == (400, code)
    assert (await local.send("GET", MINE)).status == 404


async def test_a_service_and_its_plan_are_in_one_region(local):
    reply = await local.send("PUT", MINE, {**local.definition(), "location": "West Europe"})
    assert (reply.status, reply.code) == (400, "CommitmentPlanRegionMismatch")


async def test_a_plan_has_a_limit_of_associations(start_arm, tmp_path):
    with start_arm(tmp_path / "state", limits={"associationsPerPlan": 1}) as local:
        assert (await local.get(PLAN, **VERSION))["properties"]["maxAssociationLimit"] == 1
        await local.converged(await local.send("PUT", MINE, local.definition()))
        reply = await local.send("PUT", f"{MINE}2", local.definition())
        assert (reply.status, reply.code) == (400, "CommitmentPlanAssociationLimitReached")

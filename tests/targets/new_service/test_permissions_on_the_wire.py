"""Who lacks one action is told before anything starts: which, where, and what to do; nothing else is stopped."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from reconciler.plan.checks.result import CheckOutcome
from reconciler.preflight.doctor import examine
from tests.targets.new_service.conftest import EXAMPLE, GROUP, MODEL, PLAN, PROVIDER, variable_of

ML = "Microsoft.MachineLearning"
TENANT = "0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21"
OTHER_PLAN = PLAN.replace("contoso-plan", "other-plan")
LACKING = {
    f"{ML}/commitmentPlans/commitmentAssociations/move/action": "11111111-90b3-4f0d-9d57-6c8a1b2e3f40",
    f"{ML}/commitmentPlans/join/action": "22222222-90b3-4f0d-9d57-6c8a1b2e3f40",
    f"{ML}/webServices/action": "33333333-90b3-4f0d-9d57-6c8a1b2e3f40",
    f"{ML}/webServices/listKeys/read": "44444444-90b3-4f0d-9d57-6c8a1b2e3f40",
}
MOVE, JOIN, PREPARE, LIST_KEYS = LACKING
STUDIO = {
    "principals": [
        {
            "tenantId": TENANT,
            "clientId": client,
            "clientSecretEnv": variable_of(client),
            "roles": [{"scope": "/", "actions": ["*"], "notActions": [action]}],
        }
        for action, client in LACKING.items()
    ]
}
NAMES = iter(range(100))


@pytest.fixture
def bystander(desk):
    """A service to be created by which it is seen that others go on."""
    return desk.service("Bystander", commitmentPlan=PLAN)


async def planned(desk, action, **services):
    """The plan of somebody who lacks an action, which changes the bystander alone; the one other target of it."""
    desk.client_id = LACKING[action]
    plan = await desk.plan(**services)
    (target,) = plan.blocked
    told = " ".join(reason.text for reason in target.reasons)
    assert f"missing permission: {action}" in told
    assert f"Ask for Contributor, or a role with {action}, on {GROUP}" in target.remedy
    return plan, target


async def failed(desk, **services):
    """What doctor says of permissions that are lacking."""
    fleet = desk.write(**services)
    checks = await examine(fleet, desk.cloud, desk.secrets, lambda: datetime.now(UTC))
    return [each for each in checks if each.name == "permissions" and each.outcome is CheckOutcome.FAILED]


@pytest.mark.parametrize("action", [MOVE, JOIN])
async def test_who_may_not_move_a_service_to_another_plan(desk, action):
    await desk.export()
    service = desk.service(f"Moved{next(NAMES)}")
    report = await desk.converge(moved=service)
    assert report.verdict.value == "converged", report.outcomes
    moved = {**service, "commitmentPlan": OTHER_PLAN}
    titled = {"resourceId": EXAMPLE, "settings": {"title": "another title"}}

    plan, target = await planned(desk, action, moved=moved, titled=titled)

    assert ["titled"] == [each.name for each in plan.changes]
    (check,) = await failed(desk, moved=moved, titled=titled)
    assert action in check.text
    assert PROVIDER in check.subject
    assert action in check.remedy
    assert target.steps == ()
    assert await failed(desk, moved=service, titled=titled) == []


async def test_who_may_not_prepare_the_source_of_a_copy(desk, bystander):
    await desk.export()
    copied = {
        "resourceId": f"{PROVIDER}/webServices/Copy",
        "copyOf": EXAMPLE,
        "location": "South Central US",
        "storage": {"account": "contosostore", "key": {"env": "STORAGE_KEY"}},
        "commitmentPlan": PLAN,
        "model": {"resource": MODEL, "name": "bc", "version": "old"},
    }
    services = {"copied": copied, "bystander": bystander}

    plan, _ = await planned(desk, PREPARE, **services)

    assert ["bystander"] == [each.name for each in plan.changes]
    (check,) = await failed(desk, **services)
    assert (check.subject, PREPARE in check.text) == (EXAMPLE, True)


@pytest.mark.parametrize("more", [{"keys": {"primary": {"env": "STORAGE_KEY"}}}, {"probe": {"rows": [{"a": 1}]}}])
async def test_who_may_not_read_the_keys_that_are_managed_or_score(desk, bystander, more):
    await desk.export()
    services = {"keyed": desk.service("Keyed", **more), "bystander": bystander}

    plan, _ = await planned(desk, LIST_KEYS, **services)

    assert ["bystander"] == [each.name for each in plan.changes]
    (check,) = await failed(desk, **services)
    assert LIST_KEYS in check.text


async def test_who_may_not_read_the_keys_of_a_service_that_is_there(desk):
    keyed = {"resourceId": EXAMPLE, "keys": {"primary": {"env": "STORAGE_KEY"}}}
    plan, target = await planned(desk, LIST_KEYS, keyed=keyed)
    assert target.reasons[0].code == "not-permitted"
    assert (await desk.plan(keyed=keyed)).digest == plan.digest


async def test_who_may_not_read_the_key_of_a_training_service(desk, bystander):
    await desk.export()
    training = {"new": {"resourceId": EXAMPLE}, "outputs": {"model": "output1"}}
    trained = {"kind": "Model", "metadata": {"name": "trained"}, "spec": {"workspace": "contoso", "training": training}}
    (desk.home / "trained.yaml").write_text(yaml.safe_dump({"apiVersion": "reconciler/v1", **trained}))
    served = desk.service("Served", model={"resource": MODEL, "name": "trained", "version": "1"})
    services = {"served": served, "bystander": bystander}

    plan, _ = await planned(desk, LIST_KEYS, **services)

    assert ["bystander"] == [each.name for each in plan.changes]
    (check,) = await failed(desk, **services)
    assert (check.subject, LIST_KEYS in check.text) == (EXAMPLE, True)

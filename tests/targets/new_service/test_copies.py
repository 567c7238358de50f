"""Large payloads, copies to another region, and creations that were broken off."""

from __future__ import annotations

import asyncio

import pytest
from azure.storage.blob import ContainerClient

from reconciler.azure.arm.definition import find_trained_model, member, spelling
from reconciler.plan.document import Action
from reconciler.targets.new_service.definition.form import path_of
from tests.targets.new_service.conftest import EXAMPLE, MODEL, PROVIDER

STUDIO = {"limits": {"inlinePayloadBytes": 2000}}
ABROAD = f"{PROVIDER}/commitmentPlans/abroad"


@pytest.fixture
def abroad(studio):
    """A commitment plan in West Europe."""
    plans = studio.context.documents.collection("commitmentPlans")
    home = next(plan for plan in plans.values() if plan["name"] == "contoso-plan")
    plans[ABROAD.lower()] = {**home, "id": ABROAD, "name": "abroad", "location": "westeurope"}
    return ABROAD


async def test_a_payload_in_a_blob_is_read_and_written_back_as_one(desk):
    await desk.export()
    service = desk.service("Large")

    report = await desk.converge(large=service)
    assert report.verdict.value == "converged", report.outcomes
    shown = (await desk.live(service["resourceId"]))["properties"]
    assert (shown["payloadsInBlobStorage"], "assets" in shown) == (True, False)
    assert not (await desk.plan(large=service)).pending
    report = await desk.converge(large=desk.service("Large", version="new"))

    assert report.verdict.value == "converged", report.outcomes
    assert "the definition shows the new location" in report.outcomes[0].text


async def test_a_payload_that_is_too_large_to_send_goes_through_a_blob_that_is_removed(desk, monkeypatch):
    monkeypatch.setattr("reconciler.targets.new_service.payloads.INLINE_LIMIT", 2000)
    await desk.export()
    report = await desk.converge(huge=desk.service("Huge"))
    assert report.verdict.value == "converged", report.outcomes
    with ContainerClient.from_connection_string(desk.environ["CONTOSO_STORAGE"], "reconciler") as container:
        left = await asyncio.to_thread(lambda: [blob.name for blob in container.list_blobs()])
    assert left == []


async def test_a_service_is_copied_to_another_region_with_its_secrets(desk, abroad):
    content = await desk.export()
    node = next(iter(member(content, "properties", "package", "nodes").values()))
    node[spelling(node, "parameters") or "parameters"] = {
        "Key": {"value": {"$secret": {"env": "ACCOUNT_KEY"}}, "certificateThumbprint": "AB5C39DB6124"}
    }
    desk.file(content)
    desk.environ["ACCOUNT_KEY"] = "the account's own key"
    home = desk.service("Home")
    await desk.converge(home=home)
    copied = {
        "resourceId": f"{PROVIDER}/webServices/Abroad",
        "copyOf": "home",
        "location": "West Europe",
        "storage": {"account": "contosostore", "key": {"env": "STORAGE_KEY"}},
        "commitmentPlan": abroad,
        "model": {"resource": MODEL, "name": "bc", "version": "old"},
    }

    planned = await desk.plan(home=home, abroad=copied)
    report = await desk.converge(home=home, abroad=copied)

    assert next(step.action for step in planned.steps) is Action.CREATE
    assert report.verdict.value == "converged", report.outcomes
    assert (await desk.live(copied["resourceId"]))["location"] == "West Europe"
    services = desk.studio.context.documents.collection("webServices")
    (document,) = [one for one in services.values() if one["name"] == "Abroad"]
    assert list(document["contents"].values()) == ["the account's own key"]
    assert not (await desk.plan(home=home, abroad=copied)).pending


async def test_a_service_can_not_be_moved_to_another_region(desk):
    planned = await desk.plan(example={"resourceId": EXAMPLE, "location": "West Europe"})
    (target,) = planned.blocked
    assert "cannot be moved to another region" in target.reasons[0].text


async def test_a_creation_that_failed_is_made_again(desk):
    content = await desk.export()
    service = desk.service("Again", version=None)
    right = find_trained_model(content, MODEL)
    place = member(content, *path_of(right.pointer)[:-1])
    key = spelling(place, "uri")
    place[key] = right.uri.replace(".ilearner", "-missing.ilearner")
    desk.file(content)
    report = await desk.converge(again=service)
    assert report.verdict.value == "failed", report.outcomes
    place[key] = right.uri
    desk.file(content)

    planned = await desk.plan(again=service)
    report = await desk.converge(again=service)

    assert next(step.action for step in planned.steps) is Action.CREATE
    assert report.verdict.value == "converged", report.outcomes


async def test_a_run_that_ends_after_the_creation_leaves_nothing_to_do_but_to_record(desk):
    """Killed before the PUT is answered: the service serves the wanted version from its first moment on."""
    await desk.export()
    service = desk.service("Killed")
    running = asyncio.create_task(desk.converge(killed=service))
    services = desk.studio.context.documents.collection("webServices")
    while not running.done() and not any(one["name"] == "Killed" for one in services.values()):  # noqa: ASYNC110 - the Studio has no event
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    planned = await desk.plan(killed=service)

    assert Action.CREATE not in [step.action for step in planned.steps]
    keys = await desk.keys(service["resourceId"])
    await desk.converge(killed=service)
    assert await desk.keys(service["resourceId"]) == keys

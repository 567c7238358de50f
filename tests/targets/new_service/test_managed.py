"""New web services are created, kept as the spec says, and deleted."""

from __future__ import annotations

import json

import pytest

from reconciler.azure.arm.definition import member, spelling
from reconciler.plan.document import Action
from tests.targets.new_service.conftest import PLAN, PROVIDER

OTHER_PLAN = f"{PROVIDER}/commitmentPlans/other-plan"


def actions(plan):
    return [step.action for step in plan.steps]


def only(plan):
    (target,) = plan.targets
    return target


def settings(plan):
    return {
        change.field: (change.old, change.new)
        for step in plan.steps
        if step.action is Action.SETTINGS
        for change in step.differences
    }


def parameters_of_a_node(content):
    """The parameters of one node, whatever casing the Studio shows it in."""
    node = next(iter(member(content, "properties", "package", "nodes").values()))
    return node.setdefault(spelling(node, "parameters") or "parameters", {})


async def test_a_service_is_created_from_an_export_and_is_in_sync_at_once(desk):
    await desk.export()
    service = desk.service("Made", settings={"maxConcurrentCalls": 30, "title": "Mine"}, tags={"team": "oncology"})

    planned = await desk.plan(made=service)
    assert actions(planned)[0] is Action.CREATE
    report = await desk.converge(made=service)

    assert report.verdict.value == "converged", report.outcomes
    shown = await desk.live(service["resourceId"])
    assert shown["properties"]["title"] == "Mine"
    assert shown["properties"]["realtimeConfiguration"] == {"maxConcurrentCalls": 30}
    assert shown["tags"]["team"] == "oncology"
    assert shown["tags"]["reconciler-version"] == "bc@old"
    again = await desk.plan(made=service)
    assert not again.pending, again.model_dump_json(indent=1)


async def test_settings_tags_and_another_version_are_written_and_keys_stay(desk):
    await desk.export()
    await desk.converge(kept=(service := desk.service("Kept")))
    keys = await desk.keys(service["resourceId"])
    wanted = desk.service(
        "Kept",
        version="new",
        settings={"diagnostics": "All", "description": "d", "exposeSampleData": False},
        tags={"a": "b"},
    )

    report = await desk.converge(kept=wanted)

    assert report.verdict.value == "converged", report.outcomes
    shown = (await desk.live(service["resourceId"]))["properties"]
    assert (shown["diagnostics"]["level"], shown["description"], shown["exposeSampleData"]) == ("All", "d", False)
    assert await desk.keys(service["resourceId"]) == keys
    assert not (await desk.plan(kept=wanted)).pending


async def test_a_rotated_key_is_said_to_be_another_and_never_shown(desk):
    await desk.export()
    await desk.converge(keyed=(service := desk.service("Keyed")))
    before = await desk.keys(service["resourceId"])
    desk.environ["NEXT_KEY"] = "n3xt-" * 8
    wanted = desk.service("Keyed", keys={"primary": {"env": "NEXT_KEY"}})

    planned = await desk.plan(keyed=wanted)
    assert settings(planned) == {"keys.primary": ("another", "as referenced")}
    await desk.converge(keyed=wanted)

    assert await desk.keys(service["resourceId"]) == {**before, "primary": desk.environ["NEXT_KEY"]}
    text = planned.model_dump_json() + (desk.home / "state.db").read_bytes().decode("latin-1")
    assert desk.environ["NEXT_KEY"] not in text
    assert before["primary"] not in text
    assert not (await desk.plan(keyed=wanted)).pending


async def test_a_storage_key_is_written_again_when_it_is_another(desk, studio):
    """The service never shows it: what was written last is remembered, and a hash of it goes into no plan."""
    await desk.export()
    service = desk.service("Stored")
    await desk.converge(stored=service)
    assert not (await desk.plan(stored=service)).pending
    second = dict(part.split("=", 1) for part in desk.environ["CONTOSO_STORAGE_2"].split(";") if part)["AccountKey"]
    desk.environ["STORAGE_KEY"] = second

    planned = await desk.plan(stored=service)
    report = await desk.converge(stored=service)

    assert settings(planned) == {"storage.key": ("another", "as referenced")}
    assert report.verdict.value == "converged", report.outcomes
    assert not (await desk.plan(stored=service)).pending
    services = studio.context.documents.collection("webServices")
    assert [one["storage_key"] for one in services.values() if one["name"] == "Stored"] == [second]
    assert second not in (desk.home / "state.db").read_bytes().decode("latin-1")


async def test_a_service_is_moved_to_another_commitment_plan_and_only_when_it_has_to(desk):
    await desk.export()
    await desk.converge(moved=desk.service("Moved"))
    wanted = desk.service("Moved", commitmentPlan=OTHER_PLAN)

    planned = await desk.plan(moved=wanted)
    assert settings(planned) == {"commitmentPlan": (PLAN, OTHER_PLAN)}
    await desk.converge(moved=wanted)

    assert not (await desk.plan(moved=wanted)).pending


async def test_a_service_is_not_moved_to_a_plan_that_there_is_not_and_the_plan_says_so(desk):
    await desk.export()
    await desk.converge(moved=desk.service("Moved"))

    planned = await desk.plan(moved=desk.service("Moved", commitmentPlan=f"{OTHER_PLAN}-nowhere"))
    (blocked,) = planned.blocked
    assert "the commitment plan does not exist" in blocked.reasons[0].text
    assert "Correct commitmentPlan" in blocked.remedy


async def test_a_definition_that_was_changed_is_told_in_words_and_put_right(desk):
    content = await desk.export()
    service = desk.service("Defined")
    await desk.converge(defined=service)
    await desk.patch(service["resourceId"], description="changed by hand", title="By hand")

    planned = await desk.plan(defined={**service, "ignore": ["/properties/title"]})
    await desk.converge(defined={**service, "ignore": ["/properties/title"]})

    (step,) = [step for step in planned.steps if step.action is Action.SETTINGS]
    words = [reason.text for reason in step.reasons if reason.code == "definition"]
    assert len(words) == 1
    assert "changed by hand" in words[0]
    assert [operation.op for operation in step.patch] == ["test", "replace"]
    shown = (await desk.live(service["resourceId"]))["properties"]
    assert (shown["description"], shown["title"]) == (content["properties"]["description"], "By hand")


async def test_what_a_file_takes_out_of_a_definition_goes_and_the_keys_stay(desk):
    content = await desk.export()
    content["properties"]["assets"]["extra"] = {
        "name": "Extra", "type": "Module", "locationInfo": {"uri": "aml://module/1.2"}
    }  # fmt: skip
    desk.file(content)
    service = desk.service("Trimmed")
    await desk.converge(trimmed=service)
    keys = await desk.keys(service["resourceId"])
    del content["properties"]["assets"]["extra"]
    desk.file(content)

    report = await desk.converge(trimmed=service)

    assert report.verdict.value == "converged", report.outcomes
    assert "extra" not in (await desk.live(service["resourceId"]))["properties"]["assets"]
    assert await desk.keys(service["resourceId"]) == keys
    assert not (await desk.plan(trimmed=service)).pending


async def test_a_credential_is_given_by_reference_and_never_compared(desk):
    content = await desk.export()
    parameters = parameters_of_a_node(content)
    parameters |= {
        "Account Key": {"value": {"$secret": {"env": "ACCOUNT_KEY"}}, "certificateThumbprint": "AB5C39DB6124"},
    }
    desk.file(content)
    desk.environ["ACCOUNT_KEY"] = "the account's own key"
    service = desk.service("Secret")

    report = await desk.converge(secret=service)

    assert report.verdict.value == "converged", report.outcomes
    (document,) = [
        one for one in desk.studio.context.documents.collection("webServices").values() if one["name"] == "Secret"
    ]
    assert "the account's own key" in document["contents"].values()
    assert not (await desk.plan(secret=service)).pending
    exported = json.dumps(await desk.export(service["resourceId"]))
    assert "MIICZ" not in exported
    assert '{"$secret": {"env": "SECRET_' in exported


async def test_only_what_carries_our_note_is_deleted(desk):
    await desk.export()
    await desk.converge(gone=(service := desk.service("Gone")))
    absent = {"resourceId": service["resourceId"], "state": "absent"}
    theirs = {"resourceId": f"{PROVIDER}/webServices/BreastCancer", "state": "absent"}

    planned = await desk.plan(gone=absent, theirs=theirs)
    report = await desk.converge(gone=absent, theirs=theirs)

    assert [target.name for target in planned.refused] == ["theirs"]
    assert {outcome.name: outcome.result.value for outcome in report.outcomes} == {
        "gone": "converged",
        "theirs": "refused",
    }
    assert not (await desk.plan(gone=absent)).pending


async def test_a_service_that_is_read_only_is_refused_and_can_be_deleted(desk):
    await desk.export(readOnly=True)
    service = desk.service("Frozen")
    await desk.converge(frozen=service)
    assert not (await desk.plan(frozen=service)).pending

    planned = await desk.plan(frozen=desk.service("Frozen", version="new"))

    assert [reason.code for reason in only(planned).reasons] == ["read-only"]
    assert only(planned).status.value == "refused"
    report = await desk.converge(frozen={"resourceId": service["resourceId"], "state": "absent"})
    assert report.verdict.value == "converged", report.outcomes


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ("storage", "cannot be created without storage"),
        ("commitmentPlan", "cannot be created without commitmentPlan"),
        ("definition", "the spec has no definition to create it from"),
    ],
)
async def test_what_a_creation_lacks_is_said(desk, left_out, said):
    await desk.export()
    planned = await desk.plan(missing_for_creation=desk.service("Lacking", **{left_out: None}))
    assert said in only(planned).reasons[0].text


async def test_a_definition_without_the_trained_model_is_told(desk):
    content = await desk.export()
    assets = content["properties"]["assets"]
    content["properties"]["assets"] = {
        key: asset for key, asset in assets.items() if member(asset, "type") != "Resource"
    }
    content["properties"]["package"] = {"nodes": {}, "edges": [], "graphParameters": {}}
    desk.file(content)
    planned = await desk.plan(bare=desk.service("Bare"))
    assert only(planned).status.value == "blocked"
    assert "definition.json: the definition has no trained model" in only(planned).reasons[0].text


async def test_a_definition_that_names_no_region_is_told_where_one_can_be_given(desk):
    content = await desk.export()
    del content["location"]
    desk.file(content)
    planned = only(await desk.plan(nowhere=desk.service("Nowhere")))
    assert planned.reasons[0].text.endswith("cannot be created without location")
    assert planned.remedy == "Add spec.location"


async def test_the_casing_of_a_tags_name_makes_no_difference_and_tags_beyond_the_limit_are_told(desk):
    """Azure takes names of tags as the same that differ by casing alone, and fifty tags at most."""
    content = await desk.export()
    desk.file({**content, "tags": {"TEAM": "a", "Reconciler-Version": "other@1"}})
    await desk.converge(tagged=(service := desk.service("Tagged")))
    assert "Reconciler-Version" not in (await desk.live(service["resourceId"]))["tags"]
    assert not (await desk.plan(tagged={**service, "tags": {"team": "a"}})).pending

    await desk.converge(tagged={**service, "tags": {"team": "b"}})
    tags = (await desk.live(service["resourceId"]))["tags"]
    assert {name: value for name, value in tags.items() if name.casefold() == "team"} == {"team": "b"}

    planned = await desk.plan(tagged={**service, "tags": {f"tag{number}": "x" for number in range(48)}})
    assert [reason.code for reason in only(planned).reasons] == ["too-many-tags"]


async def test_a_member_that_the_service_does_not_take_is_told_at_the_creation(desk):
    """Nobody changed anything since the plan was made, as it was told before."""
    await desk.export(somethingElse="x")
    report = await desk.converge(unknown=desk.service("Unknown"))
    (outcome,) = report.outcomes
    assert "its definition differs from the spec: properties/somethingElse" in outcome.text


async def test_the_older_api_version_manages_a_service_too(desk):
    content = await desk.export()
    parameters = parameters_of_a_node(content)
    parameters["Query"] = "SELECT 1"
    desk.file(content)
    old = desk.service("Old", armVersion="2016-05-01-preview")

    report = await desk.converge(old=old)
    assert report.verdict.value == "converged", report.outcomes
    assert not (await desk.plan(old=old)).pending
    parameters["Query"] = "SELECT 2"
    desk.file(content)
    moved = desk.service("Old", "new", armVersion="2016-05-01-preview", settings={"diagnostics": "Error"})
    report = await desk.converge(old=moved)
    assert report.verdict.value == "converged", report.outcomes
    assert not (await desk.plan(old=moved)).pending

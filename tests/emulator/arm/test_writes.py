"""Writes of New web services: what is answered at once, what goes live, and what fails (new-protocol 1 to 3)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices"
SERVICE = f"{SERVICES}/BreastCancer"
SLOW = {"provisioning": "30s"}


# -- the recorded update -----------------------------------------------------------------------------------------------


async def test_a_patch_is_answered_with_a_tiny_body_and_where_to_poll(local):
    reply = await local.patch({"realtimeConfiguration": {"maxConcurrentCalls": 30}})
    assert reply.status == 200
    assert reply.body == {
        "id": SERVICE,
        "name": "BreastCancer",
        "type": "Microsoft.MachineLearning/webServices",
        "location": "South Central US",
        "tags": {},
        "properties": {"provisioningState": "Provisioning"},
    }
    poll_url = reply.headers["Azure-AsyncOperation"]
    provider = f"{local.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearning"
    pattern = rf"{provider}/locations/southcentralus/operationsStatus/[0-9a-f-]{{36}}\?api-version=2017-01-01"
    assert re.fullmatch(pattern, poll_url)
    assert reply.headers["Azure-AsyncOperationPercentComplete"] == "0"
    assert not {"Retry-After", "Location"} & set(reply.headers)
    await local.converged(reply)


async def test_a_poll_says_status_and_ends_with_an_end_time(start_arm, tmp_path):
    state = tmp_path / "state"
    with start_arm(state, timings=SLOW) as local:
        reply = await local.patch({})
        first = (await local.send("GET", reply.headers["Azure-AsyncOperation"])).body
    assert list(first) == ["id", "name", "status", "startTime", "percentComplete"]
    assert (first["status"], first["id"].rpartition("/")[2]) == ("Provisioning", first["name"])
    assert 0 < first["percentComplete"] < 1
    with start_arm(state, timings=SLOW, late=timedelta(minutes=1)) as local:
        last = await local.finished(reply)
    assert list(last) == ["id", "name", "status", "startTime", "endTime", "percentComplete"]
    assert (last["status"], last["percentComplete"]) == ("Succeeded", 1.0)


async def test_a_patch_of_one_key_leaves_the_other_and_the_rest_alone(local):
    before, keys = await local.get(), await local.get(f"{SERVICE}/listKeys")
    reply = await local.patch(
        {
            "keys": {"primary": "highly secure key"},
            "readOnly": False,
            "realtimeConfiguration": {"maxConcurrentCalls": 30},
        }
    )
    await local.converged(reply)
    assert await local.get(f"{SERVICE}/listKeys") == {"primary": "highly secure key", "secondary": keys["secondary"]}
    after = await local.get()
    assert after["properties"].pop("modifiedOn") > before["properties"].pop("modifiedOn")
    assert after["properties"].pop("realtimeConfiguration") == {"maxConcurrentCalls": 30}
    del before["properties"]["realtimeConfiguration"]
    assert after == before


async def test_a_new_key_is_what_the_execution_service_wants(local):
    await local.converged(await local.patch({"keys": {"primary": "highly secure key"}}))
    path = (await local.get())["properties"]["swaggerLocation"].removeprefix(f"{local.url}/")
    assert local.context.execution.find(path.removesuffix("/swagger.json")).accepts("highly secure key")


async def test_parameters_that_are_empty_after_a_patch_are_gone(local):
    await local.converged(await local.patch({"description": "kept"}))
    assert (await local.get())["properties"]["parameters"] == {}
    await local.converged(await local.patch({"parameters": {}}))
    assert "parameters" not in (await local.get())["properties"]


async def test_names_have_no_casing_and_nulls_are_absent(local):
    properties = {
        "PACKAGETYPE": "Graph",
        "Description": "by another name",
        "Diagnostics": {"Level": "all"},
        "title": None,
    }
    await local.converged(await local.send("PATCH", SERVICE, {"Properties": properties}))
    after = (await local.get())["properties"]
    assert (after["description"], after["diagnostics"], after["title"]) == (
        "by another name",
        {"level": "All"},
        "Breast Cancer",
    )


async def test_tags_are_written_with_a_patch(local):
    body = {"tags": {"reconciler": "v1"}, "properties": {"packageType": "Graph"}}
    reply = await local.send("PATCH", SERVICE, body)
    assert reply.body["tags"] == {"reconciler": "v1"}
    await local.converged(reply)
    assert (await local.get())["tags"] == {"reconciler": "v1"}


async def test_a_storage_key_is_rotated_without_a_name_if_it_is_one_of_the_account(local):
    before = await local.get()
    poll = await local.finished(await local.patch({"storageAccount": {"key": "bm90IHRoZSBrZXk="}}))
    assert (poll["status"], poll["error"]["code"]) == ("Failed", "InvalidStorageAccountKey")
    assert (await local.get())["properties"]["assets"] == before["properties"]["assets"]
    key = local.context.secrets.storage_key("contosostore")
    await local.converged(await local.patch({"storageAccount": {"key": key}}))
    uri = await local.upload("models/next.ilearner", local.another_model)
    await local.converged(await local.repoint(uri))


async def test_a_read_only_service_can_only_be_deleted(local):
    await local.converged(await local.patch({"readOnly": True}))
    assert (await local.patch({"readOnly": False})).code == "WebServiceIsReadOnly"
    await local.converged(await local.send("DELETE", SERVICE))


# -- another trained model ---------------------------------------------------------------------------------------------


async def test_a_repointed_service_shows_the_old_model_while_it_is_provisioned(start_arm, tmp_path):
    with start_arm(tmp_path / "state", timings={"provisioning": "30s"}) as local:
        before, uri = await local.model_uri(), await local.upload("models/next.ilearner", local.another_model)
        await local.repoint(uri)
        assert await local.model_uri() == before
        assert (await local.get())["properties"]["provisioningState"] == "Provisioning"


async def test_a_repointed_service_shows_and_serves_the_new_model_once_it_succeeded(local):
    uri = await local.upload("models/next.ilearner", local.another_model)
    await local.converged(await local.repoint(uri))
    assert await local.model_uri() == uri
    assert (await local.get())["properties"]["provisioningState"] == "Succeeded"
    assert local.served() == local.another_model


async def test_a_model_stays_in_service_though_its_blob_is_overwritten(local):
    uri = await local.upload("models/next.ilearner", local.another_model)
    await local.converged(await local.repoint(uri))
    await local.upload("models/next.ilearner", b"spoiled")
    await local.converged(await local.patch({"description": "the same uri is not fetched again"}))
    assert local.served() == local.another_model


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("contosostore/models/absent.ilearner", "BlobNotFound"),
        ("contosostore/models/text.ilearner", "IncompatibleModel"),
        ("contosostore/models/model.csv", "InvalidBlobExtension"),
        ("other/models/foreign.ilearner", "AssetNotAccessible"),
    ],
)
async def test_a_model_that_cannot_be_loaded_fails_the_operation_and_the_old_one_stays(local, place, code):
    before, serving = await local.get(), local.served()
    await local.upload("models/text.ilearner", b"not a model")
    await local.upload("models/model.csv", local.another_model)
    await local.upload("models/foreign.ilearner", local.another_model, account="other")
    poll = await local.finished(await local.repoint(f"{local.url}/{place}"))
    assert (poll["status"], poll["error"]["code"]) == ("Failed", code)
    assert "endTime" in poll
    after = await local.get()
    assert after["properties"]["provisioningState"] == "Failed"
    assert after["properties"]["assets"] == before["properties"]["assets"]
    assert local.served() == serving


async def test_a_failed_service_succeeds_with_the_next_good_write(local):
    await local.finished(await local.repoint(f"{local.url}/contosostore/models/absent.ilearner"))
    uri = await local.upload("models/next.ilearner", local.another_model)
    await local.converged(await local.repoint(uri))
    assert (await local.get())["properties"]["provisioningState"] == "Succeeded"


async def test_a_foreign_model_is_read_by_the_signature_in_its_uri(local):
    uri = await local.upload("models/foreign.ilearner", local.another_model, account="other")
    signature = local.context.storage.sign("other", "models", valid_for=timedelta(minutes=5))
    await local.converged(await local.repoint(uri + signature))
    assert local.served() == local.another_model
    expired = local.context.storage.sign("other", "models", valid_for=timedelta(minutes=-5))
    poll = await local.finished(await local.repoint(uri + expired))
    assert poll["status"] == "Failed"
    assert expired.rpartition("sig=")[2] not in poll["error"]["message"]


async def test_a_foreign_model_is_read_by_credentials_that_are_never_shown(local):
    uri = await local.upload("models/foreign.ilearner", local.another_model, account="other")
    secret = local.context.storage.connection_string("other", local.url)
    await local.converged(await local.repoint(uri, credentials=secret))
    assert local.served() == local.another_model
    assets = (await local.get())["properties"]["assets"]
    assert secret not in str(assets)
    # What was read can be written back, though it is an envelope.
    await local.converged(await local.patch({"assets": assets}))
    assert local.served() == local.another_model


# -- one write at a time, and restarts ---------------------------------------------------------------------------------


async def test_a_write_while_another_is_under_way_is_a_conflict(start_arm, tmp_path):
    with start_arm(tmp_path / "state", timings=SLOW) as local:
        await local.patch({"description": "first"})
        for reply in (await local.patch({"description": "second"}), await local.send("DELETE", SERVICE)):
            assert reply.code == "WebServiceProvisioning"


async def test_a_setting_lets_a_second_write_in(start_arm, tmp_path):
    with start_arm(tmp_path / "state", behaviour={"writeWhileProvisioning": "lastWins"}) as local:
        replies = [await local.patch({"description": text}) for text in ("first", "second")]
        assert [(await local.finished(reply))["status"] for reply in replies] == ["Succeeded", "Succeeded"]
        properties = (await local.get())["properties"]
        assert (properties["description"], properties["provisioningState"]) == ("second", "Succeeded")


@pytest.mark.parametrize(("setting", "left"), [("merge", {"asset1", "asset2", "asset3"}), ("replace", {"asset3"})])
async def test_a_setting_says_whether_a_patch_merges_into_the_assets(start_arm, tmp_path, setting, left):
    with start_arm(tmp_path / "state", behaviour={"patchAssets": setting}) as local:
        asset = {"asset3": (await local.get())["properties"]["assets"]["asset3"]}
        # Without a package that refers to them, the others may go.
        package = {"nodes": {}, "edges": []}
        await local.converged(await local.patch({"assets": asset, "package": package}))
        assert set((await local.get())["properties"]["assets"]) == left


async def test_a_merge_goes_down_to_the_uri_of_an_asset(local):
    before = (await local.get())["properties"]["assets"]["asset3"]
    uri = await local.upload("models/next.ilearner", local.another_model)
    await local.converged(await local.patch({"assets": {"asset3": {"LocationInfo": {"URI": uri}}}}))
    # The last write decides the casing too.
    expected = {**before, "LocationInfo": {"URI": uri}}
    del expected["locationInfo"]
    assert (await local.get())["properties"]["assets"]["asset3"] == expected
    assert local.served() == local.another_model


async def test_what_a_kill_left_unfinished_is_finished_after_the_restart(start_arm, tmp_path):
    state = tmp_path / "state"
    with start_arm(state, timings=SLOW) as local:
        uri = await local.upload("models/next.ilearner", local.another_model)
        reply = await local.repoint(uri)
        assert reply.status == 200
    with start_arm(state, timings=SLOW) as local:
        # The poll URL that the client holds is still good.
        poll = (await local.send("GET", reply.headers["Azure-AsyncOperation"])).body
        assert poll["status"] == "Provisioning"
        assert await local.model_uri() != uri
    with start_arm(state, timings=SLOW, late=timedelta(minutes=1)) as local:
        await local.converged(reply)
        assert await local.model_uri() == uri
        assert local.served() == local.another_model


async def test_state_outlives_a_restart(start_arm, tmp_path):
    state = tmp_path / "state"
    with start_arm(state) as local:
        await local.converged(await local.patch({"description": "changed"}))
        before = await local.get()
        await local.converged(await local.send("DELETE", f"{SERVICES}/Training"))
    with start_arm(state) as local:
        after = await local.get()
        assert after["properties"]["description"] == "changed"
        assert after["properties"]["assets"] == before["properties"]["assets"]
        # What a user deleted does not come back, and what was served is served.
        assert (await local.send("GET", f"{SERVICES}/Training")).status == 404
        assert local.served() is not None

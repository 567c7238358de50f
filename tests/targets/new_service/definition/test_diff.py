"""What counts as a difference between a definition file and a live definition, and how it is put right."""

from __future__ import annotations

import base64
import copy

import jsonpatch
import pytest

from reconciler.plan.steps import definition_changes
from reconciler.targets.new_service.definition import diff as normalisers
from reconciler.targets.new_service.definition.diff import definition_difference

ENVELOPE = base64.b64encode(
    bytes.fromhex("3082026406092a864886f70d010703a082025530820251") + bytes(range(200))
).decode()
MODEL = "Breast Cancer [trained model]"


def definition(**properties):
    return {
        "location": "South Central US",
        "properties": {
            "title": "Mine",
            "assets": {
                "asset1": {"name": "Score", "type": "Module", "locationInfo": {"uri": "aml://1", "credentials": ""}},
                "asset3": {"name": MODEL, "type": "Resource", "locationInfo": {"uri": "https://a/c/old.ilearner"}},
            },
            "package": {
                "nodes": {
                    "node1": {
                        "assetId": "asset1",
                        "parameters": {
                            "Query": {"value": "SELECT 1", "certificateThumbprint": ""},
                            "Account Key": {"value": {"$secret": {"env": "KEY"}}, "certificateThumbprint": "AB5C"},
                        },
                    }
                },
                "edges": [{"sourceNodeId": "node1", "targetNodeId": "node2"}],
            },
            **properties,
        },
    }  # fmt: skip


def shown(content):
    """The same as the service shows it: with what it sets itself, and its secrets encrypted."""
    live = copy.deepcopy(content)
    live["properties"] |= {
        "createdOn": "2026-11-24T00:00:00Z", "modifiedOn": "2026-11-24T00:00:01.5Z", "provisioningState": "Succeeded",
        "swaggerLocation": "https://x/swagger.json", "readOnly": False, "payloadsInBlobStorage": False,
        "storageAccount": {"name": "store"}, "keys": None, "commitmentPlan": None,
    }  # fmt: skip
    parameters = live["properties"]["package"]["nodes"]["node1"]["parameters"]
    parameters["Account Key"] = {"value": ENVELOPE, "certificateThumbprint": "FF00"}
    return live


def node(content):
    return content["properties"]["package"]["nodes"]["node1"]


def test_what_the_service_sets_itself_is_no_difference():
    assert definition_difference(definition(), shown(definition())).sentences == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda live: live["properties"].pop("package"),
        lambda live: live["properties"].update(extra={"a": 1}),
        lambda live: live["properties"].update(realtimeConfiguration={"maxConcurrentCalls": 20}),
    ],
)
def test_a_member_that_the_file_leaves_out_is_not_managed(change):
    file = definition()
    live = shown(file)
    del file["properties"]["package"]
    change(live)
    assert definition_difference(file, live).sentences == ()


@pytest.mark.parametrize(
    ("file", "live"),
    [
        ({"a": {"parameters": {}}}, {"a": {}}),
        ({"a": {"credentials": "x"}}, {"a": {"credentials": "y"}}),
        ({"a": {"uri": "https://x/y"}}, {"a": {"uri": "https://x/y?sig=1"}}),
        ({"a": {"GlobalParameters": None}}, {"a": {}}),
        ({"a": {"LocationInfo": {"Uri": "u"}}}, {"a": {"locationInfo": {"uri": "u"}}}),
        ({"p": {"value": "v"}}, {"p": {"value": "v", "certificateThumbprint": ""}}),
    ],
)
def test_what_only_looks_different_is_none(file, live):
    assert definition_difference({"properties": {"assets": file}}, {"properties": {"assets": live}}).changes == ()


def test_every_table_of_normalisers_is_in_the_case_that_names_are_compared_in():
    for table in (
        normalisers.SERVER_SET, normalisers.HANDED_OVER, normalisers.MANAGED_ELSEWHERE, normalisers.EMPTY_IS_ABSENT,
        normalisers.ENCRYPTED_ANEW, normalisers.PLACES, normalisers.DEFAULTS,
    ):  # fmt: skip
        assert all(name == name.casefold() for name in table)


def test_a_difference_is_told_in_words_and_its_patch_makes_it_go():
    file, live = definition(), shown(definition())
    live["properties"] = {
        {"assets": "Assets", "package": "Package"}.get(name, name): value for name, value in live["properties"].items()
    }
    live["properties"]["Package"]["nodes"]["node1"]["parameters"]["Query"]["value"] = "SELECT 2"
    live["properties"]["Assets"]["asset9"] = {"name": "Extra", "type": "Module"}
    file["properties"]["title"] = "Yours"

    found = definition_difference(file, live)

    assert any('from "SELECT 2" to "SELECT 1"' in sentence for sentence in found.sentences)
    assert any("asset9 is removed" in sentence for sentence in found.sentences)
    assert len(found.sentences) == 3
    operations = definition_changes(found)
    assert [operation.op for operation in operations] == ["test", "remove", "test", "replace", "test", "replace"]
    assert {operation.path for operation in operations} == {
        "/properties/Assets/asset9",
        "/properties/Package/nodes/node1/parameters/Query/value",
        "/properties/title",
    }
    patched = jsonpatch.apply_patch(live, [operation.model_dump(mode="json") for operation in operations])
    assert definition_difference(file, patched).changes == ()


def test_a_list_is_replaced_as_a_whole():
    file, live = definition(), shown(definition())
    live["properties"]["package"]["edges"] = []
    (operation,) = definition_difference(file, live).changes
    assert (operation.op, operation.path) == ("replace", "/properties/package/edges")


def test_what_is_not_compared_stays_in_an_object_of_a_list_that_is_put_right():
    file, live = definition(), shown(definition())
    edges = [{"sourceNodeId": "a", "targetNodeId": "b"}, {"sourceNodeId": "c", "targetNodeId": "d"}]
    file["properties"]["package"]["edges"] = copy.deepcopy(edges)
    live["properties"]["package"]["edges"] = copy.deepcopy(edges)
    live["properties"]["package"]["edges"][0]["sourcePortId"] = "by hand"
    live["properties"]["package"]["edges"][1]["targetNodeId"] = "x"
    ignore = ["/properties/package/edges/0/sourcePortId"]

    (change,) = definition_difference(file, live, ignore=ignore).changes

    assert (change.op, change.path) == ("replace", "/properties/package/edges/1/targetNodeId")


def test_a_pointer_with_escapes_ignores_what_it_names():
    name = "a/b~c"
    file, live = definition(), shown(definition())
    file["properties"]["parameters"], live["properties"]["parameters"] = {name: {"value": "1"}}, {name: {"value": "2"}}
    assert definition_difference(file, live, ignore=["/properties/parameters/a~1b~0c"]).changes == ()
    assert definition_difference(file, live, ignore=["/properties/parameters/a~1b~01c"]).changes != ()


def test_a_model_that_a_version_stands_for_is_not_the_files():
    file, live = definition(), shown(definition())
    live["properties"]["assets"]["asset3"]["locationInfo"] = {"uri": "https://a/c/new.ilearner", "credentials": "x"}
    assert definition_difference(file, live, models=[MODEL]).changes == ()
    assert len(definition_difference(file, live).changes) == 1


def test_what_is_ignored_or_managed_by_a_setting_is_not_compared():
    file, live = definition(title="a", description="b"), shown(definition(title="c", description="d"))
    found = definition_difference(file, live, settings=["title"], ignore=["/properties/Description"])
    assert found.changes == ()


def test_no_secret_is_in_what_is_told():
    file, live = definition(), shown(definition())
    del node(file)["parameters"]["Account Key"]
    found = definition_difference(file, live)
    assert [change.op for change in found.changes] == ["remove"]
    assert ENVELOPE not in str(found.changes)
    assert ENVELOPE[:60] not in str(found.sentences)


def test_credentials_of_an_asset_that_comes_or_goes_are_not_told():
    file, live = definition(), shown(definition())
    place = {"uri": "https://a/c/x", "credentials": "AccountName=a;AccountKey=plainly"}
    live["properties"]["assets"]["asset9"] = {"name": "Old", "type": "Resource", "locationInfo": place}
    found = definition_difference(file, live)
    assert len(found.sentences) == 1
    assert "plainly" not in str(found)

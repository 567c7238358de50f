"""Each setting of the New side: the other ways in which Azure Resource Manager may answer, one by one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

SERVICES = (
    "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/contoso-ml"
    "/providers/Microsoft.MachineLearning/webServices"
)
SERVICE = f"{SERVICES}/BreastCancer"
SLOW = {"provisioning": "0.3s"}


@pytest.fixture
def with_settings(start_arm: Any, tmp_path: Path) -> Any:
    """A Studio with some settings."""
    return lambda **behaviour: start_arm(tmp_path / "state", behaviour=behaviour)


async def test_a_definition_may_be_shown_in_the_pascal_case_of_a_blob(with_settings: Any) -> None:
    with with_settings(definitionCasing="pascal") as local:
        properties = (await local.get())["properties"]
        model = next(asset for asset in properties["assets"].values() if asset["Type"] == "Resource")
        assert model["LocationInfo"]["Uri"].endswith(".ilearner")
        assert {"SourceNodeId", "TargetNodeId"} <= properties["package"]["Edges"][0].keys()
        # The mixture is the recorded one: nodes and what lies at the top keep their camelCase.
        assert all("assetId" in node or "inputId" in node or "outputId" in node for node in nodes(properties))
        assert {"title", "provisioningState"} <= properties.keys()
        columns = next(iter(properties["input"]["Properties"].values()))["Properties"]
        assert all("Type" in column for column in columns.values())


def nodes(properties: Any) -> Any:
    return properties["package"]["Nodes"].values()


async def test_what_was_read_in_pascal_case_can_be_written_back(with_settings: Any) -> None:
    with with_settings(definitionCasing="pascal", patchAssets="replace", patchPackage="replace") as local:
        before = (await local.get())["properties"]
        written = {name: before[name] for name in ("assets", "input", "output", "package")}
        await local.converged(await local.patch(written))
        after = (await local.get())["properties"]
        assert {name: after[name] for name in written} == written
        assert local.served() is not None


async def test_what_is_not_shown_may_be_null(with_settings: Any) -> None:
    with with_settings(definitionNulls="null") as local:
        properties = (await local.get())["properties"]
        assert [properties[name] for name in ("keys", "commitmentPlan")] == [None, None]
        assert properties["storageAccount"]["key"] is None


@pytest.mark.parametrize(("way", "member"), [("error", "error"), ("errorInfo", "errorInfo"), ("bare", None)])
async def test_a_failed_operation_says_why_in_one_of_three_ways(
    with_settings: Any, way: str, member: str | None
) -> None:
    with with_settings(operationFailure=way) as local:
        poll = await local.finished(await local.repoint(f"{local.url}/contosostore/models/absent.ilearner"))
        assert poll["status"] == "Failed"
        assert [name for name in ("error", "errorInfo") if name in poll] == ([] if member is None else [member])
        assert member is None or poll[member]["code"] == "BlobNotFound"


@pytest.mark.parametrize(("way", "left"), [("replace", {"B": "2"}), ("merge", {"a": "1", "B": "2"})])
async def test_tags_are_replaced_or_merged(with_settings: Any, way: str, left: dict[str, str]) -> None:
    with with_settings(patchTags=way) as local:
        for tags in ({"a": "1", "b": "1"}, {"B": "2"}):
            body = {"tags": tags, "properties": {"packageType": "Graph"}}
            await local.converged(await local.send("PATCH", SERVICE, body))
        assert (await local.get())["tags"] == left


@pytest.mark.parametrize("way", ["merge", "replace"])
async def test_the_input_is_replaced_or_merged(with_settings: Any, way: str) -> None:
    with with_settings(patchPackage=way) as local:
        before = (await local.get())["properties"]["input"]
        change = {"title": "changed", "properties": before["properties"]}
        await local.converged(await local.patch({"input": change}))
        after = (await local.get())["properties"]["input"]
        assert after == ({**before, **change} if way == "merge" else change)


async def test_a_second_write_may_wait_for_the_first_and_build_on_it(start_arm: Any, tmp_path: Path) -> None:
    with start_arm(tmp_path / "state", timings=SLOW, behaviour={"writeWhileProvisioning": "queue"}) as local:
        replies = [
            await local.patch({"description": "first"}),
            await local.patch({"title": "second"}),
            await local.patch({"description": "third"}),
        ]
        await local.converged(replies[1])
        seen = (await local.get())["properties"]
        assert seen["title"] == "second"
        assert seen["description"] in {"first", "third"}  # The third may be through by the time of this look.
        await local.converged(replies[2])
        properties = (await local.get())["properties"]
        assert (properties["description"], properties["title"]) == ("third", "second")
        assert properties["provisioningState"] == "Succeeded"


async def test_what_waits_is_done_after_a_restart_as_well(start_arm: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"timings": {"provisioning": "60s"}, "behaviour": {"writeWhileProvisioning": "queue"}}
    with start_arm(tmp_path / "state", **settings) as local:
        replies = [await local.patch({"title": "first"}), await local.patch({"description": "second"})]
    with start_arm(tmp_path / "state", late=timedelta(minutes=5), **settings) as local:
        for reply in replies:
            await local.converged(reply)
        properties = (await local.get())["properties"]
        assert (properties["title"], properties["description"]) == ("first", "second")


async def test_the_last_of_two_writes_may_win(start_arm: Any, tmp_path: Path) -> None:
    # The second has to come while the first is under way, on a loaded machine too.
    timings = {"provisioning": "1s"}
    with start_arm(tmp_path / "state", timings=timings, behaviour={"writeWhileProvisioning": "lastWins"}) as local:
        for reply in [await local.patch({"title": "first"}), await local.patch({"description": "second"})]:
            await local.finished(reply)
        properties = (await local.get())["properties"]
        assert (properties["title"], properties["description"]) == ("Breast Cancer", "second")


@pytest.mark.parametrize(("way", "expected"), [(400, (400, "BadRequest")), (409, (409, "Conflict"))])
async def test_a_read_only_service_refuses_in_one_of_two_ways(with_settings: Any, way: int, expected: Any) -> None:
    with with_settings(readOnlyRefusal=way) as local:
        await local.converged(await local.patch({"readOnly": True}))
        reply = await local.patch({"description": "x"})
        assert (reply.status, reply.body["error"]["code"]) == expected
        assert reply.code == "WebServiceIsReadOnly"


@pytest.mark.parametrize(
    ("way", "sas", "credentials"), [("both", True, True), ("sas", True, False), ("credentials", False, True)]
)
async def test_a_foreign_model_needs_a_signature_or_credentials(
    with_settings: Any, way: str, sas: bool, credentials: bool
) -> None:
    with with_settings(foreignModel=way) as local:
        uri = await local.upload("models/foreign.ilearner", local.another_model, account="other")
        signature = local.context.storage.sign("other", "models", valid_for=timedelta(minutes=5))
        secret = local.context.storage.connection_string("other", local.url)
        by_sas = await local.finished(await local.repoint(uri + signature))
        by_credentials = await local.finished(await local.repoint(f"{uri}", credentials=secret))
        statuses = ("Failed", "Succeeded")
        assert (by_sas["status"], by_credentials["status"]) == (statuses[sas], statuses[credentials])

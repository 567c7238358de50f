"""Services with several trained models, and the management hosts of regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.support.emulator_client import DEFAULT_STUDIO, PREDICTIVE, WORKSPACE

PAIR = "Two Opinions [predictive exp.]"
FIRST, SECOND = "First Opinion [trained model]", "Second Opinion [trained model]"


def _with_two_opinions() -> dict[str, Any]:
    """Sections of the default Studio with one more experiment and service, of two models on different data."""
    content = yaml.safe_load(DEFAULT_STUDIO.read_text("utf-8"))
    models = [
        {
            "trainedModel": name,
            "output": output,
            "initialModel": {
                "trainedBy": "Breast Cancer [training exp.]",
                "dataset": dataset,
                "blob": {"account": "contosostore", "container": "models", "blob": f"initial/{output}.ilearner"},
            },
        }
        for name, output, dataset in (
            (FIRST, "first", "breast-cancer-2026-09"),
            (SECOND, "second", "breast-cancer-2026-10"),
        )
    ]
    content["experiments"].append({"name": PAIR, "kind": "predictive", "models": models})
    content["workspaces"][0]["services"].append({"name": PAIR, "experiment": PAIR, "endpoints": [{"name": "pair"}]})
    group = content["subscriptions"][0]["resourceGroups"][0]
    group["webServices"].append({"name": "TwoOpinions", "experiment": PAIR})
    return {name: content[name] for name in ("experiments", "workspaces", "subscriptions")}


@pytest.fixture
def start_pair(start_studio: Callable[..., Any], connect: Callable[[Any], Any]) -> Callable[..., Any]:
    """Starts a Studio with the service and gives a client of it."""

    def start(**behaviour: Any) -> Any:
        return connect(start_studio(timings={"patchTakesEffect": "0s"}, behaviour=behaviour, **_with_two_opinions()))

    return start


async def _scores(client: Any) -> dict[str, Any]:
    endpoint = await client.endpoint(PAIR, "pair")
    swagger = (await client.call(endpoint, "GET", "/swagger.json")).body
    body = swagger["definitions"]["ExecutionRequest"]["example"]
    reply = await client.call(endpoint, "POST", "/execute", body, format="swagger")
    assert reply.status == 200, reply.body
    results: dict[str, Any] = reply.body["Results"]
    return results


async def _patch(client: Any, resource: str, blob: str) -> None:
    path = f"/{await client.service_id(PAIR)}/endpoints/pair"
    body = {"Resources": [{"Name": resource, "Location": client.signed(blob)}]}
    assert (await client.manage("PATCH", path, body)).status == 200


async def test_a_service_names_each_of_its_trained_models_as_a_resource(start_pair: Callable[..., Any]) -> None:
    """Each has an output of its own, in scoring, in the API document, and in a New definition."""
    client = start_pair()
    endpoint = await client.endpoint(PAIR, "pair")
    scores = await _scores(client)
    swagger = (await client.call(endpoint, "GET", "/swagger.json")).body

    assert [FIRST, SECOND] == [resource["Name"] for resource in endpoint["Resources"]]
    assert {"first", "second"} == scores.keys() == swagger["definitions"]["ExecutionOutputs"]["properties"].keys()
    assert scores["first"] != scores["second"]
    (document,) = [
        found for found in client.context.documents.collection("webServices").values() if found["name"] == "TwoOpinions"
    ]
    assert {FIRST, SECOND} == {model["name"] for model in document["models"].values()}
    assert {"first", "second"} == document["properties"]["output"]["properties"].keys()


@pytest.mark.parametrize("rule", ["merged", "replaced"])
async def test_a_patch_of_one_resource_leaves_the_other_or_takes_it_back(
    start_pair: Callable[..., Any], rule: str
) -> None:
    client = start_pair(patchedResources=rule)
    before = await _scores(client)
    await _patch(client, FIRST, "initial/second.ilearner")
    changed = await _scores(client)
    assert changed["first"] == before["second"] == changed["second"]

    await _patch(client, SECOND, "initial/first.ilearner")
    both = await _scores(client)
    assert both["second"] == before["first"]
    assert both["first"] == (before["second"] if rule == "merged" else before["first"])


async def test_a_host_of_another_region_does_not_know_the_workspace(client: Any) -> None:
    path = f"/workspaces/{WORKSPACE}/webservices"
    there = await client.send("GET", f"/regions/southcentralus{path}", token=client.token)
    elsewhere = await client.send("GET", f"/regions/westeurope{path}", token=client.token)

    assert PREDICTIVE in [service["Name"] for service in there.body]
    assert (404, "WorkspaceNotFound") == (elsewhere.status, elsewhere.code)

"""Payloads in blobs: handed over by a client, or too large to be shown (new-protocol 1)."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest

SUBSCRIPTION = "6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
SERVICES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso-ml/providers/Microsoft.MachineLearning/webServices"
MINE = f"{SERVICES}/Mine"
PAYLOAD = ("assets", "input", "output", "exampleRequest", "parameters", "package")
SMALL_LIMIT = {"inlinePayloadBytes": 500}


def blob_of(**members):
    """A payload as a typed client serialises it: nulls and its own casing included."""
    node = {
        "assetId": "asset1",
        "parameters": {"Account Key": {"value": "the account's key", "certificateThumbprint": "AB5C39DB6124"}},
    }
    return {
        "Assets": {"asset1": {"Name": "Import Data", "Type": "Module", "LocationInfo": {"Uri": "aml://module/1.2"}}},
        "Package": {"Nodes": {"node1": node}, "Edges": [{"SourceNodeId": "node1"}], "GraphParameters": {}},
        "ExampleRequest": {"Inputs": {"input1": [["1", None]]}, "GlobalParameters": None},
        **members,
    }


async def by_blob(local, content, **more):
    """The body of a PUT whose payload lies in a blob."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    uri = await local.upload("datasets/payload.json", text)
    body = local.definition(PayloadsInBlobStorage=True, payloadsLocation={"Uri": uri, "Credentials": "", **more})
    for name in PAYLOAD:
        body["properties"].pop(name, None)
    return body


async def payload_at(local, properties):
    """What the location in a definition leads to."""
    location = properties["payloadsLocation"]
    assert list(location) == ["uri", "credentials"]
    reply = await local.client.send("GET", location["uri"])
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


# -- handed over -------------------------------------------------------------------------------------------------------


async def test_a_small_payload_by_blob_comes_back_inline_in_the_casing_of_the_blob(local):
    await local.converged(await local.send("PUT", MINE, await by_blob(local, blob_of())))
    properties = (await local.get(MINE))["properties"]
    assert properties["payloadsInBlobStorage"] is False
    assert "payloadsLocation" not in properties
    assert properties["assets"] == blob_of()["Assets"]
    # The one null that was ever seen on a GET came from a blob.
    assert properties["exampleRequest"] == blob_of()["ExampleRequest"]
    key = properties["package"]["Nodes"]["node1"]["parameters"].pop("Account Key")
    assert key["value"].startswith("MIICZAYJKoZIhvcNAQcDoIICVT")
    assert properties["package"]["Edges"] == [{"SourceNodeId": "node1"}]


async def test_a_payload_is_read_by_the_signature_in_its_uri(local):
    body = await by_blob(local, blob_of())
    token = local.context.storage.sign("contosostore", "datasets", valid_for=timedelta(minutes=5))
    body["properties"]["payloadsLocation"]["Uri"] += token
    body["properties"]["storageAccount"] = {
        "name": "other",
        "key": local.context.secrets.storage_key("other"),
    }
    await local.converged(await local.send("PUT", MINE, body))
    assert (await local.get(MINE))["properties"]["assets"] == blob_of()["Assets"]


async def test_a_payload_by_blob_has_models_that_score(local):
    uri = await local.upload("models/mine.ilearner", local.another_model)
    asset = {"Name": "Breast Cancer [trained model]", "Type": "Resource", "LocationInfo": {"Uri": uri}}
    body = await by_blob(local, blob_of(Assets={"asset1": asset}))
    await local.converged(await local.send("PUT", MINE, body))
    assert local.served("Mine") == local.another_model


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff not JSON", "InvalidPayload"),
        (b"[]", "InvalidPayload"),
        ({"title": "no payload"}, "InvalidPayload"),
        ({"assets": []}, "InvalidProperty"),
        ({"package": {"nodes": {"node1": {"assetId": "asset9"}}}}, "InvalidGraph"),
    ],
)
async def test_a_payload_that_cannot_be_used_fails_the_operation(local, content, code):
    poll = await local.finished(await local.send("PUT", MINE, await by_blob(local, content)))
    assert (poll["status"], poll["error"]["code"]) == ("Failed", code)


async def test_a_payload_that_is_not_there_fails_the_operation(local):
    body = await by_blob(local, blob_of())
    body["properties"]["payloadsLocation"]["Uri"] += ".absent"
    assert (await local.finished(await local.send("PUT", MINE, body)))["error"]["code"] == "BlobNotFound"


async def test_a_payload_by_blob_needs_a_location(local):
    body = local.definition(payloadsInBlobStorage=True)
    assert (await local.send("PUT", MINE, body)).code == "PayloadsLocationRequired"


async def test_a_request_over_four_megabytes_is_too_large(local):
    body = local.definition(exampleRequest={"inputs": {"input1": [["x" * (4 << 20)]]}})
    headers = {"Authorization": f"Bearer {local.token}"}
    url, content = f"{local.url}{MINE}?api-version=2017-01-01", io.BytesIO(json.dumps(body).encode())
    async with local.client.session.put(url, data=content, headers=headers) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (413, "RequestContentTooLarge")


# -- given out ---------------------------------------------------------------------------------------------------------


async def test_a_payload_over_three_megabytes_is_left_out_and_lies_in_a_blob(local):
    rows = [["x" * 1000] for _ in range(3200)]
    content = blob_of(ExampleRequest={"Inputs": {"input1": rows}})
    await local.converged(await local.send("PUT", MINE, await by_blob(local, content)))
    properties = (await local.get(MINE))["properties"]
    assert properties["payloadsInBlobStorage"] is True
    assert not set(PAYLOAD) & set(properties)
    assert (properties["title"], properties["packageType"]) == ("Mine", "Graph")
    assert "/contosostore/" in properties["payloadsLocation"]["uri"]
    payload = await payload_at(local, properties)
    assert payload["exampleRequest"] == content["ExampleRequest"]
    # No secret is in the blob either.
    assert "the account's key" not in json.dumps(payload)
    (item,) = [item for item in (await local.get(SERVICES))["value"] if item["name"] == "Mine"]
    assert item["properties"]["payloadsInBlobStorage"] is True


async def test_a_large_service_takes_another_model_by_its_own_payload(start_arm, tmp_path):
    with start_arm(tmp_path / "state", limits=SMALL_LIMIT) as local:
        await local.converged(await local.patch({"description": "now it is too large"}))
        uri = await local.upload("models/next.ilearner", local.another_model)
        properties = (await local.get())["properties"]
        payload = await payload_at(local, properties)
        (key,) = [key for key, asset in payload["assets"].items() if asset["type"] == "Resource"]
        payload["assets"][key]["locationInfo"]["uri"] = uri
        written = await local.upload("datasets/changed.json", json.dumps(payload).encode())
        location = {"uri": written, "credentials": ""}
        await local.converged(await local.patch({"payloadsInBlobStorage": True, "payloadsLocation": location}))
        assert local.served() == local.another_model
        after = await payload_at(local, (await local.get())["properties"])
        # Parameters that are empty after a PATCH that named them are gone.
        assert after == {name: value for name, value in payload.items() if name != "parameters"}
        # The blob of the write before is as it was: a reader that has its uri is not surprised.
        assert (await payload_at(local, properties))["assets"][key]["locationInfo"]["uri"] != uri


async def test_a_large_service_that_was_only_patched_still_scores(start_arm, tmp_path):
    with start_arm(tmp_path / "state", limits=SMALL_LIMIT) as local:
        await local.converged(await local.patch({"description": "now it is too large"}))
        assert (await local.get())["properties"]["payloadsInBlobStorage"] is True
        service = await local.client.new_service()
        swagger = await local.client.call(service, "GET", "/swagger.json")
        rows = swagger.body["definitions"]["ExecutionRequest"]["example"]["Inputs"]
        body = {"Inputs": rows, "GlobalParameters": {}}
        scored = await local.client.call(service, "POST", "/execute", body, format="swagger")
        assert scored.status == 200, scored.body


async def test_secrets_in_a_payload_that_was_given_out_can_be_written_back(start_arm, tmp_path):
    with start_arm(tmp_path / "state", limits=SMALL_LIMIT) as local:
        await local.converged(await local.send("PUT", MINE, local.definition(description="x" * 500)))
        location = (await local.get(MINE))["properties"]["payloadsLocation"]
        await local.converged(await local.patch({"payloadsInBlobStorage": True, "payloadsLocation": location}, MINE))
        documents = local.context.documents.collection("webServices").values()
        (document,) = [one for one in documents if one["name"] == "Mine"]
        assert list(document["contents"].values()) == ["the account's key"]


async def test_a_large_service_has_a_blob_for_each_region(start_arm, tmp_path):
    with start_arm(tmp_path / "state", limits=SMALL_LIMIT) as local:
        await local.converged(await local.send("PUT", MINE, local.definition()))
        await local.converged(await local.send("POST", f"{MINE}/CreateRegionalBlob", region="westeurope"))
        for _ in range(2):  # Prepared once, it stays so through the writes that follow.
            own, there = [
                (await payload_at(local, (await local.get(MINE, **query))["properties"]))["package"]["nodes"]["node1"]
                for query in ({}, {"region": "westeurope"})
            ]
            assert own["assetId"] == there["assetId"]
            assert own["parameters"]["Account Name"] == there["parameters"]["Account Name"]
            assert own["parameters"]["Account Key"] != there["parameters"]["Account Key"]
            await local.converged(await local.patch({"description": "changed"}, MINE))

"""Scoring rows over HTTP, and the API documents (classic-protocol 2, new-protocol 4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

MODEL = "Breast Cancer [trained model]"
TRAINING = "Breast Cancer [training exp.]"


async def example_rows(client: Any, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    swagger = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
    rows: list[dict[str, Any]] = swagger["definitions"]["ExecutionRequest"]["example"]["Inputs"]["input1"]
    return rows


def as_objects(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Inputs": {"input1": rows}, "GlobalParameters": {}}


def as_table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns = list(rows[0])
    values = [[row[name] for name in columns] for row in rows]
    return {"Inputs": {"input1": {"ColumnNames": columns, "Values": values}}, "GlobalParameters": {}}


async def test_both_body_forms_give_the_same_answers(client: Any) -> None:
    endpoint = await client.endpoint()
    rows = await example_rows(client, endpoint)
    objects = await client.call(endpoint, "POST", "/execute", as_objects(rows), format="swagger")
    table = await client.call(endpoint, "POST", "/execute", as_table(rows))
    assert (objects.status, table.status) == (200, 200)
    output = table.body["Results"]["output1"]
    assert output["type"] == "DataTable"
    assert "ColumnTypes" not in output["value"]
    names = output["value"]["ColumnNames"]
    assert objects.body["Results"]["output1"] == [
        dict(zip(names, row, strict=True)) for row in output["value"]["Values"]
    ]
    assert {row["Scored Labels"] for row in objects.body["Results"]["output1"]} <= {"benign", "malignant"}


async def test_details_add_the_types_of_the_columns(client: Any) -> None:
    endpoint = await client.endpoint()
    rows = await example_rows(client, endpoint)
    value = (await client.call(endpoint, "POST", "/execute", as_table(rows), details="true")).body["Results"][
        "output1"
    ]["value"]
    assert len(value["ColumnTypes"]) == len(value["ColumnNames"])


async def test_a_new_service_scores_like_a_classic_endpoint(client: Any) -> None:
    endpoint, service = await client.endpoint(), await client.new_service()
    rows = as_objects(await example_rows(client, service))
    classic = await client.call(endpoint, "POST", "/execute", rows, format="swagger")
    new = await client.call(service, "POST", "/execute", rows, format="swagger")
    assert classic.status == new.status == 200
    assert classic.body == new.body


async def test_the_secondary_key_does_as_well_and_the_workspace_token_does_not(client: Any) -> None:
    endpoint = await client.endpoint()
    rows = as_objects(await example_rows(client, endpoint))
    secondary = {**endpoint, "PrimaryKey": endpoint["SecondaryKey"]}
    assert (await client.call(secondary, "POST", "/execute", rows, format="swagger")).status == 200
    refused = await client.call({**endpoint, "PrimaryKey": client.token}, "POST", "/execute", rows)
    assert (refused.status, refused.body["error"]["code"]) == (401, "Unauthorized")
    assert refused.code == "ScoreRequestUnauthorized"


async def test_the_label_may_be_among_the_columns(client: Any) -> None:
    endpoint = await client.endpoint()
    rows = [{**row, "diagnosis": "benign"} for row in await example_rows(client, endpoint)]
    assert (await client.call(endpoint, "POST", "/execute", as_objects(rows), format="swagger")).status == 200


@pytest.mark.parametrize(
    ("spoil", "status", "general", "code"),
    [
        (lambda _: None, 400, "BadArgument", "RequestIsEmpty"),
        (lambda _: "{", 400, "BadArgument", "RequestBodyInvalid"),
        (lambda _: {}, 400, "BadArgument", "MissingRequestInput"),
        (lambda _: {"Inputs": {"Input1": []}}, 400, "BadArgument", "InvalidInputNames"),
        (
            lambda _: {"Inputs": {"input1": {"ColumnNames": [], "Values": []}}},
            400,
            "BadArgument",
            "RequestBodyInvalid",
        ),
        (lambda body: {**body, "GlobalParameters": {"x": "1"}}, 400, "BadArgument", "UnexpectedParameter"),
        (lambda body: _first(body, "mean radius", "wide"), 400, "BadUserArgument", "InputParseError"),
        (lambda body: _first(body, "mean radius", [1]), 400, "BadUserArgument", "InputParseError"),
        (lambda body: _first(body, "mean radios", 1), 400, "BadUserArgument", "InputMismatchError"),
        (lambda body: _without(body, "mean radius"), 400, "BadUserArgument", "InputMismatchError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_body_is_refused_with_its_code(
    client: Any, spoil: Any, status: int, general: str, code: str
) -> None:
    endpoint = await client.endpoint()
    body = as_objects(await example_rows(client, endpoint))
    reply = await client.call(endpoint, "POST", "/execute", spoil(body), format="swagger")
    assert (reply.status, reply.body["error"]["code"], reply.code) == (status, general, code)


def _first(body: dict[str, Any], column: str, value: Any) -> dict[str, Any]:
    body["Inputs"]["input1"][0][column] = value
    return body


def _without(body: dict[str, Any], column: str) -> dict[str, Any]:
    for row in body["Inputs"]["input1"]:
        del row[column]
    return body


async def test_another_api_version_is_refused(client: Any) -> None:
    endpoint = await client.endpoint()
    reply = await client.call(endpoint, "POST", "/execute", {}, **{"api-version": "1.0"})
    assert (reply.status, reply.code) == (400, "BadVersionCall")


async def test_a_training_service_does_not_score(client: Any) -> None:
    endpoint = await client.endpoint(TRAINING, "default")
    reply = await client.call(endpoint, "POST", "/execute", {"Inputs": {}}, format="swagger")
    assert (reply.status, reply.code) == (400, "WebServiceTypeInvalid")


async def test_more_calls_at_one_time_than_the_endpoint_allows_are_answered_503(client: Any) -> None:
    endpoint = await client.endpoint()
    body = as_objects(await example_rows(client, endpoint) * 200)
    calls = [client.call(endpoint, "POST", "/execute", body, format="swagger") for _ in range(12)]
    replies = await asyncio.gather(*calls)
    statuses = [reply.status for reply in replies]
    assert set(statuses) == {200, 503}
    busy = next(reply for reply in replies if reply.status == 503)
    assert (busy.body["error"]["code"], busy.code) == ("ServiceUnavailable", "TooManyConcurrentRequests")
    assert (await client.call(endpoint, "POST", "/execute", body, format="swagger")).status == 200


async def test_an_unknown_service_is_not_found(client: Any) -> None:
    endpoint = await client.endpoint()
    elsewhere = {**endpoint, "ApiLocation": endpoint["ApiLocation"][:-1] + "z"}
    reply = await client.call(elsewhere, "POST", "/execute", {})
    assert (reply.status, reply.code) == (404, "WebServiceNotFound")


async def test_a_scoring_services_document_names_columns_and_jobs_and_needs_no_key(client: Any) -> None:
    endpoint = await client.endpoint()
    swagger = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
    assert {"/execute", "/jobs", "/jobs/{jobId}", "/jobs/{jobId}/start"} < swagger["paths"].keys()
    definitions = swagger["definitions"]
    columns = definitions["ExecutionInputsItem"]["properties"]
    assert columns["mean radius"] == {"type": "number", "format": "double"}
    assert "diagnosis" not in definitions["ExecutionInputsItem"]["required"]
    assert "Scored Labels" in definitions["ExecutionOutputsItem"]["properties"]
    assert swagger["info"]["x-endpoint-name"] == "clinica"
    assert client.url + swagger["basePath"] == endpoint["ApiLocation"]


async def test_a_training_services_document_names_what_a_job_may_use(client: Any) -> None:
    by_input = await client.endpoint(TRAINING, "default")
    by_url = await client.endpoint("Diabetes by URL [training exp.]", "default")
    documents = [
        (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body for endpoint in (by_input, by_url)
    ]
    assert all("/execute" not in document["paths"] for document in documents)
    requests = [document["definitions"]["BatchExecutionRequest"]["properties"] for document in documents]
    assert [list(request["Outputs"]["properties"]) for request in requests] == [["output1", "output2"]] * 2
    assert list(requests[0]["Inputs"]["properties"]) == ["input1"]
    assert "Inputs" not in requests[1]
    assert requests[1]["GlobalParameters"]["required"] == ["URI"]
    assert "diagnosis" in documents[0]["definitions"]["ExecutionInputsItem"]["properties"]

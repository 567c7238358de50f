"""Refresh, republish, API documents, and what the Classic management API refuses (classic-protocol 1.3, 1.8, 1.10)."""

from __future__ import annotations

from typing import Any

import pytest

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
MODEL = "Breast Cancer [trained model]"


async def path_of(client: Any, endpoint: str = "clinica", service: str = PREDICTIVE) -> str:
    return f"/{await client.service_id(service)}/endpoints/{endpoint}"


async def refresh(client: Any, body: Any, endpoint: str = "clinica") -> Any:
    return await client.manage("POST", f"{await path_of(client, endpoint)}/refresh", body)


async def republish(client: Any) -> None:
    reply = await client.send("POST", f"/_studio/republish/{WORKSPACE}/{await client.service_id(PREDICTIVE)}")
    assert reply.status == 200


def bound(client: Any, endpoint: dict[str, Any]) -> Any:
    path = endpoint["ApiLocation"].removeprefix(f"{client.url}/")
    return client.context.execution.latest_model(path, MODEL)


async def patched(client: Any) -> dict[str, Any]:
    """The endpoint after a model of somebody's own was patched in."""
    resource = {"Name": MODEL, "Location": client.signed("initial/breast-cancer.ilearner")}
    assert (await client.manage("PATCH", await path_of(client), {"Resources": [resource]})).status == 200
    endpoint: dict[str, Any] = await client.endpoint()
    return endpoint


@pytest.mark.parametrize("overwrite", ["True", "true", True])
async def test_a_refresh_with_overwrite_undoes_a_patch_once(client: Any, overwrite: Any) -> None:
    endpoint = await client.endpoint()
    before = bound(client, endpoint)
    await patched(client)
    assert bound(client, endpoint) != before
    assert (await refresh(client, {"OverwriteResources": overwrite})).status == 200
    assert bound(client, endpoint) == before
    again = await refresh(client, {"OverwriteResources": overwrite})
    assert (again.status, again.body) == (304, None)


@pytest.mark.parametrize("body", [{"OverwriteResources": "False"}, {"OverwriteResources": False}, {}, None])
async def test_without_overwrite_the_trained_model_stays(client: Any, body: Any) -> None:
    endpoint = await patched(client)
    model = bound(client, endpoint)
    assert (await refresh(client, body)).status == 304
    await republish(client)
    assert (await refresh(client, body)).status == 200
    assert bound(client, endpoint) == model
    assert (await refresh(client, body)).status == 304


async def test_a_republish_moves_the_version_of_default_and_of_what_is_refreshed(
    start_studio: Any, connect: Any
) -> None:
    client = connect(start_studio(behaviour={"modelVersion": "fixed"}))

    async def versions() -> list[str]:
        return [(await client.endpoint(PREDICTIVE, name))["Version"] for name in ("default", "clinica")]

    first = await versions()
    await republish(client)
    default, clinica = await versions()
    assert default > first[0]
    assert clinica == first[1]
    await refresh(client, {})
    assert await versions() == [default, default]


@pytest.mark.parametrize("value", ["yes", 1, [], "both"])
async def test_what_is_neither_true_nor_false_is_refused(client: Any, value: Any) -> None:
    reply = await refresh(client, {"OverwriteResources": value})
    assert (reply.status, reply.code) == (400, "BadArgument")


@pytest.mark.parametrize(("way", "taken", "refused"), [("string", "True", True), ("boolean", True, "True")])
async def test_one_form_alone_may_be_taken(start_studio: Any, connect: Any, way: str, taken: Any, refused: Any) -> None:
    client = connect(start_studio(behaviour={"overwriteResources": way}))
    assert (await refresh(client, {"OverwriteResources": refused})).status == 400
    assert (await refresh(client, {"OverwriteResources": taken})).status == 304


async def test_default_and_what_does_not_exist_cannot_be_refreshed(client: Any) -> None:
    assert (await refresh(client, {}, "default")).code == "InvalidOperation"
    assert (await refresh(client, {}, "none")).status == 404
    path = f"{await path_of(client)}/refresh"
    assert (await client.manage("POST", path, {}, token="wrong")).status == 401


async def test_an_api_document_is_given_to_anyone_by_name_by_guid_and_by_help_location(client: Any) -> None:
    endpoint = await client.endpoint()
    guid = endpoint["ApiLocation"].rpartition("/")[2]
    dashed = f"{guid[:8]}-{guid[8:12]}-{guid[12:16]}-{guid[16:20]}-{guid[20:]}"
    swagger = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
    base = f"/workspaces/{WORKSPACE}/webservices"
    paths = [f"{base}{await path_of(client, name)}/apidocument" for name in ("clinica", guid, dashed)]
    for path in (*paths, endpoint["HelpLocation"] + "/apidocument"):
        reply = await client.send("GET", path)
        assert (reply.status, reply.body) == (200, swagger)
    for path in (f"{base}{await path_of(client, 'none')}/apidocument", f"{base}/{'0' * 32}/endpoints/x/apidocument"):
        assert (await client.send("GET", path)).status == 404


async def test_lists_may_be_asked_for_with_a_slash_at_the_end(client: Any) -> None:
    for path in ("", (await path_of(client)).rpartition("/")[0]):
        assert (await client.manage("GET", f"{path}/")).body == (await client.manage("GET", path)).body


async def test_a_service_has_no_more_endpoints_than_the_limit_which_is_named(start_studio: Any, connect: Any) -> None:
    client = connect(start_studio(limits={"endpointsPerService": 3}))
    assert (await client.manage("PUT", await path_of(client, "third"), {})).status == 201
    reply = await client.manage("PUT", await path_of(client, "fourth"), {})
    assert (reply.status, reply.code) == (400, "InvalidOperation")
    assert "at most 3 endpoints" in reply.body["error"]["message"]
    assert (await client.manage("PUT", await path_of(client, "third"), {})).status == 200

"""The Classic management API over HTTP (classic-protocol 1)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
MODEL = "Breast Cancer [trained model]"
MEMBERS = {
    "Name",
    "Description",
    "CreationTime",
    "WorkspaceId",
    "WebServiceId",
    "HelpLocation",
    "PrimaryKey",
    "SecondaryKey",
    "ApiLocation",
    "PreventUpdate",
    "MaxConcurrentCalls",
    "DiagnosticsTraceLevel",
    "ThrottleLevel",
}


async def endpoints_of(client: Any, service: str = PREDICTIVE) -> str:
    return f"/{await client.service_id(service)}/endpoints"


async def other_model(client: Any, rows: str = "2026-11") -> bytes:
    """A model trained on more rows than the initial one."""
    endpoint = await client.endpoint(TRAINING, "default")
    status = await client.run_job(
        endpoint,
        {
            "Inputs": {"input1": client.stored(f"datasets/breast-cancer-{rows}.csv")},
            "Outputs": {"output1": client.stored(f"models/{rows}/model.ilearner")},
        },
    )
    assert status["StatusCode"] == "Finished", status
    model: bytes = await client.download(f"models/{rows}/model.ilearner")
    return model


def resources(location: Any, name: str = MODEL) -> dict[str, Any]:
    return {"Resources": [{"Name": name, "Location": location}]}


async def scores(client: Any, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    swagger = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
    rows = swagger["definitions"]["ExecutionRequest"]["example"]["Inputs"]["input1"]
    body = {"Inputs": {"input1": rows}}
    reply = await client.call(endpoint, "POST", "/execute", body, format="swagger")
    assert reply.status == 200, reply.body
    answers: list[dict[str, Any]] = reply.body["Results"]["output1"]
    return [{name: value for name, value in row.items() if name.startswith("Scored")} for row in answers]


class TestReading:
    async def test_services_are_listed_with_their_fields(self, client: Any) -> None:
        services = (await client.manage("GET")).body
        assert [service["Name"] for service in services] == [
            TRAINING,
            PREDICTIVE,
            "Diabetes [training exp.]",
            "Diabetes [predictive exp.]",
            "Diabetes by URL [training exp.]",
        ]
        one = (await client.manage("GET", f"/{services[1]['Id']}")).body
        assert one == services[1]
        assert (one["WorkspaceId"], one["DefaultEndpointName"], one["EndpointCount"]) == (WORKSPACE, "default", 2)
        datetime.fromisoformat(one["CreationTime"])

    async def test_an_empty_list_is_a_204_without_body(self, client: Any) -> None:
        for service in (await client.manage("GET")).body:
            assert (await client.manage("DELETE", f"/{service['Id']}")).status == 204
        reply = await client.manage("GET")
        assert (reply.status, reply.body) == (204, None)

    async def test_a_listing_has_the_members_of_the_captured_one_and_no_resources(self, client: Any) -> None:
        endpoints = (await client.manage("GET", await endpoints_of(client))).body
        assert [endpoint["Name"] for endpoint in endpoints] == ["default", "clinica"]
        assert all(endpoint.keys() == MEMBERS for endpoint in endpoints)

    async def test_a_single_endpoint_names_its_resources_without_location(self, client: Any) -> None:
        endpoint = await client.endpoint()
        assert endpoint["Resources"] == [{"Name": MODEL, "Kind": "TrainedModel"}]
        assert "Resources" not in await client.endpoint(TRAINING, "default")

    async def test_resources_and_locations_are_shown_if_the_studio_file_says_so(
        self, start_studio: Any, connect: Any
    ) -> None:
        client = connect(start_studio(behaviour={"showResourcesInList": True, "boundLocation": "shown"}))
        endpoint = await client.endpoint()
        location = client.signed("initial/breast-cancer.ilearner")
        path = await endpoints_of(client)
        assert (await client.manage("PATCH", f"{path}/clinica", resources(location))).status == 200
        (shown,) = [e["Resources"][0] for e in (await client.manage("GET", path)).body if e["Name"] == "clinica"]
        assert shown["Location"] == {name: location[name] for name in ("BaseLocation", "RelativeLocation")}
        assert endpoint["Resources"][0]["Name"] == MODEL

    async def test_addresses_follow_the_host_by_which_the_server_was_reached(self, client: Any) -> None:
        port = client.url.rpartition(":")[2]
        path = f"/workspaces/{WORKSPACE}/webservices{await endpoints_of(client)}/clinica"
        endpoint = (await client.send("GET", f"http://localhost:{port}{path}", token=client.token)).body
        assert endpoint["ApiLocation"].startswith(f"http://localhost:{port}/workspaces/{WORKSPACE}/services/")
        assert endpoint["HelpLocation"].startswith(f"http://localhost:{port}/")

    async def test_every_reply_has_a_request_id(self, client: Any) -> None:
        replies = [await client.manage("GET"), await client.manage("GET", "/none"), await client.send("GET", "/x")]
        assert len({reply.headers["x-ms-request-id"] for reply in replies}) == 3

    async def test_what_does_not_exist_is_not_found(self, client: Any) -> None:
        unknown = "0" * 32
        service = await client.service_id(PREDICTIVE)
        paths = {
            f"/workspaces/{unknown}/webservices": (404, "WorkspaceNotFound"),
            "/workspaces/contoso/webservices": (400, "InvalidWorkspaceId"),
            f"/workspaces/{WORKSPACE}/webservices/{unknown}": (404, "WebServiceNotFound"),
            f"/workspaces/{WORKSPACE}/webservices/{service}/endpoints/none": (404, "NotFound"),
        }
        for path, expected in paths.items():
            reply = await client.send("GET", path, token=client.token)
            assert (reply.status, reply.code) == expected
            assert reply.body["error"].keys() == {"code", "message"}

    async def test_an_absent_endpoint_can_be_a_204(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(behaviour={"absentEndpoint": 204, "deleteAbsentEndpoint": 204}))
        path = await endpoints_of(client)
        assert (await client.manage("GET", f"{path}/none")).status == 204
        assert (await client.manage("DELETE", f"{path}/none")).status == 204


class TestAccess:
    async def test_without_the_workspaces_token_nothing_is_answered(self, client: Any) -> None:
        path = f"/workspaces/{WORKSPACE}/webservices"
        for token in (None, "x", "ä"):
            reply = await client.send("GET", path, token=token)
            assert (reply.status, reply.code) == (401, "Unauthorized")

    async def test_an_endpoints_key_opens_that_endpoint_alone(self, client: Any) -> None:
        endpoint = await client.endpoint()
        path = await endpoints_of(client)
        for key in (endpoint["PrimaryKey"], endpoint["SecondaryKey"]):
            assert (await client.manage("GET", f"{path}/clinica", token=key)).status == 200
            patch = await client.manage("PATCH", f"{path}/clinica", {"Description": "x"}, token=key)
            assert patch.status == 200
            assert (await client.manage("GET", f"{path}/default", token=key)).status == 401
            assert (await client.manage("PATCH", f"{path}/default", {"Description": "x"}, token=key)).status == 401
            assert (await client.manage("GET", path, token=key)).status == 401
            assert (await client.manage("DELETE", f"{path}/clinica", token=key)).status == 401
            assert (await client.manage("PUT", f"{path}/clinica", {}, token=key)).status == 401


class TestCreating:
    async def test_a_new_endpoint_has_keys_of_its_own_and_scores(self, client: Any) -> None:
        path = await endpoints_of(client)
        body = {"Description": "Clinic B", "ThrottleLevel": "High", "MaxConcurrentCalls": "30", "PreventUpdate": False}
        made = await client.manage("PUT", f"{path}/clinic-b", body)
        assert made.status == 201
        assert made.body["Description"] == "Clinic B"
        assert (made.body["ThrottleLevel"], made.body["MaxConcurrentCalls"]) == ("High", 30)
        assert made.body["PrimaryKey"] != (await client.endpoint())["PrimaryKey"]
        assert await client.endpoint(PREDICTIVE, "clinic-b") == made.body
        assert len(await scores(client, made.body)) > 0

    @pytest.mark.parametrize(
        ("body", "level", "calls"),
        [
            ({}, "Low", 4),
            ({"ThrottleLevel": "Low", "MaxConcurrentCalls": 50}, "Low", 4),
            ({"ThrottleLevel": "High"}, "High", 20),
            ({"ThrottleLevel": "high", "maxConcurrentCalls": 200}, "High", 200),
            ({"ThrottleLevel": "High", "MaxConcurrentCalls": None}, "High", 20),
        ],
    )
    async def test_the_throttle_level_decides_the_calls(
        self, client: Any, body: dict[str, Any], level: str, calls: int
    ) -> None:
        made = (await client.manage("PUT", f"{await endpoints_of(client)}/new", body)).body
        assert (made["ThrottleLevel"], made["MaxConcurrentCalls"]) == (level, calls)

    @pytest.mark.parametrize(
        ("name", "body", "code"),
        [
            ("Clinic", {}, "BadArgument"),
            ("-clinic", {}, "BadArgument"),
            ("clinic-", {}, "BadArgument"),
            ("c" * 25, {}, "BadArgument"),
            ("new", {"Description": "x" * 2001}, "BadArgument"),
            ("new", {"ThrottleLevel": "Medium"}, "BadArgument"),
            ("new", {"ThrottleLevel": "High", "MaxConcurrentCalls": "many"}, "BadArgument"),
            (
                "new",
                {"ThrottleLevel": "High", "MaxConcurrentCalls": 201},
                "WebServiceTooManyConcurrentRequestRequirement",
            ),
            (
                "new",
                {"ThrottleLevel": "High", "MaxConcurrentCalls": 0},
                "WebServiceConcurrentRequestRequirementInvalid",
            ),
            ("new", [], "RequestBodyInvalid"),
            ("new", "{", "RequestBodyInvalid"),
        ],
    )
    async def test_what_breaks_a_rule_is_refused(self, client: Any, name: str, body: Any, code: str) -> None:
        path = await endpoints_of(client)
        reply = await client.manage("PUT", f"{path}/{name}", body)
        assert (reply.status, reply.code) == (400, code)
        assert len((await client.manage("GET", path)).body) == 2

    async def test_a_second_put_changes_the_endpoint_and_keeps_its_keys(self, client: Any) -> None:
        before = await client.endpoint()
        path = f"{await endpoints_of(client)}/clinica"
        again = await client.manage("PUT", path, {"Description": "again", "ThrottleLevel": "High"})
        assert again.status == 200
        assert again.body == {**before, "Description": "again", "ThrottleLevel": "High", "MaxConcurrentCalls": 20}

    async def test_a_second_put_can_be_a_conflict(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(behaviour={"putExisting": "conflict"}))
        reply = await client.manage("PUT", f"{await endpoints_of(client)}/clinica", {})
        assert (reply.status, reply.code) == (409, "Conflict")

    async def test_a_free_workspace_has_three_endpoints_and_low_throttle_alone(
        self, start_studio: Any, connect: Any
    ) -> None:
        free = {
            "id": WORKSPACE,
            "name": "free",
            "tier": "free",
            "storageAccount": "contosostore",
            "services": [{"name": "S", "experiment": PREDICTIVE, "id": "0" * 31 + "1"}],
        }
        client = connect(start_studio(workspaces=[free]))
        path = await endpoints_of(client, "S")
        high = await client.manage("PUT", f"{path}/a", {"ThrottleLevel": "High"})
        assert (high.status, high.code) == (400, "WebServiceConcurrentRequestRequirementInvalid")
        statuses = [(await client.manage("PUT", f"{path}/{name}", {})).status for name in "abc"]
        assert statuses == [201, 201, 400]


class TestPatching:
    async def test_a_patched_endpoint_scores_with_the_new_model_and_no_other_does(self, client: Any) -> None:
        await other_model(client)
        endpoint, default = await client.endpoint(), await client.endpoint(PREDICTIVE, "default")
        before = await scores(client, endpoint)
        location = client.signed("2026-11/model.ilearner")
        path = f"{await endpoints_of(client)}/clinica"
        assert (await client.manage("PATCH", path, resources(location))).status == 200
        after = await scores(client, endpoint)
        assert after != before
        assert await scores(client, default) == before

    async def test_a_patch_takes_effect_after_its_time_and_outlives_blob_and_sas(
        self, start_studio: Any, connect: Any
    ) -> None:
        now = datetime.now(UTC)
        moment = [now]
        client = connect(start_studio(clock=lambda: moment[0], timings={"patchTakesEffect": "30s"}))
        await other_model(client)
        endpoint = await client.endpoint()
        before = await scores(client, endpoint)
        path = f"{await endpoints_of(client)}/clinica"
        location = client.signed("2026-11/model.ilearner")
        assert (await client.manage("PATCH", path, resources(location))).status == 200
        await client.upload("models/2026-11/model.ilearner", b"gone")
        moment[0] = now + timedelta(seconds=29)
        assert await scores(client, endpoint) == before
        moment[0] = now + timedelta(seconds=30)
        assert await scores(client, endpoint) != before

    @pytest.mark.parametrize(
        ("relative", "data", "code"),
        [
            ("bad/none.ilearner", None, "BlobNotFound"),
            ("bad/empty.ilearner", b"", "InvalidBlob"),
            ("bad/text.ilearner", b"not a model", "IncompatibleModel"),
            ("bad/model.bin", b"x", "InvalidBlobExtension"),
        ],
    )
    async def test_a_blob_that_is_not_a_model_is_refused(
        self, client: Any, relative: str, data: bytes | None, code: str
    ) -> None:
        if data is not None:
            await client.upload(f"models/{relative}", data)
        endpoint = await client.endpoint()
        before = await scores(client, endpoint)
        path = f"{await endpoints_of(client)}/clinica"
        patch = {**resources(client.signed(relative)), "Description": "changed"}
        reply = await client.manage("PATCH", path, patch)
        assert (reply.status, reply.code) == (400, code)
        assert await client.endpoint() == endpoint
        assert await scores(client, endpoint) == before

    async def test_the_sas_is_really_used(self, client: Any) -> None:
        path = f"{await endpoints_of(client)}/clinica"
        blob = "initial/breast-cancer.ilearner"
        good = client.signed(blob)
        wrong = {**good, "SasBlobToken": good["SasBlobToken"][:-6] + "AAA%3D"}
        expired = client.signed(blob, valid_for=timedelta(seconds=-1))
        blind = client.signed(blob, permissions="l")
        for location, code in ((wrong, "InvalidBlob"), (expired, "ExpiryTimeInThePast"), (blind, "InvalidBlob")):
            reply = await client.manage("PATCH", path, resources(location))
            assert (reply.status, reply.code) == (400, code)
            assert "sig=" not in str(reply.body)

    @pytest.mark.parametrize(
        "change",
        [
            {"BaseLocation": "{base}/contosostore"},
            {"RelativeLocation": "/models/initial/breast-cancer.ilearner"},
            {"ConnectionString": None},
        ],
    )
    async def test_slashes_may_be_there_or_not(self, client: Any, change: dict[str, Any]) -> None:
        location = client.signed("initial/breast-cancer.ilearner")
        changed = {name: value and value.format(base=client.url) for name, value in change.items()}
        path = f"{await endpoints_of(client)}/clinica"
        assert (await client.manage("PATCH", path, resources({**location, **changed}))).status == 200

    async def test_resources_that_cannot_be_updated_are_refused(self, client: Any) -> None:
        location = client.signed("initial/breast-cancer.ilearner")
        path = f"{await endpoints_of(client)}/clinica"
        for body in (
            resources(location, "Other [trained model]"),
            resources(location, MODEL.upper()),
            resources(location, ""),
            resources(None),
            resources({**location, "SasBlobToken": ""}),
            {"Resources": {}},
            {"Resources": [resources(location)["Resources"][0]] * 2},
            {},
        ):
            assert (await client.manage("PATCH", path, body)).status == 400

    async def test_the_default_endpoint_and_training_services_are_refused(self, client: Any) -> None:
        location = client.signed("initial/breast-cancer.ilearner")
        default = f"{await endpoints_of(client)}/default"
        reply = await client.manage("PATCH", default, resources(location))
        assert (reply.status, reply.code) == (400, "InvalidOperation")
        training = await endpoints_of(client, TRAINING)
        assert (await client.manage("PUT", f"{training}/extra", {})).status == 201
        reply = await client.manage("PATCH", f"{training}/extra", resources(location))
        assert reply.status == 400
        assert "no updatable resources" in reply.body["error"]["message"]

    async def test_settings_can_be_patched(self, client: Any) -> None:
        path = f"{await endpoints_of(client)}/clinica"
        before = await client.endpoint()
        patch = {
            "Description": "Klinik Ä · 医院",
            "DiagnosticsTraceLevel": "All",
            "ThrottleLevel": "High",
            "MaxConcurrentCalls": 7,
        }
        assert (await client.manage("PATCH", path, patch)).status == 200
        assert await client.endpoint() == {**before, **patch}
        assert (await client.manage("PATCH", path, {"ThrottleLevel": "Low"})).status == 200
        assert (await client.endpoint())["MaxConcurrentCalls"] == 4

    async def test_patches_at_the_same_time_leave_one_of_them(self, client: Any) -> None:
        path = f"{await endpoints_of(client)}/clinica"
        location = client.signed("initial/breast-cancer.ilearner")
        bodies = [{**resources(location), "Description": f"d{number}"} for number in range(8)]
        replies = await asyncio.gather(*(client.manage("PATCH", path, body) for body in bodies))
        assert {reply.status for reply in replies} == {200}
        assert (await client.endpoint())["Description"] in {f"d{number}" for number in range(8)}


class TestDeleting:
    async def test_a_deleted_endpoint_is_gone_with_its_execution_api(self, client: Any) -> None:
        endpoint = await client.endpoint()
        path = f"{await endpoints_of(client)}/clinica"
        assert (await client.manage("DELETE", path)).status == 204
        assert (await client.manage("GET", path)).status == 404
        assert (await client.manage("DELETE", path)).status == 404
        assert (await client.call(endpoint, "POST", "/execute", {})).status == 404

    async def test_the_default_endpoint_stays_while_there_are_others(self, client: Any) -> None:
        path = await endpoints_of(client)
        reply = await client.manage("DELETE", f"{path}/default")
        assert (reply.status, reply.code) == (400, "UnauthorizedRequest")
        assert (await client.manage("DELETE", f"{path}/clinica")).status == 204
        assert (await client.manage("DELETE", f"{path}/default")).status == 204
        assert (await client.manage("GET", path)).status == 204

    async def test_a_deleted_service_takes_its_endpoints_with_it(self, client: Any) -> None:
        endpoint = await client.endpoint()
        service = await client.service_id(PREDICTIVE)
        assert (await client.manage("DELETE", f"/{service}")).status == 204
        assert (await client.manage("GET", f"/{service}")).status == 404
        assert (await client.call(endpoint, "POST", "/execute", {})).status == 404


class TestTheLog:
    async def test_requests_can_be_read_back_by_kind_and_without_secrets(self, client: Any) -> None:
        endpoint = await client.endpoint()
        path = f"{await endpoints_of(client)}/clinica"
        location = client.signed("initial/breast-cancer.ilearner")
        await client.manage("PATCH", path, resources(location))
        await scores(client, endpoint)
        requests = (await client.send("GET", "/_studio/requests")).body["requests"]
        kinds = {(request["method"], request["kind"]) for request in requests}
        assert {("GET", "read"), ("PATCH", "write"), ("POST", "score")} <= kinds
        patch = next(request for request in requests if request["method"] == "PATCH")
        assert (patch["path"], patch["status"]) == (f"/workspaces/{WORKSPACE}/webservices{path}", 200)
        assert patch["ms"] > 0
        signature = location["SasBlobToken"].rpartition("sig=")[2]
        assert signature not in str(requests)
        later = (await client.send("GET", "/_studio/requests", after=str(patch["number"]))).body["requests"]
        assert [request["number"] for request in later] == [
            request["number"] for request in requests if request["number"] > patch["number"]
        ]

    async def test_the_log_has_a_line_a_request_and_no_secret(
        self, client: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "reconciler.emulator")
        location = client.signed("initial/breast-cancer.ilearner")
        await client.manage("PATCH", f"{await endpoints_of(client)}/clinica", resources(location))
        await client.send("GET", f"/workspaces/{WORKSPACE}/webservices", token="x", code="secret-in-query")
        lines = [record.getMessage() for record in caplog.records]
        assert any(line.startswith("PATCH") and "200" in line and line.endswith("write") for line in lines)
        text = "\n".join(lines)
        assert client.token not in text
        assert location["SasBlobToken"].rpartition("sig=")[2] not in text
        assert "secret-in-query" not in text

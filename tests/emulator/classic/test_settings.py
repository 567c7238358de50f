"""Each setting of the Classic side: the other ways in which a service may answer, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
MODEL = "Breast Cancer [trained model]"
AT_ONCE = {"patchTakesEffect": "0s"}


@pytest.fixture
def with_settings(start_studio: Any, connect: Any) -> Any:
    """A client of a Studio with some settings, in which a patch takes effect at once."""
    return lambda **behaviour: connect(start_studio(timings=AT_ONCE, behaviour=behaviour))


class Moment:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def path_of(client: Any, endpoint: str = "clinica", service: str = PREDICTIVE) -> str:
    return f"/{await client.service_id(service)}/endpoints/{endpoint}"


def patch_of(client: Any, blob: str = "initial/breast-cancer.ilearner", name: str = MODEL) -> dict[str, Any]:
    return {"Resources": [{"Name": name, "Location": client.signed(blob)}]}


async def scored(client: Any, endpoint: dict[str, Any]) -> Any:
    swagger = (await client.send("GET", endpoint["ApiLocation"] + "/swagger.json")).body
    rows = swagger["definitions"]["ExecutionRequest"]["example"]["Inputs"]["input1"]
    return await client.call(endpoint, "POST", "/execute", {"Inputs": {"input1": rows}}, format="swagger")


class TestShown:
    async def test_the_bound_location_is_absent_null_shown_or_that_of_a_copy(self, with_settings: Any) -> None:
        found = {}
        for way in ("absent", "null", "shown", "copy"):
            client = with_settings(boundLocation=way)
            path = await path_of(client)
            await client.manage("PATCH", path, patch_of(client))
            found[way] = (await client.manage("GET", path)).body["Resources"][0]
        assert "Location" not in found["absent"]
        assert found["null"]["Location"] is None
        assert found["shown"]["Location"]["RelativeLocation"] == "models/initial/breast-cancer.ilearner"
        assert found["copy"]["Location"]["RelativeLocation"].startswith("azuremlassetscontainer/")
        assert found["copy"]["Location"].keys() == {"BaseLocation", "RelativeLocation"}

    async def test_a_copy_has_another_place_after_each_patch(self, with_settings: Any) -> None:
        client = with_settings(boundLocation="copy")
        path = await path_of(client)
        places = set()
        for _ in range(3):
            location = (await client.manage("GET", path)).body["Resources"][0]["Location"]
            places.add(location["RelativeLocation"])
            await client.manage("PATCH", path, patch_of(client))
        assert len(places) == 3

    async def test_a_shown_location_may_have_a_signature_that_reads(self, with_settings: Any) -> None:
        client = with_settings(boundLocation="shown", locationSignature="fresh", locationSlashes="both")
        path = await path_of(client)
        await client.manage("PATCH", path, patch_of(client))
        place = (await client.manage("GET", path)).body["Resources"][0]["Location"]
        assert place["RelativeLocation"].startswith("/models/")
        url = place["BaseLocation"].rstrip("/") + place["RelativeLocation"] + place["SasBlobToken"]
        assert (await client.session.get(url)).status == 200
        null = with_settings(boundLocation="copy", locationSignature="null")
        shown = (await null.manage("GET", await path_of(null))).body["Resources"][0]["Location"]
        assert shown["SasBlobToken"] is None

    @pytest.mark.parametrize(
        ("way", "expected"), [("absent", None), ("empty", []), ("braces", [{"Name": "{}", "Kind": "TrainedModel"}])]
    )
    async def test_a_training_service_has_no_updatable_resource(
        self, with_settings: Any, way: str, expected: Any
    ) -> None:
        client = with_settings(trainingResources=way)
        assert (await client.endpoint(TRAINING, "default")).get("Resources") == expected

    async def test_members_without_a_value_may_be_null(self, with_settings: Any) -> None:
        client = with_settings(nullMembers="null")
        endpoint = await client.endpoint()
        assert endpoint["ExperimentLocation"] is None
        assert endpoint["Version"] is None
        assert (await client.manage("GET")).body[0]["Description"] is None
        training = await client.endpoint(TRAINING, "default")
        inputs = {"input1": client.stored("datasets/breast-cancer-2026-09.csv")}
        job_id = (await client.call(training, "POST", "/jobs", {"Inputs": inputs})).body
        status = (await client.call(training, "GET", f"/jobs/{job_id}")).body
        assert status == {"StatusCode": "NotStarted", "Results": None, "Details": None}

    @pytest.mark.parametrize(
        ("way", "status", "body"), [("noContent", 204, None), ("array", 200, []), ("null", 200, None)]
    )
    async def test_an_empty_list(self, with_settings: Any, way: str, status: int, body: Any) -> None:
        client = with_settings(emptyList=way)
        for service in (await client.manage("GET")).body:
            await client.manage("DELETE", f"/{service['Id']}")
        reply = await client.manage("GET")
        assert (reply.status, reply.body) == (status, body)

    @pytest.mark.parametrize(("way", "status"), [(404, 404), (204, 204), ("null", 200)])
    async def test_an_absent_endpoint(self, with_settings: Any, way: Any, status: int) -> None:
        client = with_settings(absentEndpoint=way)
        reply = await client.manage("GET", await path_of(client, "none"))
        assert reply.status == status
        assert reply.body is None or reply.code == "NotFound"

    async def test_a_patch_may_be_shown_when_it_has_taken_effect(self, start_studio: Any, connect: Any) -> None:
        clock = Moment()
        settings = {"readAfterPatch": "delayed", "boundLocation": "copy", "modelVersion": "moves"}
        client = connect(start_studio(clock=clock, timings={"patchTakesEffect": "30s"}, behaviour=settings))
        path, before = await path_of(client), await client.endpoint()
        await client.manage("PATCH", path, patch_of(client) | {"Description": "one"})
        clock.now += timedelta(seconds=20)
        await client.manage("PATCH", path, {"DiagnosticsTraceLevel": "All"})
        assert await client.endpoint() == before
        clock.now += timedelta(seconds=30)
        after = await client.endpoint()
        assert (after["Description"], after["DiagnosticsTraceLevel"]) == ("one", "All")
        assert after["Resources"] != before["Resources"]
        assert after["Version"] > before["Version"]

    async def test_the_version_may_stay_through_a_patch(self, with_settings: Any) -> None:
        client = with_settings(modelVersion="fixed")
        before = (await client.endpoint())["Version"]
        await client.manage("PATCH", await path_of(client), patch_of(client))
        assert (await client.endpoint())["Version"] == before

    async def test_the_service_may_tune_the_calls_itself(self, with_settings: Any) -> None:
        client = with_settings(shownCalls="tuned")
        path = await path_of(client, "new")
        body = {"ThrottleLevel": "High", "MaxConcurrentCalls": 20}
        assert (await client.manage("PUT", path, body)).body["MaxConcurrentCalls"] == 200

    async def test_resources_may_be_in_the_list(self, with_settings: Any) -> None:
        client = with_settings(showResourcesInList=True)
        listed = (await client.manage("GET", (await path_of(client)).rpartition("/")[0])).body
        assert [endpoint["Resources"][0]["Name"] for endpoint in listed] == [MODEL, MODEL]


class TestWrites:
    @pytest.mark.parametrize(("way", "status"), [("upsert", 200), ("conflict", 409), ("refused", 400)])
    async def test_a_put_of_an_existing_endpoint(self, with_settings: Any, way: str, status: int) -> None:
        client = with_settings(putExisting=way)
        assert (await client.manage("PUT", await path_of(client), {"Description": "x"})).status == status
        assert ((await client.endpoint())["Description"] == "x") is (way == "upsert")

    async def test_statuses_of_creation_and_deletion(self, with_settings: Any) -> None:
        client = with_settings(createStatus=200, deleteStatus=202, deleteAbsentEndpoint=204)
        path = await path_of(client, "new")
        replies = [await client.manage(method, path, {}) for method in ("PUT", "DELETE", "DELETE")]
        assert [reply.status for reply in replies] == [200, 202, 204]

    @pytest.mark.parametrize(("way", "status"), [("empty", 200), ("noContent", 204), ("object", 200)])
    async def test_the_reply_to_a_patch(self, with_settings: Any, way: str, status: int) -> None:
        client = with_settings(patchReply=way)
        reply = await client.manage("PATCH", await path_of(client), {"Description": "x"})
        assert reply.status == status
        assert reply.body == (await client.endpoint() if way == "object" else None)

    async def test_limits_that_are_patched_may_be_ignored(self, with_settings: Any) -> None:
        client = with_settings(limitsPatch="ignored")
        before = await client.endpoint()
        patch = {"ThrottleLevel": "High", "MaxConcurrentCalls": 30, "Description": "x"}
        assert (await client.manage("PATCH", await path_of(client), patch)).status == 200
        assert await client.endpoint() == {**before, "Description": "x"}

    async def test_a_new_endpoint_may_not_be_ready_to_be_patched(self, start_studio: Any, connect: Any) -> None:
        clock = Moment()
        client = connect(start_studio(clock=clock, behaviour={"patchAfterCreate": "notYet"}))
        path = await path_of(client, "new")
        await client.manage("PUT", path, {})
        early = await client.manage("PATCH", path, patch_of(client))
        assert (early.status, early.code) == (500, "UpdateWebServiceResourceFailed")
        clock.now += timedelta(seconds=3)
        assert (await client.manage("PATCH", path, patch_of(client))).status == 200

    async def test_a_blob_that_is_read_at_each_load_is_missed_when_it_is_gone(self, with_settings: Any) -> None:
        client = with_settings(patchedModel="readAtEachLoad")
        path, endpoint = await path_of(client), await client.endpoint()
        await client.upload("models/mine.ilearner", await client.download("models/initial/breast-cancer.ilearner"))
        assert (await client.manage("PATCH", path, patch_of(client, "mine.ilearner"))).status == 200
        assert (await scored(client, endpoint)).status == 200
        await client.upload("models/mine.ilearner", b"something else")
        body = {"Inputs": {"input1": [{}]}}
        reply = await client.call(endpoint, "POST", "/execute", body, format="swagger")
        assert (reply.status, reply.code) == (500, "ResourceLoadFailed")
        delete = {"x-ms-version": "2020-10-02"}
        signed = client.signed("mine.ilearner", permissions="d")
        url = signed["BaseLocation"] + signed["RelativeLocation"] + signed["SasBlobToken"]
        assert (await client.session.delete(url, headers=delete)).status == 202
        reply = await client.call(endpoint, "POST", "/execute", body, format="swagger")
        assert (reply.status, reply.code) == (500, "ResourceDownload")
        assert "sig=" not in str(reply.body)

    async def test_an_endpoint_without_numbers_may_get_those_of_its_tier(self, with_settings: Any) -> None:
        client = with_settings(defaultCalls="byTier")
        made = (await client.manage("PUT", await path_of(client, "new"), {})).body
        assert (made["ThrottleLevel"], made["MaxConcurrentCalls"]) == ("Low", 20)

    async def test_hyphens_may_be_refused_and_letter_case_ignored(self, with_settings: Any) -> None:
        client = with_settings(endpointNames="alphanumeric", resourceNames="anyCase")
        assert (await client.manage("PUT", await path_of(client, "a-b"), {})).status == 400
        assert (await client.manage("PUT", await path_of(client, "ab"), {})).status == 201
        path = await path_of(client)
        assert (await client.manage("PATCH", path, patch_of(client, name=MODEL.upper()))).status == 200

    async def test_prevent_update_may_prevent_updates(self, with_settings: Any) -> None:
        client = with_settings(preventUpdate="enforced")
        path = await path_of(client, "new")
        await client.manage("PUT", path, {"PreventUpdate": True})
        refusals = [
            await client.manage("PATCH", path, {"Description": "x"}),
            await client.manage("POST", f"{path}/refresh", {"OverwriteResources": True}),
        ]
        assert [(reply.status, reply.code) for reply in refusals] == [(400, "InvalidOperation")] * 2


class TestAccessAndErrors:
    @pytest.mark.parametrize(
        ("way", "allowed"), [("getOneAndPatch", "GET PATCH"), ("getOnly", "GET"), ("all", "GET PATCH PUT POST DELETE")]
    )
    async def test_what_an_endpoints_key_opens(self, with_settings: Any, way: str, allowed: str) -> None:
        client = with_settings(endpointKey=way)
        path, key = await path_of(client), (await client.endpoint())["PrimaryKey"]
        calls = {"GET": None, "PATCH": {"Description": "x"}, "PUT": {}, "POST": {}, "DELETE": None}
        statuses = {
            method: (await client.manage(method, path + "/refresh" * (method == "POST"), body, token=key)).status
            for method, body in calls.items()
        }
        assert [method for method, status in statuses.items() if status < 400] == allowed.split()
        assert {status for status in statuses.values() if status >= 400} <= {401}

    @pytest.mark.parametrize(
        ("way", "expected"),
        [("notFound", (404, "WorkspaceNotFound")), ("getWorkspaceFailed", (500, "GetWorkspaceFailed"))],
    )
    async def test_a_workspace_of_another_region(self, with_settings: Any, way: str, expected: Any) -> None:
        client = with_settings(unknownWorkspace=way)
        reply = await client.send("GET", f"/workspaces/{'0' * 32}/webservices", token=client.token)
        assert (reply.status, reply.code) == expected

    async def test_an_api_version_of_the_management_api_may_be_refused(self, with_settings: Any) -> None:
        for way, status in (("ignored", 200), ("refused", 400)):
            client = with_settings(managementApiVersion=way)
            path = f"/workspaces/{WORKSPACE}/webservices"
            assert (await client.send("GET", path, token=client.token, **{"api-version": "1.0"})).status == status

    async def test_error_bodies_without_details_or_in_pascal_case(self, with_settings: Any) -> None:
        bare = with_settings(errorDetails="omitted", errorRequestId="absent")
        reply = await bare.call(await bare.endpoint(), "POST", "/execute", "{")
        assert (reply.status, reply.code) == (400, "BadArgument")
        assert reply.body["error"].keys() == {"code", "message"}
        assert "x-ms-request-id" not in reply.headers
        pascal = with_settings(errorCasing="pascal")
        body = (await pascal.call(await pascal.endpoint(), "POST", "/execute", "{")).body
        assert body["Error"]["Details"][0]["Code"] == "RequestBodyInvalid"

    async def test_a_refused_caller_may_get_plain_text(self, with_settings: Any) -> None:
        client = with_settings(unauthorized="text")
        reply = await client.manage("GET", token="wrong")
        assert (reply.status, reply.headers["Content-Type"]) == (401, "text/plain; charset=utf-8")
        assert "Request id: " in reply.body

    @pytest.mark.parametrize("way", ["absent", "seconds", "date"])
    async def test_too_many_calls_are_throttled_in_each_way(self, with_settings: Any, way: str) -> None:
        client = with_settings(throttleStatus=429, retryAfter=way, firstScoringCall="initializing")
        reply = await scored(client, await client.endpoint())
        assert (reply.status, reply.code) == (503, "InitializingContainers")
        given = reply.headers.get("Retry-After")
        if way == "date":
            assert parsedate_to_datetime(given) - datetime.now(UTC) < timedelta(seconds=3)
        assert (given is None, given == "1") == (way == "absent", way == "seconds")
        assert (await scored(client, await client.endpoint())).status == 200


class TestBatch:
    async def register(self, client: Any, name: str = "out") -> tuple[dict[str, Any], str]:
        endpoint = await client.endpoint(TRAINING, "default")
        request = {
            "Inputs": {"input1": client.stored("datasets/breast-cancer-2026-09.csv")},
            "Outputs": {"output1": client.stored(f"models/{name}.ilearner")},
        }
        return endpoint, str((await client.call(endpoint, "POST", "/jobs", request)).body)

    async def state(self, client: Any, endpoint: dict[str, Any], job_id: str) -> Any:
        return (await client.call(endpoint, "GET", f"/jobs/{job_id}")).body["StatusCode"]

    @pytest.mark.parametrize(
        ("way", "codes"),
        [("names", ("NotStarted", "Canceled")), ("numbers", (0, 3)), ("numericStrings", ("0", "3"))],
    )
    async def test_states_are_names_or_numbers_in_each_spelling(self, with_settings: Any, way: str, codes: Any) -> None:
        client = with_settings(statusCodes=way, cancelledSpelling="Canceled")
        endpoint, job_id = await self.register(client)
        before = await self.state(client, endpoint, job_id)
        await client.call(endpoint, "DELETE", f"/jobs/{job_id}")
        assert (before, await self.state(client, endpoint, job_id)) == codes

    async def test_a_started_job_waits_in_the_queue(self, start_studio: Any, connect: Any) -> None:
        settings = {"queuedJobStatus": "NotStarted", "startStatus": 200}
        client = connect(start_studio(timings={"queue": "1h"}, behaviour=settings))
        endpoint, job_id = await self.register(client)
        assert (await client.call(endpoint, "POST", f"/jobs/{job_id}/start")).status == 200
        assert await self.state(client, endpoint, job_id) == "NotStarted"
        again = await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        assert (again.status, again.code) == (400, "CannotStartJob")

    @pytest.mark.parametrize(
        ("way", "expected"),
        [
            ("notFound", (404, "NotFound")),
            ("missingJobId", (400, "MissingJobId")),
            ("unknownJobStatusCode", (500, "UnknownJobStatusCode")),
        ],
    )
    async def test_a_deleted_job_may_be_unknown(self, with_settings: Any, way: str, expected: Any) -> None:
        client = with_settings(unknownJob=way, deletedJob="erases")
        endpoint, job_id = await self.register(client)
        assert (await client.call(endpoint, "DELETE", f"/jobs/{job_id}")).status == 204
        reply = await client.call(endpoint, "GET", f"/jobs/{job_id}")
        assert (reply.status, reply.code) == expected
        listed = (await client.send("GET", "/_studio/jobs")).body["jobs"]
        assert [job["state"] for job in listed] == ["Cancelled"]

    async def test_an_old_record_is_gone(self, start_studio: Any, connect: Any) -> None:
        clock = Moment()
        client = connect(start_studio(clock=clock, timings={"jobsKept": "1h"}))
        endpoint, job_id = await self.register(client)
        await client.call(endpoint, "DELETE", f"/jobs/{job_id}")
        assert await self.state(client, endpoint, job_id) == "Cancelled"
        clock.now += timedelta(hours=2)
        assert (await client.call(endpoint, "GET", f"/jobs/{job_id}")).status == 404

    @pytest.mark.parametrize(
        ("way", "slashes"),
        [("base", (True, False)), ("relative", (False, True)), ("both", (True, True)), ("neither", (False, False))],
    )
    async def test_results_have_slashes_in_every_mixture(self, with_settings: Any, way: str, slashes: Any) -> None:
        client = with_settings(locationSlashes=way, resultSignature="bare", nullMembers="null")
        endpoint, job_id = await self.register(client)
        await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        result = (await client.finished(endpoint, job_id))["Results"]["output1"]
        found = (result["BaseLocation"].endswith("/"), result["RelativeLocation"].startswith("/"))
        assert found == slashes
        assert result["ConnectionString"] is None
        url = f"{result['BaseLocation'].rstrip('/')}/{result['RelativeLocation'].lstrip('/')}?{result['SasBlobToken']}"
        assert not result["SasBlobToken"].startswith("?")
        assert (await client.session.get(url)).status == 200

"""Batch jobs over HTTP (classic-protocol 3)."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

TRAINING = "Breast Cancer [training exp.]"
PREDICTIVE = "Breast Cancer [predictive exp.]"
BY_URL = "Diabetes by URL [training exp.]"
MODEL = "Breast Cancer [trained model]"


async def training(client: Any, name: str = TRAINING) -> dict[str, Any]:
    endpoint: dict[str, Any] = await client.endpoint(name, "default")
    return endpoint


def request_of(client: Any, run: str = "run", rows: str = "2026-10", **changes: Any) -> dict[str, Any]:
    return {
        "Inputs": {"input1": client.stored(f"datasets/breast-cancer-{rows}.csv")},
        "Outputs": {
            "output1": client.stored(f"models/{run}/model.ilearner"),
            "output2": client.stored(f"models/{run}/evaluation.csv"),
        },
        "GlobalParameters": {},
        **changes,
    }


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


async def get(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.read()


class TestTheLifeOfAJob:
    async def test_a_registered_job_does_nothing_until_it_is_started(self, client: Any) -> None:
        endpoint = await training(client)
        registered = await client.call(endpoint, "POST", "/jobs", request_of(client))
        assert registered.status == 200
        job_id = registered.body
        assert len(job_id) == 32
        await client.run_job(endpoint, request_of(client, "other"))
        assert (await client.call(endpoint, "GET", f"/jobs/{job_id}")).body == {"StatusCode": "NotStarted"}
        states = {job["id"]: job["state"] for job in (await client.send("GET", "/_studio/jobs")).body["jobs"]}
        assert states.pop(job_id) == "NotStarted"
        assert set(states.values()) == {"Finished"}

    async def test_a_second_start_is_refused_and_names_the_state(self, client: Any) -> None:
        endpoint = await training(client)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client))).body
        assert (await client.call(endpoint, "POST", f"/jobs/{job_id}/start")).status == 204
        again = await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        assert (again.status, again.body["error"]["code"], again.code) == (400, "InvalidOperation", "CannotStartJob")
        await client.finished(endpoint, job_id)
        again = await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        assert (again.status, again.code) == (400, "CannotStartJob")
        assert "Finished" in str(again.body)

    async def test_the_pool_of_a_job_is_kept_and_changes_nothing(self, client: Any) -> None:
        endpoint = await training(client)
        assert (await client.run_job(endpoint, request_of(client, AzureBatchPoolId="pool-1")))[
            "StatusCode"
        ] == "Finished"
        assert (await client.run_job(endpoint, request_of(client)))["StatusCode"] == "Finished"
        jobs = (await client.send("GET", "/_studio/jobs")).body["jobs"]
        assert [job["pool"] for job in jobs] == ["pool-1", None]
        refused = await client.call(endpoint, "POST", "/jobs", request_of(client, AzureBatchPoolId=1))
        assert (refused.status, refused.code) == (400, "RequestBodyInvalid")

    async def test_a_cancelled_job_never_runs_and_keeps_its_record(self, client: Any) -> None:
        endpoint = await training(client)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client))).body
        for _ in range(2):
            assert (await client.call(endpoint, "DELETE", f"/jobs/{job_id}")).status == 204
            assert (await client.call(endpoint, "GET", f"/jobs/{job_id}")).body == {"StatusCode": "Cancelled"}
        assert (await client.call(endpoint, "POST", f"/jobs/{job_id}/start")).code == "CannotStartJob"

    async def test_a_running_job_can_be_cancelled_and_leaves_no_output(self, client: Any) -> None:
        endpoint = await training(client)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client, "cancelled"))).body
        await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        await client.call(endpoint, "DELETE", f"/jobs/{job_id}")
        assert (await client.finished(endpoint, job_id))["StatusCode"] == "Cancelled"
        # The next job of the same queue gets its turn.
        assert (await client.run_job(endpoint, request_of(client)))["StatusCode"] == "Finished"
        reply = await client.send("GET", "/_studio/requests")
        assert not any("cancelled/model" in request["path"] for request in reply.body["requests"])

    async def test_a_finished_job_stays_finished_when_it_is_cancelled(self, client: Any) -> None:
        endpoint = await training(client)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client))).body
        await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        await client.finished(endpoint, job_id)
        assert (await client.call(endpoint, "DELETE", f"/jobs/{job_id}")).status == 204
        assert (await client.call(endpoint, "GET", f"/jobs/{job_id}")).body["StatusCode"] == "Finished"

    async def test_more_jobs_than_may_run_at_one_time_wait_in_the_order_of_their_start(
        self, start_studio: Any, connect: Any
    ) -> None:
        client = connect(start_studio(limits={"runningJobsPerEndpoint": 1}))
        endpoint = await training(client)
        ids = [(await client.call(endpoint, "POST", "/jobs", request_of(client, f"q{n}"))).body for n in range(3)]
        for job_id in reversed(ids):
            await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        jobs = {job["id"]: job["state"] for job in (await client.send("GET", "/_studio/jobs")).body["jobs"]}
        assert list(jobs.values()).count("Running") <= 1
        assert (await client.call(endpoint, "GET", f"/jobs/{ids[0]}")).body == {"StatusCode": "Running"}
        for job_id in ids:
            assert (await client.finished(endpoint, job_id))["StatusCode"] == "Finished"
        started = {job["id"]: job["startedAt"] for job in (await client.send("GET", "/_studio/jobs")).body["jobs"]}
        assert sorted(ids, key=lambda job_id: started[job_id]) == ids[::-1]

    async def test_the_server_answers_while_a_model_is_trained(self, client: Any) -> None:
        endpoint = await training(client)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client))).body
        await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        replies = await asyncio.gather(*(client.manage("GET") for _ in range(20)))
        assert {reply.status for reply in replies} == {200}
        await client.finished(endpoint, job_id)

    async def test_numbers_and_other_statuses_if_the_studio_file_says_so(self, start_studio: Any, connect: Any) -> None:
        client = connect(start_studio(behaviour={"statusCodes": "numbers", "startStatus": 200}))
        endpoint = await training(client)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client))).body
        assert (await client.call(endpoint, "GET", f"/jobs/{job_id}")).body == {"StatusCode": 0}
        assert (await client.call(endpoint, "POST", f"/jobs/{job_id}/start")).status == 200

    async def test_jobs_are_known_to_their_own_endpoint_alone(self, client: Any) -> None:
        endpoint, other = await training(client), await training(client, BY_URL)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client))).body
        assert (await client.call(other, "GET", f"/jobs/{job_id}")).status == 404
        stolen = {**endpoint, "PrimaryKey": other["PrimaryKey"]}
        assert (await client.call(stolen, "GET", f"/jobs/{job_id}")).code == "ScoreRequestUnauthorized"
        assert (await client.call(endpoint, "GET", "/jobs")).status == 405


class TestResults:
    async def test_model_and_evaluation_are_written_where_the_request_says(self, client: Any) -> None:
        status = await client.run_job(await training(client), request_of(client, "written"))
        assert status["StatusCode"] == "Finished"
        assert len(await client.download("models/written/model.ilearner")) > 1000
        (metrics,) = rows_of(await client.download("models/written/evaluation.csv"))
        assert 0.9 < float(metrics["AUC"]) <= 1
        assert {"Accuracy", "Precision", "Recall", "F-Score", "Average Log Loss"} <= metrics.keys()

    async def test_each_look_gives_a_fresh_token_that_reads_and_does_not_write(
        self, start_studio: Any, connect: Any
    ) -> None:
        moment = [datetime.now(UTC)]
        client = connect(start_studio(clock=lambda: moment[0]))
        endpoint = await training(client)
        job_id = (await client.call(endpoint, "POST", "/jobs", request_of(client, "fresh"))).body
        await client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        first = (await client.finished(endpoint, job_id))["Results"]["output2"]
        assert first["BaseLocation"] == f"{client.url}/contosostore/"
        assert first["RelativeLocation"] == "models/fresh/evaluation.csv"
        url = "".join(first[part] for part in ("BaseLocation", "RelativeLocation", "SasBlobToken"))
        assert rows_of(await get(url))
        assert (await client.send("PUT", url, b"x")).status == 403
        moment[0] += timedelta(hours=25)
        assert (await client.send("GET", url)).status == 403
        second = (await client.call(endpoint, "GET", f"/jobs/{job_id}")).body["Results"]["output2"]
        assert second["SasBlobToken"] != first["SasBlobToken"]
        fresh = "".join(second[part] for part in ("BaseLocation", "RelativeLocation", "SasBlobToken"))
        assert (await client.send("GET", fresh)).status == 200

    async def test_outputs_without_a_place_go_to_the_workspaces_storage(self, client: Any) -> None:
        status = await client.run_job(await training(client), request_of(client, Outputs={}))
        assert status["Results"].keys() == {"output1", "output2"}
        place = status["Results"]["output1"]["RelativeLocation"]
        assert place.startswith("experimentoutput/")
        assert place.endswith(".ilearner")
        assert len(await client.download(place)) > 1000

    async def test_references_with_a_sas_work_for_both_sides(self, client: Any) -> None:
        request = request_of(client)
        request["Inputs"]["input1"] = client.signed("breast-cancer-2026-10.csv", container="datasets")
        request["Outputs"]["output1"] = client.signed("sas/model.ilearner", permissions="rcw")
        status = await client.run_job(await training(client), request)
        assert status["StatusCode"] == "Finished", status
        result = status["Results"]["output1"]
        assert "sp=rl" in result["SasBlobToken"]
        url = "".join(result[part] for part in ("BaseLocation", "RelativeLocation", "SasBlobToken"))
        assert len(await get(url)) > 1000

    async def test_a_single_input_needs_no_name(self, client: Any) -> None:
        request = request_of(client)
        request["Input"] = request.pop("Inputs")["input1"]
        assert (await client.run_job(await training(client), request))["StatusCode"] == "Finished"

    async def test_data_may_come_as_tsv_and_leave_as_arff(self, client: Any) -> None:
        text = (await client.download("datasets/breast-cancer-2026-09.csv")).decode().replace(",", "\t")
        await client.upload("datasets/rows.tsv", text.encode())
        request = request_of(client, Inputs={"input1": client.stored("datasets/rows.tsv")})
        request["Outputs"]["output2"] = client.stored("models/run/evaluation.arff")
        assert (await client.run_job(await training(client), request))["StatusCode"] == "Finished"
        arff = (await client.download("models/run/evaluation.arff")).decode()
        assert "@attribute AUC numeric" in arff

    async def test_data_can_be_fetched_from_the_url_in_a_parameter(self, client: Any) -> None:
        place = client.signed("diabetes-2026-10.csv", container="datasets")
        url = "".join(place[part] for part in ("BaseLocation", "RelativeLocation", "SasBlobToken"))
        request = {
            "Outputs": {
                "output1": client.stored("models/url/model.ilearner"),
                "output2": client.stored("models/url/e.csv"),
            },
            "GlobalParameters": {"URI": url},
        }
        status = await client.run_job(await training(client, BY_URL), request)
        assert status["StatusCode"] == "Finished", status
        (metrics,) = rows_of(await client.download("models/url/e.csv"))
        assert "Coefficient of Determination" in metrics

    async def test_a_predictive_service_scores_a_file(self, client: Any) -> None:
        for service in (await client.endpoint(), await client.new_service()):
            request = {
                "Inputs": {"input1": client.stored("datasets/breast-cancer-2026-09.csv")},
                "Outputs": {"output1": client.stored("models/scored/rows.csv")},
            }
            status = await client.run_job(service, request)
            assert status["StatusCode"] == "Finished", status
            rows = rows_of(await client.download("models/scored/rows.csv"))
            assert len(rows) == 250
            right = sum(row["Scored Labels"] == row["diagnosis"] for row in rows)
            assert right > 230


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"Inputs": {}}, "BatchJobInputsNotSpecified"),
            ({"Inputs": {"Input1": "{csv}"}}, "InvalidInputNames"),
            ({"Input": "{csv}"}, "DuplicateInputInBatchCall"),
            (
                {"Inputs": {"input1": {"ConnetionString": "x", "RelativeLocation": "a/b.csv"}}},
                "MissingInputBlobInformation",
            ),
            (
                {"Inputs": {"input1": {"ConnectionString": "x", "RelativeLocation": "a/b.csv"}}},
                "InvalidBlobConnectionString",
            ),
            (
                {"Inputs": {"input1": {"BaseLocation": "https://x/", "RelativeLocation": "a/b.csv"}}},
                "MissingInputBlobInformation",
            ),
            ({"Inputs": {"input1": "{nowhere}"}}, "InputBlobRelativeLocationInvalid"),
            ({"Inputs": {"input1": "{long}"}}, "BlobNameTooLong"),
            ({"Inputs": {"input1": "{model}"}}, "InvalidBlobExtension"),
            ({"Inputs": {"input1": "{expired}"}}, "ExpiryTimeInThePast"),
            ({"Outputs": {"output1": "{csv}"}}, "InvalidBlobExtension"),
            ({"Outputs": {"output2": "{model}"}}, "InvalidBlobExtension"),
            ({"Outputs": {"output3": "{model}"}}, "InvalidOutputOverrideName"),
            ({"Outputs": {"output1": {}}}, "MissingOutputOverrideSpecification"),
            ({"GlobalParameters": {"x": 1}}, "UnexpectedParameter"),
            ({"GlobalParameters": []}, "RequestBodyInvalid"),
        ],
    )
    async def test_a_wrong_registration_is_refused_with_its_code(
        self, client: Any, change: dict[str, Any], code: str
    ) -> None:
        known = {
            "{csv}": client.stored("datasets/breast-cancer-2026-09.csv"),
            "{model}": client.stored("models/x.ilearner"),
            "{nowhere}": client.stored("data.csv"),
            "{long}": client.stored(f"datasets/{'x' * 1025}.csv"),
            "{expired}": client.signed("x.csv", valid_for=timedelta(minutes=-1)),
        }

        def filled(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: filled(content) for name, content in value.items()}
            return known.get(value, value) if isinstance(value, str) else value

        reply = await client.call(await training(client), "POST", "/jobs", {**request_of(client), **filled(change)})
        assert (reply.status, reply.body["error"]["code"], reply.code) == (400, "BadArgument", code)
        assert "AccountKey" not in str(reply.body)
        assert (await client.send("GET", "/_studio/jobs")).body["jobs"] == []

    async def test_a_body_that_is_not_a_registration_is_refused(self, client: Any) -> None:
        endpoint = await training(client)
        assert (await client.call(endpoint, "POST", "/jobs")).code == "RequestIsEmpty"
        assert (await client.call(endpoint, "POST", "/jobs", "[]")).code == "RequestBodyInvalid"

    async def test_parameters_are_mandatory_and_case_sensitive(self, client: Any) -> None:
        endpoint = await training(client, BY_URL)
        assert (await client.call(endpoint, "POST", "/jobs", {})).code == "MissingRequiredGlobalParameters"
        wrong = {"GlobalParameters": {"uri": "http://x"}}
        assert (await client.call(endpoint, "POST", "/jobs", wrong)).code == "UnexpectedParameter"
        given = {"GlobalParameters": {"URI": "http://x"}, "Inputs": {"input1": client.stored("a/b.csv")}}
        assert (await client.call(endpoint, "POST", "/jobs", given)).code == "BatchJobInputsTooManySpecified"

    @pytest.mark.parametrize(
        ("blob", "data", "words"),
        [
            ("none.csv", None, "BlobNotFound"),
            ("empty.csv", b"", "Error 0003"),
            ("text.csv", b"\xff\xfe", "Error 0049"),
            ("label.csv", b"a,b\n1,2\n3,4\n", "diagnosis"),
        ],
    )
    async def test_a_job_with_wrong_data_fails_and_says_why(
        self, client: Any, blob: str, data: bytes | None, words: str
    ) -> None:
        if data is not None:
            await client.upload(f"datasets/{blob}", data)
        request = request_of(client, Inputs={"input1": client.stored(f"datasets/{blob}")})
        status = await client.run_job(await training(client), request)
        assert status["StatusCode"] == "Failed"
        assert words in status["Details"]
        assert "Results" not in status
        assert "AccountKey" not in status["Details"]

    async def test_a_job_whose_data_url_does_not_answer_fails(self, client: Any) -> None:
        for url in ("http://127.0.0.1:1/x.csv", "ftp://x/y.csv", client.url + "/contosostore/datasets/none.csv"):
            status = await client.run_job(await training(client, BY_URL), {"GlobalParameters": {"URI": url}})
            assert status["StatusCode"] == "Failed"

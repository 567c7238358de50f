"""Faults of jobs, of storage, and the end of the whole service: by what is there afterwards."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from reconciler.emulator.faults import JobFault, Rule
from reconciler.emulator.faults.documented_codes import EXECUTION_CODES

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
SERVICES = f"/workspaces/{WORKSPACE}/webservices"
MODEL_PATH = "/contosostore/models/initial/breast-cancer.ilearner"
HOUR = timedelta(hours=1)
# Long enough that a loaded machine sees the rule in force.
BRIEF = timedelta(seconds=1)
DETAIL_CODES = [str(code) for code in EXECUTION_CODES]


def blob(faulty: Any, name: str, *, permissions: str = "rl") -> str:
    token = faulty.client.context.storage.sign("contosostore", "models", permissions=permissions, valid_for=HOUR)
    return f"/contosostore/models/{name}{token}"


async def exists(faulty: Any, name: str) -> bool:
    return bool((await faulty.raw("HEAD", blob(faulty, name))).status == 200)


def wait_for_the_end_of_all_rules(faulty: Any) -> None:
    while faulty.faults.listing():
        threading.Event().wait(0.005)


class TestJobs:
    async def test_a_job_fails_with_each_documented_code_and_writes_nothing(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        for code in DETAIL_CODES:
            faulty.faults.clear()
            faulty.faults.add(Rule(job=JobFault(fail=code, message="No luck.")))
            ended = await faulty.client.run_job(endpoint, faulty.job_request("failed"))
            assert ended == {"StatusCode": "Failed", "Details": f"{code}: No luck."}
        assert set((await faulty.jobs()).values()) == {"Failed"}
        assert not await exists(faulty, "failed/model.ilearner")

    async def test_a_job_that_hangs_runs_until_it_is_cancelled(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        job_id = await faulty.registered(endpoint)
        faulty.faults.add(Rule(job=JobFault(hang=True), nth=1))
        await faulty.client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        # Another job is trained meanwhile, from beginning to end.
        assert (await faulty.client.run_job(endpoint, faulty.job_request("other")))["StatusCode"] == "Finished"
        assert (await faulty.jobs())[job_id] == "Running"
        await faulty.client.call(endpoint, "DELETE", f"/jobs/{job_id}")
        assert (await faulty.jobs())[job_id] == "Cancelled"
        assert not await exists(faulty, "run/model.ilearner")

    async def test_a_job_that_hangs_goes_on_when_its_rule_is_removed(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        job_id = await faulty.registered(endpoint)
        faulty.faults.add(Rule(job=JobFault(hang=True)))
        await faulty.client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        assert (await faulty.client.call(endpoint, "GET", f"/jobs/{job_id}")).body == {"StatusCode": "Running"}
        faulty.faults.clear()
        assert (await faulty.client.finished(endpoint, job_id))["StatusCode"] == "Finished"

    async def test_a_job_finishes_without_its_model(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(job=JobFault(omit=("output1",))))
        ended = await faulty.client.run_job(endpoint, faulty.job_request())
        assert (ended["StatusCode"], set(ended["Results"])) == ("Finished", {"output1", "output2"})
        assert not await exists(faulty, "run/model.ilearner")
        assert await exists(faulty, "run/evaluation.csv")

    async def test_a_worker_that_dies_in_mid_training_fails_its_job_and_no_other(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(job=JobFault(worker_dies=True), nth=1))
        ended = await faulty.client.run_job(endpoint, faulty.job_request("killed"))
        assert ended["StatusCode"] == "Failed"
        assert ended["Details"].startswith("ContainerProcessTerminatedWithSystemError: the worker process ended")
        assert not await exists(faulty, "killed/model.ilearner")
        assert (await faulty.client.run_job(endpoint, faulty.job_request("next")))["StatusCode"] == "Finished"

    async def test_a_start_that_is_refused_orders_nothing(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(job=JobFault(fail="ModuleExecutionFailed"), nth=1))
        unknown = await faulty.client.call(endpoint, "POST", f"/jobs/{'0' * 32}/start")
        assert unknown.status == 404
        assert (await faulty.client.run_job(endpoint, faulty.job_request()))["StatusCode"] == "Finished"


class TestBlobs:
    async def test_a_blob_vanishes_now(self, faulty: Any) -> None:
        assert await exists(faulty, "initial/breast-cancer.ilearner")
        faulty.faults.add(Rule(vanish="now", path="/contosostore/models/initial/breast-*"))
        assert not await exists(faulty, "initial/breast-cancer.ilearner")
        assert faulty.faults.listing() == []

    async def test_a_blob_vanishes_after_some_reads(self, faulty: Any) -> None:
        faulty.faults.add(Rule(vanish="after", path=MODEL_PATH, nth=2))
        url = blob(faulty, "initial/breast-cancer.ilearner")
        first, second, third = [await faulty.raw("GET", url) for _ in range(3)]
        assert [first.status, second.status, third.status] == [200, 200, 404]
        assert first.body == second.body
        faulty.faults.clear()
        assert (await faulty.raw("GET", url)).status == 404

    async def test_a_blob_vanishes_before_it_is_read(self, faulty: Any) -> None:
        faulty.faults.add(Rule(vanish="before", path=MODEL_PATH, nth=1))
        assert (await faulty.raw("GET", blob(faulty, "initial/breast-cancer.ilearner"))).status == 404

    async def test_a_read_that_was_refused_makes_nothing_vanish(self, faulty: Any) -> None:
        faulty.faults.add(Rule(vanish="after", path=MODEL_PATH))
        assert (await faulty.raw("GET", MODEL_PATH)).status == 403
        faulty.faults.clear()
        assert await exists(faulty, "initial/breast-cancer.ilearner")

    async def test_a_full_account_can_be_read_and_not_written(self, faulty: Any) -> None:
        faulty.faults.add(Rule(storage_full=True))
        url = blob(faulty, "new", permissions="rcwd")
        refused = await faulty.raw("PUT", url, {"a": 1}, headers={"x-ms-blob-type": "BlockBlob"})
        assert (refused.status, refused.headers["x-ms-error-code"]) == (403, "InsufficientAccountPermissions")
        assert await exists(faulty, "initial/breast-cancer.ilearner")
        faulty.faults.clear()
        assert not await exists(faulty, "new")

    async def test_a_job_whose_account_is_full_fails_and_says_so(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(storage_full=True, path="/contosostore/models/*"))
        ended = await faulty.client.run_job(endpoint, faulty.job_request())
        assert ended["StatusCode"] == "Failed"
        assert ended["Details"].startswith("InsufficientAccountPermissions: ")
        faulty.faults.clear()
        assert not await exists(faulty, "run/model.ilearner")


class TestTheEndOfTheService:
    async def test_nothing_listens_any_more_and_then_it_does_again(self, faulty: Any) -> None:
        jobs_before = faulty.client.context.documents.collection("jobs")
        async with aiohttp.ClientSession() as kept_alive:
            async with kept_alive.get(faulty.studio.url + "/_studio/health") as reply:
                assert reply.status == 200
            faulty.faults.add(Rule(retired="refused"))
            with pytest.raises(ConnectionRefusedError):
                await faulty.raw("GET", SERVICES, token=faulty.client.token)
            # A connection that was open answers nothing either.
            with pytest.raises(aiohttp.ClientConnectionError):
                await kept_alive.get(faulty.studio.url + SERVICES)
        faulty.faults.clear()
        assert (await faulty.raw("GET", SERVICES, token=faulty.client.token)).status == 200
        assert dict(jobs_before) == {}

    async def test_refusing_ends_when_its_time_is_over(self, faulty: Any) -> None:
        faulty.faults.add(Rule(retired="refused", lasts=BRIEF))
        with pytest.raises(ConnectionRefusedError):
            await faulty.raw("GET", SERVICES)
        # The rule's end, as the Studio's own timer brings it about.
        await asyncio.wait_for(asyncio.to_thread(wait_for_the_end_of_all_rules, faulty), 20)
        assert (await faulty.raw("GET", SERVICES, token=faulty.client.token)).status == 200

    async def test_two_refusals_end_with_the_last(self, faulty: Any) -> None:
        first, second = faulty.faults.add(Rule(retired="refused"), Rule(retired="refused"))
        faulty.faults.remove(first)
        with pytest.raises(ConnectionRefusedError):
            await faulty.raw("GET", SERVICES)
        faulty.faults.remove(second)
        faulty.faults.add(Rule(retired="refused"))
        faulty.faults.clear()
        assert (await faulty.raw("GET", SERVICES, token=faulty.client.token)).status == 200

    async def test_connections_are_reset(self, faulty: Any) -> None:
        faulty.faults.add(Rule(retired="reset"))
        with pytest.raises(ConnectionResetError):
            await faulty.raw("GET", SERVICES, token=faulty.client.token)

    @pytest.mark.parametrize("status", ["404", "410"])
    async def test_the_hosts_of_studio_answer_alike_to_everything(self, faulty: Any, status: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(retired=status))
        for reply in (
            await faulty.raw("GET", SERVICES, token=faulty.client.token),
            await faulty.batch(endpoint, "POST", "/jobs", faulty.job_request()),
        ):
            assert reply.status == int(status)
            assert reply.headers["content-type"].startswith("text/html")
        # Storage and Resource Manager are other services, and live on.
        assert await exists(faulty, "initial/breast-cancer.ilearner")
        assert (await faulty.client.send("GET", "/subscriptions")).status == 401
        assert await faulty.jobs() == {}

    async def test_the_name_of_studios_host_is_not_found_by_the_cloud_file_until_the_rule_ends(
        self, faulty: Any
    ) -> None:
        there = faulty.studio.cloud_file.read_text()
        (rule_id,) = faulty.faults.add(Rule(retired="name-not-found"))
        before, after = json.loads(there), json.loads(faulty.studio.cloud_file.read_text())
        assert after.pop("managementUrl") == "https://management.azureml.invalid"
        assert before.pop("managementUrl") == before["emulatorUrl"] == faulty.studio.url
        assert after == before
        # Who remembers the address gets no answer; storage and Resource Manager are other services, and live on.
        with pytest.raises(ConnectionResetError):
            await faulty.raw("GET", SERVICES, token=faulty.client.token)
        assert await exists(faulty, "initial/breast-cancer.ilearner")
        assert (await faulty.client.send("GET", "/subscriptions")).status == 401
        assert (await faulty.client.send("DELETE", f"/_studio/faults/{rule_id}")).status == 204
        assert faulty.studio.cloud_file.read_text() == there
        assert (await faulty.client.manage("GET")).status == 200

    async def test_a_name_comes_back_when_the_time_is_over_and_no_request_comes(self, faulty: Any) -> None:
        there = faulty.studio.cloud_file.read_text()
        faulty.faults.add(Rule(retired="name-not-found", lasts=BRIEF))
        assert faulty.studio.cloud_file.read_text() != there
        while faulty.studio.cloud_file.read_text() != there:  # noqa: ASYNC110 - another loop's timer has no event
            await asyncio.sleep(0.005)

    async def test_a_host_may_be_gone_while_resource_manager_knows_no_such_provider(self, faulty: Any) -> None:
        faulty.faults.add(Rule(retired="name-not-found"), Rule(retired="NoRegisteredProviderFound"))
        service = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearning/webServices/S"
        reply = await faulty.client.send("GET", service, **{"api-version": "2017-01-01"})
        assert (reply.status, reply.code) == (400, "NoRegisteredProviderFound")
        with pytest.raises(ConnectionResetError):
            await faulty.raw("GET", SERVICES)

    async def test_resource_manager_lives_and_knows_no_such_provider(self, faulty: Any) -> None:
        faulty.faults.add(Rule(retired="NoRegisteredProviderFound"))
        group = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g"
        service = f"{group}/providers/Microsoft.MachineLearning/webServices/S"
        reply = await faulty.client.send("GET", service, **{"api-version": "2017-01-01"})
        assert (reply.status, reply.code) == (400, "NoRegisteredProviderFound")
        assert (await faulty.client.send("GET", group)).status == 401
        assert (await faulty.client.manage("GET")).status == 200

"""What a caller sees of each fault, and that the emulator's state afterwards is what the fault says."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from reconciler.emulator.faults import Answer, Rule, Trickle
from reconciler.emulator.faults.documented_codes import EXECUTION_CODES

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
SERVICES = f"/workspaces/{WORKSPACE}/webservices"
PREDICTIVE = "Breast Cancer [predictive exp.]"
MODEL_BLOB = "initial/breast-cancer.ilearner"
SMALL = timedelta(milliseconds=20)
LONG = timedelta(hours=1)


class TestDroppedConnections:
    async def test_after_a_drop_before_the_work_the_job_does_not_exist(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(operation="batch.register", drop="before"))
        reply = await faulty.batch(endpoint, "POST", "/jobs", faulty.job_request())
        assert reply.data == b""
        assert await faulty.jobs() == {}

    async def test_after_a_drop_after_the_work_the_job_exists(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(operation="batch.register", drop="after"))
        reply = await faulty.batch(endpoint, "POST", "/jobs", faulty.job_request())
        assert reply.data == b""
        assert list((await faulty.jobs()).values()) == ["NotStarted"]

    async def test_a_start_whose_reply_is_lost_has_started_the_job(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        job_id = await faulty.registered(endpoint)
        faulty.faults.add(Rule(operation="batch.start", nth=1, drop="after"))
        assert (await faulty.batch(endpoint, "POST", f"/jobs/{job_id}/start")).data == b""
        again = await faulty.client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        assert (again.status, again.code) == (400, "CannotStartJob")
        assert (await faulty.client.finished(endpoint, job_id))["StatusCode"] == "Finished"

    @pytest.mark.parametrize(("moment", "made"), [("before", 404), ("after", 200)])
    async def test_an_endpoint_is_made_or_not_as_the_drop_says(self, faulty: Any, moment: Any, made: int) -> None:
        path = f"/{await faulty.client.service_id(PREDICTIVE)}/endpoints/lost"
        faulty.faults.add(Rule(operation="management.putEndpoint", drop=moment))
        reply = await faulty.raw("PUT", SERVICES + path, {"Description": "x"}, token=faulty.client.token)
        assert reply.data == b""
        assert (await faulty.client.manage("GET", path)).status == made

    @pytest.mark.parametrize(("moment", "description"), [("before", "Clinic A"), ("after", "changed")])
    async def test_a_patch_is_done_or_not_as_the_drop_says(self, faulty: Any, moment: Any, description: str) -> None:
        path = f"/{await faulty.client.service_id(PREDICTIVE)}/endpoints/clinica"
        before = (await faulty.client.manage("GET", path)).body["Description"]
        faulty.faults.add(Rule(operation="management.patchEndpoint", drop=moment))
        await faulty.raw("PATCH", SERVICES + path, {"Description": "changed"}, token=faulty.client.token)
        after = (await faulty.client.manage("GET", path)).body["Description"]
        assert after == (before if moment == "before" else description)

    @pytest.mark.parametrize(("moment", "there"), [("before", False), ("after", True)])
    async def test_a_blob_is_written_or_not_as_the_drop_says(self, faulty: Any, moment: Any, there: bool) -> None:
        token = faulty.client.context.storage.sign("contosostore", "models", permissions="rcw", valid_for=LONG)
        faulty.faults.add(Rule(operation="storage.putBlob", path="/contosostore/models/x", drop=moment))
        reply = await faulty.raw(
            "PUT", f"/contosostore/models/x{token}", {"a": 1}, headers={"x-ms-blob-type": "BlockBlob"}
        )
        assert reply.data == b""
        faulty.faults.clear()
        found = await faulty.raw("GET", f"/contosostore/models/x{token}")
        assert found.status == (200 if there else 404)

    async def test_a_dropped_request_leaves_no_traceback(self, faulty: Any, caplog: pytest.LogCaptureFixture) -> None:
        faulty.faults.add(Rule(drop="before", nth=1), Rule(drop="after"))
        for _ in range(2):
            assert (await faulty.raw("GET", SERVICES, token=faulty.client.token)).data == b""
        assert [record for record in caplog.records if record.levelname in {"ERROR", "WARNING"}] == []


class TestAnswers:
    async def test_a_documented_code_of_the_execution_api_has_its_status_and_both_levels(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        for code in EXECUTION_CODES:
            faulty.faults.clear()
            faulty.faults.add(Rule(operation="batch.register", answer=Answer(code=str(code))))
            reply = await faulty.client.call(endpoint, "POST", "/jobs", faulty.job_request())
            error = reply.body["error"]
            assert (reply.status, error["code"]) == (code.status, code.outer)
            assert [detail["code"] for detail in error.get("details", [])] == ([code.inner] if code.inner else [])
        assert await faulty.jobs() == {}

    async def test_each_part_of_the_service_has_its_own_form_of_an_error(self, faulty: Any) -> None:
        faulty.faults.add(Rule(answer=Answer(status=500, code="InternalError", message="Told to.")))
        management = await faulty.client.manage("GET")
        assert management.body == {"error": {"code": "InternalError", "message": "Told to."}}
        storage = await faulty.raw("GET", "/contosostore/models/x")
        assert (storage.status, storage.headers["x-ms-error-code"]) == (500, "InternalError")
        assert b"<Code>InternalError</Code>" in storage.body
        sign_in = await faulty.client.send("POST", "/tenant/oauth2/v2.0/token")
        assert sign_in.body == {"error": "InternalError", "error_description": "Told to."}

    async def test_resource_manager_and_storage_know_the_status_of_their_codes(self, faulty: Any) -> None:
        faulty.faults.add(
            Rule(operation="arm.*", answer=Answer(code="TooManyRequests", headers={"Retry-After": "7"})),
            Rule(operation="storage.*", answer=Answer(code="ServerBusy")),
        )
        throttled = await faulty.client.send("GET", "/subscriptions")
        assert (throttled.status, throttled.headers["Retry-After"]) == (429, "7")
        assert (await faulty.raw("GET", "/contosostore/models/x")).status == 503

    async def test_a_body_of_ones_own_is_sent_as_it_is(self, faulty: Any) -> None:
        faulty.faults.add(
            Rule(operation="management.listServices", nth=1, answer=Answer(status=440, body="Log on again.")),
            Rule(operation="management.listServices", nth=2, answer=Answer(status=200, body=[{"Id": None}])),
        )
        text, listed = await faulty.client.manage("GET"), await faulty.client.manage("GET")
        assert (text.status, text.body) == (440, "Log on again.")
        assert (listed.status, listed.body) == (200, [{"Id": None}])

    async def test_an_answer_after_the_work_is_wrong_about_it(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(
            Rule(operation="batch.register", nth=1, answer=Answer(code="BackendScoreTimeout", after_work=True))
        )
        reply = await faulty.client.call(endpoint, "POST", "/jobs", faulty.job_request())
        assert (reply.status, reply.code) == (504, "BackendScoreTimeout")
        assert list((await faulty.jobs()).values()) == ["NotStarted"]


class TestGarbledReplies:
    async def test_a_broken_body_is_whole_http_and_no_json(self, faulty: Any) -> None:
        faulty.faults.add(Rule(operation="management.listServices", body="broken"))
        reply = await faulty.raw("GET", SERVICES, token=faulty.client.token)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json; charset=utf-8")
        assert len(reply.body) == int(reply.headers["content-length"])
        with pytest.raises(json.JSONDecodeError):
            json.loads(reply.body)

    async def test_a_job_is_registered_though_its_id_comes_garbled(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(operation="batch.register", body="html"))
        reply = await faulty.batch(endpoint, "POST", "/jobs", faulty.job_request())
        assert reply.headers["content-type"].startswith("text/html")
        assert reply.body.startswith(b"<!DOCTYPE html>")
        assert list((await faulty.jobs()).values()) == ["NotStarted"]

    async def test_an_empty_body_keeps_status_and_type(self, faulty: Any) -> None:
        faulty.faults.add(Rule(operation="management.listServices", body="empty"))
        reply = await faulty.raw("GET", SERVICES, token=faulty.client.token)
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["content-type"].startswith("application/json")

    async def test_a_wrong_content_type_has_the_right_body(self, faulty: Any) -> None:
        faulty.faults.add(Rule(operation="management.listServices", content_type="text/html"))
        reply = await faulty.raw("GET", SERVICES, token=faulty.client.token)
        assert reply.headers["content-type"] == "text/html"
        assert {service["Name"] for service in json.loads(reply.body)} >= {PREDICTIVE}

    async def test_a_body_that_is_cut_short_was_promised_whole(self, faulty: Any) -> None:
        whole = await faulty.raw("GET", SERVICES, token=faulty.client.token)
        faulty.faults.add(
            Rule(operation="management.listServices", nth=1, cut=10),
            Rule(operation="management.listServices", nth=2, cut=0.5),
            Rule(operation="management.listServices", nth=3, cut=0),
        )
        replies = [await faulty.raw("GET", SERVICES, token=faulty.client.token) for _ in range(3)]
        assert {reply.headers["content-length"] for reply in replies} == {str(len(whole.body))}
        assert [len(reply.body) for reply in replies] == [10, len(whole.body) // 2, 0]
        assert whole.body.startswith(replies[1].body)

    async def test_a_blob_that_is_sent_in_pieces_is_cut_short_as_well(self, faulty: Any) -> None:
        data = bytes(3 << 20)
        await faulty.client.upload("models/large", data)
        token = faulty.client.context.storage.sign("contosostore", "models", valid_for=LONG)
        faulty.faults.add(Rule(operation="storage.getBlob", cut=2_000_000))
        reply = await faulty.raw("GET", f"/contosostore/models/large{token}")
        assert (int(reply.headers["content-length"]), len(reply.body)) == (len(data), 2_000_000)


class TestSlowReplies:
    async def test_a_delay_is_waited_before_the_work_and_a_reply_delay_after_it(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        ids = faulty.faults.add(Rule(operation="batch.register", nth=1, delay=LONG))
        waiting = asyncio.create_task(faulty.batch(endpoint, "POST", "/jobs", faulty.job_request()))
        await until(lambda: faulty.faults.listing()[0]["fired"] == 1)
        assert await faulty.jobs() == {}
        # A rule that ends lets go what waits on its account.
        faulty.faults.remove(*ids)
        assert (await waiting).status == 200
        faulty.faults.add(Rule(operation="batch.register", nth=1, delay_reply=LONG))
        waiting = asyncio.create_task(faulty.batch(endpoint, "POST", "/jobs", faulty.job_request()))
        await until(lambda: len(faulty.journal.entries(operation="batch.register")) == 2)
        assert len(await faulty.jobs()) == 2
        assert not waiting.done()
        faulty.faults.clear()
        assert (await waiting).status == 200

    async def test_a_delay_is_as_long_as_it_says(self, faulty: Any) -> None:
        faulty.faults.add(Rule(operation="management.listServices", delay=SMALL))
        assert (await faulty.client.manage("GET")).status == 200
        (entry,) = faulty.journal.entries(operation="management.listServices")
        assert entry.ms >= 20

    async def test_a_trickle_sends_the_headers_at_once_and_the_body_in_pieces(self, faulty: Any) -> None:
        faulty.faults.add(Rule(operation="management.listServices", trickle=Trickle(every=LONG, bytes=100)))
        connection = await asyncio.open_connection("127.0.0.1", int(faulty.studio.url.rpartition(":")[2]))
        reader, writer = connection
        request = f"GET {SERVICES} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {faulty.client.token}\r\n\r\n"
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        faulty.faults.clear()
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        assert len(json.loads(await reader.readexactly(length))) > 0
        writer.close()

    async def test_a_trickle_ends_and_is_whole(self, faulty: Any) -> None:
        whole = (await faulty.client.manage("GET")).body
        trickle = Trickle(every=timedelta(milliseconds=1), bytes=500)
        faulty.faults.add(Rule(operation="management.listServices", trickle=trickle))
        assert (await faulty.client.manage("GET")).body == whole

    @pytest.mark.parametrize("slow", ["delay", "delay_reply", "trickle"])
    async def test_a_studio_that_ends_waits_for_no_slow_reply(
        self, studio_thread: Any, first_state: Any, slow: str, tmp_path: Any
    ) -> None:
        shutil.copytree(first_state, tmp_path / "state")
        effects: dict[str, Any] = {slow: Trickle(every=LONG) if slow == "trickle" else LONG}
        with studio_thread.studio(state=tmp_path / "state") as studio:
            studio.faults.add(Rule(operation="management.listServices", **effects))
            port = int(studio.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            token = studio.context.secrets.workspace_token(WORKSPACE)
            writer.write(f"GET {SERVICES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            await until(lambda: studio.faults.listing()[0]["fired"] == 1)
            started = asyncio.get_running_loop().time()
        # The server's own patience with requests is 2 s.
        assert asyncio.get_running_loop().time() - started < 1.5
        assert b"\r\n\r\n[" not in await reader.read()
        writer.close()


class TestClockSkew:
    async def test_the_date_header_is_off(self, faulty: Any) -> None:
        true = parsedate_to_datetime((await faulty.client.manage("GET")).headers["Date"])
        faulty.faults.add(Rule(operation="management.*", clock_skew=timedelta(hours=2)))
        skewed = parsedate_to_datetime((await faulty.client.manage("GET")).headers["Date"])
        assert timedelta(hours=1, minutes=59) < skewed - true < timedelta(hours=2, minutes=1)
        assert abs(
            parsedate_to_datetime((await faulty.client.send("GET", "/subscriptions")).headers["Date"]) - true
        ) < (timedelta(minutes=1))

    async def test_storage_with_a_clock_ahead_finds_a_sas_expired(self, faulty: Any) -> None:
        token = faulty.client.context.storage.sign("contosostore", "models", valid_for=timedelta(hours=1))
        url = f"/contosostore/models/{MODEL_BLOB}{token}"
        assert (await faulty.raw("GET", url)).status == 200
        faulty.faults.add(Rule(operation="storage.*", clock_skew=timedelta(hours=2)))
        refused = await faulty.raw("GET", url)
        assert (refused.status, refused.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
        faulty.faults.clear()
        assert (await faulty.raw("GET", url)).status == 200

    async def test_storage_with_a_clock_behind_finds_a_sas_too_early(self, faulty: Any) -> None:
        token = faulty.client.context.storage.sign("contosostore", "models", valid_for=timedelta(hours=1))
        faulty.faults.add(Rule(operation="storage.*", clock_skew=timedelta(hours=-2)))
        assert (await faulty.raw("GET", f"/contosostore/models/{MODEL_BLOB}{token}")).status == 403

    async def test_a_result_that_is_signed_by_a_clock_behind_has_expired_already(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        job_id = await faulty.registered(endpoint)
        await faulty.client.call(endpoint, "POST", f"/jobs/{job_id}/start")
        good = (await faulty.client.finished(endpoint, job_id))["Results"]["output1"]
        faulty.faults.add(Rule(operation="batch.status", clock_skew=timedelta(days=-3)))
        bad = (await faulty.client.call(endpoint, "GET", f"/jobs/{job_id}")).body["Results"]["output1"]
        for result, status in ((good, 200), (bad, 403)):
            url = result["BaseLocation"] + result["RelativeLocation"] + result["SasBlobToken"]
            assert (await faulty.raw("GET", url)).status == status


async def until(condition: Any) -> None:
    """Waits for something that happens in the Studio's own thread."""
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)

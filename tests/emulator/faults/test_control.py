"""The control API, who may use it, and the journal."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from reconciler.emulator.control.access import refusal
from reconciler.emulator.control.journal import Journal
from reconciler.emulator.faults import Rule
from reconciler.emulator.faults.operation_names import OPERATIONS

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
SERVICES = f"/workspaces/{WORKSPACE}/webservices"
EXECUTION = f"/workspaces/{WORKSPACE}/services/{'0' * 32}"
SUBSCRIPTION = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11"
PROVIDER = f"{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.MachineLearning"
LOCATION = f"{SUBSCRIPTION}/providers/Microsoft.MachineLearning/locations/southcentralus"


class TestControl:
    async def test_rules_are_added_listed_and_removed(self, faulty: Any) -> None:
        client = faulty.client
        body = {"seed": 3, "rules": [{"operation": "batch.*", "drop": "after"}, {"name": "slow", "delay": "0.5s"}]}
        added = await client.send("POST", "/_studio/faults", body)
        assert (added.status, added.body) == (201, {"added": ["rule-1", "slow"]})
        listed = (await client.send("GET", "/_studio/faults")).body["rules"]
        assert listed[1] == {
            "id": "slow",
            "rule": {"name": "slow", "delay": "0.5s"},
            "seed": 3,
            "calls": 0,
            "fired": 0,
        }
        assert (await client.send("DELETE", "/_studio/faults/slow")).status == 204
        again = await client.send("DELETE", "/_studio/faults/slow")
        assert (again.status, again.code) == (404, "NoSuchFaultRule")
        assert [rule["id"] for rule in faulty.faults.listing()] == ["rule-1"]
        assert (await client.send("DELETE", "/_studio/faults")).status == 204
        assert faulty.faults.listing() == []

    async def test_the_body_may_be_yaml(self, faulty: Any) -> None:
        text = "rules:\n- operation: management.listServices\n  answer: {code: InvalidWorkspaceId}\n"
        assert (await faulty.client.send("POST", "/_studio/faults", text)).status == 201
        reply = await faulty.client.manage("GET")
        assert (reply.status, reply.code) == (400, "InvalidWorkspaceId")

    async def test_a_mistake_is_named_and_nothing_is_added(self, faulty: Any) -> None:
        body = {"rules": [{"drop": "after"}, {"drop": "never"}, {"operation": "nonsense", "drop": "after"}]}
        reply = await faulty.client.send("POST", "/_studio/faults", body)
        assert (reply.status, reply.code) == (400, "InvalidFaultRule")
        messages = [detail["message"] for detail in reply.body["error"]["details"]]
        assert messages[0] == "the body: rules[1].drop: Input should be 'before' or 'after'"
        assert messages[1].startswith("the body: rules[2]: unknown operation 'nonsense'")
        assert faulty.faults.listing() == []

    async def test_refusing_for_ever_cannot_be_asked_for_from_outside(self, faulty: Any) -> None:
        reply = await faulty.client.send("POST", "/_studio/faults", {"retired": "refused"})
        assert reply.status == 400
        assert "needs lasts" in reply.body["error"]["message"]

    async def test_no_fault_touches_the_control_api(self, faulty: Any) -> None:
        faulty.faults.add(Rule(drop="before"))
        assert (await faulty.client.send("GET", "/_studio/health")).status == 200
        assert (await faulty.raw("GET", SERVICES)).data == b""

    @pytest.mark.parametrize(
        ("method", "path", "name"),
        [
            ("GET", SERVICES, "management.listServices"),
            ("GET", f"{SERVICES}/", "management.listServices"),
            ("PATCH", f"{SERVICES}/s/endpoints/e", "management.patchEndpoint"),
            ("POST", f"{SERVICES}/s/endpoints/e/refresh", "management.refreshEndpoint"),
            ("POST", f"{SERVICES}/s/other", "management.other"),
            ("POST", f"{EXECUTION}/execute", "rrs.execute"),
            ("GET", f"{EXECUTION}/swagger.json", "rrs.getSwagger"),
            ("POST", f"{EXECUTION}/jobs", "batch.register"),
            ("POST", f"{EXECUTION}/jobs/j/start", "batch.start"),
            ("GET", f"{EXECUTION}/jobs/j", "batch.status"),
            ("DELETE", f"{EXECUTION}/jobs/j", "batch.cancel"),
            ("POST", f"/subscriptions/{'0' * 32}/services/{'1' * 32}/jobs", "batch.register"),
            ("GET", "/subscriptions", "arm.listSubscriptions"),
            ("PUT", f"{SUBSCRIPTION}/resourcegroups/g", "arm.putResourceGroup"),
            ("PATCH", f"{PROVIDER}/webServices/S", "arm.patchWebService"),
            ("GET", f"{PROVIDER}/webServices/S/listKeys", "arm.listKeys"),
            ("GET", f"{LOCATION}/operationsStatus/x", "arm.pollOperation"),
            ("POST", "/tenant/oauth2/v2.0/token", "signIn.token"),
            ("GET", "/tenant/v2.0/.well-known/openid-configuration", "signIn.discovery"),
            ("GET", "/contosostore?comp=list", "storage.listContainers"),
            ("GET", "/contosostore/models?restype=container&comp=list", "storage.listBlobs"),
            ("PUT", "/contosostore/models/a/b", "storage.putBlob"),
            ("PUT", "/contosostore/models/a/b?comp=blocklist", "storage.putBlockList"),
            ("HEAD", "/contosostore/models/a/b", "storage.headBlob"),
            ("GET", "/nothing/here", "other"),
        ],
    )
    async def test_each_request_has_a_name(self, faulty: Any, method: str, path: str, name: str) -> None:
        await faulty.raw(method, path)
        assert faulty.journal.entries()[-1].operation == name
        assert name in OPERATIONS
        assert name in (await faulty.client.send("GET", "/_studio/operations")).body["operations"]


class TestAccess:
    @pytest.mark.parametrize(
        ("peer", "headers"),
        [
            ("127.0.0.1", {"Host": "127.0.0.1:8080"}),
            ("127.0.0.1", {"Host": "localhost:8080"}),
            ("::1", {"Host": "[::1]:8080"}),
            ("127.0.0.1", {"Host": "localhost:8080", "Origin": "http://localhost:8080"}),
            ("127.0.0.1", {"Host": "localhost:8080", "Sec-Fetch-Site": "same-origin"}),
        ],
    )
    def test_programs_of_this_machine_and_the_own_page_are_let_in(self, peer: str, headers: dict[str, str]) -> None:
        assert refusal(peer, headers) is None

    @pytest.mark.parametrize(
        ("peer", "headers"),
        [
            ("192.168.1.7", {"Host": "127.0.0.1:8080"}),
            ("::ffff:10.0.0.1", {"Host": "127.0.0.1:8080"}),
            (None, {"Host": "127.0.0.1:8080"}),
            ("127.0.0.1", {"Host": "evil.example:8080"}),
            ("127.0.0.1", {"Host": "localhost.evil.example"}),
            ("127.0.0.1", {}),
            ("127.0.0.1", {"Host": "localhost:8080", "Origin": "https://evil.example"}),
            ("127.0.0.1", {"Host": "localhost:8080", "Origin": "null"}),
            ("127.0.0.1", {"Host": "localhost:8080", "Origin": "http://localhost:9090"}),
            ("127.0.0.1", {"Host": "localhost:8080", "Sec-Fetch-Site": "cross-site"}),
        ],
    )
    def test_others_are_refused(self, peer: str | None, headers: dict[str, str]) -> None:
        assert refusal(peer, headers) is not None

    @pytest.mark.parametrize(
        "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
    )
    async def test_a_page_of_another_site_changes_nothing(self, faulty: Any, headers: dict[str, str]) -> None:
        reply = await faulty.raw("POST", "/_studio/faults", {"drop": "before"}, headers=headers)
        assert reply.status == 403
        assert json.loads(reply.body)["error"]["code"] == "ControlRefused"
        assert (await faulty.raw("GET", "/_studio/journal", headers=headers)).status == 403
        assert faulty.faults.listing() == []


class TestJournal:
    async def test_it_says_that_one_job_was_started(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        mark = faulty.journal.last
        await faulty.client.run_job(endpoint, faulty.job_request())
        writes = faulty.journal.entries(mark, kind="write")
        assert [(entry.operation, entry.status) for entry in writes] == [("batch.register", 200), ("batch.start", 204)]
        assert {entry.kind for entry in faulty.journal.entries(mark, operation="batch.status")} == {"read"}
        # The job's outputs were written by the emulator itself.
        own = faulty.journal.entries(mark, kind="write", caller="studio")
        assert [entry.operation for entry in own] == ["storage.putBlob", "storage.putBlob"]

    async def test_it_says_that_no_write_was_sent(self, faulty: Any) -> None:
        mark = faulty.journal.last
        await faulty.client.endpoint()
        assert faulty.journal.entries(mark, kind="write") == []
        assert len(faulty.journal.entries(mark, kind="read")) == 2

    async def test_it_can_be_read_as_json_lines(self, faulty: Any) -> None:
        mark = faulty.journal.last
        await faulty.client.endpoint()
        reply = await faulty.raw("GET", f"/_studio/journal?after={mark}&kind=read")
        assert reply.headers["content-type"] == "application/x-ndjson; charset=utf-8"
        lines = [json.loads(line) for line in reply.body.splitlines()]
        assert [line["operation"] for line in lines] == ["management.listServices", "management.getEndpoint"]
        assert lines[1]["route"] == "/workspaces/*/webservices/*/endpoints/*"
        assert set(lines[0]) == {
            *("number", "at", "method", "path", "route", "operation", "query", "status", "ms", "kind", "caller"),
            *("correlation", "fault"),
        }
        assert (await faulty.client.send("GET", "/_studio/journal", after="x")).status == 400

    async def test_it_says_which_fault_was_met_and_that_no_answer_was_sent(self, faulty: Any) -> None:
        faulty.faults.add(Rule(name="lost", operation="management.listServices", nth=1, drop="after"))
        await faulty.raw("GET", SERVICES, token=faulty.client.token)
        await faulty.raw("GET", SERVICES, token=faulty.client.token)
        first, second = faulty.journal.entries(operation="management.listServices")
        assert (first.status, first.fault) == (0, "lost: drop after")
        assert (second.status, second.fault) == (200, "")

    async def test_a_request_goes_by_the_name_that_its_caller_gave_it(self, faulty: Any) -> None:
        await faulty.raw("GET", SERVICES, headers={"x-ms-client-request-id": "mine-7"})
        reply = await faulty.raw("GET", SERVICES)
        odd = await faulty.raw("GET", SERVICES, headers={"x-ms-client-request-id": "a key? " * 30})
        assert [entry.correlation for entry in faulty.journal.entries()[-3:]] == [
            "mine-7",
            reply.headers["x-ms-request-id"],
            odd.headers["x-ms-request-id"],
        ]

    async def test_it_holds_no_secret(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        token = faulty.client.context.storage.sign("contosostore", "models", valid_for=timedelta(hours=1))
        await faulty.raw("GET", f"/contosostore/models/initial/breast-cancer.ilearner{token}")
        await faulty.client.run_job(endpoint, faulty.job_request())
        await faulty.client.send("POST", "/tenant/oauth2/v2.0/token", "client_secret=hush")
        text = (await faulty.raw("GET", "/_studio/journal")).body.decode()
        account_key = faulty.client.storage.partition("AccountKey=")[2].partition(";")[0]
        for secret in (token.rpartition("sig=")[2], endpoint["PrimaryKey"], faulty.client.token, account_key, "hush"):
            assert secret not in text

    async def test_the_older_view_shows_the_same_requests(self, faulty: Any) -> None:
        await faulty.client.endpoint()
        shown = (await faulty.client.send("GET", "/_studio/requests")).body["requests"]
        entries = faulty.journal.entries(caller=None)
        assert [request["number"] for request in shown] == [entry.number for entry in entries]

    async def test_an_entry_is_there_before_its_caller_has_the_answer(self, faulty: Any) -> None:
        async def one() -> None:
            await faulty.client.manage("GET")
            assert faulty.journal.last >= 1

        mark = faulty.journal.last
        await asyncio.gather(*(one() for _ in range(20)))
        assert len(faulty.journal.entries(mark)) == 20

    def test_it_forgets_the_oldest_and_keeps_count(self) -> None:
        journal = Journal(remembered=3)
        members: dict[str, Any] = dict.fromkeys(("at", "method", "path", "route", "query", "correlation", "fault"), "")
        for number in range(5):
            name = "batch.start" if number == 0 else "batch.status"
            journal.add(**members, operation=name, status=200, ms=1.0, kind="read", caller="client")
        assert [entry.number for entry in journal.entries()] == [3, 4, 5]
        assert [journal.forgotten(after) for after in (0, 1, 2, 5)] == [2, 1, 0, 0]
        assert journal.totals()["batch.start", "read", "client"] == 1
        assert journal.totals()["batch.status", "read", "client"] == 4

    async def test_the_totals_can_be_read(self, faulty: Any) -> None:
        await faulty.client.endpoint()
        totals = (await faulty.client.send("GET", "/_studio/journal/totals")).body["totals"]
        assert {"operation": "management.getEndpoint", "kind": "read", "caller": "client", "requests": 1} in totals

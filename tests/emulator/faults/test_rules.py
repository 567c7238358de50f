"""Which requests a rule fires at, the same for the same seed; and what a rule that makes no sense is told."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.emulator.faults import Answer, FaultsFileError, Rule, load_rules
from reconciler.emulator.faults.chaos import mix
from reconciler.emulator.faults.registry import ActiveRule
from reconciler.emulator.faults.rule_file import parse_rules
from reconciler.emulator.server import Studio

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"
LIST = {"operation": "management.listServices", "answer": Answer(status=500, code="GetWorkspaceFailed")}


async def statuses(faulty: Any, times: int) -> list[int]:
    return [(await faulty.client.manage("GET")).status for _ in range(times)]


def hits(statuses: list[int]) -> list[int]:
    """At which calls, counted from 1, the fault was met."""
    return [number for number, status in enumerate(statuses, 1) if status == 500]


class TestMoments:
    async def test_a_rule_with_no_moment_holds_until_it_is_cleared(self, faulty: Any) -> None:
        faulty.faults.add(Rule(**LIST))
        assert await statuses(faulty, 3) == [500, 500, 500]
        faulty.faults.clear()
        assert await statuses(faulty, 1) == [200]

    @pytest.mark.parametrize(
        ("moment", "expected"),
        [
            ({"nth": 3}, [3]),
            ({"nth": (1, 4)}, [1, 4]),
            ({"after": 2}, [3, 4, 5]),
            ({"times": 2}, [1, 2]),
            ({"after": 1, "times": 2}, [2, 3]),
        ],
    )
    async def test_a_rule_fires_at_counted_calls(self, faulty: Any, moment: Any, expected: list[int]) -> None:
        faulty.faults.add(Rule(**LIST, **moment))
        assert hits(await statuses(faulty, 5)) == expected

    async def test_only_calls_that_match_are_counted(self, faulty: Any) -> None:
        faulty.faults.add(Rule(**LIST, nth=3))
        await statuses(faulty, 1)
        await faulty.client.endpoint()  # lists the services once, and gets an endpoint
        (rule,) = faulty.faults.listing()
        assert (rule["calls"], rule["fired"]) == (2, 0)

    async def test_a_rule_is_over_when_its_time_is(self, make_faulty: Any) -> None:
        now = datetime.now(UTC)
        faulty = make_faulty(clock=lambda: now)
        faulty.faults.add(Rule(**LIST, lasts=timedelta(minutes=5)))
        assert await statuses(faulty, 1) == [500]
        now += timedelta(minutes=5)
        assert await statuses(faulty, 1) == [200]
        assert faulty.faults.listing() == []

    async def test_method_and_path_choose_as_well(self, faulty: Any) -> None:
        faulty.faults.add(Rule(method="GET", path="/workspaces/*/webservices", answer=Answer(status=500, code="X")))
        assert await statuses(faulty, 1) == [500]
        assert (await faulty.client.send("GET", "/subscriptions")).status == 401

    async def test_a_rule_can_leave_the_emulators_own_calls_alone(self, faulty: Any) -> None:
        endpoint = await faulty.training()
        faulty.faults.add(Rule(operation="storage.*", caller="client", drop="before"))
        assert (await faulty.client.run_job(endpoint, faulty.job_request()))["StatusCode"] == "Finished"
        assert (await faulty.raw("GET", "/contosostore/models/x")).data == b""

    async def test_the_effects_of_several_rules_come_together(self, faulty: Any) -> None:
        faulty.faults.add(
            Rule(name="slow", delay=timedelta(milliseconds=1)), Rule(name="typed", content_type="text/x-odd")
        )
        reply = await faulty.raw("GET", f"/workspaces/{WORKSPACE}/webservices", token=faulty.client.token)
        assert reply.headers["content-type"] == "text/x-odd"
        assert faulty.journal.entries()[-1].fault == "slow: delay; typed: contentType"

    async def test_rules_that_were_added_before_the_start_spare_the_start(
        self, studio_thread: Any, first_state: Any, tmp_path: Path, connect: Any
    ) -> None:
        copytree(first_state, tmp_path / "state")
        studio = Studio(state=tmp_path / "state", workers=studio_thread.workers)
        assert studio.faults.add(Rule(drop="before")) == ["rule-1"]
        studio_thread.call(studio.__aenter__())
        try:
            assert studio.faults.listing()[0]["fired"] == 0
            studio.faults.clear()
            assert (await connect(studio).manage("GET")).status == 200
        finally:
            studio_thread.call(studio.__aexit__(None, None, None))

    async def test_a_name_may_be_gone_from_the_start(
        self, studio_thread: Any, first_state: Any, tmp_path: Path
    ) -> None:
        copytree(first_state, tmp_path / "state")
        studio = Studio(state=tmp_path / "state", workers=studio_thread.workers)
        studio.faults.add(Rule(retired="name-not-found"))
        studio_thread.call(studio.__aenter__())
        try:
            assert json.loads(studio.cloud_file.read_text())["managementUrl"].endswith(".invalid")
        finally:
            studio_thread.call(studio.__aexit__(None, None, None))


class TestShares:
    async def test_the_same_seed_hits_the_same_calls(self, make_faulty: Any) -> None:
        async def pattern(faulty: Any, seed: int) -> list[int]:
            faulty.faults.clear()
            faulty.faults.add(Rule(**LIST, share=0.3), seed=seed)
            return hits(await statuses(faulty, 60))

        first, second = make_faulty(), make_faulty()
        one = await pattern(first, 7)
        assert 8 <= len(one) <= 30
        assert await pattern(second, 7) == one
        assert await pattern(first, 7) == one
        assert await pattern(first, 8) != one

    def test_two_rules_draw_apart(self) -> None:
        def pattern(name: str) -> list[bool]:
            active = ActiveRule(name, Rule(share=0.5, drop="before"), 1, None, ())
            return [active.fires() for _ in range(200)]

        assert pattern("a") == pattern("a")
        assert pattern("a") != pattern("b")
        assert 70 < sum(pattern("a")) < 130

    async def test_a_share_of_concurrent_calls_is_as_large(self, faulty: Any) -> None:
        faulty.faults.add(Rule(**LIST, share=0.5), seed=3)
        replies = await asyncio.gather(*(faulty.client.manage("GET") for _ in range(60)))
        (rule,) = faulty.faults.listing()
        assert sum(reply.status == 500 for reply in replies) == rule["fired"]
        assert rule["calls"] == 60

    def test_the_mix_of_chaos_is_the_same_for_the_same_seed(self) -> None:
        assert mix(3, 0.2) == mix(3, 0.2)
        assert mix(3, 0.2) != mix(4, 0.2)
        requests = [rule for rule in mix(3, 0.2).rules if rule.job is None]
        assert sum(rule.share or 0 for rule in requests) == pytest.approx(0.2, abs=0.002)
        assert not any(rule.retired or rule.vanish or (rule.job and rule.job.hang) for rule in mix(3, 0.2).rules)


class TestMistakes:
    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ({}, "the rule has no effect: give one of answer, delay, "),
            ({"operation": "batch.strat", "drop": "after"}, "unknown operation 'batch.strat'; near: batch.start"),
            ({"drop": "after", "cut": 5}, "a connection that is dropped has no reply: leave out drop or cut"),
            ({"drop": "before", "answer": {"status": 500}}, "only one of these can be the outcome of a request"),
            (
                {"answer": {"code": "RequestThrotled"}},
                "RequestThrotled is not a documented code (near: RequestThrottled",
            ),
            (
                {"answer": {"code": "UnknownError"}},
                "UnknownError is documented more than once: write BadArgument/UnknownError or InternalError/Unkn",
            ),
            ({"answer": {}}, "an answer needs a status or a code"),
            ({"answer": {"code": "RequestThrottled", "body": "x"}}, "a code makes the body"),
            ({"delay": "5"}, "'5' is not a duration; one is written like 24h5m, 30s or 0.5s"),
            ({"delay": "-5s"}, "-5s is not a positive duration"),
            ({"share": 1.5, "drop": "before"}, "less than or equal to 1"),
            ({"share": 0.5, "nth": 2, "drop": "before"}, "nth goes with neither share nor after"),
            ({"operation": "batch.*", "job": {"hang": True}}, "job goes with the operation batch.start"),
            ({"job": {"hang": True, "workerDies": True}}, "give one of hang, fail, omit and workerDies"),
            ({"job": {"fail": "Boom"}}, "Boom is not a documented code"),
            ({"job": {"fail": "ServerBusy"}}, "ServerBusy is not a code of the execution API"),
            ({"vanish": "now"}, "vanish: now needs a path"),
            ({"vanish": "now", "path": "/a/*", "nth": 2}, "vanish: now has no other moment"),
            ({"operation": "batch.*", "vanish": "after"}, "vanish and storageFull go with operations of storage"),
            ({"retired": "refused", "nth": 2}, "retired: refused is about every request: it goes with lasts alone"),
            ({"retired": "name-not-found", "share": 0.5}, "it goes with lasts alone"),
            (
                {"retired": "gone"},
                "'refused', 'reset', '404', '410', 'NoRegisteredProviderFound' or 'name-not-found'",
            ),
            ({"colour": "red", "drop": "after"}, "Extra inputs are not permitted"),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused_with_the_reason(self, members: Any, message: str) -> None:
        with pytest.raises(ValidationError) as caught:
            Rule.model_validate(members)
        assert message in str(caught.value)

    def test_a_name_that_is_taken_is_refused_and_nothing_is_added(self, faulty: Any) -> None:
        faulty.faults.add(Rule(name="lost", drop="before"))
        with pytest.raises(ValueError, match="a rule 'lost' is already in force"):
            faulty.faults.add(Rule(drop="after"), Rule(name="lost", drop="after"))
        assert [rule["id"] for rule in faulty.faults.listing()] == ["lost"]

    def test_every_mistake_of_a_file_is_named_with_its_place(self, tmp_path: Path) -> None:
        file = tmp_path / "faults.yaml"
        file.write_text("seed: x\nrules:\n- {drop: after}\n- {name: second, share: 2, drop: never}\n")
        with pytest.raises(FaultsFileError) as caught:
            load_rules(file)
        assert str(caught.value).splitlines() == [
            f"{file}: seed: Input should be a valid integer, unable to parse string as an integer",
            f"{file}: rules[1] (second).share: Input should be less than or equal to 1",
            f"{file}: rules[1] (second).drop: Input should be 'before' or 'after'",
        ]

    def test_a_number_or_a_choice_is_named_as_the_file_has_it(self) -> None:
        with pytest.raises(FaultsFileError) as caught:
            parse_rules("[{drop: after, nth: 0}, {cut: -1}, {answer: {status: 99}}]", "x")
        places = {line.split(": ")[1] for line in str(caught.value).splitlines()}
        assert places == {"rules[0].nth", "rules[1].cut", "rules[2].answer.status"}
        assert parse_rules("{retired: 404}", "x").rules == (Rule(retired="404"),)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("rules: [", "is not YAML"),
            ("", "the document: Input should be a valid dictionary"),
            ("seed: 3", "rules: Field required"),
            ("rules: []", "rules: the list of rules is empty"),
        ],
    )
    def test_a_document_without_rules_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(FaultsFileError, match=r"^the body: ") as caught:
            parse_rules(text, "the body")
        assert message in str(caught.value)

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(FaultsFileError, match=r"none\.yaml: cannot be read"):
            load_rules(tmp_path / "none.yaml")

    def test_one_rule_and_a_list_of_rules_are_files_too(self) -> None:
        rule = Rule(operation="batch.start", nth=2, delay=timedelta(milliseconds=500))
        text = "{operation: batch.start, nth: 2, delay: 0.5s}"
        assert parse_rules(text, "x").rules == (rule,)
        assert parse_rules(f"[{text}]", "x").rules == (rule,)
        assert parse_rules(f"{{seed: 4, rules: [{text}]}}", "x").seed == 4

    def test_a_rule_survives_its_way_through_json(self) -> None:
        for rule in mix(1, 0.5, timedelta(seconds=90)).rules:
            assert Rule.model_validate_json(rule.model_dump_json(by_alias=True, exclude_defaults=True)) == rule

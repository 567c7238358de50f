"""``reconcile chaos`` and ``reconcile emulator --faults``, as a user runs them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from reconciler.cli.__main__ import main
from reconciler.emulator.faults import Rule

WORKSPACE = "3ad1c2b4e5f60718293a4b5c6d7e8f90"


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class TestChaos:
    async def test_it_prints_its_mix_and_takes_it_away_at_an_interrupt(self, faulty: Any) -> None:
        url = faulty.studio.url
        with running("chaos", "--url", url, "--seed", "5", "--share", "0.9") as chaos:
            assert chaos.stdout is not None
            first = await asyncio.to_thread(chaos.stdout.readline)
            assert first == "Injecting faults of seed 5 in about 90% of requests, until Ctrl-C:\n"
            ids = [rule["id"] for rule in faulty.faults.listing()]
            assert all(name.startswith("chaos-") for name in ids)
            await asyncio.gather(
                *(faulty.raw("GET", f"/workspaces/{WORKSPACE}/webservices") for _ in range(20)), return_exceptions=True
            )
            assert sum(rule["fired"] for rule in faulty.faults.listing()) > 0
            chaos.send_signal(signal.SIGINT)
            # Not communicate, which passes over what readline has taken in already.
            output = await asyncio.to_thread(chaos.stdout.read)
            assert await asyncio.to_thread(chaos.wait) == 0
        for rule_id in ids:
            assert rule_id in output
        assert output.splitlines()[-1].startswith("Faults removed: ")
        assert faulty.faults.listing() == []

    async def test_it_ends_by_itself_and_leaves_other_rules_alone(self, faulty: Any) -> None:
        faulty.faults.add(Rule(name="mine", operation="batch.start", drop="after"))
        with running("chaos", "--cloud-file", str(faulty.studio.cloud_file), "--for", "0.1") as chaos:
            output, errors = await asyncio.to_thread(chaos.communicate)
        assert (chaos.returncode, errors) == (0, "")
        assert "for 0.1 s, or until Ctrl-C" in output
        assert [rule["id"] for rule in faulty.faults.listing()] == ["mine"]

    async def test_it_can_show_the_end_of_the_whole_service(self, faulty: Any) -> None:
        """Found by its cloud file, whose name for the service does not exist meanwhile."""
        cloud_file, there = faulty.studio.cloud_file, faulty.studio.cloud_file.read_text()
        with running("chaos", "--cloud-file", str(cloud_file), "--retired", "name-not-found") as chaos:
            assert chaos.stdout is not None
            assert await asyncio.to_thread(chaos.stdout.readline) == "Injecting retired service, until Ctrl-C:\n"
            assert json.loads(cloud_file.read_text())["managementUrl"].endswith(".invalid")
            chaos.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(chaos.wait) == 0
        assert cloud_file.read_text() == there

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "chaos requires either --url or --cloud-file"),
            (("--url", "https://management.azureml.net"), "chaos works only on an emulator of this machine"),
            (("--url", "http://127.0.0.1:1"), "no emulator answers at http://127.0.0.1:1/_studio/faults"),
            (("--cloud-file", "/nowhere.json"), "/nowhere.json is not the cloud file of an emulator"),
            (("--url", "http://127.0.0.1:1", "--retired", "gone"), "--retired: Input should be 'refused', 'reset'"),
        ],
    )
    def test_a_wrong_address_or_form_is_named(
        self,
        arguments: tuple[str, ...],
        message: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["reconcile", "chaos", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        assert message in capsys.readouterr().err


class TestFaultsOfTheCommand:
    def test_rules_of_a_file_are_in_force_when_the_emulator_answers(self, first_state: Path, tmp_path: Path) -> None:
        file = tmp_path / "faults.yaml"
        file.write_text("seed: 1\nrules:\n- {operation: management.listServices, answer: {code: GetWorkspaceFailed}}\n")
        copytree(first_state, tmp_path / "state")
        with running("emulator", "--state", str(tmp_path / "state"), "--faults", str(file)) as emulator:
            assert emulator.stdout is not None
            url = json.loads(emulator.stdout.readline())["url"]
            with pytest.raises(HTTPError) as caught:
                build_opener(ProxyHandler({})).open(f"{url}/workspaces/{WORKSPACE}/webservices")
            with caught.value as reply:
                assert (reply.code, json.load(reply)["error"]["code"]) == (500, "GetWorkspaceFailed")
            emulator.send_signal(signal.SIGTERM)
            _, log = emulator.communicate()
        assert emulator.returncode == 0
        assert "[rule-1: answer] read" in log

    def test_a_file_with_a_mistake_is_named_and_nothing_starts(self, tmp_path: Path) -> None:
        file = tmp_path / "faults.yaml"
        file.write_text("rules:\n- {operation: batch.strat, drop: after}\n")
        with running("emulator", "--state", str(tmp_path / "state"), "--faults", str(file)) as emulator:
            output, errors = emulator.communicate()
        assert (emulator.returncode, output) == (1, "")
        assert errors.startswith(f"{file}: rules[0]: unknown operation 'batch.strat'; near: batch.start")
        assert not (tmp_path / "state").exists()

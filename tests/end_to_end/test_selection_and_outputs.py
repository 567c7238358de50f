"""Parts of a fleet, and the forms in which plans, ends and memories are shown."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.support.studio import COMMAND

RELEASE = ('name: diabetes, version: "2026-10"', 'name: diabetes, version: "2026-11"')
GROUPS = ("changes", "drift", "held", "blocked", "in_sync")


def _names(plan: dict[str, Any]) -> set[str]:
    return {target["name"] for group in GROUPS for target in plan[group]}


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["clinic-a"], {"clinic-a"}),
        (["clinic-*"], {"clinic-a", "clinic-b"}),
        (["region=amer"], {"clinic-b"}),
        (["team=met*"], {"diabetes-progress"}),
        (["clinic-b", "team=metabolism"], {"clinic-b", "diabetes-progress"}),
    ],
)
def test_a_selector_picks_targets_by_name_glob_or_label(
    bystander: Any, selectors: list[str], expected: set[str]
) -> None:
    plan = bystander.plan(*(part for selector in selectors for part in ("--select", selector)))

    assert expected == _names(plan)
    assert plan["partial"]
    assert {"diabetes" if "diabetes-progress" == name else "breast-cancer" for name in expected} == {
        each["model"] for each in plan["versions"]
    }, "a version that no selected target wants is not planned"


@pytest.mark.parametrize(
    ("selector", "nearest"),
    [("clnic-a", "did you mean 'clinic-a'?"), ("region=emae", "did you mean 'region=emea'?"), ("zzz*", "clinic-a")],
)
def test_a_selector_that_picks_nothing_is_an_error_that_names_the_nearest(
    bystander: Any, selector: str, nearest: str
) -> None:
    done = bystander.run("--dry-run", "--select", selector, code=1)

    assert nearest in done.stderr
    assert "" == done.stdout


def test_only_the_selected_target_is_converged(converged: Any) -> None:
    converged.edit('version: "2026-10"', 'version: "2026-11"')

    done = converged.run("--yes", "--select", "region=amer", "--output", "json")

    report = json.loads(done.stdout)["report"]
    assert [("clinic-b", "converged")] == [(each["name"], each["result"]) for each in report["targets"]]
    assert {"clinica": False, "clinicb": True, "progress": False} == {
        name: "2026-11" in converged.studio.endpoint(name)["Description"] for name in ("clinica", "clinicb", "progress")
    }
    assert 3 == len(converged.studio.jobs())


def test_a_plan_is_shown_as_text_markdown_and_json_and_written_to_a_file_in_its_form(bystander: Any) -> None:
    """The name of the file decides its form; the digest tells that it is the same plan."""
    text = bystander.run("--dry-run", "--out", "plan.md").stdout
    markdown = bystander.run("--dry-run", "--output", "markdown", "--out", "plan.json").stdout
    plan = bystander.plan("--out", "plan.txt")

    assert f"Digest {plan['digest']}" in text
    assert markdown.strip() == (bystander.home / "plan.md").read_text().strip()
    assert plan["digest"] in markdown
    assert markdown.startswith("## Plan for `local`")
    assert plan["digest"] == json.loads((bystander.home / "plan.json").read_text())["digest"]
    assert plan["digest"] == json.loads((bystander.home / "plan.txt").read_text())["digest"]
    assert "\x1b" not in text, "piped output has no colours"


def test_a_converged_run_is_reported_in_every_form(converged: Any) -> None:
    converged.edit(*RELEASE)
    markdown = converged.run("--yes", "--output", "markdown").stdout
    body = json.loads(converged.run("--yes", "--output", "json").stdout)

    assert "| **change** | `diabetes-progress` |" in markdown
    assert "diabetes-progress: converged: serves diabetes@2026-11, verified" in markdown
    assert "in-sync" == body["report"]["verdict"]
    assert {"in-sync"} == {each["result"] for each in body["report"]["targets"]}
    assert [] == body["plan"]["changes"]


def test_status_and_history_tell_what_the_store_knows(converged: Any) -> None:
    sent = len(converged.studio.requests())
    status = converged.status()
    history = json.loads(converged.run("history", "--output", "json").stdout)

    assert {"breast-cancer-new", "clinic-a", "clinic-b", "diabetes-progress"} == {
        target["name"] for target in status["targets"]
    }
    assert {"usable"} == {each["state"] for each in status["versions"]}
    assert status["versions"][0]["metrics"]["AUC"] > 0.95
    assert [] == status["operations"]
    assert sorted((event["id"] for event in history), reverse=True) == [event["id"] for event in history]
    assert {"train", "converge"} == {event["action"] for event in history}
    assert 1 == len({event["run_id"] for event in history})
    assert "AUC" in converged.run("status", "breast-cancer@2026-10").stdout
    assert "clinic-b" not in converged.run("status", "clinic-a").stdout
    assert "serves breast-cancer@2026-10, verified" in converged.run("history", "clinic-b").stdout
    assert 2 == len(converged.run("history", "--limit", "2").stdout.splitlines())
    assert sent == len(converged.studio.requests())


def test_status_and_history_of_a_name_that_is_not_known_say_so(converged: Any) -> None:
    assert "no target and no version clinic-x" in converged.run("status", "clinic-x", code=1).stderr
    assert "no history of clinic-x" in converged.run("history", "clinic-x").stdout
    assert [] == json.loads(converged.run("history", "clinic-x", "--output", "json").stdout)


def test_without_a_store_status_and_history_are_empty_and_make_none(bystander: Any) -> None:
    assert "nothing was applied yet" in bystander.run("status").stdout
    assert "no history yet" in bystander.run("history").stdout
    assert not bystander.store.parent.exists()


@pytest.mark.parametrize("kind", ["Workspace", "Model", "ClassicEndpoint", "NewWebService", "plan", None])
def test_a_schema_is_printed_for_each_kind(bystander: Any, kind: str | None) -> None:
    schema = json.loads(bystander.run("schema", *([] if kind is None else [kind])).stdout)

    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]


def test_a_schema_of_no_kind_names_those_that_there_are(bystander: Any) -> None:
    assert "ClassicEndpoint" in bystander.run("schema", "ClasicEndpoint", code=1).stderr


def test_the_version_is_that_of_the_installed_distribution(bystander: Any) -> None:
    assert f"reconcile {version('reconciler')}\n" == bystander.run("--version").stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_output_that_finds_no_place_is_a_message_and_a_failure() -> None:
    """Of little and of much output: the first is written at the end of the program alone."""
    for command in (("--version",), ("schema",)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

        assert (1, "reconcile: the output cannot be written: No space left on device\n") == (
            done.returncode,
            done.stderr,
        )


def test_a_letter_that_the_output_has_not_is_written_as_an_escape(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [*COMMAND, "history", "épreuve", "--store", str(tmp_path / "store.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert (0, "no history of \\xe9preuve\n", "") == (done.returncode, done.stdout, done.stderr)


def test_closed_output_is_not_wanted_and_no_failure() -> None:
    closed = ["sh", "-c", 'exec "$0" "$@" >&-', *COMMAND, "schema", "Model"]
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


def test_help_is_there_at_once_because_it_imports_no_more_than_it_shows() -> None:
    """A process of its own: what is loaded here says nothing."""
    show = (
        "import sys\nsys.argv = ['reconcile', '--help']\n"
        "from reconciler.cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'azure', 'aiohttp', 'sqlalchemy', 'pydantic', 'yaml', 'jsonpatch', 'deepdiff', 'sklearn'}\n"
        "print('\\nloaded:', sorted(heavy & set(sys.modules)), code)"
    )

    done = subprocess.run([sys.executable, "-W", "error", "-c", show], capture_output=True, text=True, check=True)

    assert "loaded: [] 0" == done.stdout.splitlines()[-1]
    assert "Exit codes:" in done.stdout
    for command in ("apply", "status", "history", "validate", "schema", "emulator", "demo"):
        assert f"  {command} " in done.stdout


def test_on_a_terminal_it_asks_and_shows_a_row_for_each_running_thing(converged: Any) -> None:
    converged.edit(*RELEASE)

    code, refused = _at_a_terminal(converged, "no")
    assert 4 == code, "an approval is missing"
    assert "No changes were made" in refused
    assert 2 == len(converged.studio.jobs())

    code, shown = _at_a_terminal(converged, "yes")
    assert 0 == code
    assert "\x1b[" in shown, "a terminal gets colours"
    rows = _plain(shown)
    assert re.search(r"diabetes@2026-11 +(training started, attempt 1|job \w+ is \w+) +\d+ s", rows)
    assert re.search(r"diabetes-progress +(waiting|pointing|scoring)[^\n]* +\d+ s", rows)
    assert re.search(r"0/\d targets?, 1 running", rows)
    assert "✓ diabetes-progress  serves diabetes@2026-11, verified" in rows
    assert "Done: 3 in sync, 1 converged" in rows


def _plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n")


def _at_a_terminal(desk: Any, answer: str) -> tuple[int, str]:
    """Run the command on a terminal and answer its question."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        desk.arguments(), cwd=desk.home, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown, answered = b"", False
        while part := _read(ours):
            shown += part
            if not answered and b"Apply this plan?" in shown:
                os.write(ours, f"{answer}\n".encode())
                answered = True
        code = process.wait()
    os.close(ours)
    desk.outputs.append(shown.decode())
    return code, shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # So a terminal says that nobody is at its other end any more.

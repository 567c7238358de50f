"""`reconcile apply` carries out exactly the plan that was saved, or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

RELEASE = ('name: diabetes, version: "2026-10"', 'name: diabetes, version: "2026-11"')


def _saved(desk: Any, *arguments: str) -> Path:
    file: Path = desk.home / "plan.json"
    desk.run("--dry-run", "--out", file.name, *arguments)
    return file


def _writes(desk: Any, sent: int) -> list[str]:
    return [request["path"] for request in desk.studio.requests()[sent:] if request["kind"] == "write"]


def test_a_saved_plan_is_carried_out_once_and_refused_the_second_time(converged: Any) -> None:
    """The second time the ledger has moved: what was to be trained is usable."""
    converged.edit(*RELEASE)
    plan = json.loads(_saved(converged).read_text())

    done = converged.reconcile("apply", "plan.json", "--output", "json")

    report = json.loads(done.stdout)
    assert plan["digest"] == report["plan"]["digest"]
    assert "converged" == report["report"]["verdict"]
    assert "diabetes@2026-11" in converged.studio.endpoint("progress")["Description"]
    assert 3 == len(converged.studio.jobs())
    sent = len(converged.studio.requests())
    refused = converged.run("apply", "plan.json", code=3)
    assert "version diabetes@2026-11: state changed from not usable to usable" in refused.stderr
    assert "diabetes-progress is already in sync" in refused.stderr
    assert [] == _writes(converged, sent)


def test_a_saved_plan_is_refused_when_the_live_side_moved_under_it(converged: Any) -> None:
    converged.edit(*RELEASE)
    _saved(converged)
    converged.studio.change("progress", Description="edited since")
    sent = len(converged.studio.requests())

    refused = converged.run("apply", "plan.json", code=3)

    assert "diabetes-progress" in refused.stderr
    assert 1 == len(refused.stderr.strip().splitlines())
    assert "clinic-a" not in refused.stderr
    assert [] == _writes(converged, sent)


def test_a_saved_plan_is_refused_when_the_specs_moved_on(converged: Any) -> None:
    converged.edit(*RELEASE)
    _saved(converged)
    converged.edit(RELEASE[1], 'name: diabetes, version: "2026-09"')
    sent = len(converged.studio.requests())

    refused = converged.run("apply", "plan.json", code=3)

    assert "spec revision changed from" in refused.stderr
    assert "diabetes-progress: desired version changed from diabetes@2026-11 to diabetes@2026-09" in refused.stderr
    assert [] == _writes(converged, sent)
    assert 2 == len(converged.studio.jobs())


def test_a_plan_of_selected_targets_is_applied_with_the_same_selection_alone(converged: Any) -> None:
    converged.edit('version: "2026-10"', 'version: "2026-11"')
    _saved(converged, "--select", "clinic-b")
    sent = len(converged.studio.requests())

    for wrong in ([], ["--select", "clinic-a"]):
        refused = converged.run("apply", "plan.json", *wrong, code=3 if wrong else 1)
        assert "clinic-b" in refused.stderr or "--select" in refused.stderr
    assert [] == _writes(converged, sent)
    done = converged.run("apply", "plan.json", "--select", "clinic-b")

    assert "Done: 1 converged" in done.stdout
    assert "breast-cancer@2026-11" in converged.studio.endpoint("clinicb")["Description"]
    assert "breast-cancer@2026-10" in converged.studio.endpoint("clinica")["Description"]


def test_a_forced_plan_remembers_what_was_forced(converged: Any) -> None:
    converged.edit(*RELEASE)
    converged.edit("Determination, min: 0.3", "Determination, min: 0.99", file="models.yaml")
    converged.run("--yes", code=4)
    _saved(converged, "--force", "gate")

    done = converged.run("apply", "plan.json")

    assert "Done: 3 in sync, 1 converged" in done.stdout
    assert "diabetes@2026-11" in converged.studio.endpoint("progress")["Description"]


def _edited(text: str) -> str:
    return text.replace("diabetes@2026-10", "diabetes@2026-12")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_edited, "The plan file was edited"),
        (lambda text: text[:-40], "not JSON"),
        (lambda text: text.replace('"format_version": "1.0"', '"format_version": "2.0"'), "format_version 2.0"),
        (lambda text: f"[{text}]", "not a JSON object"),
        (None, "No such file"),
    ],
    ids=["edited", "cut-off", "later-format", "something-else", "missing"],
)
def test_a_file_that_is_no_whole_plan_is_refused_before_anything_is_asked(
    bystander: Any, spoil: Any, said: str
) -> None:
    file = _saved(bystander)
    if spoil is None:
        file.unlink()
    else:
        file.write_text(spoil(file.read_text()))
    sent = len(bystander.studio.requests())

    refused = bystander.run("apply", "plan.json", code=1)

    assert said in refused.stderr
    assert 1 == len(refused.stderr.strip().splitlines())
    assert sent == len(bystander.studio.requests())

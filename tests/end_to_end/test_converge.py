"""The main job from an empty store to in sync, and what each command line answers on the way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def _files(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_a_dry_run_sends_only_reads_and_writes_no_file(desk: Any) -> None:
    before = _files(desk.home)

    plan = desk.plan()

    assert ["breast-cancer@2026-10", "diabetes@2026-10"] == [f"{v['model']}@{v['label']}" for v in plan["versions"]]
    assert {"read"} == {request["kind"] for request in desk.studio.requests()}
    assert before == _files(desk.home)


def test_the_fleet_converges_and_a_second_run_finds_it_in_sync(desk: Any) -> None:
    """Once for all: trained by one job a version, every target proven; then not one write more."""
    first = desk.reconcile("--yes")
    assert "Done: 4 converged" in first.stdout
    jobs = desk.studio.jobs()
    assert 2 == len(jobs)
    assert all("Finished" == job["state"] for job in jobs)
    status = json.loads(desk.reconcile("status", "--output", "json").stdout)
    assert {"proven"} == {target["proof"] for target in status["targets"]}
    sent = len(desk.studio.requests())

    second = desk.reconcile("--yes")

    assert "in sync" in second.stdout
    assert "write" not in {request["kind"] for request in desk.studio.requests()[sent:]}
    store = _files(desk.store.parent)

    desk.reconcile("--dry-run", "--detailed-exitcode", code=0)
    desk.edit('version: "2026-10"', 'version: "2026-11"')
    desk.reconcile("--dry-run", "--detailed-exitcode", code=2)

    assert store == _files(desk.store.parent)


def test_one_list_call_per_service_observes_all_its_endpoints(desk: Any) -> None:
    desk.reconcile("--yes")
    sent = len(desk.studio.requests())

    desk.reconcile("--dry-run", "--probes", "0")

    paths = [request["path"].partition("?")[0] for request in desk.studio.requests()[sent:]]
    lists = [path for path in paths if path.endswith("/endpoints")]
    assert 2 == len(lists) == len(set(lists))
    assert not [path for path in paths if "/endpoints/" in path]


def test_without_yes_and_without_a_terminal_nothing_is_changed(desk: Any) -> None:
    done = desk.reconcile(code=4)

    assert "--yes" in done.stderr
    assert "write" not in {request["kind"] for request in desk.studio.requests()}

"""One target or one job goes wrong: the others come home, it is said why, and the next run makes good."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.studio import Desk, running

STATUS = ("GET", r"/jobs/\w+$")


def test_one_bad_target_does_not_stop_the_others(rig: Any) -> None:
    rig.write("a", "b", new=True)
    bad = rig.endpoint_name("a")
    body = {"error": {"code": "InternalError", "message": "Something is wrong with this one.", "details": []}}
    rule = rig.proxy.answer("PATCH", bad, 500, body, times=None)

    done = rig.run("--yes", code=5)

    assert "1 failed" in done.stdout
    assert "2 converged" in done.stdout
    status = rig.run("status", bad).stdout
    assert "failed  never converged" in status
    assert "500 InternalError: Something is wrong with this one." in status
    assert "failed once, next attempt after 20" in status
    # A run by hand waits for no backoff.
    rig.run("--yes", code=5)
    assert "failed 2 times in a row, next attempt after 20" in rig.run("status", bad).stdout
    rule.end()
    rig.run("--yes")
    rig.assert_home()
    assert "next attempt" not in rig.run("status").stdout


def test_a_job_that_the_service_has_forgotten_is_abandoned_and_the_version_trained_anew(
    prepared_state: Path, quick_studio: Path, tmp_path: Path, rig: Any
) -> None:
    """Nothing lists jobs, and an id that nobody knows will never end."""
    rig.write("a")
    state = tmp_path / "forgetful"
    shutil.copytree(prepared_state, state, ignore=shutil.ignore_patterns("lock", "cloud.json", "emulator.env"))
    with running(state, "--studio", str(quick_studio)) as studio:
        desk = Desk(rig.home, studio)
        studio.tell("faults", rules=[{"operation": "batch.start", "job": {"hang": True}}])
        process = desk.start("--yes")
        for line in process.stderr:
            if "is running" in line:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (lost,) = studio.jobs()
    with closing(sqlite3.connect(state / "documents.db")) as database, database:
        database.execute("DELETE FROM documents WHERE collection = 'jobs'")

    with running(state, "--studio", str(quick_studio)) as studio:
        desk = Desk(rig.home, studio)
        desk.run("--yes")
        (anew,) = studio.jobs()

    assert "Finished" == anew["state"]
    assert lost["outputs"]["output1"] != anew["outputs"]["output1"]
    history = desk.run("history", rig.version).stdout
    assert f"training abandoned: the service no longer knows job {lost['id']}" in history

"""``kill -9`` at every point that matters: the next run brings the fleet home, and no version is trained twice.

A request that waits at the proxy says exactly how far the command is. What was sent and is not passed on was, for the
Studio, never sent.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rig import still_running

REGISTER, START, STATUS = ("POST", r"/jobs$"), ("POST", r"/jobs/\w+/start$"), ("GET", r"/jobs/\w+$")
# Where the command is when it is killed: the request, whether the Studio has done it, and how many jobs there are then.
IN_TRAINING = {
    "before the registration": (REGISTER, False, 0),
    "registered and not told so": (REGISTER, True, 1),
    "told the job's id, before the start": (START, False, 1),
    "started and not told so": (START, True, 1),
    "told that it is started": (STATUS, False, 1),
}


@pytest.mark.parametrize("point", IN_TRAINING)
def test_killed_on_the_way_to_a_running_job_one_job_is_started_in_the_end(rig: Any, point: str) -> None:
    """An id that was lost with its reply leaves an orphan that never runs; every other job is taken up."""
    (method, path), done, jobs = IN_TRAINING[point]
    rig.write("a")
    hold = rig.proxy.hold(method, path, done=done)
    first = rig.begin()
    hold.wait(first)

    rig.kill(first)
    hold.drop()

    assert jobs == len(rig.jobs())
    assert {first.pid} == rig.holders()
    rig.reconcile("--yes")
    rig.assert_home()
    assert (2 if point == "registered and not told so" else 1) == len(rig.jobs())


def test_killed_while_the_job_runs_the_next_run_takes_up_that_job(rig: Any) -> None:
    rig.write("a")
    rule = rig.proxy.change(*STATUS, still_running)
    hold = rig.proxy.hold(*STATUS, nth=5)
    first = rig.begin()
    hold.wait(first)

    rig.kill(first)
    hold.drop()
    rule.end()

    (job,) = rig.jobs()
    second = rig.reconcile("--yes")
    assert f"resuming job {job['id']}" in second.stderr
    rig.assert_home()
    assert [job["id"]] == [each["id"] for each in rig.jobs()]


def test_killed_between_two_targets_the_next_run_moves_the_other(rig: Any) -> None:
    rig.write("a", "b")
    hold = rig.proxy.hold("PATCH", rig.endpoint_name("b"))
    first = rig.begin()
    hold.wait(first)
    for line in first.stderr:
        if line.startswith(f"{rig.endpoint_name('a')}: done: "):
            break

    rig.kill(first)
    hold.drop()

    with rig.open_store() as store:
        assert [rig.endpoint_name("a")] == [target.name for target in store.targets()]
    assert {first.pid} == rig.holders()
    sent = len(rig.proxy.exchanges)
    rig.reconcile("--yes")
    rig.assert_home()
    patched = [one.path for one in rig.proxy.exchanges[sent:] if one.method == "PATCH"]
    assert [rig.endpoint_name("b")] == [path.rpartition("/")[2] for path in patched]
    rig.reconcile("--dry-run", "--detailed-exitcode", code=0)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_killed_when_an_endpoint_was_written_and_nobody_told_us(rig: Any, method: str) -> None:
    rig.write("a")
    hold = rig.proxy.hold(method, rig.endpoint_name("a"), done=True)
    first = rig.begin()
    hold.wait(first)

    rig.kill(first)
    hold.drop()

    rig.reconcile("--yes")
    rig.assert_home()


def test_killed_when_our_note_was_put_on_an_endpoint_and_nobody_told_us(rig: Any) -> None:
    rig.write("a")
    rig.run("--yes")
    name = rig.endpoint_name("a")
    rig.studio.change(name, Description="by hand")
    hold = rig.proxy.hold("PATCH", name, done=True)
    first = rig.begin()
    hold.wait(first)

    rig.kill(first)
    hold.drop()

    rig.run("--yes")
    rig.assert_home()
    assert rig.studio.endpoint(name)["Description"].startswith("by hand [reconciler: ")
    assert not rig.plan()["in_sync"][0]["steps"]


@pytest.mark.parametrize("point", ["accepted and not told so", "while it is provisioned"])
def test_killed_when_a_new_web_service_was_written(rig: Any, point: str) -> None:
    """The operation goes on without us."""
    rig.write(new=True)
    if point == "while it is provisioned":
        hold = rig.proxy.hold("GET", "/operationsStatus/")
    else:
        hold = rig.proxy.hold("PATCH", "/webServices/", done=True)
    first = rig.begin()
    hold.wait(first)

    rig.kill(first)
    hold.drop()

    rig.reconcile("--yes")
    rig.assert_home()

"""Ctrl-C and SIGTERM: the command ends in order, the service goes on, and the next run takes up what is there."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support.rig import still_running

STATUS = ("GET", r"/jobs/\w+$")
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_interrupted_in_a_training_the_next_run_takes_up_the_same_job(rig: Any, number: signal.Signals) -> None:
    rig.write("a", "b", new=True)
    rule = rig.proxy.change(*STATUS, still_running)
    hold = rig.proxy.hold(*STATUS, nth=4, done=True)
    first = rig.begin()
    hold.wait(first)

    first.send_signal(number)
    _, err = rig.end(first, 130)

    assert "Interrupted. Jobs that were started keep running on the service" in err
    assert set() == rig.holders()
    (job,) = rig.jobs()
    assert job["state"] in {"Queued", "Running", "Finished"}
    hold.drop()
    rule.end()
    assert f"started  job {job['id']}" in rig.reconcile("status").stdout

    second = rig.reconcile("--yes")

    assert f"resuming job {job['id']}" in second.stderr
    assert [job["id"]] == [each["id"] for each in rig.jobs()]
    rig.assert_home()


@pytest.mark.parametrize("number", SIGNALS)
def test_interrupted_while_a_target_is_written_the_next_run_finds_out_what_came_of_it(
    rig: Any, number: signal.Signals
) -> None:
    rig.write("a")
    hold = rig.proxy.hold("PATCH", rig.endpoint_name("a"), done=True)
    first = rig.begin()
    hold.wait(first)

    first.send_signal(number)
    _, err = rig.end(first, 130)

    assert "Interrupted." in err
    assert set() == rig.holders()
    hold.drop()
    rig.reconcile("--yes")
    rig.assert_home()


def test_interrupted_while_it_looks_at_the_world_nothing_is_changed(rig: Any) -> None:
    rig.write("a", new=True)
    hold = rig.proxy.hold("GET", "/endpoints$")
    first = rig.begin()
    hold.wait(first)

    first.send_signal(signal.SIGINT)
    rig.end(first, 130)

    assert [] == rig.jobs()
    with rig.open_store() as store:
        assert () == store.versions()
        assert () == store.leases()


def test_a_second_ctrl_c_ends_it_as_well(rig: Any) -> None:
    """People press it twice. It must neither hang nor end in a traceback, and the leases are nobody's in any case."""
    rig.write("a", "b")
    rig.proxy.change(*STATUS, still_running)
    hold = rig.proxy.hold(*STATUS, nth=4, done=True)
    first = rig.begin()
    hold.wait(first)

    first.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGINT)
    rig.end(first, 130)

    assert rig.holders() <= {first.pid}
    rig.killed.add(first.pid)


def test_a_broken_pipe_is_no_traceback(rig: Any) -> None:
    """``reconcile … | head`` closes our output while we run."""
    rig.write("a")
    hold = rig.proxy.hold("GET", "/endpoints$")
    first = rig.start("--dry-run")
    hold.wait(first)
    first.stdout.close()
    first.stdout = None

    hold.go()
    with first.stderr as stream:
        err = stream.read()
    first.wait()

    assert "" == err
    assert 1 == first.returncode

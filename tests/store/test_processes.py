"""The store under several real processes: races, kill -9, a process that was stopped and comes back late."""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.store import LeaseHeld, Store, this_process

only_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc to know a zombie")


def test_of_two_processes_that_race_for_a_lease_exactly_one_gets_it(child) -> None:
    first, second = child("run-1"), child("run-2")
    first.ask("open")
    second.ask("open")

    for key in (f"target:{number}" for number in range(25)):
        first.tell("acquire", key)
        second.tell("acquire", key)
        answers = [first.answer(), second.answer()]

        assert answers.count(1) == 1
        (refused,) = [answer for answer in answers if answer != 1]
        assert refused["error"] == "LeaseHeld"


def test_the_second_process_is_told_who_is_at_work(store: Store, child) -> None:
    other = child("run-7")
    other.ask("open")
    other.ask("acquire", "target:clinic-a")

    with pytest.raises(LeaseHeld, match=rf"\(pid {other.process.pid}, run run-7\)"):
        store.acquire("target:clinic-a", this_process("run-8"))


@only_linux
def test_the_lease_of_a_killed_process_is_taken_over_at_once(store: Store, child) -> None:
    other = child()
    other.ask("open")
    assert other.ask("acquire", "k") == 1
    with pytest.raises(LeaseHeld):
        store.acquire("k", this_process("r"))

    other.kill_without_reaping()
    lease = store.acquire("k", this_process("r"))

    assert lease.token == 2


@only_linux
def test_a_process_killed_inside_a_transaction_leaves_nothing_of_it(store: Store, child) -> None:
    other = child()
    other.ask("open")
    other.ask("acquire", "k")

    other.tell("die_in_transaction")
    assert other.process.wait() == -signal.SIGKILL

    assert store.targets() == ()
    with store.fenced(store.acquire("k", this_process("r"))):
        pass


def test_a_process_that_was_stopped_past_its_lease_comes_back_too_late(path: Path, clock, child) -> None:
    stopped = child()
    stopped.ask("open")
    assert stopped.ask("acquire", "k") == 1
    stopped.signal(signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(stopped.process.pid, os.WUNTRACED)[1])

    clock.forward(minutes=2)
    with Store.open(path, clock=clock) as store:
        current = store.acquire("k", this_process("r"), timedelta(minutes=1))
        assert current.token == 2
        stopped.tell("write", 1)
        stopped.signal(signal.SIGCONT)
        answer = stopped.answer()

        assert answer["error"] == "LeaseLost"
        assert f"pid {os.getpid()}" in answer["message"]
        assert store.targets() == ()


def test_what_was_acknowledged_survives_kill_9(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    acknowledged = [writer.ask("event") for _ in range(20)]
    # One more may be under way when it dies; it is there whole or not at all.
    writer.tell("event")
    writer.signal(signal.SIGKILL)
    writer.process.wait()

    with Store.open(path, clock=clock) as store:
        ids = [event.id for event in store.events()][::-1]

    assert acknowledged == ids[:20]
    assert len(ids) <= 21


def test_processes_that_make_the_store_at_the_same_time_all_get_it(child) -> None:
    children = [child(f"run-{number}") for number in range(5)]

    for each in children:
        each.tell("open")

    assert [each.answer() for each in children] == ["open"] * 5
    assert [each.ask("event") for each in children] == [1, 2, 3, 4, 5]


def test_many_processes_and_threads_write_without_being_locked_out(store: Store, child) -> None:
    children = [child(f"run-{number}") for number in range(3)]
    for each in children:
        each.ask("open")
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(15):
                store.add_event(run_id="r", subject="run", action="note", outcome="ok")
                list(store.events(limit=1))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test fails with it below
            failures.append(error)

    threads = [threading.Thread(target=write, name=f"writer-{number}") for number in range(6)]
    for each in children:
        each.tell("events", 40)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [each.answer() for each in children] == [40] * 3
    assert failures == []
    assert list(range(1, 3 * 40 + 6 * 15 + 1)) == [event.id for event in store.events()][::-1]

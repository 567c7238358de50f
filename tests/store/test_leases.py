from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.store import Holder, Lease, LeaseHeld, LeaseLost, Store, this_process
from reconciler.store.processes import is_dead

ANN = Holder("host-a", 11, 100, "ann", "run-a", "boot-a")
BOB = Holder("host-b", 22, 200, "bob", "run-b", "boot-b")
MINUTE = timedelta(minutes=1)


def note(store: Store, lease: Lease) -> None:
    with store.fenced(lease) as transaction:
        transaction.add_event(run_id="r", subject="k", action="note", outcome="ok")


def test_a_lease_that_is_held_is_refused_by_saying_who_holds_it(store: Store, clock) -> None:
    store.acquire("target:clinic-a", ANN, MINUTE)
    clock.forward(seconds=30)

    with pytest.raises(LeaseHeld) as caught:
        store.acquire("target:clinic-a", BOB, MINUTE)

    assert caught.value.holder == ANN
    since, until = "2026-11-01 12:00:00 UTC", "2026-11-01 12:01:00 UTC"
    assert str(caught.value) == (
        f"target:clinic-a is locked by ann on host-a (pid 11, run run-a) since {since},"
        f" until {until} at the latest unless it is renewed"
    )


def test_the_same_run_is_refused_too(store: Store) -> None:
    store.acquire("k", ANN, MINUTE)

    with pytest.raises(LeaseHeld):
        store.acquire("k", ANN, MINUTE)


def test_keys_are_independent(store: Store) -> None:
    first = store.acquire("a", ANN, MINUTE)
    second = store.acquire("b", BOB, MINUTE)

    assert (first, second) == store.leases()


def test_a_released_lease_is_free_and_its_token_is_never_used_again(store: Store) -> None:
    first = store.acquire("k", ANN, MINUTE)
    store.release(first)
    assert store.leases() == ()

    second = store.acquire("k", ANN, MINUTE)

    assert second.token > first.token


def test_an_expired_lease_is_taken_over_and_the_late_holder_is_fenced_off(store: Store, clock) -> None:
    late = store.acquire("k", ANN, MINUTE)
    clock.forward(minutes=1)
    current = store.acquire("k", BOB, MINUTE)

    with pytest.raises(LeaseLost, match="now locked by bob on host-b"):
        note(store, late)
    with pytest.raises(LeaseLost):
        store.renew(late)
    store.release(late)

    assert list(store.events()) == []
    assert (current,) == store.leases()
    note(store, current)


def test_a_lease_lasts_until_its_very_end(store: Store, clock) -> None:
    store.acquire("k", ANN, MINUTE)
    clock.forward(seconds=59.999999)

    with pytest.raises(LeaseHeld):
        store.acquire("k", BOB, MINUTE)


def test_renewing_extends_a_lease_and_keeps_its_token(store: Store, clock) -> None:
    lease = store.acquire("k", ANN, MINUTE)
    clock.forward(seconds=50)

    renewed = store.renew(lease)
    clock.forward(seconds=50)

    assert lease.token == renewed.token
    assert lease.acquired_at == renewed.acquired_at
    assert lease.expires_at + timedelta(seconds=50) == renewed.expires_at
    with pytest.raises(LeaseHeld):
        store.acquire("k", BOB, MINUTE)
    note(store, lease)


def test_renewing_never_shortens_a_lease(store: Store, clock) -> None:
    lease = store.acquire("k", ANN, MINUTE)
    clock.forward(seconds=-50)

    assert lease.expires_at == store.renew(lease).expires_at


def test_an_expired_lease_that_nobody_took_over_is_still_good(store: Store, clock) -> None:
    lease = store.acquire("k", ANN, MINUTE)
    clock.forward(hours=1)

    note(store, lease)
    store.renew(lease)

    with pytest.raises(LeaseHeld):
        store.acquire("k", BOB, MINUTE)


def test_a_released_lease_is_lost(store: Store) -> None:
    lease = store.acquire("k", ANN, MINUTE)
    store.release(lease)
    store.release(lease)

    with pytest.raises(LeaseLost, match="it was released"):
        note(store, lease)
    with pytest.raises(LeaseLost, match="it was released"):
        store.renew(lease)


def test_a_lease_must_last_for_some_time(store: Store) -> None:
    with pytest.raises(ValueError, match="must last"):
        store.acquire("k", ANN, timedelta())


def test_a_lease_survives_the_store_being_closed(path: Path, clock) -> None:
    with Store.open(path, clock=clock) as store:
        lease = store.acquire("k", ANN, MINUTE)

    with Store.open(path, clock=clock) as store:
        assert (lease,) == store.leases()
        note(store, lease)


# Which holders are dead


@pytest.fixture
def stopped_process() -> Iterator[Callable[[], Holder]]:
    """Makes processes that have ended; the holder is what they said they were."""
    program = "from reconciler.store import this_process; h = this_process('r'); print(h.pid, h.process_started)"
    started: list[subprocess.Popen[str]] = []

    def run() -> Holder:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        pid, start = process.stdout.read().split()
        return replace(this_process("r"), pid=int(pid), process_started=int(start))

    yield run
    for process in started:
        process.communicate()


def test_this_process_is_not_dead() -> None:
    assert not is_dead(this_process("r"))


def test_this_process_names_the_user_the_host_and_itself() -> None:
    holder = this_process("r")

    assert os.getpid() == holder.pid
    assert re.fullmatch(r".+ on .+ \(pid \d+, run r\)", str(holder))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's start is read from /proc")
def test_a_process_that_has_ended_is_dead_even_before_its_parent_has_noticed(stopped_process) -> None:
    holder = stopped_process()

    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(holder)
    os.waitpid(holder.pid, 0)
    assert is_dead(holder)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's start is read from /proc")
def test_a_pid_that_was_given_to_another_process_is_dead() -> None:
    holder = this_process("r")
    assert holder.process_started is not None

    assert is_dead(replace(holder, process_started=holder.process_started - 1))


def test_a_pid_whose_start_is_not_known_is_alive_while_it_is_there() -> None:
    assert not is_dead(replace(this_process("r"), process_started=None))


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"machine": "another boot or container"}])
def test_a_process_on_another_machine_is_never_known_to_be_dead(elsewhere: dict[str, str]) -> None:
    # Its pid means nothing here: 1 may be the same in two containers of the same name.
    gone = replace(this_process("r"), pid=2**22 + 1, **elsewhere)  # type: ignore[arg-type]

    assert not is_dead(gone)
    assert is_dead(replace(this_process("r"), pid=2**22 + 1))


def test_the_lease_of_a_dead_holder_is_taken_over_at_once(path: Path, clock) -> None:
    dead: set[Holder] = set()
    with Store.open(path, clock=clock, holder_is_dead=dead.__contains__) as store:
        first = store.acquire("k", ANN, timedelta(hours=1))
        with pytest.raises(LeaseHeld):
            store.acquire("k", BOB, MINUTE)
        dead.add(ANN)

        second = store.acquire("k", BOB, MINUTE)

        assert second.token > first.token
        assert datetime(2026, 11, 1, 12, 0, tzinfo=UTC) == second.acquired_at

"""Two runs on one store at once: one works on a version or a target, the other says who does, and leaves it alone."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply.progress import silent
from reconciler.apply.report import Report, Result
from reconciler.apply.run import Limits, Run, leased
from reconciler.azure.clouds import load_cloud
from reconciler.plan.states import Ledger
from reconciler.reconciliation import Options, Reconciliation
from reconciler.spec.secrets import SecretResolver
from reconciler.store import BackgroundStore, LeaseLost, Store, TargetRecord, this_process
from tests.support.fleets import load_fleet
from tests.support.rig import still_running

STATUS = ("GET", r"/jobs/\w+$")


@pytest.mark.parametrize("where", ["in a training", "at a target"])
def test_the_second_run_says_who_holds_it_and_touches_nothing(rig: Any, where: str) -> None:
    rig.write("a")
    if where == "in a training":
        rule = rig.proxy.change(*STATUS, still_running)
        hold = rig.proxy.hold(*STATUS, nth=4, done=True)
    else:
        rule = None
        hold = rig.proxy.hold("PATCH", rig.endpoint_name("a"))
    first = rig.begin()
    hold.wait(first)
    sent = len(rig.proxy.exchanges)

    second = rig.reconcile("--yes", code=4)

    assert f"locked by {getpass.getuser()} on {socket.gethostname()} (pid {first.pid}, run " in second.stdout
    assert {"GET", "HEAD"} >= {
        one.method for one in rig.proxy.exchanges[sent:] if not one.path.endswith(("/execute", "/token"))
    }
    if rule is not None:
        rule.end()
    hold.go()
    out, _ = rig.end(first, 0)
    assert "Done: 1 converged" in out
    rig.assert_home()
    assert 1 == len(rig.jobs())


def test_the_second_run_brings_home_what_the_first_does_not_hold(rig: Any) -> None:
    rig.write("a", "b")
    hold = rig.proxy.hold("PATCH", rig.endpoint_name("a"))
    first = rig.begin("--select", rig.endpoint_name("a"))
    hold.wait(first)

    second = rig.reconcile("--yes", code=4)

    assert "1 converged, 1 held" in second.stdout
    hold.go()
    rig.end(first, 0)
    rig.assert_home()


def test_while_one_run_puts_our_note_on_a_target_it_is_in_sync_for_the_other(rig: Any) -> None:
    rig.write("a")
    rig.run("--yes")
    rig.studio.change(rig.endpoint_name("a"), Description="by hand")
    hold = rig.proxy.hold("PATCH", rig.endpoint_name("a"))
    first = rig.begin()
    hold.wait(first)

    assert "No changes: 1 target is in sync" in rig.run("--yes").stdout

    hold.go()
    rig.end(first, 0)
    rig.assert_home()


# -- a run whose lease was taken over; in this process, because nobody can wait for a lease of minutes to end


def a_pass(rig: Any, store: Store, run_id: str, limits: Limits | None = None) -> Reconciliation:
    cloud = load_cloud(str(rig.cloud_file))
    fleet = load_fleet([rig.home / "specs"])
    return Reconciliation(
        fleet, cloud, store, SecretResolver({}, cloud.env_file), Options(limits=limits or Limits()), run_id=run_id
    )


def now() -> datetime:
    return datetime.now(UTC)


def much_later() -> datetime:
    """When every lease that was not renewed has ended."""
    return now() + timedelta(hours=1)


async def converge(rig: Any, clock: Callable[[], datetime], run_id: str) -> Report:
    rig.store.parent.mkdir(exist_ok=True)
    with Store.open(rig.store, clock=clock) as store:
        async with a_pass(rig, store, run_id) as one:
            return await one.apply(await one.plan())


@pytest.mark.parametrize("where", ["in a training", "at a target"])
async def test_a_run_that_slept_through_its_lease_records_nothing_when_it_wakes_up(rig: Any, where: str) -> None:
    """Another one took over meanwhile and finished; the sleeper's token is no longer good, and it says so."""
    rig.write("a")
    if where == "in a training":
        rule = rig.proxy.change(*STATUS, still_running)
        hold = rig.proxy.hold(*STATUS, nth=4, done=True)
    else:
        rule = None
        hold = rig.proxy.hold("PATCH", rig.endpoint_name("a"), done=True)
    sleeper = asyncio.create_task(converge(rig, now, "sleeper"))
    await asyncio.to_thread(hold.wait)
    if rule is not None:
        rule.end()

    report = await converge(rig, much_later, "successor")

    assert [Result.CONVERGED] == [outcome.result for outcome in report.outcomes]
    hold.go()
    (outcome,) = (await sleeper).outcomes
    if where == "in a training":
        # It holds nothing between two looks, and finds at the next one that all is done.
        assert (Result.CONVERGED, "converged by another run") == (outcome.result, outcome.text.partition(":")[0])
    else:
        assert Result.HELD is outcome.result
        assert "is lost: " in outcome.text
    rig.assert_home()
    with rig.open_store() as store:
        assert {"sleeper"} >= {event.run_id for event in store.events() if event.action == "train"} - {"successor"}
        assert {"successor"} == {event.run_id for event in store.events() if event.outcome == "converged"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def run(path: Path) -> Iterator[Run]:
    """A run that does nothing, with leases so short that they are renewed at once."""
    with Store.open(path, clock=now) as store:
        yield Run(
            run_id="sleeper",
            holder=this_process("sleeper"),
            store=BackgroundStore(store),
            clients=None,  # type: ignore[arg-type]
            drivers={},
            versions={},
            targets={},
            ledger=Ledger(),
            clock=now,
            progress=silent,
            limits=Limits(lease=timedelta(seconds=0.1)),
        )


async def test_work_under_a_lease_that_was_taken_over_is_stopped(run: Run, path: Path) -> None:
    with Store.open(path, clock=much_later) as others:

        async def work() -> None:
            async with leased(run, "target:x"):
                others.acquire("target:x", this_process("successor"))
                async with asyncio.timeout(30):
                    await asyncio.Event().wait()

        with pytest.raises(LeaseLost) as lost:
            await work()

        assert lost.value.holder is not None
        assert "successor" == lost.value.holder.run_id
        assert ["successor"] == [lease.holder.run_id for lease in others.leases()]


async def test_nothing_is_written_under_a_lease_that_was_taken_over(run: Run, path: Path) -> None:
    record = TargetRecord(identity="x", name="x", kind="ClassicEndpoint", last_outcome="held", last_at=now())
    with Store.open(path, clock=much_later) as others:

        async def work() -> None:
            async with leased(run, "target:x") as lease:
                others.acquire("target:x", this_process("successor"))
                await run.store.write(lease, lambda transaction: transaction.put_target(record))

        with pytest.raises(LeaseLost):
            await work()

    assert () == await run.store.call(lambda store: store.targets())


async def test_a_lease_that_is_worked_under_for_longer_than_it_lasts_is_renewed(run: Run, path: Path) -> None:
    with Store.open(path, clock=now) as store:
        async with asyncio.timeout(30), leased(replace(run, store=BackgroundStore(store)), "target:x") as lease:
            while (renewed := store.leases()[0]).expires_at == lease.expires_at:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)  # The keeper renews in a thread of its own.

        assert lease.token == renewed.token
        assert lease.expires_at < renewed.expires_at
        assert () == store.leases()


async def test_a_version_is_trained_once_however_many_targets_want_it(rig: Any) -> None:
    rig.write(*"abcdefgh", new=True)

    report = await converge(rig, now, "only")

    assert 9 == report.count(Result.CONVERGED)
    assert 1 == len(rig.jobs())
    assert os.getpid() not in rig.holders()
    rig.assert_home()

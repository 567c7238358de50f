"""How often a target failed in a row, and when it is due again, as the store has it after each run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler.apply.executor import Execution, see_through
from reconciler.apply.ledger import record_attempt, record_converged
from reconciler.apply.report import Result
from reconciler.apply.rollout import record_unchanged
from reconciler.apply.run import Run, leased
from reconciler.plan.document import Plan, TargetPlan, TargetStatus
from reconciler.plan.states import (
    DesiredTarget,
    DesiredVersion,
    Ledger,
    LiveTarget,
    Location,
    ModelBinding,
    Proof,
    VersionKey,
)
from reconciler.store import BackgroundStore, LastOutcome, Store, TargetRecord, this_process
from reconciler.targets.driver import Artifact, Verified

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
VERSION = VersionKey("credit", "1")
TARGET = DesiredTarget("a", "ClassicEndpoint", "w/s/a", (ModelBinding("Trained", VERSION),), {"MaxCalls": 4})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state.db", clock=lambda: NOW) as opened:
        yield opened


def run_on(store: Store, target: DesiredTarget = TARGET, fingerprint: str = "f1") -> Run:
    version = DesiredVersion(VERSION, fingerprint, Location("https://a/", "m/f1.ilearner"))
    return Run(
        run_id="r",
        holder=this_process("r"),
        store=BackgroundStore(store),
        clients=cast("Any", SimpleNamespace(fleet=SimpleNamespace(models={}))),
        drivers={},
        versions={VERSION: version},
        targets={target.identity: target},
        ledger=Ledger(),
        clock=lambda: NOW,
        draw=lambda: 0.5,
    )


def plan_of(target: DesiredTarget) -> TargetPlan:
    live = LiveTarget(target.identity, exists=True, fingerprint="x")
    return TargetPlan.of(target, live, TargetStatus.BLOCKED)


async def end(store: Store, outcome: LastOutcome, target: DesiredTarget = TARGET, fingerprint: str = "f1") -> None:
    """A run in which the target comes to this end."""
    run = run_on(store, target, fingerprint)
    async with leased(run, f"target:{target.identity}") as lease:
        await record_attempt(run, lease, plan_of(target), outcome, "503")


def record_of(store: Store) -> TargetRecord:
    (record,) = store.targets()
    return record


async def test_each_failure_is_counted_and_the_next_attempt_is_later_each_time(store: Store) -> None:
    counted = []
    for _ in range(3):
        await end(store, "failed")
        record = record_of(store)
        assert record.next_attempt_at is not None
        counted.append((record.failures, record.next_attempt_at - NOW))

    assert counted == [(1, timedelta(seconds=30)), (2, timedelta(seconds=60)), (3, timedelta(seconds=120))]


async def test_the_next_attempts_of_what_failed_together_are_spread(store: Store) -> None:
    for name, draw in (("a", 0.0), ("b", 1.0)):
        target = replace(TARGET, name=name, identity=f"w/s/{name}")
        run = replace(run_on(store, target), draw=lambda draw=draw: draw)
        await record_unchanged(run, plan_of(target), Result.FAILED, "503")

    due = [record.next_attempt_at for record in store.targets()]
    assert due == [NOW + timedelta(seconds=24), NOW + timedelta(seconds=36)]


async def test_a_target_that_cannot_be_planned_is_counted_in_each_run_too(store: Store) -> None:
    for _ in range(2):
        await record_unchanged(run_on(store), plan_of(TARGET), Result.FAILED, "the same reason")

    assert record_of(store).failures == 2
    assert len(list(store.events())) == 1


async def test_a_success_ends_the_count(store: Store) -> None:
    await end(store, "failed")
    await end(store, "converged")

    record = record_of(store)
    assert (record.failures, record.next_attempt_at) == (0, None)

    await end(store, "failed")
    run = run_on(store)
    artifact = Artifact(VERSION, "f1", Location("https://a/", "m/f1.ilearner"), cast("Any", None))
    async with leased(run, "target:w/s/a") as lease:
        await record_converged(run, lease, plan_of(TARGET), {"Trained": artifact}, Verified(Proof.PROVEN, "shown"))

    record = record_of(store)
    assert (record.failures, record.next_attempt_at) == (0, None)


async def test_a_hold_neither_counts_nor_ends_the_count(store: Store) -> None:
    await end(store, "failed")
    due = record_of(store).next_attempt_at
    await end(store, "held")
    assert (record_of(store).failures, record_of(store).next_attempt_at) == (1, due)

    await end(store, "failed")

    assert record_of(store).failures == 2


@pytest.mark.parametrize(
    ("changed", "fingerprint"),
    [
        (replace(TARGET, bindings=(ModelBinding("Other", VERSION),)), "f1"),
        (replace(TARGET, settings={"MaxCalls": 5}), "f1"),
        (replace(TARGET, secret_digests={"AdminKey": "d1"}), "f1"),
        (replace(TARGET, absent=True), "f1"),
        (TARGET, "f2"),
    ],
    ids=["resource", "settings", "secret", "absent", "recipe"],
)
async def test_a_failure_on_the_way_to_something_else_is_the_first(
    store: Store, changed: DesiredTarget, fingerprint: str
) -> None:
    await end(store, "failed")
    await end(store, "failed")

    await end(store, "failed", changed, fingerprint)

    assert (record_of(store).failures, record_of(store).next_attempt_at) == (1, NOW + timedelta(seconds=30))


async def test_an_error_that_no_step_foresaw_is_counted(store: Store) -> None:
    """Whatever ends a target's work: nothing may be tried again at once, for ever."""

    class Broken:
        async def verify(self, *_: object) -> None:
            raise ZeroDivisionError("a bug")

    target = replace(TARGET, bindings=())
    run = replace(run_on(store, target), drivers={target.kind: cast("Any", Broken())})
    planned = plan_of(target).model_copy(update={"status": TargetStatus.IN_SYNC})
    plan = Plan.model_construct(targets=(planned,), versions=(), forced=())

    with pytest.raises(ExceptionGroup):
        await see_through(Execution(run, plan))

    assert (record_of(store).last_outcome, record_of(store).failures) == ("failed", 1)

"""A pass does what can be done now, and says when to look again: nobody waits for a job, and nobody keeps a lease."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.apply.executor import Execution, see_through
from reconciler.apply.report import Pass, Report, Result
from reconciler.apply.run import Limits
from reconciler.azure.clouds import load_cloud
from reconciler.reconciliation import Options, Reconciliation
from reconciler.spec.secrets import SecretResolver
from reconciler.store import Store
from reconciler.store.database import Database
from tests.support.fleets import load_fleet
from tests.support.studio import Desk


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def begun(desk: Desk, store: Store, limits: Limits | None = None) -> AsyncIterator[Execution]:
    """The execution of a plan over the example fleet."""
    cloud = load_cloud(str(desk.studio.cloud_file))
    fleet = load_fleet([desk.home / "specs"])
    options = Options(limits=limits or Limits())
    async with Reconciliation(fleet, cloud, store, SecretResolver({}, cloud.env_file), options) as one:
        execution = one.begin(await one.plan())
        try:
            yield execution
        finally:
            await execution.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state" / "state.db", clock=now) as opened:
        yield opened


def bump(desk: Desk) -> None:
    """Have clinic-b serve a version that has to be trained; clinic-a keeps its own."""
    specs = desk.home / "specs" / "endpoints.yaml"
    one_line = 'name: breast-cancer, version: "2026-10"'
    specs.write_text(specs.read_text().replace(one_line, one_line.replace("-10", "-11")))


def begun_jobs(desk: Desk) -> int:
    return len(desk.studio.jobs())


async def test_a_pass_leaves_jobs_running_and_holds_nothing_while_they_do(desk: Desk, store: Store) -> None:
    async with begun(desk, store) as execution:
        first = await execution.advance()

        started = {f"{each.model}@{each.label}" for each in store.operations(open_only=True)}
        assert started
        assert started <= first.waiting.keys()
        assert {"clinic-a", "clinic-b"} <= first.waiting.keys() - first.outcomes.keys()
        assert first.due is not None
        assert () == store.leases()
        assert {asyncio.current_task()} == {task for task in asyncio.all_tasks() if "version" in task.get_name()} | {
            asyncio.current_task()
        }

        report = await see_through(execution)

    assert {Result.CONVERGED, Result.IN_SYNC} >= {outcome.result for outcome in report.outcomes}
    assert not store.operations(open_only=True)


async def test_a_target_that_waits_for_nothing_is_moved_in_the_first_pass(desk: Desk, store: Store) -> None:
    async with begun(desk, store) as execution:
        await see_through(execution)
    desk.studio.change("clinica", Description="by hand")
    bump(desk)

    async with begun(desk, store) as execution:
        first = await execution.advance()
        assert Result.CONVERGED is first.outcomes["clinic-a"].result
        assert {"breast-cancer@2026-11", "clinic-b"} <= first.waiting.keys()
        await see_through(execution)


async def test_versions_wait_for_a_place_among_the_jobs_of_their_training_service(desk: Desk, store: Store) -> None:
    """classic-protocol 3: an endpoint runs 40 jobs at once and queues the rest; here it is one."""
    bump(desk)
    most = 0
    async with begun(desk, store, Limits(trainings=1)) as execution:
        last: Pass = await execution.advance()
        assert {"breast-cancer@2026-10", "breast-cancer@2026-11"} <= last.waiting.keys()
        while last.due is not None:
            of_one = [each for each in store.operations(open_only=True) if each.model == "breast-cancer"]
            most = max(most, len(of_one))
            await execution.sleep_until(last.due)
            last = await execution.advance()
        report: Report = execution.report()

    assert 1 == most
    assert {Result.CONVERGED, Result.IN_SYNC} >= {outcome.result for outcome in report.outcomes}


async def test_another_run_takes_up_a_job_between_two_passes(desk: Desk, store: Store) -> None:
    async with begun(desk, store) as execution:
        await execution.advance()
    jobs = begun_jobs(desk)
    assert jobs

    async with begun(desk, store) as successor:
        report = await see_through(successor)

    assert jobs == begun_jobs(desk)
    assert {Result.CONVERGED, Result.IN_SYNC} >= {outcome.result for outcome in report.outcomes}


async def test_the_event_loop_never_waits_for_the_store(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop_thread, used = threading.get_ident(), []
    transaction = Database._transaction

    def watched(self: Database, **options: bool) -> Any:
        used.append(threading.get_ident())
        return transaction(self, **options)

    monkeypatch.setattr(Database, "_transaction", watched)
    async with begun(desk, store) as execution:
        await see_through(execution)

    assert used
    assert loop_thread not in used

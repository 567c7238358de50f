"""How often a version failed in a row, and when it is due again, as the store has it after each run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.apply.ledger import read_ledger
from reconciler.apply.training.job_watch import Watch
from reconciler.apply.training.recipes import desired_versions
from reconciler.apply.training.trainer import TrainingFailed, advance
from reconciler.plan.states import VersionKey
from reconciler.store import BackgroundStore, Store, VersionRecord, this_process
from tests.apply.training.conftest import WORKSPACE, Open
from tests.support.peer import Peer

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
VERSION = VersionKey("credit", "1")
TRAINING = "{classic: {webService: Training}, parameters: {Rounds: 3}, outputs: {model: out}}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state" / "state.db", clock=lambda: NOW) as opened:
        yield opened


def serve(peer: Peer, services: list[dict[str, str]]) -> None:
    peer.on("GET", f"/workspaces/{WORKSPACE}/webservices", peer.says(services))


async def train(opened: Open, store: Store, training: str = TRAINING) -> str:
    """A run in which the version's training fails before it begins; gives what is said."""
    async with opened(credit=training) as bare:
        (desired,) = await desired_versions(frozenset({VERSION}), bare.clients, {})
        run = replace(bare, store=BackgroundStore(store), holder=this_process("r"), clock=lambda: NOW, draw=lambda: 0.5)
        with pytest.raises(TrainingFailed) as failed:
            await advance(run, desired, Watch())
        return str(failed.value)


def version_of(store: Store) -> VersionRecord:
    (record,) = store.versions()
    return record


async def test_a_version_that_fails_before_a_training_begins_is_counted_but_otherwise_as_if_never_tried(
    peer: Peer, opened: Open, store: Store
) -> None:
    serve(peer, [])
    for _ in range(2):
        said = await train(opened, store)

    record = version_of(store)
    assert (record.failures, record.next_attempt_at) == (2, NOW + timedelta(seconds=60))
    assert (record.state, record.attempt, record.message) == ("failed", 0, said)
    assert read_ledger(store).versions == {}


async def test_a_version_of_another_recipe_starts_from_one(peer: Peer, opened: Open, store: Store) -> None:
    serve(peer, [])
    await train(opened, store)
    await train(opened, store)

    await train(opened, store, TRAINING.replace("Rounds: 3", "Rounds: 4"))

    assert version_of(store).failures == 1

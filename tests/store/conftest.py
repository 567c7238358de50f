from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import reconciler
from reconciler.store import Holder, Lease, Store

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class Child:
    """A process running ``store_worker.py``, spoken to over its pipes."""

    def __init__(self, path: Path, run_id: str) -> None:
        root = Path(reconciler.__file__).parents[1]
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("store_worker.py")), str(path), run_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        assert self.answer() == "ready"

    def tell(self, *command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, *command: Any) -> Any:
        self.tell(*command)
        return self.answer()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill_without_reaping(self) -> None:
        self.signal(signal.SIGKILL)
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.db"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(path, clock=clock) as opened:
        yield opened


@pytest.fixture
def lease(store: Store) -> Lease:
    """A lease under which a test writes."""
    return store.acquire("test", Holder("host-a", 1, 1, "ann", "run-1", "boot-a"), timedelta(hours=1))


@pytest.fixture
def child(path: Path) -> Iterator[Callable[..., Child]]:
    """Starts worker processes on the store at ``path``, and ends them."""
    children: list[Child] = []

    def start(run_id: str = "child") -> Child:
        children.append(Child(path, run_id))
        return children[-1]

    yield start
    for each in children:
        each.end()

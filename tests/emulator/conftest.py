"""A running Studio for each test, and plain HTTP to talk to it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from reconciler.emulator.pytest_plugin import StudioThread
from reconciler.emulator.server import Studio
from tests.support.emulator_client import Client, changed_studio


@pytest.fixture(scope="session")
def studio_thread() -> Iterator[StudioThread]:
    thread = StudioThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def first_state(studio_thread: StudioThread, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of the default Studio after its first start: data sets written, initial models trained."""
    state = tmp_path_factory.mktemp("first-state") / "state"
    with studio_thread.studio(state=state):
        pass
    return state


StartStudio = Callable[..., Studio]


@pytest.fixture
def start_studio(studio_thread: StudioThread, first_state: Path, tmp_path: Path) -> Iterator[Callable[..., Studio]]:
    """Starts a Studio with a state of its own, that of a first start; sections of its file can be changed.

    ``start_studio(behaviour={"putExisting": "conflict"})`` changes settings; ``workspaces=[…]`` replaces a list.
    """
    with ExitStack() as open_studios:

        def start(state: Path | None = None, clock: Any = None, **changes: Any) -> Studio:
            if state is None:
                state = tmp_path / f"state-{len(list(tmp_path.iterdir()))}"
            if not state.exists():
                shutil.copytree(first_state, state)
            options: dict[str, Any] = {"state": state} | ({} if clock is None else {"clock": clock})
            return open_studios.enter_context(studio_thread.studio(changed_studio(**changes), **options))

        yield start


@pytest.fixture
def studio(start_studio: StartStudio) -> Studio:
    """The default Studio, except that a patch takes effect at once: tests wait for nothing."""
    return start_studio(timings={"patchTakesEffect": "0s"})


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Studio], Client]]:
    """Makes a client of a Studio."""
    async with aiohttp.ClientSession() as session:
        yield lambda studio: Client(studio.context, session)


@pytest.fixture
def client(studio: Studio, connect: Callable[[Studio], Client]) -> Client:
    """Plain HTTP to `studio`."""
    return connect(studio)

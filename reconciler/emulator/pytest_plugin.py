"""A pytest fixture with a running emulator, for other projects.

Opt in in the top ``conftest.py``::

    pytest_plugins = ["reconciler.emulator.pytest_plugin"]

A test then takes ``studio`` and talks to ``studio.url`` over HTTP, as to the service. Each test gets an emulator of
its own in which nothing has happened yet. A project gives its own studio file by overriding ``studio_file``.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from reconciler.emulator.config.studio_file import StudioFile, load_studio
from reconciler.emulator.ml.workers import Workers
from reconciler.emulator.server import Studio

T = TypeVar("T")


class StudioThread:
    """One event loop in a thread for every Studio of a test session, and the workers that they share.

    Workers take seconds to start, and the loop of an async test ends with the test.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local Studios", daemon=True)
        self._thread.start()
        self.workers = self.call(self._make_workers())

    @staticmethod
    async def _make_workers() -> Workers:
        return Workers(training=1, scoring=1)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @contextmanager
    def studio(self, studio_file: StudioFile | None = None, **options: Any) -> Iterator[Studio]:
        """Return a Studio that runs while the context is open; the options are those of `Studio`."""
        running = Studio(studio_file, **{"workers": self.workers, **options})
        self.call(running.__aenter__())
        try:
            yield running
        finally:
            self.call(running.__aexit__(None, None, None))

    def close(self) -> None:
        """End the workers and the thread."""
        self.call(self.workers.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def studio_thread() -> Iterator[StudioThread]:
    """Return the thread in which the emulators run."""
    thread = StudioThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def studio_file() -> StudioFile:
    """Return the configuration of each emulator: the default one, but a patch takes effect at once.

    Override it in a ``conftest.py``, with the same scope, and return ``load_studio(path)``.
    """
    default = load_studio(None)
    at_once = {"patch_takes_effect": timedelta(0), "provisioning": timedelta(seconds=0.05)}
    return default.model_copy(update={"timings": default.timings.model_copy(update=at_once)})


@pytest.fixture(scope="session")
def studio_first_state(
    studio_thread: StudioThread, studio_file: StudioFile, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the state of an emulator after its first start, which trains its models: each test begins with a copy."""
    state = tmp_path_factory.mktemp("first-studio") / "state"
    with studio_thread.studio(studio_file, state=state):
        pass
    return state


@pytest.fixture
def studio(
    studio_thread: StudioThread,
    studio_file: StudioFile,
    studio_first_state: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Studio]:
    """Return a running emulator.

    ``studio.url`` is where it answers, ``studio.env_file`` holds the secrets for clients, ``studio.faults`` makes it
    fail and ``studio.journal`` has the requests that it received.
    """
    state = tmp_path_factory.mktemp("studio") / "state"
    shutil.copytree(studio_first_state, state)
    with studio_thread.studio(studio_file, state=state) as running:
        yield running

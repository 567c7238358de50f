"""Fixtures with a running Studio.

Training the built-in Studio's first models takes seconds, so it is done once: every test starts on a copy of that
state.
"""

from __future__ import annotations

import fcntl
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.studio import NOT_COPIED, ROOT, Desk, Kept, Studio, running


@pytest.fixture(scope="session")
def prepared_state(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The state of the built-in Studio with its first models trained, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    state = shared / "prepared-studio"
    with (shared / "prepared-studio.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "prepared-studio.done").exists():
            with running(state):
                pass
            (shared / "prepared-studio.done").touch()
    return state


@pytest.fixture
def studio(prepared_state: Path, tmp_path: Path) -> Iterator[Studio]:
    """A Studio of this test's own."""
    state = tmp_path / "studio"
    shutil.copytree(prepared_state, state, ignore=NOT_COPIED)
    with running(state) as one:
        yield one


@pytest.fixture
def desk(studio: Studio, tmp_path: Path) -> Desk:
    """The example fleet in a directory of its own, beside a running Studio."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "specs", home / "specs")
    return Desk(home, studio)


@pytest.fixture(scope="session")
def quick_studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in Studio, in which updates take effect sooner."""
    text = (ROOT / "reconciler" / "emulator" / "config" / "default_studio.yaml").read_text()
    quicker = (("timings:\n", "timings:\n  patchTakesEffect: 0.2s\n"), ("provisioning: 1s", "provisioning: 0.1s"))
    for slow, quick in quicker:
        assert slow in text
        text = text.replace(slow, quick)
    file = tmp_path_factory.mktemp("quick-studio") / "studio.yaml"
    file.write_text(text)
    return file


@pytest.fixture(scope="session")
def kept(prepared_state: Path, quick_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """The example fleet converged, once for each worker."""
    base = tmp_path_factory.mktemp("converged")
    home, state = base / "home", base / "studio"
    shutil.copytree(ROOT / "specs", home / "specs")
    shutil.copytree(prepared_state, state, ignore=NOT_COPIED)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        arguments = ("--studio", str(quick_studio), "--port", str(holder.getsockname()[1]))
        with running(state, *arguments) as studio:
            Desk(home, studio).run("--yes")
        yield Kept(home, state, arguments)


@pytest.fixture
def converged(kept: Kept, tmp_path: Path) -> Iterator[Desk]:
    """The example fleet, converged, beside the Studio that it converged on; both this test's own."""
    home, state = tmp_path / "home", tmp_path / "studio"
    shutil.copytree(kept.home, home)
    shutil.copytree(kept.state, state, ignore=NOT_COPIED)
    with running(state, *kept.arguments) as studio:
        yield Desk(home, studio)


@pytest.fixture
def fresh(prepared_state: Path, quick_studio: Path, tmp_path: Path) -> Iterator[Desk]:
    """The example fleet, never converged, beside a quick Studio."""
    home, state = tmp_path / "home", tmp_path / "studio"
    shutil.copytree(ROOT / "specs", home / "specs")
    shutil.copytree(prepared_state, state, ignore=NOT_COPIED)
    with running(state, "--studio", str(quick_studio)) as studio:
        yield Desk(home, studio)


@pytest.fixture(scope="session")
def untouched_studio(
    prepared_state: Path, quick_studio: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """A quick Studio that tests share, because they must not change it."""
    state = tmp_path_factory.mktemp("untouched") / "studio"
    shutil.copytree(prepared_state, state, ignore=NOT_COPIED)
    with running(state, "--studio", str(quick_studio)) as studio:
        yield studio


@pytest.fixture
def bystander(untouched_studio: Studio, tmp_path: Path) -> Iterator[Desk]:
    """The example fleet, never converged, beside a shared Studio: for what changes nothing, which is checked."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "specs", home / "specs")
    sent = len(untouched_studio.requests())
    yield Desk(home, untouched_studio)
    assert "write" not in {request["kind"] for request in untouched_studio.requests()[sent:]}

"""A real Studio in a process of its own and the real command, for the tests of the whole job.

Training the built-in Studio's first models takes seconds, so it is done once: every test starts on a copy of that
state.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROFILE = os.environ.get("STUDIO_PROFILE", "documented")
EMULATOR = (sys.executable, "-W", "error", "-m", "reconciler.emulator", "--port", "0", "--profile", PROFILE)
COMMAND = (sys.executable, "-W", "error", "-m", "reconciler.cli")
LONGEST = 120


@dataclass
class Studio:
    """A running Studio."""

    url: str
    cloud_file: Path
    env_file: Path
    log: Path
    process: subprocess.Popen[str]

    def jobs(self) -> list[dict[str, Any]]:
        """Every job that was ever registered."""
        return self.control("jobs")

    def requests(self) -> list[dict[str, Any]]:
        """The requests so far, oldest first; ``kind`` is read, score or write."""
        return self.control("requests")

    def control(self, name: str) -> Any:
        with build_opener(ProxyHandler({})).open(f"{self.url}/_studio/{name}", timeout=10) as reply:
            body = json.load(reply)
        return body[name] if isinstance(body, dict) and name in body else body

    def secrets(self) -> dict[str, str]:
        """The secrets in use, by the name of their variable."""
        lines = (line.partition("=") for line in self.env_file.read_text().splitlines() if "=" in line)
        return {name.removeprefix("export ").strip(): value.strip().strip("'\"") for name, _, value in lines}

    def send(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """One request as a person with the token would send it."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = Request(self.url + path, data=data, headers=headers, method=method)
        with build_opener(ProxyHandler({})).open(request, timeout=30) as reply:
            text = reply.read()
        return json.loads(text) if text else None


@dataclass
class Desk:
    """A user's directory: the example fleet, a store, a Studio, and the command run in it."""

    home: Path
    studio: Studio
    outputs: list[str] = field(default_factory=list)
    cloud_file: Path | None = None

    @property
    def store(self) -> Path:
        return self.home / ".reconciler" / "state.db"

    def arguments(self, *arguments: str) -> list[str]:
        """A command line with the Studio's cloud file where the command takes one."""
        offline = {"status", "history", "validate", "schema"}
        cloud = [] if offline & set(arguments[:1]) else ["--cloud", str(self.cloud_file or self.studio.cloud_file)]
        return [*COMMAND, *arguments, *cloud]

    def reconcile(self, *arguments: str, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end and expect its exit code."""
        done = subprocess.run(
            self.arguments(*arguments),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,
        )
        self.outputs += [done.stdout, done.stderr]
        assert code == done.returncode, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start the command and leave it running."""
        return subprocess.Popen(
            self.arguments(*arguments),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            **options,
        )

    def edit(self, old: str, new: str, file: str = "endpoints.yaml") -> None:
        """Edit a spec file as a user would."""
        path = self.home / "specs" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def plan(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The plan as JSON."""
        plan: dict[str, Any] = json.loads(self.reconcile("--dry-run", "--output", "json", *arguments, code=code).stdout)
        return plan


@contextlib.contextmanager
def running(state: Path) -> Iterator[Studio]:
    """A Studio on a state directory, stopped at the end."""
    log = state.parent / f"{state.name}.log"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [*EMULATOR, "--state", str(state)],
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env=environment,
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        assert line, f"the Studio did not start:\n{log.read_text()}"
        ready = json.loads(line)
        yield Studio(ready["url"], Path(ready["cloudFile"]), Path(ready["envFile"]), log, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stdout:
            process.stdout.close()


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
    shutil.copytree(prepared_state, state, ignore=shutil.ignore_patterns("lock", "cloud.json", "emulator.env"))
    with running(state) as one:
        yield one


@pytest.fixture
def desk(studio: Studio, tmp_path: Path) -> Desk:
    """The example fleet in a directory of its own, beside a running Studio."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "specs", home / "specs")
    return Desk(home, studio)

"""Azurite, Microsoft's own emulator of storage accounts, as a second opinion on ours and as an account that is not.

Installed once from npm into a directory beside the system's temporary files, which every worker of the tests shares.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

VERSION = "3.35.0"
"""The last one whose package asks for no more than Node 10; the next ones ask for 21 and 22."""

ACCOUNT = "contosostore"
KEY = "YXp1cml0ZS1pcy1ub3QtdGhlLWJ1aWx0LWluLWFjY291bnQ="
_PATIENCE = 60


@dataclass(frozen=True)
class Azurite:
    """A running Azurite with one account."""

    url: str
    connection_string: str


@contextlib.contextmanager
def running_azurite(data: Path) -> Iterator[Azurite]:
    """Azurite on a free port of the loopback, with its data in a directory.

    Without Node the test is skipped; where CI is set, it fails.
    """
    command = [_node("node"), str(_installed() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = data / "azurite.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *command,
                *("--location", str(data / "blobs"), "--blobPort", str(port)),
                *("--silent", "--skipApiVersionCheck", "--loose", "--disableTelemetry"),
            ],
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(process, port, log)
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        yield Azurite(url, f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};")
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _node(program: str) -> str:
    found = shutil.which(program)
    if found is not None:
        return found
    pytest.skip(f"{program} is not on the PATH; Azurite needs Node and npm")


def _installed() -> Path:
    """The directory of the installation; the first worker that wants it makes it, the others wait."""
    npm = _node("npm")
    home = Path(tempfile.gettempdir()) / f"reconciler-azurite-{VERSION}-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        pytest.fail(f"{home} belongs to another user, whose programs are not run")
    done = home / "installed"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            made = subprocess.run(
                [
                    *(npm, "install", f"azurite@{VERSION}", "--prefix", str(home)),
                    *("--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts", "--loglevel=error"),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                pytest.skip(f"Azurite {VERSION} could not be installed: {made.stderr.strip()[-500:]}")
            done.touch()
    return home


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Azurite does not answer: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.05)

"""``--cloud local``: the emulator in ``.reconciler/studio``, started if it is not running."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.errors import UserError

if TYPE_CHECKING:
    from reconciler.azure.clouds import Cloud

LOCAL = "local"
STATE = Path(".reconciler/studio")
COMMAND = (sys.executable, "-m", "reconciler.cli")
"""The command line of this program, whatever name it was installed under."""
_STARTED = STATE / "started.pid"
_USERS = STATE / "users.lock"
_STOPS_WITHIN = 10.0


@contextmanager
def the_cloud(name: str | None) -> Iterator[Cloud]:
    """Return the named cloud. The local emulator runs at least as long as the block.

    Raises:
        CloudError: the cloud does not exist, or its file is wrong.
        UserError: the local emulator does not start.
    """
    from reconciler.azure.clouds import load_cloud

    if name is not None and name != LOCAL:
        yield load_cloud(name)
        return
    with _used() as cloud_file:
        yield load_cloud(str(cloud_file))


@contextmanager
def _used() -> Iterator[Path]:
    """Return the cloud file of the local emulator, which is started for the first command and stopped after the last.

    Each command holds a shared lock on one file. A command that gets the exclusive lock at its end was the last, and
    stops the emulator if a command started it. An emulator that was started by hand is left running.
    """
    try:
        STATE.mkdir(parents=True, exist_ok=True)
        users = _USERS.open("a+b")
    except OSError as error:
        raise UserError(f"directory {STATE} of the local emulator cannot be used: {error.strerror}") from error
    with users:
        fcntl.flock(users, fcntl.LOCK_EX)  # One command starts it; others wait here and then find it running.
        cloud_file = STATE / "cloud.json"
        if not _answers(cloud_file):
            cloud_file = _start()
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield cloud_file
        finally:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop_started()


def _answers(cloud_file: Path) -> bool:
    """Return whether the emulator that wrote this file still answers: a killed one leaves its file behind."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, build_opener

    try:
        base = json.loads(cloud_file.read_text(encoding="utf-8"))["emulatorUrl"]
        # No proxy of the environment is used for loopback.
        with build_opener(ProxyHandler({})).open(f"{base}/_studio/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except (OSError, ValueError, KeyError, TypeError, URLError):
        return False


def _start() -> Path:
    log = STATE / "studio.log"
    print(f"starting the local emulator in {STATE} (log: {log})", file=sys.stderr)
    process, ready = start_studio(["emulator", "--state", str(STATE), "--port", "0"], Path(), log)
    _STARTED.write_text(str(process.pid), encoding="ascii")
    return Path(ready["cloudFile"])


def _stop_started() -> None:
    try:
        pid = int(_STARTED.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return  # It was started by hand, or has ended already.
    _STARTED.unlink(missing_ok=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if _is_studio(pid):
            os.kill(pid, signal.SIGTERM)
            _wait_until_gone(pid)


def _wait_until_gone(pid: int) -> None:
    """Wait until the emulator has ended, so that the next command does not meet it while it ends."""
    end = time.monotonic() + _STOPS_WITHIN
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # A child of this process, if this command started it.
        os.kill(pid, 0)
        time.sleep(0.02)


def _is_studio(pid: int) -> bool:
    """Return whether the process is the emulator, and not another that got its number later."""
    try:
        return b"emulator" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # Without /proc the answer is unknown, and yes is assumed.
    except OSError:
        return False


def start_studio(arguments: Sequence[str], home: Path, log: Path) -> tuple[subprocess.Popen[str], Mapping[str, str]]:
    """Start an emulator in a process of its own.

    Returns:
        The process, and the line that it prints when it is ready, as JSON.

    Raises:
        UserError: it does not start; the message has the last line of its log.
    """
    try:
        stream = log.open("ab")
    except OSError as error:
        raise UserError(f"log {log} of the local emulator cannot be written: {error.strerror}") from error
    with stream:
        # A session of its own: only the caller gets Ctrl-C, and the emulator has to outlive the caller's clean-up.
        process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [*COMMAND, *arguments], cwd=home, stdout=subprocess.PIPE, stderr=stream, text=True, start_new_session=True
        )
    with process.stdout or contextlib.nullcontext() as output:
        line = output.readline() if output is not None else ""
    try:
        ready: dict[str, str] = json.loads(line)
    except ValueError:
        process.kill()
        process.wait()
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        reason = last[0].removeprefix("reconcile: ") if last else "it ended without a message"
        raise UserError(f"the local emulator did not start: {reason} (log: {log})") from None
    return process, ready


@contextmanager
def running_studio(arguments: Sequence[str], home: Path, log: Path) -> Iterator[Mapping[str, str]]:
    """Run an emulator in a process of its own for the time of the block; see `start_studio`."""
    process, ready = start_studio(arguments, home, log)
    try:
        yield ready
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

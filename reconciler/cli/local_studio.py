"""``--cloud local``: a Studio of one's own under ``.reconciler/studio``, started when none is running."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from reconciler.cli.failures import UserError

if TYPE_CHECKING:
    from reconciler.azure.clouds import Cloud

LOCAL = "local"
STATE = Path(".reconciler/studio")
COMMAND = (sys.executable, "-m", "reconciler.cli")
"""How this program calls itself, whatever name it was installed under."""
_STOPS_WITHIN = 10.0


@contextmanager
def the_cloud(name: str | None) -> Iterator[Cloud]:
    """The named cloud; the local one is running for as long as the block.

    Raises:
        CloudError: there is no such cloud, or its file is wrong.
        UserError: the local Studio does not start.
    """
    from reconciler.azure.clouds import load_cloud

    if name is not None and name != LOCAL:
        yield load_cloud(name)
        return
    file = STATE / "cloud.json"
    if _answers(file):
        yield load_cloud(str(file))
        return
    STATE.mkdir(parents=True, exist_ok=True)
    log = STATE / "studio.log"
    print(f"starting a local Studio in {STATE} (its log: {log})", file=sys.stderr)
    with running_studio(["emulator", "--state", str(STATE), "--port", "0"], Path(), log) as ready:
        yield load_cloud(ready["cloudFile"])


def _answers(cloud_file: Path) -> bool:
    """Whether the Studio that wrote this file still runs: asked, because a killed one leaves its file behind."""
    try:
        base = json.loads(cloud_file.read_text(encoding="utf-8"))["managementUrl"]
        # Loopback is never reached through a proxy.
        with build_opener(ProxyHandler({})).open(f"{base}/_studio/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except (OSError, ValueError, KeyError, TypeError, URLError):
        return False


@contextmanager
def running_studio(arguments: Sequence[str], home: Path, log: Path) -> Iterator[Mapping[str, str]]:
    """A Studio in a process of its own, for as long as the block; gives the line that it prints when it answers.

    Raises:
        UserError: it does not start; the message has the last line of its log.
    """
    with log.open("ab") as stream:
        # A session of its own: Ctrl-C is the caller's to handle, and the Studio has to outlive the clean-up after it.
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [*COMMAND, *arguments],
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            start_new_session=True,
        )
        try:
            yield _ready_line(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _ready_line(process: subprocess.Popen[str], log: Path) -> Mapping[str, str]:
    line = process.stdout.readline() if process.stdout is not None else ""
    try:
        ready: dict[str, str] = json.loads(line)
    except ValueError:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        reason = last[0] if last else "it said nothing"
        raise UserError(f"the local Studio did not start: {reason} (log: {log})") from None
    return ready

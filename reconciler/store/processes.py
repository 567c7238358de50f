"""Which process holds a lease, and whether that process is provably dead.

Provably: a live holder must never count as dead. Where something cannot be found out, the answer is "not dead", and
the lease's end decides.
"""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

from reconciler.store.records import Holder

_PROC = Path("/proc")
_GONE_STATES = ("Z", "X")
"""Of ``/proc/<pid>/stat``: killed but not yet reaped by the parent. Such a process cannot act."""


def this_process(run_id: str) -> Holder:
    """Return the holder that this process is, for one run in it."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # No entry in the password database, as for an arbitrary uid in a container.
        user = f"uid {os.getuid()}"
    stat = _state_and_start(os.getpid())
    return Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=None if stat is None else stat[1],
        user=user,
        run_id=run_id,
        machine=_machine(),
    )


def is_dead(holder: Holder) -> bool:
    """Return whether the holder ran on this very host, and its process is gone or its pid is another process's now."""
    if (holder.host, holder.machine) != (socket.gethostname(), _machine()):
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Another user's process has the pid; its start time, read below, shows whether it is the holder.
        pass
    stat = _state_and_start(holder.pid)
    if stat is None:
        return False
    state, started = stat
    return state in _GONE_STATES or (holder.process_started is not None and started != holder.process_started)


def _machine() -> str:
    """Return boot id and pid namespace: pids mean the same only where both are the same. Empty if unknown.

    A restarted host or container gets another one, even under the same name.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, int] | None:
    """Return state and start (clock ticks since boot) of a process by ``/proc/<pid>/stat``, or None if unknown."""
    try:
        if (_PROC / "self").readlink().name != str(os.getpid()):
            # This /proc shows another pid namespace, so its pids mean other processes.
            return None
        text = (_PROC / str(pid) / "stat").read_text("ascii", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])

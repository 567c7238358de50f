"""How a store is read in place, so that reading a large one does not copy it.

SQLite opens the file read-only. In WAL mode a reader blocks no writer and no writer blocks it, but all of them share
two files beside the store: ``-wal``, the log of what is not in the file yet, and ``-shm``, the index of that log.
SQLite makes both for the first process that opens the store. A process that only reads would leave both behind, so
`tidy` lets SQLite remove an empty log.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from reconciler.store.errors import StoreError

_PATIENCE_SECONDS = 60.0
"""How long to wait while another process repairs the log of one that was killed, or removes it as the last to close."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for reading; a missing one as an empty database in memory.

    Raises:
        StoreError: Its log cannot be read, because its directory cannot be written to.
        OSError: The file cannot be read.
        sqlite3.Error: SQLite refuses it.
    """
    if not path.exists():
        return _open(":memory:")
    path = path.resolve()
    connection = _open(f"{path.as_uri()}?mode=ro{'' if _shares_log(path) else '&immutable=1'}")
    try:
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def copy_in_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    """Return a database in memory with all that ``source`` sees."""
    copy = _open(":memory:")
    source.backup(copy)
    return copy


def tidy(path: Path) -> None:
    """Remove the empty log that a reader left, unless another process has the store open.

    SQLite does it when a connection closes that may write and is the last one.
    """
    path = path.resolve()
    with suppress(OSError, sqlite3.Error):
        if _log(path).stat().st_size == 0:
            with closing(_open(f"{path.as_uri()}?mode=rw")) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _open(name: str) -> sqlite3.Connection:
    return sqlite3.connect(
        name,
        uri=name.startswith("file:"),
        timeout=_PATIENCE_SECONDS,
        # The driver begins no transaction of its own.
        isolation_level=None,
        # `Database` lets one thread at a time use it.
        check_same_thread=False,
    )


def _shares_log(path: Path) -> bool:
    """Return whether to read the store with its log; if not, the file has everything, and nothing is made beside it.

    Who may not write to the file or its directory can use a log and its index that are there, but can make neither; an
    index of another user's would lock out the store's owner, for whom it would be read-only.
    """
    if not _may(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if _may(path, os.W_OK) and _may(path.parent, os.W_OK):
        return True
    log = _log(path)
    if not log.exists() or log.stat().st_size == 0:
        return False
    if not log.with_name(f"{path.name}-shm").exists():
        raise StoreError(
            f"its last writer was killed and left changes in {log.name}, which can be read only where files can be"
            f" made: run `reconcile status` once as a user who may write to {path.parent}, or copy both files elsewhere"
        )
    return True


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")

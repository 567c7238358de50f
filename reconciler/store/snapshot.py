"""A private copy of a store as it is at one moment, taken without touching anything beside it.

A reader that opens a SQLite file in WAL mode makes ``-wal`` and ``-shm`` files, or writes into those that
are there. So a dry run reads a copy of the database and its log instead. Three things make the copy right
while others write, or if one was killed in the midst of it:

* The log only grows, until a checkpoint has moved all of it into the database and it starts over. Growth is
  harmless: what was read ends in the last whole commit, for SQLite checks the sums of each frame.
* A checkpoint changes the database, a fresh start the beginning of the log. So both are read twice,
  database, log, database, log, and the copy counts only if the database and as much of the log as was read
  are byte for byte the same. Then no page changed in between, and every commit that the database lacks is
  in the log.
* A descriptor of the database is never closed again: closing any one drops all of the process's POSIX locks
  on the file, also those of a store that the same process has open for writing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from reconciler.store.errors import StoreError

_PATIENCE_SECONDS = 30.0
"""Only a checkpoint in the midst of the copying costs a try, and one comes every thousand pages."""
_CHUNK = 1 << 20

_kept: dict[tuple[int, int], int] = {}
"""The descriptors by device and inode: one for each store that this process has ever read this way."""


def copy_to(path: Path, copy: Path) -> None:
    """Copy the store at ``path``, with its log, to ``copy``. A missing or empty one leaves nothing there.

    Raises:
        StoreError: It never held still.
        OSError: It cannot be read.
    """
    log, log_copy = _log_of(path), _log_of(copy)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        if not path.exists() or path.stat().st_size == 0:
            return
        with copy.open("wb") as file:
            file.writelines(_database(path))
        frames = _beginning(log)
        log_copy.write_bytes(frames)
        if _is_equal(path, copy) and _beginning(log, len(frames)) == frames:
            return
        if time.monotonic() > give_up:
            raise StoreError(f"it changed each time it was read, for {_PATIENCE_SECONDS:g} seconds")
        time.sleep(0.001)


def _is_equal(path: Path, copy: Path) -> bool:
    with copy.open("rb") as file:
        return all(chunk == file.read(len(chunk)) for chunk in _database(path)) and not file.read(1)


def _database(path: Path) -> Iterator[bytes]:
    descriptor = _descriptor(path)
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        yield chunk
        offset += len(chunk)


def _descriptor(path: Path) -> int:
    status = path.stat()
    descriptor = _kept.get((status.st_dev, status.st_ino))
    if descriptor is None:
        descriptor = os.open(path, os.O_RDONLY)
        status = os.fstat(descriptor)
        # Another thread may have come first. Then this one is kept open too, under no name.
        _kept.setdefault((status.st_dev, status.st_ino), descriptor)
    return descriptor


def _beginning(log: Path, size: int = -1) -> bytes:
    # SQLite keeps no lock on the log itself, so opening and closing it is safe.
    try:
        with log.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        return b""


def _log_of(database: Path) -> Path:
    return database.with_name(database.name + "-wal")

"""What the emulator remembers: named collections of JSON documents.

Everything is read from memory, and every change is on disk before the call that makes it returns, so a reply
that a client has seen survives ``kill -9``.
"""

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

Document = dict[str, Any]


class StateInUse(RuntimeError):
    """A state directory that another running emulator uses."""


class StateUnreadable(RuntimeError):
    """A state directory with content that this version did not write."""


class Collection(MutableMapping[str, Document]):
    """Documents of one sort, by key, in the order in which their keys were first written.

    A document that is read is the collection's own: change a copy and set it. A set keeps a copy, so what the
    caller does with its dictionary afterwards changes nothing here.
    """

    def __init__(self, owner: "Documents", name: str) -> None:
        self._owner = owner
        self._name = name
        self._rows: dict[str, Document] = {}

    def __getitem__(self, key: str) -> Document:
        return self._rows[key]

    def __setitem__(self, key: str, value: Document) -> None:
        text = json.dumps(value, separators=(",", ":"))
        self._owner._write(self, self._name, key, text)

    def __delitem__(self, key: str) -> None:
        if key not in self._rows:
            raise KeyError(key)
        self._owner._write(self, self._name, key, None)

    def __iter__(self) -> Iterator[str]:
        # A snapshot: a handler that awaits between two steps must not trip over another one's insert.
        return iter(list(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __repr__(self) -> str:
        # Documents hold keys and connection strings; a repr ends up in logs.
        return f"<Collection {self._name}: {len(self)} documents>"

    def _load(self, key: str, text: str) -> None:
        self._rows[key] = json.loads(text)

    def _put_back(self, key: str, before: Document | None) -> None:
        if before is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = before

    def _apply(self, key: str, text: str | None) -> Document | None:
        before = self._rows.get(key)
        if text is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = json.loads(text)
        return before


class Documents:
    """The collections, in a directory or, without one, in memory alone."""

    _FILE = "documents.db"

    def __init__(self, database: sqlite3.Connection | None, lock_file: IO[str] | None) -> None:
        self._database = database
        self._lock_file = lock_file
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        self._depth = 0
        self._undo: list[tuple[Collection, str, Document | None]] = []

    @classmethod
    def open(cls, directory: Path | None) -> Self:
        """Open the documents of a state directory, which is made if it does not exist.

        Raises:
            StateInUse: another emulator has this directory.
            StateUnreadable: the directory holds a damaged or foreign file.
        """
        if directory is None:
            return cls(None, None)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock_file = _lock(directory)
        try:
            database = _connect(directory / cls._FILE)
            documents = cls(database, lock_file)
            # rowid order is the order of first writing: an update keeps its row.
            rows = database.execute("SELECT collection, key, value FROM documents ORDER BY rowid")
            for name, key, text in rows:
                documents.collection(name)._load(key, text)
        except sqlite3.DatabaseError as error:
            lock_file.close()
            raise StateUnreadable(
                f"{directory / cls._FILE} cannot be read ({error}); give an empty --state directory"
            ) from error
        return documents

    def collection(self, name: str) -> Collection:
        """Return the collection of that name, empty if nothing was ever written to it."""
        with self._lock:
            found = self._collections.get(name)
            if found is None:
                found = self._collections[name] = Collection(self, name)
            return found

    def drop(self, name: str) -> None:
        """Delete every document of a collection."""
        collection = self.collection(name)
        with self.transaction():
            for key in collection:
                del collection[key]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group writes: all are on disk when the block ends, or none if the block raises.

        The block must not await: what another task writes meanwhile would become part of it.
        """
        with self._lock:
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._roll_back()
                raise
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    def close(self) -> None:
        """Close the files and release the directory for another emulator."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
            if self._lock_file is not None:
                self._lock_file.close()
                self._lock_file = None

    def _write(self, collection: Collection, name: str, key: str, text: str | None) -> None:
        with self._lock, self.transaction():
            if self._database is not None:
                if not self._database.in_transaction:
                    self._database.execute("BEGIN IMMEDIATE")
                if text is None:
                    self._database.execute("DELETE FROM documents WHERE collection=? AND key=?", (name, key))
                else:
                    self._database.execute(
                        "INSERT INTO documents(collection, key, value) VALUES(?,?,?) "
                        "ON CONFLICT(collection, key) DO UPDATE SET value=excluded.value",
                        (name, key, text),
                    )
            self._undo.append((collection, key, collection._apply(key, text)))

    def _commit(self) -> None:
        try:
            if self._database is not None and self._database.in_transaction:
                self._database.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._undo.clear()

    def _roll_back(self) -> None:
        if self._database is not None and self._database.in_transaction:
            self._database.execute("ROLLBACK")
        for collection, key, before in reversed(self._undo):
            collection._put_back(key, before)
        self._undo.clear()


def _connect(path: Path) -> sqlite3.Connection:
    # A new file gets its mode before there is anything in it to read.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        # NORMAL may lose the last commits of a WAL when the machine stops; acknowledged means kept.
        database.execute("PRAGMA synchronous=FULL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS documents("
            "collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE(collection, key))"
        )
    except sqlite3.Error:
        database.close()
        raise
    return database


def _lock(directory: Path) -> IO[str]:
    path = directory / "lock"
    file = path.open("a+", encoding="ascii")
    try:
        # The kernel lets go of it when the process dies, however it dies.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StateInUse(
            f"the state directory {directory} is in use by another emulator (process {holder}); "
            "stop that one, or give another --state directory"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file

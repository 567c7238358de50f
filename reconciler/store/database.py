"""The SQLite file of the store: how it is found, made and opened, and transactions that are on the disk when they end.

Another kind of database would get its own way to open; the tables and the queries do not depend on SQLite.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, Engine, Pool, QueuePool, StaticPool, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError

from reconciler.store import migrations, reading
from reconciler.store.errors import StoreError

_PATIENCE_SECONDS = 60.0
"""How long a writer waits for the others. Each locks the file for milliseconds, so many can go first."""

_WAITS = "waits for the disk"
"""Key in a connection's info: whether its commits are set to wait for the disk at the moment."""

_making = threading.Lock()
"""Held while this process makes a store file: closing a descriptor of a file drops the locks that another
thread has on it through SQLite."""


class Database:
    """An open database file: for writing, or for reading one view of it."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._file = path.absolute()
        self._closed = False
        self._view: Connection | None = None
        self._viewing = threading.RLock()

    @classmethod
    def open(cls, where: str | Path, *, read_only: bool) -> Self:
        """Open the file, or make it; see `reconciler.store.Store.open`.

        Raises:
            StoreError: The file cannot be used; the message names it.
        """
        path = path_of(where)
        try:
            if path.is_dir():
                raise StoreError("it is a directory")  # noqa: TRY301 - named below like every other reason
            return cls._open_view(path) if read_only else cls._open_file(path)
        except StoreError as error:
            raise StoreError(f"the store {path} cannot be used: {error}") from error
        except OSError as error:
            remedy = "" if read_only else "; it needs a directory that can be written to"
            raise StoreError(f"the store {path} cannot be used: {error.strerror or error}{remedy}") from error
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise StoreError(f"the store {path} cannot be used: {_reason(error)}") from error

    @classmethod
    def _open_file(cls, path: Path) -> Self:
        _make_file(path)
        # A thread never waits for another one's reading to end.
        database = cls(_engine(partial(_connect, path), QueuePool, max_overflow=-1), path)
        try:
            with database._transaction(writes=False) as connection:
                version = migrations.found_version(connection)
            if version < migrations.SCHEMA_VERSION:
                _switch_to_write_ahead(path)
                with database._transaction(writes=True) as connection:
                    migrations.bring_forward(connection)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _open_view(cls, path: Path) -> Self:
        source = reading.connect(path)
        database = cls(_engine(lambda: source, StaticPool), path)
        try:
            if migrations.found_version(database._begin_view()) < migrations.SCHEMA_VERSION:
                # A reader upgrades a copy. The file itself is upgraded by whoever writes next.
                copy = reading.copy_in_memory(source)
                database._disconnect()
                database._engine = _engine(lambda: copy, StaticPool)
                migrations.bring_forward(database._begin_view())
        except BaseException:
            database.close()
            raise
        return database

    def _begin_view(self) -> Connection:
        """Begin the transaction in which everything is read; it shows the data as they are at the first read."""
        self._view = self._engine.connect()
        self._view.begin()
        return self._view

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._disconnect()

    def _disconnect(self) -> None:
        if self._view is not None:
            self._view.close()
        self._engine.dispose()
        if self._view is not None:
            reading.tidy(self._file)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one view of the data, unmoved by what others write meanwhile."""
        with self._named_errors():
            if self._view is None:
                with self._transaction(writes=False) as connection:
                    yield connection
            else:
                with self._viewing:
                    self._refuse_if_closed()
                    yield self._view

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Give the only write transaction at that time, in all processes; on the disk when the block has ended.

        One that is not ``durable`` is seen by everybody then and outlives this process, but not a loss of power. If
        power is lost, earlier transactions stay, and later ones are lost with it.
        """
        if self._view is not None:
            raise StoreError(f"the store {self._path} was opened read-only")
        with self._named_errors(), self._transaction(writes=True, durable=durable) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool, durable: bool = True) -> Iterator[Connection]:
        self._refuse_if_closed()
        with self._engine.connect() as connection:
            connection.execution_options(writes=writes, durable=durable)
            with connection.begin():
                yield connection

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self._path} is closed")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(f"the store {self._path} failed: {_reason(error)}") from error


def is_open(connection: Connection) -> bool:
    """Whether the connection's transaction is still open: the database ends it by itself when the disk is full."""
    driver = connection.connection.dbapi_connection
    return bool(getattr(driver, "in_transaction", True))


def path_of(where: str | Path) -> Path:
    """Return the file that a store URL or a plain path means.

    Raises:
        StoreError: A URL of another kind. Its text is not repeated, for it may hold a password.
    """
    if isinstance(where, Path):
        return where
    scheme, separator, rest = where.partition("://")
    if not separator:
        path = where
    elif scheme == "sqlite":
        # The third slash ends the (empty) host, so a fourth one makes the path absolute.
        path = rest.removeprefix("/")
    else:
        raise StoreError(
            f"a store of the kind {scheme}:// is not supported; give sqlite:///relative/path, sqlite:////absolute/path"
            " or a plain path"
        )
    if not path:
        raise StoreError("the store's path is empty; give sqlite:///relative/path or a plain path")
    return Path(path)


def _make_file(path: Path) -> None:
    """Make the file and the directories above it, for the owner alone; leave what is there unchanged."""
    with _making:
        if path.exists():
            return
        missing = [parent for parent in (path.parent, *path.parent.parents) if not parent.exists()]
        for directory in reversed(missing):
            directory.mkdir(mode=0o700, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        # A file is safe from a power loss only when the directories that lead to it are.
        for directory in {path.parent, *(parent.parent for parent in missing)}:
            descriptor = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _engine(connect: Callable[[], sqlite3.Connection], pool: type[Pool], **options: int) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=pool,
        hide_parameters=True,
        json_serializer=partial(json.dumps, ensure_ascii=False, allow_nan=False),
        **options,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        # "rw" and not "rwc": a store that somebody removed meanwhile must not come back empty.
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_PATIENCE_SECONDS,
        # The driver begins no transaction of its own; see `_begin`.
        isolation_level=None,
        # The pool hands a connection to one thread at a time.
        check_same_thread=False,
    )
    try:
        # In WAL mode, NORMAL would lose acknowledged commits with the power. On macOS it takes fullfsync as well.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _begin(connection: Connection) -> None:
    """Begin for writing at once, where a transaction will write.

    One that reads first and writes later would fail outright, without waiting, if another wrote in between.
    """
    options = connection.get_execution_options()
    writes, durable = options.get("writes", False), options.get("durable", True)
    if writes and connection.info.setdefault(_WAITS, True) != durable:
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.info[_WAITS] = durable
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _switch_to_write_ahead(path: Path) -> None:
    """Switch to WAL, which stays with the file.

    SQLite does not wait for others in this one command, so this function does: they switch too, and are soon done.
    """
    give_up = time.monotonic() + _PATIENCE_SECONDS
    with closing(_connect(path)) as connection:
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.002)
                continue
            if mode != "wal":
                raise StoreError(
                    f"its file system does not allow SQLite's write-ahead log (it keeps to {mode!r});"
                    " put the store on a local disk"
                )
            return


def _reason(error: Exception) -> str:
    """Return what the driver said, without the statement and its values."""
    if isinstance(error, DBAPIError | StatementError) and error.orig is not None:
        error = error.orig if isinstance(error.orig, Exception) else error
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
        return f"other processes kept it locked for {_PATIENCE_SECONDS:g} seconds"
    return str(error)

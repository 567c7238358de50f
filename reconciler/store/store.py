"""The store: what must be remembered between runs, durable and shared by processes.

Everything is synchronous and quick; call it from a thread where an event loop must not wait. One `Store`
may be used by several threads, and one file by several processes. A forked child opens its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection

from reconciler.store import history, leases, operations, targets, versions
from reconciler.store.database import Database, is_open
from reconciler.store.errors import StoreError
from reconciler.store.processes import is_dead
from reconciler.store.records import Event, Holder, Lease, Operation, TargetRecord, VersionRecord

DEFAULT_TTL = timedelta(minutes=2)
"""Long enough for a few missed renewals, short enough to wait for when a host dies."""


class Transaction:
    """What may be written under a lease, all or nothing. Made by `Store.fenced`."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime]) -> None:
        self._connection = connection
        self._clock = clock

    def version(self, model: str, label: str) -> VersionRecord | None:
        """Return the version as it stands inside this transaction, or None."""
        return versions.find(self._connection, model, label)

    def open_operation(self, model: str, label: str) -> Operation | None:
        """Return the version's operation that is not closed, or None."""
        return operations.find_open(self._connection, model, label)

    def target(self, identity: str) -> TargetRecord | None:
        """Return the target as it stands inside this transaction, or None."""
        return targets.find(self._connection, identity)

    def put_version(self, record: VersionRecord) -> None:
        """Write a version, or replace one that is not usable yet.

        Writing a usable version again with the same fingerprint and location changes nothing, not even its
        metrics.

        Raises:
            VersionImmutable: The version is usable, and the record says something else.
            LocationTaken: The artifact of another usable version is at the record's location.
        """
        versions.put(self._connection, record)

    def put_operation(self, operation: Operation) -> Operation:
        """Write a new operation (``id`` None), or move a known one forward.

        Returns:
            The operation with its id.

        Raises:
            OperationConflict: Another operation of this version is open, or its attempt is not higher than
                those before, or a known one would move backwards or change in what it is.
        """
        return operations.put(self._connection, operation)

    def put_target(self, record: TargetRecord) -> None:
        """Write a target's row, replacing the whole of the earlier one."""
        targets.put(self._connection, record)

    def remove_target(self, identity: str) -> None:
        """Remove a target that is gone; its history stays."""
        targets.remove(self._connection, identity)

    def add_event(
        self,
        *,
        run_id: str,
        subject: str,
        action: str,
        outcome: str,
        message: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> Event:
        """Append to the history, with the present time.

        Args:
            run_id: The run that did it.
            subject: What it is about.
            action: What was done.
            outcome: How it went.
            message: For people.
            details: Plain JSON values for programs; never a secret.

        Returns:
            The event as stored.
        """
        return history.add(
            self._connection,
            at=self._clock(),
            run_id=run_id,
            subject=subject,
            action=action,
            outcome=outcome,
            message=message,
            details=details or {},
        )


class Store:
    """An open store; use it as a context manager, or close it.

    Raises everywhere:
        StoreError: The file cannot be read or written, or the store was opened read-only and something
            would write.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], holder_is_dead: Callable[[Holder], bool]
    ) -> None:
        self._database = database
        self._clock = clock
        self._holder_is_dead = holder_is_dead
        self._write_lock = threading.RLock()
        self._writing = False
        self._grouping: Connection | None = None
        """The transaction of `together`, while it is open."""

    @classmethod
    def open(
        cls,
        where: str | Path,
        *,
        clock: Callable[[], datetime],
        read_only: bool = False,
        holder_is_dead: Callable[[Holder], bool] = is_dead,
    ) -> Self:
        """Open the store, and make it if it is missing.

        Args:
            where: ``sqlite:///relative/path``, ``sqlite:////absolute/path``, or a plain path.
            clock: Gives the present, aware.
            read_only: Read the store as it is at this moment, in place: its content never changes, and a missing
                store reads as an empty one and is not made. Later writes of others are not seen, so whoever
                shows a store for long (a page) opens it again for each look; while it is open, the log
                beside it grows with each write of others.
            holder_is_dead: Whether a lease's holder is provably dead.

        Raises:
            StoreError: Not a store, made by a newer program, not writable, or an unsupported kind of URL.
        """
        return cls(Database.open(where, read_only=read_only), clock, holder_is_dead)

    def close(self) -> None:
        """Close the store. Leases stay as they are."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading

    def versions(self) -> tuple[VersionRecord, ...]:
        """Return all versions, by model and then in the order in which their labels were first written."""
        with self._database.reading() as connection:
            return versions.every(connection)

    def version(self, model: str, label: str) -> VersionRecord | None:
        """Return the version, or None."""
        with self._database.reading() as connection:
            return versions.find(connection, model, label)

    def training_durations(self) -> dict[str, list[float]]:
        """Return how long the trainings of usable versions took: seconds by model, oldest first."""
        with self._database.reading() as connection:
            return versions.training_durations(connection)

    def operations(self, *, open_only: bool = False) -> tuple[Operation, ...]:
        """Return all operations, oldest first; with ``open_only`` those that are not closed."""
        with self._database.reading() as connection:
            return operations.every(connection, open_only=open_only)

    def open_operation(self, model: str, label: str) -> Operation | None:
        """Return the version's operation that is not closed, or None."""
        with self._database.reading() as connection:
            return operations.find_open(connection, model, label)

    def last_attempt(self, model: str, label: str) -> int:
        """Return the number of the version's last attempt that was begun; 0 if none was."""
        with self._database.reading() as connection:
            return operations.last_attempt(connection, model, label)

    def targets(self) -> tuple[TargetRecord, ...]:
        """Return all targets that were ever tried, by identity."""
        with self._database.reading() as connection:
            return targets.every(connection)

    def target(self, identity: str) -> TargetRecord | None:
        """Return the target, or None if it never was tried."""
        with self._database.reading() as connection:
            return targets.find(connection, identity)

    def events(
        self, subject: str | None = None, *, run_id: str | None = None, limit: int | None = None
    ) -> Iterator[Event]:
        """Return the history, newest first, read page by page as it is consumed.

        Args:
            subject: Only events about this.
            run_id: Only events of this run.
            limit: At most so many; None for all.
        """
        before: int | None = None
        left = limit
        while left is None or left > 0:
            size = history.PAGE if left is None else min(left, history.PAGE)
            with self._database.reading() as connection:
                page = history.page(connection, subject, run_id, before, size)
            yield from page
            if len(page) < size:
                return
            before = page[-1].id
            left = None if left is None else left - len(page)

    def leases(self) -> tuple[Lease, ...]:
        """Return the leases that were not released, by key; expired ones among them."""
        with self._database.reading() as connection:
            return leases.every(connection)

    # Leases. Their commits do not wait for the disk: a lease binds processes, and no process survives the loss of power
    # that could undo such a commit. What is written under a lease does wait, and takes the lease to the disk along.

    def acquire(self, key: str, holder: Holder, ttl: timedelta = DEFAULT_TTL) -> Lease:
        """Acquire the lease on a key, if no other run has it: one worker per key.

        A lease that has expired, or whose holder is a dead process on this host, is acquired from it. The same
        run is refused like any other.

        Args:
            key: What is leased.
            holder: Who takes it; see `reconciler.store.this_process`.
            ttl: For how long, unless renewed.

        Raises:
            LeaseHeld: Another run has it; the message says which, since when and until when.
        """
        with self._writing_transaction(durable=False) as connection:
            return leases.acquire(
                connection, key, holder, ttl=ttl, now=self._clock(), holder_is_dead=self._holder_is_dead
            )

    def renew(self, lease: Lease) -> Lease:
        """Extend the lease to a full ``ttl`` from now; also one that has expired but was not acquired by another run.

        Returns:
            The lease with its new end. The token stays, so the earlier value goes on fencing.

        Raises:
            LeaseLost: Another run acquired it, or it was released.
        """
        with self._writing_transaction(durable=False) as connection:
            return leases.renew(connection, lease, self._clock())

    def release(self, lease: Lease) -> None:
        """Release the lease; do nothing if it is already lost."""
        with self._writing_transaction(durable=False) as connection:
            leases.release(connection, lease)

    # Writing

    @contextmanager
    def fenced(self, lease: Lease) -> Iterator[Transaction]:
        """Open one write transaction under a lease, whose token is checked first and inside of it.

        While it is open no other thread or process can write: gather the facts before, do no I/O within,
        and do not await. It is durable when the block has ended; an exception undoes all of it.

        Raises:
            LeaseLost: Another run acquired the lease, or it was released; the block does not run.
        """
        with self._writing_transaction() as connection:
            leases.check(connection, lease)
            yield Transaction(connection, self._clock)

    def add_event(
        self,
        *,
        run_id: str,
        subject: str,
        action: str,
        outcome: str,
        message: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> Event:
        """Append to the history without a lease: for what concerns a run and not one key.

        See `Transaction.add_event`.
        """
        with self._writing_transaction() as connection:
            return Transaction(connection, self._clock).add_event(
                run_id=run_id,
                subject=subject,
                action=action,
                outcome=outcome,
                message=message,
                details=details,
            )

    @contextmanager
    def together(self, *, durable: bool = True) -> Iterator[None]:
        """Make the writes of this thread in the block one transaction; see `Database.writing` for ``durable``.

        A write that raises is undone alone, and the others stay. Nothing is there for anybody before the block has
        ended.

        Raises:
            StoreError: They could not be committed; nothing of them was written.
        """
        with self._write_lock, self._database.writing(durable=durable) as connection:
            self._grouping = connection
            try:
                yield
            finally:
                self._grouping = None
            if not is_open(connection):
                # A full disk undoes the whole transaction, and a commit would say nothing of it.
                raise StoreError("the database undid a transaction; nothing of it was written")

    @contextmanager
    def _writing_transaction(self, *, durable: bool = True) -> Iterator[Connection]:
        # The threads of a process queue here, in fairness, instead of polling for the file's lock.
        with self._write_lock:
            if self._writing:
                raise StoreError("a write transaction is open in this thread already; use it, or end it first")
            self._writing = True
            try:
                if self._grouping is not None:
                    with self._grouping.begin_nested():
                        yield self._grouping
                else:
                    with self._database.writing(durable=durable) as connection:
                        yield connection
            finally:
                self._writing = False

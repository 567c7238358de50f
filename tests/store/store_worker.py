"""A process that does to a store what it is told: JSON lines in and out.

Run by the tests as a program, so that two processes, kill -9 and SIGSTOP are the real ones.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.store import Lease, Store, StoreError, TargetRecord, this_process

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def target(identity: str, count: int, padding: str = "") -> TargetRecord:
    return TargetRecord(
        identity=identity,
        name=identity,
        kind="ClassicEndpoint",
        last_outcome="held",
        last_message=f"{count} {padding}",
        last_at=START,
    )


def say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class Worker:
    def __init__(self, path: str, run_id: str) -> None:
        self.path = path
        self.holder = this_process(run_id)
        self.store: Store
        self.lease: Lease
        self.bare: sqlite3.Connection

    def open(self) -> str:
        self.store = Store.open(self.path, clock=lambda: START)
        return "open"

    def close(self) -> str:
        self.store.close()
        return "closed"

    def acquire(self, key: str) -> int:
        self.lease = self.store.acquire(key, self.holder, timedelta(minutes=1))
        return self.lease.token

    def write(self, count: int) -> int:
        with self.store.fenced(self.lease) as transaction:
            transaction.put_target(target("one", count))
        return count

    def event(self) -> int:
        return self.store.add_event(run_id="r", subject="run", action="note", outcome="ok").id

    def events(self, count: int) -> int:
        for _ in range(count):
            self.event()
        return count

    def checkpoint(self) -> str:
        """Moves all of the log into the database; the next write starts the log over."""
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        connection.close()
        return "done"

    def sql(self, statement: str) -> str:
        """Does to the file, which may be of an earlier schema, what no store does; it stays open until the end."""
        self.bare = sqlite3.connect(self.path, isolation_level=None)
        self.bare.execute(statement)
        return "done"

    def die_in_transaction(self) -> None:
        with self.store.fenced(self.lease) as transaction:
            transaction.put_target(target("one", 1))
            os.kill(os.getpid(), signal.SIGKILL)

    def churn(self) -> int:
        """Writes two rows that always agree, until the next command is there."""
        say("churning")
        count = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            count += 1
            # Long enough for pages to be moved often from the log into the database.
            rows = [target(identity, count, "x" * 200_000) for identity in ("one", "two")]
            with self.store.fenced(self.lease) as transaction:
                transaction.put_target(rows[0])
                transaction.put_target(rows[1])
        return count


def main() -> None:
    worker = Worker(*sys.argv[1:])
    say("ready")
    for line in iter(sys.stdin.readline, ""):
        name, *arguments = json.loads(line)
        answer: Any
        try:
            answer = getattr(worker, name)(*arguments)
        except StoreError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        say(answer)


if __name__ == "__main__":
    main()

"""Each ``schemas/schema_N.sql`` is a store with rows in every table, as the program that made schema N wrote it."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from reconciler.store import (
    Event,
    Holder,
    Lease,
    Operation,
    ServedModel,
    Store,
    StoreError,
    TargetRecord,
    VersionRecord,
    migrations,
)
from reconciler.store.migrations import SCHEMA_VERSION
from tests.store.conftest import START

SCHEMAS = Path(__file__).with_name("schemas")
EARLIER = sorted(int(file.stem.removeprefix("schema_")) for file in SCHEMAS.iterdir())


def make(path: Path, version: int) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"schema_{version}.sql").read_text())


def schema(path: Path) -> dict[str, object]:
    """What the file has: the columns of each table, and the text of each index."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        columns = {
            # Not its place in the table nor its default: a column that was added later has another one.
            table: {row[1:4] for row in connection.execute(f"PRAGMA table_info({table})")}
            for table in tables
        }
        return {**columns, **dict(indexes)}


def test_there_is_a_store_of_every_earlier_schema() -> None:
    assert list(range(1, len(EARLIER) + 1)) == EARLIER
    assert EARLIER[-1] in (SCHEMA_VERSION - 1, SCHEMA_VERSION)


def test_the_newest_revision_is_the_version_of_the_schema() -> None:
    folder = ScriptDirectory(str(Path(migrations.__file__).parent))

    assert folder.get_current_head() == f"{SCHEMA_VERSION:04}"


@pytest.mark.parametrize("version", EARLIER)
@pytest.mark.parametrize("read_only", [False, True])
def test_an_earlier_store_is_brought_forward_with_all_it_remembers(
    path: Path, clock, version: int, *, read_only: bool
) -> None:
    make(path, version)

    def counted(failures: int, minutes: int) -> dict[str, Any]:
        # The first four did not count failures.
        if version < 5:
            return {"failures": 0, "next_attempt_at": None}
        return {"failures": failures, "next_attempt_at": START + timedelta(minutes=minutes)}

    with Store.open(path, clock=clock, read_only=read_only) as store:
        usable, training, failed = store.versions()
        operations = store.operations()
        targets = store.targets()
        events = list(store.events())
        leases = store.leases()

    assert math.isnan(usable.metrics["F1"])
    assert usable == VersionRecord(
        model="credit",
        label="1",
        fingerprint="f1",
        state="usable",
        base_location="https://acc.blob.core.windows.net/",
        relative_location="models/credit/1/f1.ilearner",
        metrics={"AUC": 0.953, "F1": usable.metrics["F1"]},
        recipe={"training": "Credit training, endpoint default"},
        trained_seconds=61.5,
        updated_at=START,
    )
    assert training == VersionRecord(
        model="credit", label="2", fingerprint="f2", state="training", attempt=2, updated_at=START
    )
    assert failed == VersionRecord(
        model="credit",
        label="3",
        fingerprint="f3",
        state="failed",
        message="no rows",
        updated_at=START,
        **counted(2, 1),
    )
    assert operations == (
        Operation(
            id=1,
            model="credit",
            label="2",
            fingerprint="f2",
            attempt=1,
            phase="closed",
            outcome="failed",
            message="no rows",
            created_at=START,
        ),
        Operation(
            id=2,
            model="credit",
            label="2",
            fingerprint="f2",
            attempt=2,
            phase="started",
            jobs_url="https://ussouthcentral.services.azureml.net/jobs",
            job_id="job-1",
            output_relative="models/credit/2/f2.2.ilearner",
            created_at=START,
            started_at=START,
            deadline=START + timedelta(hours=2),
        ),
    )
    assert targets == (
        TargetRecord(
            identity="w/s/a",
            name="a",
            kind="ClassicEndpoint",
            models=(
                ServedModel(
                    # The first schema did not say which resource of the target the model is.
                    resource="Trained" if version > 1 else "",
                    model="credit",
                    label="1",
                    fingerprint="f1",
                    base_location="https://acc.blob.core.windows.net/",
                    relative_location="models/credit/1/f1.ilearner",
                ),
            ),
            answers="d1",
            proof="proven",
            not_taken={"MaxConcurrentCalls": 4},
            # The first two did not keep what was written to settings that are never shown.
            written={"AdminKey": "d2"} if version > 2 else {},
            converged_at=START,
            last_outcome="converged",
            last_message="the probe is answered otherwise",
            last_at=START,
        ),
        TargetRecord(
            identity="w/s/b",
            name="b",
            kind="ClassicEndpoint",
            last_outcome="failed",
            last_message="503",
            last_at=START,
            **counted(3, 2),
            attempted="0123456789abcdef" if version > 4 else None,
        ),
    )
    assert events == [
        Event(
            id=1,
            at=START,
            run_id="run-1",
            subject="a",
            action="converge",
            outcome="converged",
            message="serves credit@1",
            details={"version": "credit@1"},
        )
    ]
    assert leases == (
        Lease(
            key="version:credit@1",
            holder=Holder("host-a", 7, 123456, "ann", "run-1", "boot-a"),
            token=1,
            expires_at=START + timedelta(minutes=2),
            acquired_at=START,
            ttl=timedelta(minutes=2),
        ),
    )


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_store_becomes_what_a_new_one_is(path: Path, tmp_path: Path, clock, version: int) -> None:
    new = tmp_path / "new.db"
    Store.open(new, clock=clock).close()
    make(path, version)

    Store.open(path, clock=clock).close()

    assert schema(new) == schema(path)


def test_a_step_that_fails_leaves_the_earlier_store_whole(path: Path, clock) -> None:
    make(path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE INDEX targets_never_home ON events (id)")
    before = schema(path)

    with pytest.raises(StoreError, match="index targets_never_home already exists"):
        Store.open(path, clock=clock)

    assert before == schema(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX targets_never_home")
    with Store.open(path, clock=clock) as store:
        assert len(store.targets()) == 2


def test_alembic_is_imported_only_when_there_is_something_to_migrate(path: Path) -> None:
    program = """
import sys
from datetime import UTC, datetime
from reconciler.store import Store
for _ in "made", "opened":
    Store.open(sys.argv[1], clock=lambda: datetime.now(UTC)).close()
print("alembic" in sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True).stdout

    assert said == "False\n"

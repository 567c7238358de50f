from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import reconciler
from reconciler.store import Lease, Store, StoreError
from reconciler.store.database import Database
from reconciler.store.migrations import SCHEMA_VERSION


def note(store: Store) -> None:
    store.add_event(run_id="r", subject="run", action="note", outcome="ok")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_store_is_for_the_owner_alone(tmp_path: Path, clock) -> None:
    path = tmp_path / "new" / "deep" / "state.db"

    with Store.open(path, clock=clock) as store:
        note(store)
        assert {0o600} == {mode(file) for file in path.parent.iterdir()}

    assert mode(path.parent) == 0o700
    assert mode(path.parent.parent) == 0o700


def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path, clock) -> None:
    tmp_path.chmod(0o755)

    Store.open(tmp_path / "state.db", clock=clock).close()

    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize("form", ["{path}", "sqlite:///{path}"])
def test_a_store_is_named_by_path_or_url(tmp_path: Path, clock, form: str) -> None:
    path = tmp_path / "a b #1?.db"

    with Store.open(form.format(path=path), clock=clock) as store:
        note(store)

    assert path.exists()
    with Store.open(path, clock=clock) as store:
        assert len(list(store.events())) == 1


def test_a_url_with_three_slashes_is_relative(tmp_path: Path, clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with Store.open("sqlite:///sub/state.db", clock=clock) as store:
        # An open store does not follow the process to another directory.
        monkeypatch.chdir("/")
        note(store)

    assert (tmp_path / "sub" / "state.db").exists()


def test_another_kind_of_url_is_refused_by_naming_what_is_supported(clock) -> None:
    with pytest.raises(StoreError, match="postgresql:// is not supported; give sqlite:///") as caught:
        Store.open("postgresql://me:PASSWORD@host/db", clock=clock)

    assert "PASSWORD" not in str(caught.value)


@pytest.mark.parametrize("where", ["", "sqlite://", "sqlite:///"])
def test_an_empty_path_is_refused(clock, where: str) -> None:
    with pytest.raises(StoreError, match="path is empty"):
        Store.open(where, clock=clock)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, clock, *, read_only: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)

    with pytest.raises(StoreError, match=r"notes\.txt cannot be used: file is not a database"):
        Store.open(path, clock=clock, read_only=read_only)

    assert path.read_text() == "not a database, " * 100
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, clock, *, read_only: bool) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="another program"):
        Store.open(path, clock=clock, read_only=read_only)

    assert before == path.read_bytes()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_a_newer_program_is_refused(path: Path, clock, *, read_only: bool) -> None:
    Store.open(path, clock=clock).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()

    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}, made by a newer"):
        Store.open(path, clock=clock, read_only=read_only)


def test_a_commit_waits_for_the_disk(path: Path) -> None:
    # Write-ahead log with FULL: what was acknowledged survives a power loss.
    database = Database.open(path, read_only=False)
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    database.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_directory_is_no_store(tmp_path: Path, clock, *, read_only: bool) -> None:
    with pytest.raises(StoreError, match="it is a directory"):
        Store.open(tmp_path, clock=clock, read_only=read_only)


def test_a_path_below_a_file_is_refused(tmp_path: Path, clock) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="Not a directory"):
        Store.open(tmp_path / "file" / "state.db", clock=clock)


def test_a_directory_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    # In a process of its own, for root may write everywhere and has to become somebody else first.
    program = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.store import Store, StoreError
Path(sys.argv[1]).mkdir(mode=0o555)
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    Store.open("state.db", clock=lambda: datetime.now(UTC))
except StoreError as error:
    print(error)
"""
    root = Path(reconciler.__file__).parents[1]
    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "closed")],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "the store state.db cannot be used: Permission denied" in said
    assert "needs a directory that can be written to" in said


def test_a_closed_store_says_so(path: Path, clock) -> None:
    store = Store.open(path, clock=clock)
    store.close()

    with pytest.raises(StoreError, match="is closed"):
        store.versions()


def test_a_store_removed_under_us_does_not_come_back_empty(path: Path, clock) -> None:
    with Store.open(path, clock=clock) as first, Store.open(path, clock=clock):
        note(first)
    path.unlink()

    with pytest.raises(StoreError, match="is closed"):
        note(first)
    assert not path.exists()


def test_a_transaction_within_a_transaction_is_refused_at_once(store: Store, lease: Lease) -> None:
    # It would wait for itself.
    with store.fenced(lease), pytest.raises(StoreError, match="open in this thread already"):
        note(store)

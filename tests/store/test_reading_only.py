from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

import reconciler
from reconciler.store import Holder, Lease, Store, StoreError
from tests.store.store_worker import target
from tests.store.test_migrations import make

HOLDER = Holder("host-a", 1, 1, "ann", "run-2", "boot-a")
STORE, LOG, INDEX = "state.db", "state.db-wal", "state.db-shm"


def picture(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time of change and content of every file but the log's index, in which readers say what they still need.

    Opens and closes the files, which drops this process's locks on them: not for a store that it has open.
    """
    return {
        file.name: (file.stat().st_size, file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in directory.iterdir()
        if file.name != INDEX
    }


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def note(store: Store) -> None:
    store.add_event(run_id="r", subject="run", action="note", outcome="ok")


def test_a_missing_store_reads_as_an_empty_one_and_is_not_made(tmp_path: Path, clock) -> None:
    with Store.open(tmp_path / "none" / STORE, clock=clock, read_only=True) as store:
        assert store.versions() == ()
        assert store.operations() == ()
        assert store.targets() == ()
        assert store.leases() == ()
        assert list(store.events()) == []
        assert store.training_durations() == {}

    assert names(tmp_path) == set()


def test_an_empty_file_reads_as_an_empty_store(tmp_path: Path, clock) -> None:
    # What a process that is making the store has made first.
    (tmp_path / STORE).touch()

    with Store.open(tmp_path / STORE, clock=clock, read_only=True) as store:
        assert store.versions() == ()

    assert (tmp_path / STORE).stat().st_size == 0
    assert names(tmp_path) == {STORE}


def test_a_store_at_rest_is_read_without_a_trace(path: Path, clock) -> None:
    with Store.open(path, clock=clock) as store:
        note(store)
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 1

    assert before == picture(path.parent)
    assert names(path.parent) == {STORE}


def test_the_last_of_several_readers_leaves_no_trace(path: Path, clock) -> None:
    with Store.open(path, clock=clock) as store:
        note(store)

    first = Store.open(path, clock=clock, read_only=True)
    second = Store.open(path, clock=clock, read_only=True)
    first.close()
    assert len(list(second.events())) == 1
    second.close()

    assert names(path.parent) == {STORE}


def test_a_store_that_another_process_has_open_is_read_with_its_log_and_not_changed(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 3)
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 3

    assert before == picture(path.parent)
    assert names(path.parent) == {STORE, LOG, INDEX}


def test_a_store_whose_writer_was_killed_is_read_with_its_log_and_not_changed(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 3)
    writer.kill_without_reaping()
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 3

    assert before == picture(path.parent)
    assert before[LOG][0] > 0


def test_the_log_of_a_killed_writer_is_read_without_its_index_too(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 3)
    writer.kill_without_reaping()
    path.with_name(INDEX).unlink()
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 3

    assert before == picture(path.parent)


def test_a_store_whose_writer_was_killed_amid_a_checkpoint_is_read_with_its_log(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 100)
    writer.kill_without_reaping()
    # A checkpoint moves the pages in order, so here it has come as far as the first one, whose header already
    # counts pages that the file does not have yet. (Log: 32 bytes of header, then 24 before each page.)
    log = path.with_name(LOG).read_bytes()
    size = int.from_bytes(log[8:12], "big")
    frames = [log[at : at + 24 + size] for at in range(32, len(log), 24 + size)]
    first_page = [frame[24:] for frame in frames if int.from_bytes(frame[:4], "big") == 1][-1]
    path.write_bytes(first_page + path.read_bytes()[size:])
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 100

    assert picture(path.parent) == before


def test_a_store_of_an_earlier_schema_is_read_and_not_changed(path: Path, clock) -> None:
    make(path, 1)
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(store.targets()) == 2

    assert before == picture(path.parent)
    assert names(path.parent) == {STORE}


def test_a_log_of_a_killed_writer_of_an_earlier_schema_is_read_too(path: Path, clock, child) -> None:
    make(path, 1)
    writer = child()
    writer.ask("sql", "PRAGMA journal_mode = WAL")
    writer.ask("sql", "UPDATE targets SET last_message = 'in the log' WHERE name = 'b'")
    writer.kill_without_reaping()
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert [record.last_message for record in store.targets() if record.name == "b"] == ["in the log"]

    assert before[LOG][0] > 0
    assert before == picture(path.parent)


def test_reading_does_not_copy_the_store(path: Path, clock, lease: Lease, store: Store) -> None:
    with store.fenced(lease) as transaction:
        for number in range(200):
            transaction.put_target(target(f"t{number}", number, "x" * 50_000))
    store.close()
    # Bytes that the process has read, by whatever call and from whatever file.
    program = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.store import Store
def read():
    return int(Path("/proc/self/io").read_text().split()[1])
def look():
    with Store.open(sys.argv[1], clock=lambda: datetime.now(UTC), read_only=True) as store:
        return store.target("t7").last_message[:1]
look()
before = read()
assert look() == "7"
print(read() - before)
"""
    said = run(program, path)

    assert path.stat().st_size > 10_000_000
    assert int(said) < 200_000


def test_whole_transactions_only_are_seen_while_others_write(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("acquire", "k")
    assert writer.ask("churn") == "churning"

    seen = []
    for _ in range(40):
        with Store.open(path, clock=clock, read_only=True) as store:
            one = store.target("one")
            # Read apart, and from the same moment all the same.
            both = [] if one is None else [one, *(each for each in store.targets() if each.identity == "two")]
            seen.append([int(each.last_message.split()[0]) for each in both])

    writer.tell("close")
    total = writer.answer()
    assert all(len(set(counts)) <= 1 for counts in seen)
    assert seen == sorted(seen)
    assert total > 0


def test_what_is_written_later_is_seen_when_the_store_is_opened_again(store: Store, path: Path, clock) -> None:
    with Store.open(path, clock=clock, read_only=True) as reader:
        note(store)
        assert list(reader.events()) == []

    with Store.open(path, clock=clock, read_only=True) as reader:
        assert len(list(reader.events())) == 1


def test_a_reader_and_a_writer_do_not_wait_for_each_other(store: Store, path: Path, clock, lease: Lease, child) -> None:
    with store.fenced(lease) as transaction:
        transaction.put_target(target("one", 1))
        # In the midst of another's transaction.
        with Store.open(path, clock=clock, read_only=True) as reader:
            assert reader.targets() == ()
    writer = child()
    writer.ask("open")
    with Store.open(path, clock=clock, read_only=True) as reader:
        assert len(reader.targets()) == 1
        assert writer.ask("events", 20) == 20
        assert list(reader.events()) == []


def test_several_threads_read_one_store(store: Store, path: Path, clock) -> None:
    for _ in range(20):
        note(store)
    with Store.open(path, clock=clock, read_only=True) as reader, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: len(list(reader.events())), range(50)))

    assert found == [20] * 50


def test_a_reader_keeps_the_locks_of_a_writer_in_the_same_process(store: Store, path: Path, clock, child) -> None:
    """Losing them would let the other process take the log away from under the store that is open here."""
    note(store)
    Store.open(path, clock=clock, read_only=True).close()

    other = child()
    other.ask("open")
    other.ask("close")

    assert path.with_name(LOG).exists()
    assert len(list(store.events())) == 1


def test_nothing_can_be_written_to_a_store_opened_to_read(store: Store, path: Path, clock, lease: Lease) -> None:
    with Store.open(path, clock=clock, read_only=True) as reader:
        with pytest.raises(StoreError, match="opened read-only"):
            reader.acquire("k", HOLDER, timedelta(minutes=1))
        with pytest.raises(StoreError, match="opened read-only"), reader.fenced(lease):
            pass
        with pytest.raises(StoreError, match="opened read-only"):
            note(reader)
        assert (lease,) == reader.leases()


def test_a_closed_reader_says_so(store: Store, path: Path, clock) -> None:
    reader = Store.open(path, clock=clock, read_only=True)
    reader.close()

    with pytest.raises(StoreError, match="is closed"):
        reader.versions()


def run(program: str, *arguments: object) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(Path(reconciler.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


class Guest:
    """Reads a store that it may not write to: as another user if this one is root, who may write everywhere."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def may(self, *, files: int, directory: int) -> None:
        for file in self.home.iterdir():
            file.chmod(files)
        self.home.chmod(directory)

    def reads(self) -> str:
        program = """
import os, sys
from datetime import UTC, datetime
from reconciler.store import Store, StoreError
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    with Store.open(sys.argv[1], clock=lambda: datetime.now(UTC), read_only=True) as store:
        print(len(list(store.events())))
except StoreError as error:
    print(error)
"""
        return run(program, self.home / STORE)


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a guest looks for it, if the test has one: other users may not enter the directories of pytest."""
    if "guest" in request.fixturenames:
        guest: Guest = request.getfixturevalue("guest")
        return guest.home / STORE
    return tmp_path / "state" / STORE


@pytest.fixture
def guest() -> Iterator[Guest]:
    with tempfile.TemporaryDirectory(prefix="reconciler-store-") as name:
        yield Guest(Path(name))
        Path(name).chmod(0o700)


def test_a_store_at_rest_is_read_where_nothing_may_be_written(path: Path, clock, guest: Guest) -> None:
    with Store.open(path, clock=clock) as store:
        note(store)
    guest.may(files=0o444, directory=0o555)

    assert guest.reads() == "1"
    assert names(path.parent) == {STORE}


def test_nothing_is_made_beside_a_store_that_the_reader_may_not_write(path: Path, clock, guest: Guest) -> None:
    """An index of the log made by another user would be read-only for the store's owner, who could not write then."""
    with Store.open(path, clock=clock) as store:
        note(store)
    guest.may(files=0o444, directory=0o777)

    assert guest.reads() == "1"
    assert names(path.parent) == {STORE}


def test_a_log_that_is_there_is_read_where_nothing_may_be_written(path: Path, guest: Guest, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 3)
    guest.may(files=0o444, directory=0o555)
    assert guest.reads() == "3"

    writer.kill_without_reaping()

    assert guest.reads() == "3"
    assert names(path.parent) == {STORE, LOG, INDEX}


def test_a_log_that_cannot_be_read_is_named_with_the_remedy(path: Path, guest: Guest, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("event")
    writer.kill_without_reaping()
    path.with_name(INDEX).unlink()
    guest.may(files=0o444, directory=0o555)

    said = guest.reads()

    assert f"the store {path} cannot be used: its last writer was killed and left changes in {LOG}" in said
    assert f"run `reconcile status` once as a user who may write to {path.parent}" in said


def test_a_store_that_may_not_be_read_is_named(path: Path, clock, guest: Guest) -> None:
    Store.open(path, clock=clock).close()
    guest.may(files=0o000, directory=0o755)

    assert guest.reads() == f"the store {path} cannot be used: Permission denied"

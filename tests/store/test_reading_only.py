from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.store import Holder, Lease, Store, StoreError, snapshot

HOLDER = Holder("host-a", 1, 1, "ann", "run-2", "boot-a")


def picture(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time of change and content of every file.

    Opens and closes the files, which drops this process's locks on them: not for a store that it has open.
    """
    return {
        file.name: (
            file.stat().st_size,
            file.stat().st_mtime_ns,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in directory.iterdir()
    }


def test_a_missing_store_reads_as_an_empty_one_and_is_not_made(tmp_path: Path, clock) -> None:
    with Store.open(tmp_path / "none" / "state.db", clock=clock, read_only=True) as store:
        assert store.versions() == ()
        assert store.operations() == ()
        assert store.targets() == ()
        assert store.leases() == ()
        assert list(store.events()) == []
        assert store.training_durations() == {}

    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_reads_as_an_empty_store(tmp_path: Path, clock) -> None:
    # What a process that is making the store has made first.
    (tmp_path / "state.db").touch()

    with Store.open(tmp_path / "state.db", clock=clock, read_only=True) as store:
        assert store.versions() == ()

    assert (tmp_path / "state.db").stat().st_size == 0


def test_a_store_at_rest_is_read_without_a_trace(path: Path, clock) -> None:
    with Store.open(path, clock=clock) as store:
        written = store.add_event(run_id="r", subject="run", action="note", outcome="ok")
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert [written] == list(store.events())
        assert before == picture(path.parent)

    assert before == picture(path.parent)
    assert list(before) == ["state.db"]


def test_a_store_that_another_process_has_open_is_read_without_a_trace(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 3)
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 3

    assert before == picture(path.parent)
    assert {"state.db", "state.db-wal", "state.db-shm"} == set(before)


def test_a_store_whose_writer_was_killed_is_read_with_its_log_and_without_a_trace(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 3)
    writer.kill_without_reaping()
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 3

    assert before == picture(path.parent)
    assert before["state.db-wal"][0] > 0


def test_a_store_whose_writer_was_killed_amid_a_checkpoint_is_read_with_its_log(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("events", 100)
    writer.kill_without_reaping()
    # A checkpoint moves the pages in order, so here it has come as far as the first one, whose header already
    # counts pages that the file does not have yet. (Log: 32 bytes of header, then 24 before each page.)
    log = path.with_name("state.db-wal").read_bytes()
    size = int.from_bytes(log[8:12], "big")
    frames = [log[at : at + 24 + size] for at in range(32, len(log), 24 + size)]
    first_page = [frame[24:] for frame in frames if int.from_bytes(frame[:4], "big") == 1][-1]
    path.write_bytes(first_page + path.read_bytes()[size:])
    before = picture(path.parent)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 100

    assert picture(path.parent) == before


def test_the_directory_may_be_one_that_nobody_can_write_to(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("event")
    writer.kill_without_reaping()
    for file in path.parent.iterdir():
        file.chmod(0o400)
    path.parent.chmod(0o500)

    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 1

    path.parent.chmod(0o700)


def test_a_copy_taken_while_others_write_shows_whole_transactions_only(path: Path, clock, child) -> None:
    writer = child()
    writer.ask("open")
    writer.ask("acquire", "k")
    assert writer.ask("churn") == "churning"

    seen = []
    for _ in range(40):
        with Store.open(path, clock=clock, read_only=True) as store:
            seen.append([int(target.last_message.split()[0]) for target in store.targets()])

    writer.tell("close")
    total = writer.answer()
    assert all(len(set(counts)) <= 1 for counts in seen)
    assert seen == sorted(seen)
    assert total > 0


def test_a_checkpoint_between_reading_the_database_and_its_log_is_noticed(
    path: Path, clock, child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old database with the new log would lack all that the checkpoint has moved."""
    writer = child()
    writer.ask("open")
    writer.ask("events", 20)
    really_read = snapshot._beginning

    def read_late(log: Path, size: int = -1) -> bytes:
        if len(reads) == 0:
            writer.ask("checkpoint")
            writer.ask("event")
        reads.append(size)
        return really_read(log, size)

    reads: list[int] = []
    monkeypatch.setattr(snapshot, "_beginning", read_late)
    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 21


def test_a_log_that_starts_over_while_it_is_read_is_noticed(
    path: Path, clock, child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its old beginning would be applied to a database that is further on, and undo what came after."""
    writer = child()
    writer.ask("open")
    writer.ask("events", 20)
    writer.ask("checkpoint")
    really_read = snapshot._beginning

    def read_slowly(log: Path, size: int = -1) -> bytes:
        old = really_read(log, size)
        if len(reads) == 0:
            writer.ask("events", 20)
        reads.append(size)
        half = len(old) // 2
        return old[:half] + really_read(log, size)[half:]

    reads: list[int] = []
    monkeypatch.setattr(snapshot, "_beginning", read_slowly)
    with Store.open(path, clock=clock, read_only=True) as store:
        assert len(list(store.events())) == 40


def test_a_copy_does_not_see_what_is_written_later(store: Store, path: Path, clock) -> None:
    with Store.open(path, clock=clock, read_only=True) as copy:
        store.add_event(run_id="r", subject="run", action="note", outcome="ok")

        assert list(copy.events()) == []


def test_reading_a_copy_keeps_the_locks_of_a_writer_in_the_same_process(store: Store, path: Path, clock, child) -> None:
    """Losing them would let the other process take the log away from under the store that is open here."""
    store.add_event(run_id="r", subject="run", action="note", outcome="ok")
    Store.open(path, clock=clock, read_only=True).close()

    other = child()
    other.ask("open")
    other.ask("close")

    assert path.with_name("state.db-wal").exists()
    assert len(list(store.events())) == 1


def test_nothing_can_be_written_to_a_copy(store: Store, path: Path, clock, lease: Lease) -> None:
    with Store.open(path, clock=clock, read_only=True) as copy:
        with pytest.raises(StoreError, match="opened read-only"):
            copy.acquire("k", HOLDER, timedelta(minutes=1))
        with pytest.raises(StoreError, match="opened read-only"), copy.fenced(lease):
            pass
        with pytest.raises(StoreError, match="opened read-only"):
            copy.add_event(run_id="r", subject="run", action="note", outcome="ok")
        assert (lease,) == copy.leases()


def test_closing_a_copy_leaves_nothing_behind(
    path: Path, clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(copies))

    with Store.open(path, clock=clock, read_only=True):
        (copy,) = copies.iterdir()
        assert copy.stat().st_mode & 0o777 == 0o700

    assert list(copies.iterdir()) == []
    path.parent.mkdir()
    path.write_text("rubbish " * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(path, clock=clock, read_only=True)
    assert list(copies.iterdir()) == []

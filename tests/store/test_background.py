"""The store's calls from coroutines: a call that was begun ends, whatever becomes of the coroutine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from reconciler.store import BackgroundStore, LeaseHeld, Store, StoreError, this_process
from reconciler.store.database import Database


@pytest.fixture
async def background(path: Path, clock) -> AsyncIterator[BackgroundStore]:
    with Store.open(path, clock=clock) as store:
        beside = BackgroundStore(store)
        yield beside
        await beside.close()


async def test_an_error_of_the_store_is_raised_to_the_coroutine(background: BackgroundStore) -> None:
    await background.acquire("target:x", this_process("first"))

    with pytest.raises(LeaseHeld):
        await background.acquire("target:x", this_process("second"))


async def test_a_cancelled_coroutine_leaves_what_it_began_done(background: BackgroundStore) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(store: Store) -> None:
        started.set()
        go.wait(10)
        store.add_event(run_id="r", subject="x", action="a", outcome="o")

    task = asyncio.create_task(background.call(slow))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ["x"] == [event.subject for event in await background.call(lambda store: list(store.events()))]


async def test_a_lease_that_nobody_waits_for_any_more_is_released(background: BackgroundStore) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(_: Store) -> None:
        started.set()
        go.wait(10)

    busy = asyncio.create_task(background.call(slow))
    await asyncio.to_thread(started.wait, 10)
    taking = asyncio.create_task(background.acquire("target:x", this_process("first")))
    await asyncio.sleep(0)
    taking.cancel()
    go.set()
    await busy
    with pytest.raises(asyncio.CancelledError):
        await taking

    assert () == await background.call(lambda store: store.leases())


async def at_once(background: BackgroundStore, *works: Callable[[Store], object]) -> list[object]:
    """Have writes wait at the same time, behind a call that takes its time; gives what each gave or raised."""
    started, go = threading.Event(), threading.Event()

    def slow(_: Store) -> None:
        started.set()
        go.wait(10)

    busy = asyncio.create_task(background.call(slow))
    await asyncio.to_thread(started.wait, 10)
    waiting = [asyncio.create_task(background.call(work, writes=True)) for work in works]
    await asyncio.sleep(0)
    go.set()
    await busy
    return await asyncio.gather(*waiting, return_exceptions=True)


def event(subject: str) -> Callable[[Store], object]:
    return lambda store: store.add_event(run_id="r", subject=subject, action="a", outcome="o").subject


async def subjects(background: BackgroundStore) -> list[str]:
    return [each.subject for each in await background.call(lambda store: list(store.events()))]


async def test_writes_that_wait_together_are_one_transaction(
    background: BackgroundStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    writing = Database.writing
    monkeypatch.setattr(Database, "writing", lambda self, **options: begun.append(options) or writing(self, **options))

    assert ["a", "b", "c"] == await at_once(background, event("a"), event("b"), event("c"))

    assert [{"durable": True}] == begun
    assert ["c", "b", "a"] == await subjects(background)


async def test_a_write_that_fails_is_undone_alone(background: BackgroundStore) -> None:
    await background.acquire("target:x", this_process("first"))

    def half(store: Store) -> None:
        store.acquire("target:y", this_process("second"))
        store.acquire("target:x", this_process("second"))

    first, failed, last = await at_once(background, event("a"), half, event("b"))

    assert ("a", "b") == (first, last)
    assert isinstance(failed, LeaseHeld)
    assert ["b", "a"] == await subjects(background)


async def test_nobody_believes_in_a_write_that_the_database_undid(background: BackgroundStore) -> None:
    def undone(store: Store) -> None:
        assert store._grouping is not None
        store._grouping.exec_driver_sql("ROLLBACK")  # As SQLite does when the disk is full.

    found = await at_once(background, event("a"), undone)

    assert all(isinstance(each, StoreError) for each in found)
    assert [] == await subjects(background)

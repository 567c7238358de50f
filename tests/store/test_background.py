"""The store's calls from coroutines: a call that was begun ends, whatever becomes of the coroutine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.store import BackgroundStore, LeaseHeld, Store, this_process


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

"""A store for coroutines: its calls are made in one thread beside the event loop, which never waits for the disk.

Writes that wait at the same time become one transaction with a savepoint each: one wait for the disk instead of many.
Nobody hears of a write before it is committed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from queue import SimpleQueue
from typing import Any, TypeVar

from reconciler.store.errors import StoreError
from reconciler.store.records import Holder, Lease, Operation, TargetRecord, VersionRecord
from reconciler.store.store import DEFAULT_TTL, Store, Transaction

_T = TypeVar("_T")


@dataclass(slots=True)
class _Call:
    """A call that a coroutine waits for."""

    work: Callable[[Store], Any]
    writes: bool
    durable: bool
    answer: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None

    def make(self, store: Store) -> None:
        """Make the call, and keep what it gives or raises."""
        try:
            self.value = self.work(store)
        except BaseException as error:  # noqa: BLE001 - it is raised to the coroutine
            self.error = error


class BackgroundStore:
    """The calls of a `Store` that coroutines of one event loop make.

    A call that was begun is brought to its end also when the coroutine is cancelled, so that what is in the store is
    never unknown to whoever ends in order. Raises what the `Store` raises.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def close(self) -> None:
        """End the thread; the store stays open."""
        if self._thread is not None:
            self._calls.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def call(self, work: Callable[[Store], _T], *, writes: bool = False, durable: bool = True) -> _T:
        """Return what ``work`` gives for the store; with ``writes`` it is one write, together with others that wait.

        One that is not ``durable`` waits for the disk only beside one that is; see `Database.writing`.
        """
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(loop,), name="store", daemon=True)
            self._thread.start()
        answer: asyncio.Future[_T] = loop.create_future()
        self._calls.put(_Call(work, writes, durable, answer))
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await asyncio.wait([answer])
            raise

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        for waiting in self._batches():
            for writes, group in groupby(waiting, key=lambda call: call.writes):
                calls = list(group)
                self._make(calls, together=writes and len(calls) > 1)
                loop.call_soon_threadsafe(_deliver, calls)

    def _batches(self) -> Iterator[list[_Call]]:
        """Yield all calls that wait, whenever some do, until the store is closed."""
        while (call := self._calls.get()) is not None:
            batch = [call]
            while not self._calls.empty():
                call = self._calls.get()
                if call is None:
                    yield batch
                    return
                batch.append(call)
            yield batch

    def _make(self, calls: Sequence[_Call], *, together: bool) -> None:
        if not together:
            for call in calls:
                call.make(self._store)
            return
        try:
            with self._store.together(durable=any(call.durable for call in calls)):
                for call in calls:
                    call.make(self._store)
        except StoreError as error:
            for call in calls:  # Nothing of them was committed.
                call.error = call.error or error

    async def version(self, model: str, label: str) -> VersionRecord | None:
        """See `Store.version`."""
        return await self.call(lambda store: store.version(model, label))

    async def open_operation(self, model: str, label: str) -> Operation | None:
        """See `Store.open_operation`."""
        return await self.call(lambda store: store.open_operation(model, label))

    async def last_attempt(self, model: str, label: str) -> int:
        """See `Store.last_attempt`."""
        return await self.call(lambda store: store.last_attempt(model, label))

    async def target(self, identity: str) -> TargetRecord | None:
        """See `Store.target`."""
        return await self.call(lambda store: store.target(identity))

    async def write(self, lease: Lease, work: Callable[[Transaction], _T]) -> _T:
        """Return what ``work`` gives in one write transaction under a lease; see `Store.fenced`."""

        def writing(store: Store) -> _T:
            with store.fenced(lease) as transaction:
                return work(transaction)

        return await self.call(writing, writes=True)

    async def acquire(self, key: str, holder: Holder, ttl: timedelta = DEFAULT_TTL) -> Lease:
        """See `Store.acquire`. A lease that nobody waits for any more is released."""
        taken: list[Lease] = []

        def taking(store: Store) -> Lease:
            taken.append(store.acquire(key, holder, ttl))
            return taken[0]

        try:
            return await self.call(taking, writes=True, durable=False)
        except asyncio.CancelledError:
            for lease in taken:
                await self.release(lease)
            raise

    async def renew(self, lease: Lease) -> Lease:
        """See `Store.renew`."""
        return await self.call(lambda store: store.renew(lease), writes=True, durable=False)

    async def release(self, lease: Lease) -> None:
        """See `Store.release`."""
        await self.call(lambda store: store.release(lease), writes=True, durable=False)


def _deliver(calls: Sequence[_Call]) -> None:
    for call in calls:
        if call.answer.done():
            continue
        if call.error is not None:
            call.answer.set_exception(call.error)
        else:
            call.answer.set_result(call.value)

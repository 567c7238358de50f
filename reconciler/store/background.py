"""A store for coroutines: every call is made in one thread beside the event loop, which never waits for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from reconciler.store.records import Holder, Lease, Operation, TargetRecord, VersionRecord
from reconciler.store.store import DEFAULT_TTL, Store, Transaction

_T = TypeVar("_T")


class BackgroundStore:
    """The calls of a `Store` that coroutines make.

    A call that was begun is brought to its end also when the coroutine is cancelled, so that what is in the store is
    never unknown to whoever ends in order. Raises what the `Store` raises.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def close(self) -> None:
        """End the thread; the store stays open."""
        await asyncio.to_thread(self._thread.shutdown)

    async def call(self, work: Callable[[Store], _T]) -> _T:
        """Return what ``work`` gives for the store."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, work, self._store)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

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

        return await self.call(writing)

    async def acquire(self, key: str, holder: Holder, ttl: timedelta = DEFAULT_TTL) -> Lease:
        """See `Store.acquire`. A lease that nobody waits for any more is released."""
        taking = asyncio.ensure_future(self.call(lambda store: store.acquire(key, holder, ttl)))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait([taking])
            if not taking.cancelled() and taking.exception() is None:
                await self.release(taking.result())
            raise

    async def renew(self, lease: Lease) -> Lease:
        """See `Store.renew`."""
        return await self.call(lambda store: store.renew(lease))

    async def release(self, lease: Lease) -> None:
        """See `Store.release`."""
        await self.call(lambda store: store.release(lease))

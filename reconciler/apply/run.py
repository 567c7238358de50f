"""What everything in one run shares: the clients, the store, the holder of its leases, and how a lease is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.apply.progress import Amount, Progress, ProgressEvent, ProgressState, silent
from reconciler.plan.states import DesiredTarget, DesiredVersion, Ledger, VersionKey
from reconciler.store import DEFAULT_TTL, BackgroundStore, Holder, Lease, StoreError
from reconciler.targets.clients import Clients
from reconciler.targets.driver import Driver


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once.

    Attributes:
        trainings: Jobs that run side by side on one training endpoint or New training service; it runs 40 and queues
            the rest, where their time would run out while they wait (classic-protocol 3).
        uploads: Files that are uploaded side by side, each in a few blocks at once.
        rollouts: Targets that are moved side by side.
        lease: How long a lease lasts unless renewed; it is renewed at a third of that.
    """

    trainings: int = 40
    uploads: int = 4
    rollouts: int = 16
    lease: timedelta = DEFAULT_TTL


@dataclass(frozen=True, slots=True)
class Run:
    """One run over one plan."""

    run_id: str
    holder: Holder
    store: BackgroundStore
    clients: Clients
    drivers: Mapping[str, Driver]
    """By `reconciler.plan.document.TargetPlan.kind`."""
    versions: Mapping[VersionKey, DesiredVersion]
    targets: Mapping[str, DesiredTarget]
    """By identity."""
    ledger: Ledger
    """What the store held when the plan was made."""
    clock: Callable[[], datetime]
    progress: Progress = silent
    draw: Callable[[], float] = random.random
    """Gives a random number from 0 to 1, by which the next tries of what failed are spread."""
    limits: Limits = field(default_factory=Limits)
    uploading: asyncio.Semaphore = field(init=False, repr=False)
    """Has a place for each upload that may run now."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "uploading", asyncio.Semaphore(self.limits.uploads))

    def report(self, subject: str, mark: ProgressState, text: str, amount: Amount | None = None) -> None:
        """Tell the progress; a display that breaks (a closed pipe) must not break what it displays."""
        with suppress(OSError, ValueError):
            self.progress(ProgressEvent(subject, mark, text, amount))


@asynccontextmanager
async def leased(run: Run, key: str) -> AsyncIterator[Lease]:
    """Hold the lease on a key for the block, and renew it meanwhile.

    Raises:
        LeaseHeld: somebody works on the key; the message says who.
        StoreError: it was taken over (LeaseLost) or cannot be renewed while the block ran, which is then stopped.
    """
    lease = await run.store.acquire(key, run.holder, run.limits.lease)
    worker = asyncio.current_task()
    lost: list[StoreError] = []

    async def keep() -> None:
        while True:
            await asyncio.sleep(run.limits.lease.total_seconds() / 3)
            try:
                await run.store.renew(lease)
            except StoreError as error:
                # Lost, or unknown: going on without it could make two runs work on one thing.
                lost.append(error)
                if worker is not None:
                    worker.cancel()
                return

    keeper = asyncio.create_task(keep(), name=f"lease on {key}")
    try:
        yield lease
    except asyncio.CancelledError:
        if not lost:
            raise
        if worker is not None:
            worker.uncancel()
        raise lost[0] from None
    finally:
        keeper.cancel()
        try:
            await asyncio.gather(keeper, return_exceptions=True)
        finally:
            # Also when Ctrl-C was pressed a second time, while the keeper was ending.
            await run.store.release(lease)

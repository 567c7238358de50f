"""One pass: observe, make a plan, and apply it. The command line and every other caller use this.

A pass always starts from what is live now. `Reconciliation.plan` reads and changes nothing anywhere;
`Reconciliation.apply` does what the plan says and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from reconciler.apply.executor import Execution, see_through
from reconciler.apply.ledger import read_ledger
from reconciler.apply.progress import Progress, silent
from reconciler.apply.report import Outcome, Report, Result, Verdict
from reconciler.apply.run import Limits, Run
from reconciler.apply.training.recipes import desired_versions
from reconciler.azure.clouds import Cloud
from reconciler.plan.checks.judge import with_preflight
from reconciler.plan.decide import make_plan
from reconciler.plan.diff import plan_differences
from reconciler.plan.document import Plan
from reconciler.plan.states import DesiredTarget, DesiredVersion, Ledger, LiveTarget
from reconciler.preflight.facts import facts_for
from reconciler.spec.fleet import Fleet
from reconciler.spec.secrets import SecretResolver
from reconciler.store import BackgroundStore, Store, this_process
from reconciler.targets import kinds
from reconciler.targets.clients import Clients
from reconciler.targets.driver import Driver

__all__ = ["Options", "Outcome", "Reconciliation", "Report", "Result", "StalePlanError", "Verdict"]


class StalePlanError(Exception):
    """A saved plan is stale. It was not applied, and nothing was changed."""

    def __init__(self, moved: tuple[str, ...]) -> None:
        super().__init__(f"the saved plan is stale: {'; '.join(moved)}. Make a new plan")
        self.moved = moved


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller chooses of a pass.

    Attributes:
        partial: Whether the fleet is a selection.
        forced: Rules that are overridden (``--force``).
        probes: At most so many targets are scored while observing, to see drift that the service does not show; where
            there are more, each pass takes others.
        limits: How much is done at once.
    """

    partial: bool = False
    forced: frozenset[str] = frozenset()
    probes: int = 200
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class _Observed:
    """What one look at the world gave."""

    targets: tuple[DesiredTarget, ...]
    versions: tuple[DesiredVersion, ...]
    live: Mapping[str, LiveTarget]
    ledger: Ledger


class Reconciliation:
    """One pass over a fleet. An async context manager.

    Raises where it is used:
        MissingSecret, CloudError, StoreError: nothing can be done for any target.
        PlanError: ``forced`` names no rule.
    """

    def __init__(
        self,
        fleet: Fleet,
        cloud: Cloud,
        store: Store,
        secrets: SecretResolver,
        options: Options | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        run_id: str | None = None,
        clients: Clients | None = None,
    ) -> None:
        """Make one; nothing is sent.

        Args:
            fleet: The documents.
            cloud: The cloud.
            store: The state store.
            secrets: Where the documents' references are looked up.
            options: What the caller chooses.
            clock: The time now, with a time zone.
            run_id: What the store calls this run.
            clients: Clients that are open and stay open, for one reconciliation of many: of `Clients.next_pass`.
        """
        self._fleet = fleet
        self._cloud = cloud
        self._store = BackgroundStore(store)
        self._options = options if options is not None else Options()
        self._clock = clock
        self.run_id = run_id if run_id is not None else uuid.uuid4().hex[:12]
        self._clients = clients if clients is not None else Clients(fleet, cloud, secrets)
        self._owns_clients = clients is None
        self._drivers: dict[str, Driver] = {}
        self._observed: _Observed | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._store.close)
        if self._owns_clients:
            await self._stack.enter_async_context(self._clients)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def plan(self) -> Plan:
        """Look at the world and make the plan, with its preflight. Sends only reads, and writes nothing."""
        observed = await self._observe()
        now = self._clock()
        plan = make_plan(
            cloud=self._cloud.name,
            revision=self._fleet.revision,
            partial=self._options.partial,
            versions=observed.versions,
            targets=observed.targets,
            live=observed.live,
            ledger=observed.ledger,
            now=now,
            forced=self._options.forced,
            groups=frozenset(self._fleet.sets),
        )
        facts = await facts_for(plan, self._clients, self._drivers)
        return with_preflight(plan, facts, observed.ledger, now, self._options.limits.trainings)

    async def _observe(self) -> _Observed:
        self._drivers = kinds.drivers(self._clients)
        await asyncio.gather(*(driver.prepare() for driver in self._drivers.values()))
        targets = tuple(target for driver in self._drivers.values() for target in driver.desired())
        probed = {kind for kind, driver in self._drivers.items() if driver.probes}
        ledger = await self._store.call(read_ledger)
        recorded = _to_probe(
            [target.identity for target in targets if target.kind in probed],
            ledger,
            self._options.probes,
            self.run_id,
        )
        wanted = frozenset(use.version for target in targets for use in target.bindings)
        found, versions = await asyncio.gather(
            asyncio.gather(*(driver.observe(recorded) for driver in self._drivers.values())),
            desired_versions(wanted, self._clients, ledger.versions),
        )
        live: dict[str, LiveTarget] = {}
        for part in found:
            live.update(part)
        for driver in self._drivers.values():
            for orphan, shown in driver.orphans(ledger.names):
                targets = (*targets, orphan)
                live[orphan.identity] = shown
        self._observed = _Observed(targets, versions, live, ledger)
        return self._observed

    async def apply(self, plan: Plan, progress: Progress = silent) -> Report:
        """Carry out a plan that was made here, and wait until all its targets have come to an end."""
        return await see_through(self.begin(plan, progress))

    def begin(self, plan: Plan, progress: Progress = silent) -> Execution:
        """Return the execution of a plan that was made here; it goes on in passes, none of which waits for a job."""
        if self._observed is None:
            raise RuntimeError("a reconciliation carries out only what it planned itself")
        run = Run(
            run_id=self.run_id,
            holder=this_process(self.run_id),
            store=self._store,
            clients=self._clients,
            drivers=self._drivers,
            versions={version.key: version for version in self._observed.versions},
            targets={target.identity: target for target in self._observed.targets},
            ledger=self._observed.ledger,
            clock=self._clock,
            progress=progress,
            limits=self._options.limits,
        )
        return Execution(run, plan)

    async def apply_saved(self, saved: Plan, progress: Progress = silent) -> Report:
        """Carry out a saved plan, exactly, if a fresh look gives the same plan.

        Raises:
            WorldMoved: it does not; the message says what moved. Nothing was changed.
        """
        fresh = await self.plan()
        if fresh.digest != saved.digest:
            raise StalePlanError(plan_differences(saved, fresh))
        return await self.apply(fresh, progress)


def _to_probe(identities: Sequence[str], ledger: Ledger, limit: int, seed: str) -> dict[str, str]:
    """Return the targets to score, with the answers to compare with.

    Where there are more than ``limit``, each pass takes others (``seed``), so that all come round.
    """
    known = {
        identity: converged.answers
        for identity in identities
        if (converged := ledger.converged.get(identity)) is not None and converged.answers is not None
    }
    if len(known) <= limit:
        return known
    drawn = sorted(known, key=lambda identity: hashlib.sha256(f"{seed} {identity}".encode()).digest())
    return {identity: known[identity] for identity in drawn[:limit]}

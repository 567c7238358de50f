"""A target that is to be absent is deleted, and forgotten when it is gone; an orphan is left, and remembered as one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from reconciler.apply.ledger import converged, record_attempt, served_words
from reconciler.apply.progress import ProgressState
from reconciler.apply.report import Outcome, Result
from reconciler.apply.rollout import ended
from reconciler.apply.run import Run, leased
from reconciler.azure.errors import StudioError
from reconciler.plan.document import TargetPlan
from reconciler.spec.secrets import MissingSecret
from reconciler.store import Lease, LeaseHeld, LeaseLost, Transaction
from reconciler.targets.driver import TargetChangedError, TargetError


async def remove(run: Run, plan: TargetPlan, writing: asyncio.Semaphore) -> Outcome:
    """Delete one target that is to be absent, and forget it when it is gone."""
    driver, target = run.drivers[plan.kind], run.targets[plan.identity]
    try:
        async with writing, leased(run, f"target:{plan.identity}") as lease:
            now = converged(await run.store.target(plan.identity))
            if now is not None and now != run.ledger.converged.get(plan.identity):
                # Another run wanted it, and changed it, between the plan and the lease.
                text = f"another run brought {plan.name} to {served_words(now)} after the plan was made; plan again"
                run.report(plan.name, ProgressState.FAILED, text)
                return Outcome(plan.name, plan.kind, Result.REFUSED, text)
            run.report(plan.name, ProgressState.STARTED, "deleting")
            try:
                await driver.delete(target)
            except TargetChangedError as error:
                return await ended(run, lease, plan, Result.REFUSED, str(error))
            except (TargetError, StudioError, MissingSecret) as error:
                return await ended(run, lease, plan, Result.FAILED, str(error))
            text = "deleted" if plan.live is None else f"deleted; it served {plan.live}"
            await _forget(run, lease, plan, text)
            run.report(plan.name, ProgressState.DONE, text)
            return Outcome(plan.name, plan.kind, Result.CONVERGED, text)
    except (LeaseHeld, LeaseLost) as error:
        run.report(plan.name, ProgressState.HELD, str(error))
        return Outcome(plan.name, plan.kind, Result.HELD, str(error))


async def forget_gone(run: Run, plan: TargetPlan) -> Outcome:
    """Forget a target that is to be absent and is, after a run that was killed between the two, or somebody else."""
    with suppress(LeaseHeld, LeaseLost):  # Whoever is at work on it records what they bring about.
        if await run.store.target(plan.identity) is not None:
            async with leased(run, f"target:{plan.identity}") as lease:
                record = await run.store.target(plan.identity)
                # Another run may have made it anew since the plan.
                if record is not None and converged(record) == run.ledger.converged.get(plan.identity):
                    await _forget(run, lease, plan, "deleted, as the spec wants")
    return Outcome(plan.name, plan.kind, Result.IN_SYNC, "absent, as the spec wants")


async def record_orphan(run: Run, plan: TargetPlan, text: str) -> Outcome:
    """Remember that a target has no item any more, so that ``status`` does not show it like one that is wanted.

    What the store does not know it does not learn here: its knowing an endpoint is a sign that it is of a set.
    """
    earlier = await run.store.target(plan.identity)
    if earlier is not None and (earlier.last_outcome, earlier.last_message) != ("held", text):
        with suppress(LeaseHeld, LeaseLost):  # Whoever is at work on it records its own, newer end.
            async with leased(run, f"target:{plan.identity}") as lease:
                await record_attempt(run, lease, plan, "held", text)
    return Outcome(plan.name, plan.kind, Result.ORPHANED, text)


async def _forget(run: Run, lease: Lease, plan: TargetPlan, text: str) -> None:
    def write(transaction: Transaction) -> None:
        transaction.remove_target(plan.identity)
        transaction.add_event(run_id=run.run_id, subject=plan.name, action="delete", outcome="deleted", message=text)

    await run.store.write(lease, write)

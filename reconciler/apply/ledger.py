"""The store's rows in the plan's words, and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.apply.run import Run
from reconciler.plan.backoff import RETRY
from reconciler.plan.document import TargetPlan
from reconciler.plan.states import (
    Converged,
    KnownVersion,
    Ledger,
    Location,
    ModelBinding,
    Proof,
    Served,
    VersionKey,
    VersionState,
)
from reconciler.plan.text import proof_in_words
from reconciler.store import LastOutcome, Lease, ServedModel, Store, TargetRecord, Transaction, VersionRecord
from reconciler.targets.driver import Artifacts, Verified

_PROOFS = {word.value: word for word in Proof}


def read_ledger(store: Store) -> Ledger:
    """All that a plan needs of the store, in three queries."""
    targets = store.targets()
    begun = {
        (operation.model, operation.label)
        for operation in store.operations(open_only=True)
        if operation.phase in ("intent", "registered")
    }
    return Ledger(
        # An attempt that did not get as far as being started has made nothing, so it binds nobody to its recipe. One
        # that failed before any attempt was begun is like one that was never tried.
        versions={
            known.key: known
            for record in store.versions()
            if record.attempt
            if record.state != "training" or (record.model, record.label) not in begun
            for known in (known_version(record),)
        },
        converged={record.identity: found for record in targets if (found := converged(record)) is not None},
        unsettled=frozenset(record.identity for record in targets if record.last_outcome != "converged"),
        names={record.identity: record.name for record in targets},
    )


def known_version(record: VersionRecord) -> KnownVersion:
    """Return a version's row as the plan knows it."""
    location = None
    if record.base_location and record.relative_location:
        location = Location(record.base_location, record.relative_location)
    return KnownVersion(
        key=VersionKey(record.model, record.label),
        fingerprint=record.fingerprint,
        state=VersionState(record.state),
        location=location,
        metrics=dict(record.metrics),
        attempt=record.attempt,
        message=record.message,
        trained_in=None if record.trained_seconds is None else timedelta(seconds=record.trained_seconds),
        training=str(record.recipe.get("training") or ""),
    )


def converged(record: TargetRecord | None) -> Converged | None:
    """Return what a target was last converged to; None if it never converged, so that its version is unknown."""
    if record is None or record.converged_at is None:
        return None
    return Converged(
        serves={model.resource: _served(model) for model in record.models},
        # A word that a later release wrote means at least as much as the weakest known one.
        proof=_PROOFS.get(record.proof or "", Proof.ACCEPTED),
        at=record.converged_at,
        answers=record.answers,
        ignored_settings=dict(record.not_taken),
        written=dict(record.written),
    )


def _served(model: ServedModel) -> Served:
    location = None
    if model.base_location and model.relative_location:
        location = Location(model.base_location, model.relative_location)
    return Served(VersionKey(model.model, model.label), model.fingerprint, location)


def serves_words(plan: TargetPlan) -> str:
    """Return what a target is brought to by its plan, for people."""
    return f"serves {plan.desired}" if plan.models else "has the settings of the spec"


def served_words(converged: Converged) -> str:
    """Return what a target was brought to, for people."""
    return ", ".join(str(served.version) for served in converged.serves.values()) or "its settings"


async def record_attempt(run: Run, lease: Lease, plan: TargetPlan, outcome: LastOutcome, text: str) -> None:
    """Record how the last try went; what the target was converged to before stays.

    A failure is counted, a success ends the count. A hold does neither, for nothing was tried.
    """
    now = run.clock()

    def write(transaction: Transaction) -> None:
        earlier = transaction.target(plan.identity)
        record = TargetRecord(
            identity=plan.identity, name=plan.name, kind=plan.kind, last_outcome=outcome, last_message=text, last_at=now
        )
        if earlier is not None:
            record = replace(earlier, name=plan.name, last_outcome=outcome, last_message=text, last_at=now)
        if outcome == "failed":
            attempted = _digest(run, plan)
            failures = record.failures + 1 if record.attempted == attempted else 1
            due = next_attempt(run, failures)
            record = replace(record, failures=failures, next_attempt_at=due, attempted=attempted)
        elif outcome == "converged":
            record = replace(record, failures=0, next_attempt_at=None, attempted=None)
        transaction.put_target(record)
        if earlier is None or (earlier.last_outcome, earlier.last_message) != (outcome, text):
            # An event when something happens, none when nothing does.
            transaction.add_event(
                run_id=run.run_id, subject=plan.name, action="converge", outcome=outcome, message=text
            )

    await run.store.write(lease, write)


def next_attempt(run: Run, failures: int) -> datetime:
    """Return when something that failed so many times in a row is due again."""
    return run.clock() + RETRY.delay(failures, run.draw())


def _digest(run: Run, plan: TargetPlan) -> str:
    """Return a digest of what the spec wants of a target: with another one, earlier failures say nothing any more."""
    target = run.targets[plan.identity]
    wanted = {
        "models": [
            [use.resource, str(use.version), run.versions[use.version].expected_fingerprint] for use in target.bindings
        ],
        "settings": dict(target.settings),
        "secrets": dict(target.secret_digests),
        "absent": target.absent,
    }
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


async def record_converged(
    run: Run,
    lease: Lease,
    plan: TargetPlan,
    artifacts: Artifacts,
    verified: Verified,
    *,
    steps: tuple[str, ...] = (),
) -> None:
    """Record what a target was brought to, and what carrying out ``steps`` showed of it."""
    now = run.clock()
    record = TargetRecord(
        identity=plan.identity,
        name=plan.name,
        kind=plan.kind,
        models=tuple(
            ServedModel(
                resource=resource,
                model=artifact.key.model,
                label=artifact.key.label,
                fingerprint=artifact.fingerprint,
                base_location=shown.base,
                relative_location=shown.relative,
            )
            for resource, artifact in artifacts.items()
            for shown in (verified.shown.get(resource, artifact.location),)
        ),
        answers=verified.answers,
        proof=verified.proof.value,
        not_taken=dict(verified.ignored_settings),
        written=dict(run.targets[plan.identity].secret_digests),
        converged_at=now,
        last_outcome="converged",
        last_message=verified.text,
        last_at=now,
    )

    def write(transaction: Transaction) -> None:
        transaction.put_target(record)
        transaction.add_event(
            run_id=run.run_id,
            subject=plan.name,
            action="converge",
            outcome="converged",
            message=f"{serves_words(plan)}, {proof_in_words(verified.proof)}: {verified.text}",
            details={
                "version": plan.desired,
                "from": plan.live,
                "proof": verified.proof.value,
                "steps": list(steps),
                "reasons": [reason.text for reason in plan.reasons],
            },
        )

    await run.store.write(lease, write)


def is_recorded(converged: Converged, use: ModelBinding) -> bool:
    """Whether a record says that a resource was brought to the version that it is to serve."""
    served = converged.served(use.resource)
    return served is not None and served.version == use.version

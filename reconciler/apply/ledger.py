"""The store's rows in the plan's words, and back."""

from __future__ import annotations

from datetime import timedelta

from reconciler.plan.states import (
    Converged,
    KnownVersion,
    Ledger,
    Location,
    Proof,
    Served,
    VersionKey,
    VersionState,
)
from reconciler.store.records import ServedModel, TargetRecord, VersionRecord
from reconciler.store.store import Store

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
        # An attempt that did not get as far as being started has made nothing, so it binds nobody to its recipe.
        versions={
            known.key: known
            for record in store.versions()
            if record.state != "training" or (record.model, record.label) not in begun
            for known in (known_version(record),)
        },
        converged={record.identity: found for record in targets if (found := converged(record)) is not None},
        unsettled=frozenset(record.identity for record in targets if record.last_outcome != "converged"),
        names={record.identity: record.name for record in targets},
    )


def known_version(record: VersionRecord) -> KnownVersion:
    """A version's row as the plan knows it."""
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
    """What a target was brought to; None if it never came home, so that nothing is known of what it serves."""
    if record is None or record.converged_at is None:
        return None
    return Converged(
        serves={model.resource: _served(model) for model in record.models},
        # A word that a later version of this program wrote is at least as much as the weakest of ours.
        proof=_PROOFS.get(record.proof or "", Proof.ACCEPTED),
        at=record.converged_at,
        answers=record.answers,
        not_taken=dict(record.not_taken),
        written=dict(record.written),
    )


def _served(model: ServedModel) -> Served:
    location = None
    if model.base_location and model.relative_location:
        location = Location(model.base_location, model.relative_location)
    return Served(VersionKey(model.model, model.label), model.fingerprint, location)

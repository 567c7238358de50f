"""The store's rows in the plan's words, and back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from reconciler.plan.states import Converged, KnownVersion, Ledger, Location, Proof, VersionKey, VersionState
from reconciler.store.records import TargetRecord, VersionRecord
from reconciler.store.store import Store


def read_ledger(store: Store) -> Ledger:
    """All that a plan needs of the store, in two queries."""
    return Ledger(
        versions={known.key: known for known in map(known_version, store.versions())},
        converged=_converged(store.targets()),
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
    )


def _converged(records: Iterable[TargetRecord]) -> dict[str, Converged]:
    found: dict[str, Converged] = {}
    for record in records:
        if record.converged_at is None or record.proof is None or not (record.model and record.label):
            continue  # It was tried and never came home: nothing is known of what it serves.
        location = None
        if record.base_location and record.relative_location:
            location = Location(record.base_location, record.relative_location)
        found[record.identity] = Converged(
            version=VersionKey(record.model, record.label),
            fingerprint=record.fingerprint or "",
            proof=Proof(record.proof),
            at=record.converged_at,
            location=location,
            answers=record.answers,
            not_taken=dict(record.not_taken),
        )
    return found

"""The store: versions, operations in flight, targets, history and leases. SQLAlchemy Core on SQLite.

It never contains a secret (`reconciler.store.records` says how) and imports no other part of reconciler.
"""

from reconciler.store.background import BackgroundStore
from reconciler.store.errors import (
    LeaseHeld,
    LeaseLost,
    LocationTaken,
    OperationConflict,
    StoreError,
    VersionImmutable,
)
from reconciler.store.processes import this_process
from reconciler.store.records import (
    Event,
    Holder,
    LastOutcome,
    Lease,
    Operation,
    Outcome,
    Phase,
    Scalar,
    ServedModel,
    TargetRecord,
    VersionRecord,
    VersionState,
)
from reconciler.store.store import DEFAULT_TTL, Store, Transaction

__all__ = [
    "DEFAULT_TTL",
    "BackgroundStore",
    "Event",
    "Holder",
    "LastOutcome",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "LocationTaken",
    "Operation",
    "OperationConflict",
    "Outcome",
    "Phase",
    "Scalar",
    "ServedModel",
    "Store",
    "StoreError",
    "TargetRecord",
    "Transaction",
    "VersionImmutable",
    "VersionRecord",
    "VersionState",
    "this_process",
]

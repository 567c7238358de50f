"""Operations in flight: what runs on the service and must be found again after a crash (design 5.2)."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.engine import RowMapping

from reconciler.store import tables
from reconciler.store.errors import OperationConflict
from reconciler.store.records import Operation, columns

_TABLE = tables.operations
_ORDER = ("intent", "registered", "started", "closed")
_WHAT_IT_IS = ("kind", "model", "label", "fingerprint", "attempt", "created_at")
_FIXED_ONCE_REGISTERED = ("jobs_url", "job_id")


def every(connection: Connection, *, open_only: bool) -> tuple[Operation, ...]:
    """Return all operations, or those that are not closed, oldest first."""
    query = select(_TABLE).order_by(_TABLE.c.id)
    if open_only:
        query = query.where(_TABLE.c.phase != "closed")
    return tuple(_operation(row) for row in connection.execute(query).mappings())


def find_open(connection: Connection, model: str, label: str) -> Operation | None:
    """Return the version's operation that is not closed, or None."""
    query = select(_TABLE).where(_TABLE.c.model == model, _TABLE.c.label == label, _TABLE.c.phase != "closed")
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _operation(row)


def last_attempt(connection: Connection, model: str, label: str) -> int:
    """Return the number of the version's last attempt; 0 if it has none."""
    key = (_TABLE.c.model == model, _TABLE.c.label == label)
    return connection.execute(select(func.max(_TABLE.c.attempt)).where(*key)).scalar_one() or 0


def put(connection: Connection, operation: Operation) -> Operation:
    """Write an operation down; see `reconciler.store.Transaction.put_operation`."""
    if operation.id is None:
        return _begin(connection, operation)
    row = connection.execute(select(_TABLE).where(_TABLE.c.id == operation.id)).mappings().one_or_none()
    if row is None:
        raise OperationConflict(f"operation {operation.id} is not in the store")
    known = _operation(row)
    if known == operation:
        return operation
    _check_move(known, operation)
    connection.execute(update(_TABLE).where(_TABLE.c.id == operation.id).values(**columns(operation)))
    return operation


def _begin(connection: Connection, operation: Operation) -> Operation:
    version = f"{operation.model}@{operation.label}"
    standing = find_open(connection, operation.model, operation.label)
    if standing is not None:
        job = "no job yet" if standing.job_id is None else f"job {standing.job_id}"
        raise OperationConflict(
            f"{version} has an open operation already: attempt {standing.attempt}, {standing.phase}, {job};"
            " resume that one, or close it first"
        )
    last = last_attempt(connection, operation.model, operation.label)
    if operation.attempt <= last:
        raise OperationConflict(
            f"{version} has had attempt {last} already, so attempt {operation.attempt} cannot begin"
        )
    values = columns(operation)
    del values["id"]
    identity = connection.execute(insert(_TABLE).values(**values).returning(_TABLE.c.id)).scalar_one()
    return replace(operation, id=identity)


def _check_move(known: Operation, moved: Operation) -> None:
    name = f"operation {known.id} ({known.model}@{known.label}, attempt {known.attempt})"
    if known.phase == "closed":
        raise OperationConflict(f"{name} is closed as {known.outcome} and does not change any more")
    if _ORDER.index(moved.phase) < _ORDER.index(known.phase):
        raise OperationConflict(f"{name} is {known.phase} and cannot go back to {moved.phase}")
    fixed = _WHAT_IT_IS if known.phase == "intent" else _WHAT_IT_IS + _FIXED_ONCE_REGISTERED
    for field in fixed:
        if getattr(known, field) != getattr(moved, field):
            raise OperationConflict(f"{name} is {known.phase}, so its {field} does not change any more")


def _operation(row: RowMapping) -> Operation:
    return Operation(**row)

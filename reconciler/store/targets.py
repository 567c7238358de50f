"""Targets: what each was last converged to, and how the last try went."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine import RowMapping

from reconciler.store import tables
from reconciler.store.records import ServedModel, TargetRecord, columns

_TABLE = tables.targets


def every(connection: Connection) -> tuple[TargetRecord, ...]:
    """All targets that were ever tried, by identity."""
    return tuple(_record(row) for row in connection.execute(select(_TABLE).order_by(_TABLE.c.identity)).mappings())


def find(connection: Connection, identity: str) -> TargetRecord | None:
    """The target, or None."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.identity == identity)).mappings().one_or_none()
    return None if row is None else _record(row)


def put(connection: Connection, record: TargetRecord) -> None:
    """Replaces the whole row of a target.

    A row of the same target under another identity that never came home goes: it was misspelt then.
    """
    misspelt = (
        (_TABLE.c.name == record.name)
        & (_TABLE.c.kind == record.kind)
        & (_TABLE.c.identity != record.identity)
        & _TABLE.c.converged_at.is_(None)
    )
    connection.execute(delete(_TABLE).where(misspelt))
    values = columns(record)
    changed = connection.execute(update(_TABLE).where(_TABLE.c.identity == record.identity).values(**values)).rowcount
    if not changed:
        connection.execute(insert(_TABLE).values(**values))


def remove(connection: Connection, identity: str) -> None:
    """Forgets a target that was deleted; does nothing if it is unknown."""
    connection.execute(delete(_TABLE).where(_TABLE.c.identity == identity))


def _record(row: RowMapping) -> TargetRecord:
    models = tuple(ServedModel(**model) for model in row["models"])
    return TargetRecord(**{**row, "models": models})

"""Targets: what each was last converged to, and how the last try went."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.engine import RowMapping

from reconciler.store import tables
from reconciler.store.records import ServedModel, TargetRecord, columns

_TABLE = tables.targets
# Built once: a run over a large fleet carries each out for each of its targets.
_FIND = select(_TABLE).where(_TABLE.c.identity == bindparam("wanted"))
_UPDATE = update(_TABLE).where(_TABLE.c.identity == bindparam("wanted"))
_REMOVE_MISSPELT = delete(_TABLE).where(
    _TABLE.c.name == bindparam("wanted_name"),
    _TABLE.c.kind == bindparam("wanted_kind"),
    _TABLE.c.identity != bindparam("wanted"),
    _TABLE.c.converged_at.is_(None),
)


def every(connection: Connection) -> tuple[TargetRecord, ...]:
    """Return all targets that were ever tried, by identity."""
    return tuple(_record(row) for row in connection.execute(select(_TABLE).order_by(_TABLE.c.identity)).mappings())


def find(connection: Connection, identity: str) -> TargetRecord | None:
    """Return the target, or None."""
    row = connection.execute(_FIND, {"wanted": identity}).mappings().one_or_none()
    return None if row is None else _record(row)


def put(connection: Connection, record: TargetRecord) -> None:
    """Replace the whole row of a target.

    A row of the same name and kind under another identity that never converged is removed: that identity was misspelt.
    """
    wanted = {"wanted": record.identity, "wanted_name": record.name, "wanted_kind": record.kind}
    connection.execute(_REMOVE_MISSPELT, wanted)
    values = columns(record)
    if not connection.execute(_UPDATE, {**values, "wanted": record.identity}).rowcount:
        connection.execute(insert(_TABLE), values)


def remove(connection: Connection, identity: str) -> None:
    """Remove a target that was deleted; do nothing if it is unknown."""
    connection.execute(delete(_TABLE).where(_TABLE.c.identity == identity))


def _record(row: RowMapping) -> TargetRecord:
    models = tuple(ServedModel(**model) for model in row["models"])
    return TargetRecord(**{**row, "models": models})

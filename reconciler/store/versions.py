"""Versions: written while they train, and never changed once usable (design 5.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.engine import RowMapping

from reconciler.store import tables
from reconciler.store.errors import LocationTaken, VersionImmutable
from reconciler.store.records import VersionRecord, columns

_TABLE = tables.versions


def every(connection: Connection) -> tuple[VersionRecord, ...]:
    """Return all versions, by model and then in the order in which they were first written."""
    rows = connection.execute(select(_TABLE).order_by(_TABLE.c.model, _TABLE.c.id)).mappings()
    return tuple(_record(row) for row in rows)


def find(connection: Connection, model: str, label: str) -> VersionRecord | None:
    """Return the version, or None."""
    query = select(_TABLE).where(_TABLE.c.model == model, _TABLE.c.label == label)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _record(row)


def training_durations(connection: Connection) -> dict[str, list[float]]:
    """Return how many seconds the trainings of usable versions took, by model, oldest first."""
    query = (
        select(_TABLE.c.model, _TABLE.c.trained_seconds)
        .where(_TABLE.c.state == "usable", _TABLE.c.trained_seconds.is_not(None))
        .order_by(_TABLE.c.updated_at, _TABLE.c.id)
    )
    durations: dict[str, list[float]] = {}
    for model, seconds in connection.execute(query):
        durations.setdefault(model, []).append(seconds)
    return durations


def put(connection: Connection, record: VersionRecord) -> None:
    """Write a version down; see `reconciler.store.Transaction.put_version`."""
    known = find(connection, record.model, record.label)
    if known is not None and known.state == "usable":
        difference = next(
            (
                name
                for name in ("fingerprint", "base_location", "relative_location", "state")
                if getattr(known, name) != getattr(record, name)
            ),
            None,
        )
        if difference is None:
            return
        raise VersionImmutable(
            record.model, record.label, known.fingerprint, record.fingerprint, difference.replace("_", " ")
        )
    if record.state == "usable":
        _check_location(connection, record)
    if known is None:
        connection.execute(insert(_TABLE).values(**_values(record)))
    else:
        key = (_TABLE.c.model == record.model, _TABLE.c.label == record.label)
        connection.execute(update(_TABLE).where(*key).values(**_values(record)))


def _check_location(connection: Connection, record: VersionRecord) -> None:
    owner = connection.execute(
        select(_TABLE.c.model, _TABLE.c.label).where(
            _TABLE.c.state == "usable",
            _TABLE.c.base_location == record.base_location,
            _TABLE.c.relative_location == record.relative_location,
        )
    ).one_or_none()
    if owner is not None:
        place = f"{record.base_location}{record.relative_location}"
        raise LocationTaken(place, owner.model, owner.label)


def _record(row: RowMapping) -> VersionRecord:
    values = {name: value for name, value in row.items() if name != "id"}
    return VersionRecord(**values | {"metrics": {k: float(v) for k, v in values["metrics"].items()}})


def _values(record: VersionRecord) -> dict[str, Any]:
    return columns(record) | {"metrics": _json_metrics(record.metrics)}


def _json_metrics(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Write not-a-number and infinities, which JSON does not have, by name; `float` reads them back."""
    return {name: value if math.isfinite(value) else str(value) for name, value in metrics.items()}

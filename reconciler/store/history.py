"""The history: events that are only ever appended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from reconciler.store import tables
from reconciler.store.records import Event, in_utc

_TABLE = tables.events
_ADD = insert(_TABLE).returning(_TABLE.c.id)
PAGE = 500
"""How many events are read at a time, so that a long history never sits in memory as a whole."""


def add(
    connection: Connection,
    *,
    at: datetime,
    run_id: str,
    subject: str,
    action: str,
    outcome: str,
    message: str,
    details: Mapping[str, Any],
) -> Event:
    """Append one event; see `reconciler.store.Transaction.add_event`."""
    values: dict[str, Any] = {
        "at": in_utc(at),
        "run_id": run_id,
        "subject": subject,
        "action": action,
        "outcome": outcome,
        "message": message,
        "details": dict(details),
    }
    identity = connection.execute(_ADD, values).scalar_one()
    return Event(id=identity, **values)


def page(connection: Connection, subject: str | None, run_id: str | None, before: int | None, size: int) -> list[Event]:
    """Return the newest ``size`` events whose id is below ``before``, newest first."""
    query = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(size)
    if subject is not None:
        query = query.where(_TABLE.c.subject == subject)
    if run_id is not None:
        query = query.where(_TABLE.c.run_id == run_id)
    if before is not None:
        query = query.where(_TABLE.c.id < before)
    return [Event(**row) for row in connection.execute(query).mappings()]

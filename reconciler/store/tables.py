"""The store's tables, in column types that every SQL database has.

What each column means is said at the record of the same name in `reconciler.store.records`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from reconciler.store.records import in_utc

metadata = MetaData()


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite keeps no zone, so there it is stored without and read back as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, which would silently mean another moment."""
        if value is None:
            return None
        moment = in_utc(value)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", String(255), nullable=False),
    Column("label", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), CheckConstraint("state IN ('training', 'usable', 'failed')"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("base_location", Text),
    Column("relative_location", Text),
    Column("metrics", JSON, nullable=False),
    Column("message", Text, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("trained_seconds", Float),
    Column("updated_at", UtcTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_attempt_at", UtcTime),
    CheckConstraint("state <> 'usable' OR (base_location IS NOT NULL AND relative_location IS NOT NULL)"),
)
Index("versions_key", versions.c.model, versions.c.label, unique=True)
_usable = versions.c.state == "usable"
Index(
    "versions_usable_location",
    versions.c.base_location,
    versions.c.relative_location,
    unique=True,
    sqlite_where=_usable,
    postgresql_where=_usable,
)

operations = Table(
    "operations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("model", String(255), nullable=False),
    Column("label", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column(
        "phase",
        String(16),
        CheckConstraint("phase IN ('intent', 'registered', 'started', 'closed')"),
        nullable=False,
    ),
    Column("jobs_url", Text),
    Column("job_id", String(255)),
    Column("output_relative", Text),
    Column(
        "outcome",
        String(16),
        CheckConstraint("outcome IN ('succeeded', 'failed', 'cancelled', 'abandoned')"),
    ),
    Column("message", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("deadline", UtcTime),
    CheckConstraint("phase NOT IN ('registered', 'started') OR job_id IS NOT NULL"),
    CheckConstraint("(phase = 'closed') = (outcome IS NOT NULL)"),
    # An id that an earlier run remembers must never come to mean another operation.
    sqlite_autoincrement=True,
)
Index("operations_attempt", operations.c.model, operations.c.label, operations.c.attempt, unique=True)
_open = operations.c.phase != "closed"
Index(
    "operations_open",
    operations.c.model,
    operations.c.label,
    unique=True,
    sqlite_where=_open,
    postgresql_where=_open,
)

targets = Table(
    "targets",
    metadata,
    Column("identity", String(1024), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("models", JSON, nullable=False),
    Column("answers", String(64)),
    Column("proof", String(32)),
    Column("not_taken", JSON, nullable=False),
    Column("written", JSON, nullable=False),
    Column("converged_at", UtcTime),
    Column(
        "last_outcome",
        String(16),
        CheckConstraint("last_outcome IN ('converged', 'failed', 'held')"),
        nullable=False,
    ),
    Column("last_message", Text, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_attempt_at", UtcTime),
    Column("attempted", String(64)),
)

_never_home = targets.c.converged_at.is_(None)
Index("targets_never_home", targets.c.name, sqlite_where=_never_home, postgresql_where=_never_home)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("subject", String(1024), nullable=False),
    Column("action", String(64), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("details", JSON, nullable=False),
    sqlite_autoincrement=True,
)
Index("events_subject", events.c.subject, events.c.id)
Index("events_run", events.c.run_id, events.c.id)

leases = Table(
    "leases",
    metadata,
    # A row stays when its lease is released: the token must go on from where it was.
    Column("key", String(1024), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("host", String(255), nullable=False),
    Column("machine", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    # Clock ticks since boot outgrow 32 bits within a year.
    Column("process_started", BigInteger),
    Column("user", String(255), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("acquired_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("ttl_seconds", Float, nullable=False),
)

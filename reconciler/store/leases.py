"""Leases: one worker per key, and a fencing token by which a late worker is recognised (design 5.4).

A worker that was stopped for longer than its lease may wake up and not know. So the lease alone protects
nothing: the token is checked again inside of the transaction that writes, and it is higher for everybody
who came after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.engine import RowMapping

from reconciler.store import tables
from reconciler.store.errors import LeaseHeld, LeaseLost
from reconciler.store.records import Holder, Lease, columns, in_utc

_TABLE = tables.leases
# Built once: a run over a large fleet carries each out for each of its targets.
_FIND = select(_TABLE).where(_TABLE.c.key == bindparam("wanted"))
_UPDATE = update(_TABLE).where(_TABLE.c.key == bindparam("wanted"))
_RELEASE = _UPDATE.where(_TABLE.c.token == bindparam("wanted_token")).values(released=True)


def every(connection: Connection) -> tuple[Lease, ...]:
    """Return the leases that were not released, by key."""
    query = select(_TABLE).where(_TABLE.c.released.is_(False)).order_by(_TABLE.c.key)
    return tuple(_lease(row) for row in connection.execute(query).mappings())


def acquire(
    connection: Connection,
    key: str,
    holder: Holder,
    *,
    ttl: timedelta,
    now: datetime,
    holder_is_dead: Callable[[Holder], bool],
) -> Lease:
    """Take a lease; see `reconciler.store.Store.acquire`."""
    if ttl <= timedelta():
        raise ValueError(f"a lease must last for some time, not {ttl}")
    row = _row(connection, key)
    if row is not None and not row["released"]:
        standing = _lease(row)
        if now < standing.expires_at and not holder_is_dead(standing.holder):
            raise LeaseHeld(key, standing.holder, standing.acquired_at, standing.expires_at)
    token = 1 if row is None else row["token"] + 1
    lease = Lease(key=key, holder=holder, token=token, expires_at=in_utc(now) + ttl, acquired_at=in_utc(now), ttl=ttl)
    values = columns(holder) | {
        "token": token,
        "released": False,
        "acquired_at": lease.acquired_at,
        "expires_at": lease.expires_at,
        "ttl_seconds": ttl.total_seconds(),
    }
    if row is None:
        connection.execute(insert(_TABLE), {"key": key, **values})
    else:
        connection.execute(_UPDATE, {"wanted": key, **values})
    return lease


def check(connection: Connection, lease: Lease) -> Lease:
    """Return the lease as it stands, if its holder still has it.

    One that has expired and that no other run has acquired is good: inside of this transaction none can.

    Raises:
        LeaseLost: The token moved, or the lease was released.
    """
    row = _row(connection, lease.key)
    if row is None or row["released"]:
        raise LeaseLost(lease.key, lease.token, None)
    standing = _lease(row)
    if standing.token != lease.token:
        raise LeaseLost(lease.key, lease.token, standing.holder)
    return standing


def renew(connection: Connection, lease: Lease, now: datetime) -> Lease:
    """Extend a lease; see `reconciler.store.Store.renew`."""
    standing = check(connection, lease)
    # Never earlier than what others have read, even if the clock was set back.
    renewed = replace(standing, expires_at=max(standing.expires_at, in_utc(now) + standing.ttl))
    connection.execute(_UPDATE, {"wanted": lease.key, "expires_at": renewed.expires_at})
    return renewed


def release(connection: Connection, lease: Lease) -> None:
    """Release a lease, if its holder still has it."""
    connection.execute(_RELEASE, {"wanted": lease.key, "wanted_token": lease.token})


def _row(connection: Connection, key: str) -> RowMapping | None:
    return connection.execute(_FIND, {"wanted": key}).mappings().one_or_none()


def _lease(row: RowMapping) -> Lease:
    return Lease(
        key=row["key"],
        holder=Holder(
            host=row["host"],
            pid=row["pid"],
            process_started=row["process_started"],
            user=row["user"],
            run_id=row["run_id"],
            machine=row["machine"],
        ),
        token=row["token"],
        expires_at=row["expires_at"],
        acquired_at=row["acquired_at"],
        ttl=timedelta(seconds=row["ttl_seconds"]),
    )

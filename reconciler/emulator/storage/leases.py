"""Leases of blobs and containers: their states, and what each state lets a caller do.

Values and pure functions, after the two tables in Microsoft's "Lease Blob" and "Lease Container": the outcome of each
lease operation in each state, and of other operations with and without the lease's id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from math import ceil
from typing import Any, Final, Literal

from reconciler.emulator.storage.errors import StorageError

INFINITE: Final = -1
"""The duration of a lease that does not expire."""

Subject = Literal["Blob", "Container"]


class LeaseState(Enum):
    """The states, by their words in ``x-ms-lease-state``."""

    AVAILABLE = "available"
    LEASED = "leased"
    EXPIRED = "expired"
    BREAKING = "breaking"
    BROKEN = "broken"


@dataclass(frozen=True)
class Lease:
    """A lease, past or present; the default is none at all.

    Attributes:
        id: a GUID in lower case; empty if there is no lease.
        seconds: how long it was taken for, `INFINITE` for one without an end.
        until: when it expires by itself, if it does.
        broken_from: when it is broken, if a break was requested.
    """

    id: str = ""
    seconds: int = 0
    until: datetime | None = None
    broken_from: datetime | None = None

    def state(self, now: datetime) -> LeaseState:
        """Return the state at a moment."""
        if not self.id:
            return LeaseState.AVAILABLE
        if self.broken_from is not None:
            return LeaseState.BREAKING if now < self.broken_from else LeaseState.BROKEN
        return LeaseState.EXPIRED if self.until is not None and now >= self.until else LeaseState.LEASED

    def locks(self, now: datetime) -> bool:
        """Return whether a write needs the id."""
        return self.state(now) in {LeaseState.LEASED, LeaseState.BREAKING}

    def described(self, now: datetime) -> dict[str, str]:
        """Return ``status``, ``state`` and, while leased, ``duration``, as headers and listings name them."""
        state = self.state(now)
        found = {"status": "locked" if self.locks(now) else "unlocked", "state": state.value}
        if state is LeaseState.LEASED:
            found["duration"] = "infinite" if self.seconds == INFINITE else "fixed"
        return found


NO_LEASE: Final = Lease()


def lease_of(document: Mapping[str, Any]) -> Lease:
    """Return the lease in the document of a blob or a container."""
    kept = document.get("lease")
    if kept is None:
        return NO_LEASE
    until, broken_from = (kept[name] and datetime.fromisoformat(kept[name]) for name in ("until", "brokenFrom"))
    return Lease(kept["id"], kept["seconds"], until, broken_from)


def lease_document(lease: Lease) -> dict[str, Any] | None:
    """Return what `lease_of` reads."""
    if not lease.id:
        return None
    return {
        "id": lease.id,
        "seconds": lease.seconds,
        "until": lease.until and lease.until.isoformat(),
        "brokenFrom": lease.broken_from and lease.broken_from.isoformat(),
    }


def acquired(lease: Lease, new_id: str, seconds: int, now: datetime) -> Lease:
    """Acquire a lease, or acquire the same lease again with another duration.

    Raises:
        StorageError: LeaseAlreadyPresent, or LeaseIsBreakingAndCannotBeAcquired.
    """
    state = lease.state(now)
    if state is LeaseState.BREAKING:
        raise StorageError("LeaseIsBreakingAndCannotBeAcquired" if lease.id == new_id else "LeaseAlreadyPresent")
    if state is LeaseState.LEASED and lease.id != new_id:
        raise StorageError("LeaseAlreadyPresent")
    return Lease(new_id, seconds, _end(seconds, now))


def renewed(lease: Lease, given: str, now: datetime) -> Lease:
    """Renew a lease; an expired one too, as long as nobody else leased or wrote meanwhile.

    Raises:
        StorageError: LeaseIdMismatchWithLeaseOperation, or LeaseIsBrokenAndCannotBeRenewed.
    """
    if lease.id != given:
        raise StorageError("LeaseIdMismatchWithLeaseOperation")
    if lease.broken_from is not None:
        raise StorageError("LeaseIsBrokenAndCannotBeRenewed")
    return replace(lease, until=_end(lease.seconds, now))


def changed(lease: Lease, given: str, proposed: str, now: datetime) -> Lease:
    """Give an active lease another id; a call that is repeated finds it done.

    Raises:
        StorageError: LeaseNotPresentWithLeaseOperation, LeaseIdMismatchWithLeaseOperation, or
            LeaseIsBreakingAndCannotBeChanged.
    """
    if not lease.locks(now):
        raise StorageError("LeaseNotPresentWithLeaseOperation")
    if lease.id not in {given, proposed}:
        raise StorageError("LeaseIdMismatchWithLeaseOperation")
    if lease.broken_from is not None:
        raise StorageError("LeaseIsBreakingAndCannotBeChanged")
    return replace(lease, id=proposed)


def released(lease: Lease, given: str) -> Lease:
    """End a lease at once, whatever state it is in.

    Raises:
        StorageError: LeaseIdMismatchWithLeaseOperation.
    """
    if lease.id != given:
        raise StorageError("LeaseIdMismatchWithLeaseOperation")
    return NO_LEASE


def broken(lease: Lease, period: int | None, now: datetime) -> Lease:
    """Break a lease, for which no id is needed.

    Args:
        lease: the lease.
        period: for how many seconds at most it still locks; None is the rest of a fixed lease, and none of an
            infinite one. A period never makes it longer.
        now: the present moment.

    Raises:
        StorageError: LeaseNotPresentWithLeaseOperation.
    """
    state = lease.state(now)
    if state is LeaseState.AVAILABLE:
        raise StorageError("LeaseNotPresentWithLeaseOperation")
    if state in {LeaseState.EXPIRED, LeaseState.BROKEN}:
        return replace(lease, broken_from=lease.broken_from or now)
    ends = [end for end in (lease.broken_from, lease.until) if end is not None]
    if period is not None:
        ends.append(now + timedelta(seconds=period))
    return replace(lease, broken_from=min(ends, default=now))


def remaining(lease: Lease, now: datetime) -> int:
    """Return the seconds until a breaking lease is broken: ``x-ms-lease-time``."""
    left = lease.broken_from - now if lease.broken_from is not None else timedelta()
    return max(0, ceil(left.total_seconds()))


def check_write(lease: Lease, given: str | None, subject: Subject, now: datetime) -> None:
    """Judge a write, for which the id is needed as long as the lease locks.

    Args:
        lease: of what is written.
        given: the id that the caller sent, if any.
        subject: what is written.
        now: the present moment.

    Raises:
        StorageError: 412 LeaseIdMissing, LeaseIdMismatchWith…, LeaseNotPresentWith… or LeaseLost.
    """
    if given is None and lease.locks(now):
        raise StorageError("LeaseIdMissing")
    check_read(lease, given, subject, now)


def check_read(lease: Lease, given: str | None, subject: Subject, now: datetime) -> None:
    """Judge a read, for which no id is needed; one that is sent must be right. Arguments as in `check_write`.

    Raises:
        StorageError: 412 LeaseIdMismatchWith…, LeaseNotPresentWith… or LeaseLost.
    """
    if given is None:
        return
    if lease.state(now) is LeaseState.AVAILABLE:
        raise StorageError(f"LeaseNotPresentWith{subject}Operation")
    if lease.id != given.lower():
        raise StorageError(f"LeaseIdMismatchWith{subject}Operation")
    if not lease.locks(now):
        raise StorageError("LeaseLost")


def after_write(lease: Lease, now: datetime) -> Lease:
    """Return what a write leaves of a lease: one that no longer locks is forgotten, so that it cannot be renewed."""
    return lease if lease.locks(now) else NO_LEASE


def _end(seconds: int, now: datetime) -> datetime | None:
    return None if seconds == INFINITE else now + timedelta(seconds=seconds)

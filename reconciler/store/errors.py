"""The errors of the store: one for each case in which a caller does something different.

StoreError                 the store cannot be used, or refuses a row; the message says why and what to do
├── LeaseHeld              another run works on this key: say who, do something else, try again later
├── LeaseLost              the lease is gone: stop, write nothing, start over from what is live
├── VersionImmutable       a usable version would change: a new label is needed
├── LocationTaken          the artifact of another usable version is at that place
└── OperationConflict      an operation would go backwards, or be a second open one of its version
"""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.store.records import Holder


class StoreError(Exception):
    """The store cannot be used, or refuses a row."""


class LeaseHeld(StoreError):
    """Another run has the lease, of another person or of the same one.

    Attributes:
        key: What is leased.
        holder: Who has it.
        since: When it was acquired.
        expires_at: Until when at the latest, unless the holder renews it.
    """

    def __init__(self, key: str, holder: Holder, since: datetime, expires_at: datetime) -> None:
        super().__init__(
            f"{key} is locked by {holder} since {_clock_time(since)},"
            f" until {_clock_time(expires_at)} at the latest unless it is renewed"
        )
        self.key = key
        self.holder = holder
        self.since = since
        self.expires_at = expires_at


class LeaseLost(StoreError):
    """The lease was acquired by another run or released, so nothing may be written under it.

    Attributes:
        key: What was leased.
        token: The fencing token that is no longer good.
        holder: Who has the lease now, or None if nobody has.
    """

    def __init__(self, key: str, token: int, holder: Holder | None) -> None:
        now = "it was released" if holder is None else f"it is now locked by {holder}"
        super().__init__(f"the lease on {key} (token {token}) is lost: {now}; nothing was written")
        self.key = key
        self.token = token
        self.holder = holder


class VersionImmutable(StoreError):
    """A usable version would have been changed (design 5.3).

    Attributes:
        model: The version's model.
        label: The version's label.
        known: The fingerprint that the store has.
        given: The fingerprint that was to be written; equal to ``known`` if something else differs.
    """

    def __init__(self, model: str, label: str, known: str, given: str, difference: str) -> None:
        super().__init__(
            f"{model}@{label} is usable and never changes: it has fingerprint {known}, the new row has"
            f" {given} ({difference} differs); give the new artifact a new label"
        )
        self.model = model
        self.label = label
        self.known = known
        self.given = given


class LocationTaken(StoreError):
    """The artifact of another usable version is at the location.

    Attributes:
        location: Base and relative part, joined.
        model: The model of the version whose artifact is there.
        label: Its label.
    """

    def __init__(self, location: str, model: str, label: str) -> None:
        super().__init__(f"{location} already is the artifact of {model}@{label}; two versions never share one")
        self.location = location
        self.model = model
        self.label = label


class OperationConflict(StoreError):
    """An operation would break its order: backwards, changed in what it is, or a second open one."""


def _clock_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

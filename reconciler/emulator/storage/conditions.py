"""ETag and date conditions of requests to the Blob service.

After Microsoft's "Specifying conditional headers for Blob service operations": reads judge all conditions together,
as HTTP has it; writes judge the ETag alone if one is given, else the dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, Self

from reconciler.emulator.storage.errors import StorageError


class Stamped(Protocol):
    """What has an ETag and a date: a blob or a container."""

    @property
    def etag(self) -> str:
        """The ETag, with its quotes."""

    @property
    def modified(self) -> datetime:
        """The time of the last write."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of one request.

    Attributes:
        match: If-Match, as sent.
        none_match: If-None-Match, as sent.
        since: If-Modified-Since.
        until: If-Unmodified-Since.
    """

    match: str | None
    none_match: str | None
    since: datetime | None
    until: datetime | None

    @classmethod
    def of(cls, headers: Mapping[str, str], prefix: str = "") -> Self:
        """Read the conditions from a request.

        Args:
            headers: the request's headers.
            prefix: ``x-ms-source-`` for what a copy demands of its source.

        Raises:
            StorageError: InvalidHeaderValue.
        """
        return cls(
            headers.get(f"{prefix}If-Match"),
            headers.get(f"{prefix}If-None-Match"),
            _date(headers, f"{prefix}If-Modified-Since"),
            _date(headers, f"{prefix}If-Unmodified-Since"),
        )

    def check_read(self, found: Stamped) -> None:
        """Judge a read of something that exists.

        Raises:
            StorageError: ConditionNotMet, as a 304 if the caller has this content already and as a 412 if it wants
                another; UnsatisfiableCondition for ``If-None-Match: *``.
        """
        if self.none_match == "*":
            raise StorageError("UnsatisfiableCondition")
        if not self._matches(found) or not self._is_old_enough(found):
            raise StorageError("ConditionNotMet")
        news = [
            answer
            for given, answer in ((self.none_match, self._is_another(found)), (self.since, self._is_new_enough(found)))
            if given is not None
        ]
        if news and not any(news):
            raise StorageError("ConditionNotMet", status=304)

    def check_write(self, found: Stamped | None, *, creates: bool) -> None:
        """Judge a write.

        Args:
            found: what is there.
            creates: whether the write could make something that is not there.

        Raises:
            StorageError: ConditionNotMet, or BlobAlreadyExists for a creation with ``If-None-Match: *``.
        """
        if found is None:
            if self.match is not None:
                raise StorageError("ConditionNotMet")
            return
        if self.none_match == "*":
            raise StorageError("BlobAlreadyExists" if creates else "ConditionNotMet")
        if not self.holds_for(found):
            raise StorageError("ConditionNotMet")

    def holds_for(self, found: Stamped) -> bool:
        """Return whether all conditions hold; an ETag that is given decides alone."""
        if self.none_match is not None or self.match is not None:
            return self._is_another(found) and self._matches(found)
        return self._is_new_enough(found) and self._is_old_enough(found)

    def _matches(self, found: Stamped) -> bool:
        return self.match is None or _same(self.match, found)

    def _is_another(self, found: Stamped) -> bool:
        return self.none_match is None or not _same(self.none_match, found)

    def _is_new_enough(self, found: Stamped) -> bool:
        return self.since is None or found.modified.replace(microsecond=0) > self.since

    def _is_old_enough(self, found: Stamped) -> bool:
        return self.until is None or found.modified.replace(microsecond=0) <= self.until


def _same(given: str, found: Stamped) -> bool:
    # Several ETags may be given, with commas between them.
    return given == "*" or any(each.strip().strip('"') == found.etag.strip('"') for each in given.split(","))


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    text = headers.get(name)
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        raise StorageError("InvalidHeaderValue", f"{name} is not an HTTP date.") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC)

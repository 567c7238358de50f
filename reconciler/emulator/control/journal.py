"""The requests that the emulator received, for tests that say "no write was sent" or "one job was started".

Nothing secret is in it: no header, no body, and of a query only parameters that are known to hold none.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

Kind = Literal["read", "score", "write"]
Caller = Literal["client", "studio"]

_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One request.

    Attributes:
        number: counts from 1, in the order in which requests were done with.
        at: when it came, ISO 8601 in UTC.
        method: the HTTP method.
        path: as the server understood it, decoded.
        route: the path with a star for each name in it; empty for storage, whose paths are names alone.
        operation: what it asked for, such as ``batch.start``.
        query: the query's parameters, with ``***`` for values that may be secret.
        status: what the caller got; 0 if it got no answer.
        ms: how long the answer took, without the time that a fault added to its sending.
        kind: whether it only reads, scores rows, or changes something.
        caller: ``studio`` for what the emulator sends to itself.
        correlation: the caller's name for it (``x-ms-client-request-id``), or the service's if it gave none.
        fault: the rule that fired and its effect, ``rule-1: drop after``; empty if none did.
    """

    number: int
    at: str
    method: str
    path: str
    route: str
    operation: str
    query: str
    status: int
    ms: float
    kind: Kind
    caller: Caller
    correlation: str
    fault: str

    def on_wire(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return asdict(self)


class Journal:
    """The last requests, and counts of all.

    Args:
        remembered: how many are kept; older ones are forgotten, but stay in the totals.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._entries: deque[Entry] = deque(maxlen=remembered)
        self._totals: Counter[tuple[str, Kind, Caller]] = Counter()
        self._last = 0

    @property
    def last(self) -> int:
        """The number of the newest entry; 0 if there is none."""
        return self._last

    def add(self, **members: Any) -> Entry:
        """Record a request: the members of an entry, but for its number."""
        self._last += 1
        entry = Entry(number=self._last, **members)
        self._entries.append(entry)
        self._totals[entry.operation, entry.kind, entry.caller] += 1
        return entry

    def entries(
        self,
        after: int = 0,
        *,
        operation: str = "*",
        kind: Kind | None = None,
        caller: Caller | None = "client",
    ) -> list[Entry]:
        """Return the requests, oldest first.

        Args:
            after: only those with a higher number.
            operation: a glob.
            kind: only those of this kind.
            caller: only those of this caller; None for both.
        """
        return [
            entry
            for entry in self._newer(after)
            if (kind is None or entry.kind == kind)
            and (caller is None or entry.caller == caller)
            and fnmatchcase(entry.operation, operation)
        ]

    def newest(self) -> Iterator[Entry]:
        """Return all entries that are kept, the newest first."""
        return reversed(list(self._entries))

    def forgotten(self, after: int = 0) -> int:
        """Return how many entries with a number above `after` are no longer kept."""
        return max(0, self._last - len(self._entries) - after)

    def totals(self) -> Mapping[tuple[str, Kind, Caller], int]:
        """Return the number of requests of each operation, kind and caller since the start; none is forgotten."""
        return dict(self._totals)

    def _newer(self, after: int) -> Iterator[Entry]:
        # Its own list: the caller may be another thread than the one that adds.
        return (entry for entry in list(self._entries) if entry.number > after)

"""One request under way: what it asks for, and the faults that it meets."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from reconciler.emulator.faults.registry import ActiveRule
from reconciler.emulator.faults.rules import Rule

OWN_CALL_HEADER = "Studio-Own-Call"
"""A request that the emulator sends to itself carries it."""


@dataclass
class Visit:
    """A request.

    Attributes:
        operation: the name of what it asks for.
        caller: who sent it.
        fired: the rules that fired at it.
        met: the effects that it has met so far, for the journal.
        dropped: the connection is to be closed without a byte of reply.
        reset: likewise, with a reset.
    """

    operation: str
    caller: Literal["client", "studio"]
    fired: Sequence[ActiveRule] = ()
    met: list[str] = field(default_factory=list)
    dropped: bool = False
    reset: bool = False

    @property
    def rules(self) -> list[Rule]:
        """The rules that fired."""
        return [active.rule for active in self.fired]

    @property
    def changes_reply(self) -> bool:
        """Whether something happens to the reply, for which all of it must be at hand."""
        return bool(self.fired)


current: ContextVar[Visit | None] = ContextVar("the request under way", default=None)
"""That of the task which answers it; a middleware further out sets it for those further in."""


def reply_must_be_whole() -> bool:
    """Return whether the request that this task answers must not be answered piece by piece."""
    visit = current.get()
    return visit is not None and visit.changes_reply

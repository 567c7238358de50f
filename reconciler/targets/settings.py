"""The settings of a kind of target: one row of one table for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.plan.states import Scalar
from reconciler.spec.documents import Part


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that a spec may manage.

    Attributes:
        wire: Its name on the wire, in plans and in the store.
        field: Its attribute in the part of the document that holds the settings, and in what a client reads and writes.
        place: Where it is in a definition's properties; empty where the client has it as an attribute.
        trimmed: Whether blanks around its text make no difference.
    """

    wire: str
    field: str
    place: tuple[str, ...] = ()
    trimmed: bool = False

    def wanted(self, part: Part) -> Scalar:
        """Return what a spec says; None if it does not manage the setting."""
        value: Scalar = getattr(part, self.field)
        return value.strip() if self.trimmed and isinstance(value, str) else value


def managed(table: Iterable[Setting], part: Part) -> dict[str, Scalar]:
    """Return the settings that a spec manages, by their wire names."""
    return {setting.wire: value for setting in table if (value := setting.wanted(part)) is not None}

"""A document as a tree that knows where each value stands, built the same way from YAML and from JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.spec.diagnostics import Diagnostic, Position, field_path
from reconciler.spec.documents.rules import REFERENCE_FORMS
from reconciler.spec.secret_detection import looks_secret, shown

DEPTH_LIMIT = 64
NODE_LIMIT = 100_000
"""Values in one document with all aliases written out: far above any real one, far below an alias bomb."""

LITERAL_SECRET = "a literal secret"  # noqa: S105 - the words of a message


class Node:
    """A value, where it begins (from 1), and what it is made of."""

    __slots__ = ("column", "entries", "items", "line", "secret", "size", "text", "value")

    def __init__(self, value: Any, line: int, column: int, text: str = "") -> None:
        self.value = value
        self.line = line
        self.column = column
        self.text = text
        """How a number, boolean or date was written."""
        self.entries: dict[str, Entry] | None = None
        self.items: list[Node] | None = None
        self.size = 1
        self.secret = False

    def child(self, part: str | int) -> Node | None:
        """Return the value under a key or index, if there is one."""
        if self.entries is not None and isinstance(part, str):
            entry = self.entries.get(part)
            return entry.node if entry else None
        if self.items is not None and isinstance(part, int) and 0 <= part < len(self.items):
            return self.items[part]
        return None

    def at(self, path: Sequence[str | int]) -> Node | None:
        """Return the value at a path, if there is one."""
        node: Node | None = self
        for part in path:
            node = node.child(part) if node is not None else None
        return node


class Entry:
    """A key of a mapping: where it stands, and its value."""

    __slots__ = ("column", "line", "node")

    def __init__(self, line: int, column: int, node: Node) -> None:
        self.line = line
        self.column = column
        self.node = node


@dataclass(frozen=True, slots=True)
class Misread:
    """A plain value that YAML takes for something a spec has no use for, such as a date."""

    what: str


class Abandoned(Exception):
    """The rest of the document makes no sense; what was wrong has been reported."""


class TreeBuilder:
    """Builds the nodes of one file's documents and reports what is wrong with them on the way."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.diagnostics: list[Diagnostic] = []
        self.path: list[str | int] = []
        self._size = 0

    def begin(self) -> None:
        """Start a new document."""
        self.path.clear()
        self._size = 0

    def report(self, line: int, column: int, summary: str, detail: str = "", remedy: str = "") -> None:
        """Note an error at a place of this file, under the path that is being built."""
        self.diagnostics.append(
            Diagnostic(summary, Position(self.file, line, column), field_path(self.path), detail, remedy)
        )

    def abandon(self, line: int, column: int, summary: str, detail: str = "", remedy: str = "") -> Abandoned:
        """Note an error after which the document cannot be read on; raise what this returns."""
        self.report(line, column, summary, detail, remedy)
        return Abandoned()

    def grow(self, node_count: int, line: int, column: int) -> None:
        """Count values, with aliases written out."""
        self._size += node_count
        if self._size > NODE_LIMIT:
            raise self.abandon(
                line,
                column,
                f"the document has more than {NODE_LIMIT:,} values when its aliases are written out",
                remedy="write the values out, or split the document",
            )

    def deepen(self, line: int, column: int) -> None:
        """Refuse what is nested too deep; call it where a mapping or list begins."""
        if len(self.path) >= DEPTH_LIMIT:
            raise self.abandon(line, column, f"the document is nested more than {DEPTH_LIMIT} deep")

    def scalar(self, value: Any, line: int, column: int, text: str) -> Node:
        """Return a single value; a text that looks like a secret is reported here, wherever it stands."""
        node = Node(value, line, column, text)
        if isinstance(value, str) and looks_secret(value):
            node.secret = True
            self.report_secret(line, column)
        return node

    def report_secret(self, line: int, column: int) -> None:
        """Note a text that looks like a secret, without showing it."""
        self.report(
            line,
            column,
            LITERAL_SECRET + ": the text looks like a key, token, SAS or password (not shown)",
            f"allowed: a reference, {REFERENCE_FORMS}, in fields for secrets, and no secret elsewhere",
            "remove the secret and change it at the service: it may have been committed",
        )

    def mapping(self, line: int, column: int) -> Node:
        """Return an empty mapping."""
        node = Node({}, line, column)
        node.entries = {}
        return node

    def key(self, mapping: Node, name: str, line: int, column: int) -> None:
        """Check a key before its value is read: a second one of the same name, a secret."""
        assert mapping.entries is not None  # noqa: S101 - the builder made it
        if looks_secret(name):
            self.report_secret(line, column)
        if name in mapping.entries:
            first = mapping.entries[name]
            self.report(
                line,
                column,
                f"duplicate key {shown(name)}",
                f"it was first given at {Position(self.file, first.line, first.column)}",
                "keep one of them",
            )

    def enter(self, mapping: Node, name: str, line: int, column: int, value: Node) -> None:
        """Put a value under a key; of two the first stays."""
        assert mapping.entries is not None  # noqa: S101 - the builder made it
        if name not in mapping.entries:
            mapping.entries[name] = Entry(line, column, value)
            mapping.value[name] = value.value
        mapping.size += value.size

    def sequence(self, line: int, column: int) -> Node:
        """Return an empty list."""
        node = Node([], line, column)
        node.items = []
        return node

    def append(self, sequence: Node, value: Node) -> None:
        """Put a value at the end of a list."""
        assert sequence.items is not None  # noqa: S101 - the builder made it
        sequence.items.append(value)
        sequence.value.append(value.value)
        sequence.size += value.size

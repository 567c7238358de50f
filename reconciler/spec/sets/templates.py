"""A part of a document with placeholders, and what becomes of it for one item.

``{column}`` is the item's value, ``{column:03}`` a whole number with zeros before it, ``{column:n}`` a number, and
``{{`` and ``}}`` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from reconciler.spec.diagnostics import did_you_mean, join_names
from reconciler.spec.documents.rules import VERSION_PLACEHOLDER
from reconciler.spec.loading.nodes import Entry, Node, TreeBuilder
from reconciler.spec.secret_detection import shown
from reconciler.spec.sets.items import Item

_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
_PADDING = re.compile(r"0?[0-9]{1,2}\Z")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")
_FORMS = "{column}, {column:03} for a whole number with zeros before it, {column:n} for a number"

Fill = Callable[[Item], Any]


class Unfit(Exception):
    """An item's value does not fit a placeholder. The message says which and why."""


class Template:
    """A template, made once and filled for each item.

    Args:
        node: Where the template stands.
        columns: What its placeholders may name.
        own: Placeholders that are left as they are.
        builder: Takes what is wrong with the placeholders.
        path: The template's own path in the document, for messages.
    """

    def __init__(
        self,
        node: Node,
        columns: Collection[str],
        builder: TreeBuilder,
        path: tuple[str, ...],
        own: Collection[str] = (),
    ) -> None:
        self._node = node
        self._columns = columns
        self._own = own
        self._builder = builder
        builder.path[:] = path
        self._fill, self.varies = self._compiled(node)
        builder.path.clear()

    def filled(self, item: Item) -> Any:
        """Return the plain value for an item.

        Raises:
            Unfit: a value cannot be what its placeholder wants.
        """
        return self._fill(item)

    def node(self, item: Item) -> Node:
        """Return the same as nodes, for messages. A line that an item filled in is negated."""
        return self._node_of(self._node, item)

    def pattern(self, *path: str) -> re.Pattern[str]:
        """Return what the text at a path can become, whatever the items are."""
        node = self._node.at(path)
        text = node.value if node is not None and isinstance(node.value, str) else ""
        parts = [re.escape(part) if fixed else ".+" for part, fixed in self._parts(text)]
        return re.compile("".join(parts))

    def length(self, *path: str | int) -> int:
        """How many items the list at a path has; 0 if there is none."""
        node = self._node.at(path)
        return len(node.items or ()) if node is not None else 0

    def fixed(self, *path: str | int) -> str | None:
        """Return the text at a path if it is the same for all items."""
        node = self._node.at(path)
        if node is None or not isinstance(node.value, str):
            return None
        parts = list(self._parts(node.value))
        return "".join(part for part, _ in parts) if all(fixed for _, fixed in parts) else None

    # -- compiling

    def _compiled(self, node: Node) -> tuple[Fill, bool]:
        """Return a function from an item to the value, and whether it depends on the item."""
        if node.entries is not None:
            return self._mapping(node.entries)
        if node.items is not None:
            return self._list(node.items)
        value = node.value
        return self._text(node, value) if isinstance(value, str) else (lambda _: value, False)

    def _mapping(self, entries: dict[str, Entry]) -> tuple[Fill, bool]:
        constant: dict[str, Any] = {}
        varying: list[tuple[str, Fill]] = []
        path = self._builder.path
        for name, entry in entries.items():
            path.append(name)
            fill, varies = self._compiled(entry.node)
            path.pop()
            constant[name] = None if varies else fill(_NOBODY)
            if varies:
                varying.append((name, fill))
        if not varying:
            return lambda _: constant, False
        return lambda item: {**constant, **{name: fill(item) for name, fill in varying}}, True

    def _list(self, items: list[Node]) -> tuple[Fill, bool]:
        path = self._builder.path
        parts: list[Fill] = []
        varies = False
        for index, node in enumerate(items):
            path.append(index)
            fill, differs = self._compiled(node)
            path.pop()
            parts.append(fill)
            varies = varies or differs
        if not varies:
            constant = [fill(_NOBODY) for fill in parts]
            return lambda _: constant, False
        return lambda item: [fill(item) for fill in parts], True

    def _text(self, node: Node, text: str) -> tuple[Fill, bool]:
        if "{" not in text and "}" not in text:
            return lambda _: text, False
        if "{" in (lonely := _TOKEN.sub("", text)) or "}" in lonely:
            self._builder.report(
                node.line, node.column, "unbalanced brace",
                f"allowed: {_FORMS}", "write {{ and }} for literal braces",
            )  # fmt: skip
        parts = [(part, fixed) for part, fixed in self._parts(text) if fixed or self._known(part, text, node)]
        if all(fixed for _, fixed in parts):
            constant = "".join(part for part, _ in parts)
            return lambda _: constant, False
        fills = [_constant(part) if fixed else _filler(part) for part, fixed in parts]
        if len(fills) == 1:
            return fills[0], True
        return lambda item: "".join([fill(item) for fill in fills]), True

    def _parts(self, text: str) -> Iterator[tuple[str, bool]]:
        """Return the text in pieces: (fixed text, True), (what is in a placeholder's braces, False)."""
        last = 0
        for found in _TOKEN.finditer(text):
            if found.start() > last:
                yield text[last : found.start()], True
            last = found.end()
            token = found.group()
            if token in {"{{", "}}"}:
                yield token[0], True
            elif token in self._own:
                yield token, True
            else:
                yield token[1:-1], False
        if last < len(text):
            yield text[last:], True

    def _known(self, part: str, text: str, node: Node) -> bool:
        """Whether a placeholder names a column in a form that there is; if not, that is reported."""
        column, _, form = part.partition(":")
        place = node.line, node.column
        if column not in self._columns:
            self._builder.report(
                *place,
                f"the placeholder {shown('{' + part + '}')} is not a column of the set",
                f"columns: {join_names(self._columns) or 'none'}"
                + (f"; {VERSION_PLACEHOLDER} is the label" * bool(self._own)),
                did_you_mean(column, self._columns) or "write {{ and }} for literal braces",
            )
            return False
        if form and form != "n" and not _PADDING.match(form):
            self._builder.report(
                *place, f"the placeholder {shown('{' + part + '}')} has an unknown form", f"allowed: {_FORMS}"
            )
            return False
        if form == "n" and text != f"{{{part}}}":
            self._builder.report(*place, f"the placeholder {{{column}:n}} has other text beside it",
                                 "a number stands alone", f"write {{{column}}}, or {{{column}:n}} alone")  # fmt: skip
            return False
        return True

    # -- for messages

    def _node_of(self, node: Node, item: Item) -> Node:
        if node.entries is not None:
            made = Node({}, node.line, node.column)
            made.entries = {}
            for name, entry in node.entries.items():
                child = self._node_of(entry.node, item)
                made.entries[name] = Entry(entry.line, entry.column, child)
                made.value[name] = child.value
            return made
        if node.items is not None:
            made = Node([], node.line, node.column)
            made.items = [self._node_of(each, item) for each in node.items]
            made.value.extend(each.value for each in made.items)
            return made
        if isinstance(node.value, str):
            fill, varies = self._text(node, node.value)
            if varies:
                value = fill(item)
                return Node(value, -node.line, node.column, str(value))
        return node


def merged(base: Node, over: Node) -> Node:
    """Return a template with an override: mappings are merged, all else replaces, null takes out."""
    if base.entries is None or over.entries is None:
        return over
    made = Node({}, base.line, base.column)
    made.entries = dict(base.entries)
    for name, entry in over.entries.items():
        below = base.entries.get(name)
        if entry.node.value is None and entry.node.entries is None:
            made.entries.pop(name, None)
        elif below is not None:
            made.entries[name] = Entry(entry.line, entry.column, merged(below.node, entry.node))
        else:
            made.entries[name] = entry
    made.value.update({name: entry.node.value for name, entry in made.entries.items()})
    return made


def _constant(text: str) -> Fill:
    return lambda _: text


def _filler(part: str) -> Fill:
    column, _, form = part.partition(":")
    if not form:
        return lambda item: item.values[column]
    if form == "n":
        return lambda item: _number(item, column)
    width = int(form)
    return lambda item: _padded(item, column, width)


def _padded(item: Item, column: str, width: int) -> str:
    text = item.values[column]
    if not text.isascii() or not text.isdigit():
        raise Unfit(f"{shown(text)} in column {column} is not a whole number, which {{{column}:{width:02}}} requires")
    return text.lstrip("0").rjust(width, "0") if width else text


def _number(item: Item, column: str) -> int | float:
    known = item.numbers.get(column)
    if isinstance(known, int | float) and not isinstance(known, bool):
        return known
    text = item.values[column]
    if not _NUMBER.match(text):
        raise Unfit(f"{shown(text)} in column {column} is not a number, which {{{column}:n}} requires")
    return float(text) if "." in text else int(text)


_NOBODY: Any = None
"""Given to what does not depend on the item."""

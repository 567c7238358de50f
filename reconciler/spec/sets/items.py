"""The items of an EndpointSet: the rows of a CSV, of a list, or of a range of numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from reconciler.spec.diagnostics import Diagnostic, Position, did_you_mean, join_names
from reconciler.spec.documents import EndpointSet
from reconciler.spec.documents.endpoint_set import MOST_ITEMS, RANGE_COLUMN, ItemRange
from reconciler.spec.loading.files import read
from reconciler.spec.loading.nodes import LITERAL_SECRET, Node
from reconciler.spec.secret_detection import looks_secret, shown

Value: TypeAlias = str | int | float | bool
_IN_PLACEHOLDERS = frozenset("{}:")


@dataclass(frozen=True, slots=True)
class Item:
    """One item: what names it, where it stands, and its value in each column."""

    key: str
    position: Position
    values: Mapping[str, str]
    numbers: Mapping[str, Value]
    """The values that are not texts."""


@dataclass(frozen=True, slots=True)
class Table:
    """The items of a set. ``columns`` is empty when nobody knows them, which has been reported."""

    columns: tuple[str, ...]
    items: tuple[Item, ...]


class ItemReader:
    """Reads one set's items; errors are added to ``diagnostics``, and the items without one are kept."""

    def __init__(self, document: EndpointSet, root: Node, file: Path, diagnostics: list[Diagnostic]) -> None:
        self._spec = document.spec
        self._root = root
        self._file = file
        self._diagnostics = diagnostics
        self._key = document.spec.key

    def read(self) -> Table:
        """Return the columns and the items."""
        items = self._spec.items
        if items.csv is not None:
            return self._csv(items.csv)
        if items.range_ is not None:
            return self._range(items.range_)
        return self._list()

    # -- the forms

    def _csv(self, path: str) -> Table:
        file = self._file.parent / path
        found: list[Diagnostic] = []
        if not file.exists():
            place = self._place("spec", "items", "csv")
            near = did_you_mean(file.name, _neighbours(file))
            self._report("the CSV file does not exist", place, "spec.items.csv", f"looked for {file}", near)
            return Table((), ())
        if file.is_dir():
            self._report("a directory is not a CSV file", self._place("spec", "items", "csv"), "spec.items.csv",
                         f"found {file}", "name a file in the directory")  # fmt: skip
            return Table((), ())
        text = read(file, found).text
        self._diagnostics.extend(found)
        if text is None:
            return Table((), ())
        rows = self._rows(file, text)
        place, columns = next(rows, (Position(file, 1, 1), ()))
        if not columns:
            self._report(
                "the CSV is empty", place, detail="allowed: a header with the column names, and one row for each item"
            )
            return Table((), ())
        key = self._key_column(columns, place)
        if not self._good_header(columns, place) or key is None:
            return Table((), ())
        return Table(columns, tuple(self._unique(self._items(columns, key, rows))))

    def _rows(self, file: Path, text: str) -> Iterator[tuple[Position, tuple[str, ...]]]:
        """Return the rows that are not empty, each with the line that it begins in."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        begin = 1
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield Position(file, begin, 1), tuple(cell.strip() for cell in row)
                begin = reader.line_num + 1
        except csv.Error as error:
            self._report(f"not valid CSV: {error}", Position(file, begin, 1), remedy='quote with ", as in "a, b"')

    def _good_header(self, columns: tuple[str, ...], place: Position) -> bool:
        before = len(self._diagnostics)
        seen: set[str] = set()
        for number, column in enumerate(columns, 1):
            if not column:
                self._report(f"column {number} has no name", place, remedy="name it in the header")
            elif _IN_PLACEHOLDERS & set(column):
                self._report(f"the column {shown(column)} has a brace or a colon in its name", place,
                             "", "placeholders cannot refer to such a name", "rename it")  # fmt: skip
            elif column in seen:
                self._report(f"duplicate column {shown(column)}", place, remedy="rename one of them")
            seen.add(column)
        if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
            self._report("the header has one column", place, remedy="separate columns with commas")
        return len(self._diagnostics) == before

    def _items(
        self, columns: tuple[str, ...], key: str, rows: Iterator[tuple[Position, tuple[str, ...]]]
    ) -> Iterator[Item]:
        index = columns.index(key)
        for count, (place, row) in enumerate(rows, 1):
            if count > MOST_ITEMS:
                self._report(f"a set has at most {MOST_ITEMS:,} items", place, remedy="split the set")
                return
            if len(row) != len(columns):
                what = f"the row has {len(row)} values, the header names {len(columns)} columns"
                self._report(what, place, detail=f"columns: {join_names(columns)}")
            elif not row[index]:
                self._report(f"the row has no {shown(key)}, which names its item", place)
            elif self._no_secret(row, place):
                yield Item(row[index], place, dict(zip(columns, row, strict=True)), {})

    def _range(self, given: ItemRange) -> Table:
        place = self._place("spec", "items", "range")
        if self._key_column((RANGE_COLUMN,), place) is None:
            return Table((), ())
        numbers = range(given.from_, given.to + 1, given.step)
        items = (Item(f"{number:0{given.pad}}", place, {RANGE_COLUMN: f"{number:0{given.pad}}"}, {RANGE_COLUMN: number})
                 for number in numbers)  # fmt: skip
        return Table((RANGE_COLUMN,), tuple(items))

    def _list(self) -> Table:
        node = self._root.at(("spec", "items", "list"))
        nodes = (node.items if node is not None else None) or []
        if not nodes:
            return Table((), ())
        columns = tuple(nodes[0].entries or ())
        place = Position(self._file, nodes[0].line, nodes[0].column)
        key = self._key_column(columns, place)
        if not self._good_header(columns, place) or key is None:
            return Table((), ())
        return Table(columns, tuple(self._unique(self._listed(columns, key, nodes))))

    def _listed(self, columns: tuple[str, ...], key: str, nodes: list[Node]) -> Iterator[Item]:
        for index, node in enumerate(nodes):
            place = Position(self._file, node.line, node.column)
            entries = node.entries or {}
            if set(entries) != set(columns):
                differing = join_names(sorted(set(entries) ^ set(columns)))
                what = f"the item has other columns than the first item: {differing}"
                self._report(what, place, f"spec.items.list[{index}]", f"columns: {join_names(columns)}")
                continue
            values = {name: _text(entry.node) for name, entry in entries.items()}
            numbers = {
                name: entry.node.value for name, entry in entries.items() if not isinstance(entry.node.value, str)
            }
            if values[key]:
                yield Item(values[key], place, values, numbers)
            else:
                self._report(f"the item has no {shown(key)}, which names it", place, f"spec.items.list[{index}]")

    # -- what they share

    def _key_column(self, columns: tuple[str, ...], place: Position) -> str | None:
        if self._key is None:
            return columns[0] if columns else None
        if self._key in columns:
            return self._key
        where = self._place("spec", "key")
        columns_there = f"columns at {place}: {join_names(columns)}"
        guess = did_you_mean(self._key, columns)
        self._report(f"{shown(self._key)} is not a column", where, "spec.key", columns_there, guess)
        return None

    def _unique(self, items: Iterator[Item]) -> Iterator[Item]:
        first: dict[str, Position] = {}
        for item in items:
            earlier = first.setdefault(item.key, item.position)
            if earlier is item.position:
                yield item
            else:
                self._report(f"duplicate item {shown(item.key)}", item.position, "",
                             f"the first is at {earlier}", "remove one of them")  # fmt: skip

    def _no_secret(self, row: tuple[str, ...], place: Position) -> bool:
        if not any(map(looks_secret, row)):
            return True
        self._report(f"{LITERAL_SECRET}: a value looks like a key, token, SAS or password (not shown)", place, "",
                     "allowed: names of variables, files or secrets, for references such as {env: NAME_{item}}",
                     "remove the secret and change it at the service: it may have been committed")  # fmt: skip
        return False

    def _place(self, *path: str) -> Position:
        node = self._root.at(path) or self._root
        return Position(self._file, node.line, node.column)

    def _report(self, summary: str, place: Position, field: str = "", detail: str = "", remedy: str = "") -> None:
        self._diagnostics.append(Diagnostic(summary, place, field, detail, remedy))


def _text(node: Node) -> str:
    """Return a value as it was written: 007 stays 007."""
    return node.value if isinstance(node.value, str) else node.text


def _neighbours(file: Path) -> list[str]:
    try:
        return [each.name for each in file.parent.iterdir()]
    except OSError:
        return []

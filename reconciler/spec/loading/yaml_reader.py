"""YAML text to documents with positions, from the parser's events.

The events are taken one by one, because PyYAML's C composer recurses on the C stack and crashes the process on
input that is nested deep enough. After a syntax error reading goes on at the next ``---``, which cannot be part of
any value, so that the errors of all documents of a file are found at once.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml
from yaml import events, nodes

from reconciler.spec.loading.nodes import Abandoned, Misread, Node, TreeBuilder
from reconciler.spec.secret_detection import shown

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)
LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_STRING_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_TRUE = frozenset({"yes", "true", "on"})
_ADVICE = {
    "mapping values are not allowed": "quote a text that contains ': '; or the indentation of this line is wrong",
    "did not find expected key": "the indentation of this line differs from that of the lines before it",
    "could not find expected ':'": "add a ':' after the key",
}


class YamlReader:
    """Reads the documents of one YAML text."""

    def __init__(self, builder: TreeBuilder) -> None:
        self._builder = builder
        self._anchors: dict[str, Node] = {}
        self._open_anchors: set[str] = set()
        self._brackets: list[tuple[str, int, int]] = []
        """The brackets that are open, and where."""
        self._parser: Any = None
        self._offset = 0
        self._document_line = -1
        self._failed_line = 0
        self.lost: list[str] = []
        """The text of each document that could not be read."""

    def documents(self, text: str) -> Iterator[Node]:
        """Return the documents that can be read; everything else is reported to the builder."""
        self._offset = 0
        yield from self._parse(text)
        if self._parser is not None:
            return
        # The C parser counts "\r", NEL and the Unicode separators as line ends too; a text that has them can only
        # go on at a marker that is a little too late.
        markers = [found.start() for found in _MARKER.finditer(text)]
        lines = _line_numbers(text, markers)
        index = bisect.bisect_left(lines, max(self._failed_line, self._document_line + 1))
        begin = markers[bisect.bisect_right(lines, self._document_line) - 1] if self._document_line in lines else 0
        self.lost.append(text[begin : markers[index] if index < len(markers) else len(text)])
        for here in range(index, len(markers)):
            chunk = text[markers[here] : markers[here + 1] if here + 1 < len(markers) else len(text)]
            self._offset = lines[here]
            yield from self._parse(chunk)
            if self._parser is None:
                self.lost.append(chunk)

    def _parse(self, text: str) -> Iterator[Node]:
        """Documents up to the first that cannot be read; `_parser` is None after that, and `_failed_line` set."""
        parser = self._parser = _Loader(text)
        self._document_line = -1
        self._failed_line = self._offset
        try:
            while True:
                event = parser.get_event()
                if isinstance(event, events.StreamEndEvent):
                    break
                if not isinstance(event, events.DocumentStartEvent):
                    continue
                self._document_line = self._place(event)[0] - 1 if event.explicit else -1
                self._builder.begin()
                self._anchors.clear()
                self._open_anchors.clear()
                self._brackets.clear()
                first = parser.get_event()
                self._failed_line = self._place(first)[0] - 1
                node = self._node(first)
                while not isinstance(parser.get_event(), events.DocumentEndEvent):
                    pass  # there is nothing between a document's value and its end
                yield node
        except Abandoned:
            self._parser = None
        except yaml.YAMLError as error:
            self._syntax_error(error, text)
            self._parser = None
        finally:
            parser.dispose()

    def _syntax_error(self, error: yaml.YAMLError, text: str) -> None:
        marked = error if isinstance(error, yaml.MarkedYAMLError) else yaml.MarkedYAMLError()
        mark = marked.problem_mark or marked.context_mark
        line, column = _within(text, mark.line, mark.column) if mark else (0, 0)
        problem = marked.problem or "the file cannot be read"
        self._builder.path.clear()
        self._failed_line = self._offset + line
        if "cannot start any token" in problem and _line(text, line)[column : column + 1] == "\t":
            self._builder.report(
                self._failed_line + 1, column + 1, "a tab is used for indentation", remedy="indent with spaces"
            )
            return
        detail = ""
        if self._brackets:
            bracket, *place = self._brackets[-1]
            detail = "within the {!r} at line {}, column {}".format(bracket, *place)
        elif marked.context and marked.context_mark:
            opened = marked.context_mark
            detail = f"{marked.context} at line {self._offset + opened.line + 1}, column {opened.column + 1}"
        advice = next((advice for sign, advice in _ADVICE.items() if sign in problem), "")
        self._builder.report(self._failed_line + 1, column + 1, f"not valid YAML: {problem}", detail, advice)

    def _place(self, event: Any) -> tuple[int, int]:
        mark = event.start_mark
        return self._offset + mark.line + 1, mark.column + 1

    def _node(self, event: events.Event) -> Node:
        line, column = self._place(event)
        self._failed_line = line - 1
        if isinstance(event, events.AliasEvent):
            return self._alias(event, line, column)
        self._builder.grow(1, line, column)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._open_anchors.add(anchor)
        if isinstance(event, events.ScalarEvent):
            node = self._scalar(event, line, column)
        elif isinstance(event, events.MappingStartEvent):
            node = self._mapping(event, line, column)
        else:
            node = self._sequence(event, line, column)
        if anchor is not None:
            self._open_anchors.discard(anchor)
            self._anchors[anchor] = node
        return node

    def _alias(self, event: events.AliasEvent, line: int, column: int) -> Node:
        name = str(event.anchor)
        node = self._anchors.get(name)
        if name in self._open_anchors:
            raise self._builder.abandon(
                line, column, f"the alias {shown(name)} refers to a value that contains the alias"
            )
        if node is None:
            self._builder.report(
                line, column, f"unknown alias {shown(name)}", remedy="quote a text that begins with '*'"
            )
            return Node(None, line, column)
        self._builder.grow(node.size, line, column)
        return node

    def _scalar(self, event: events.ScalarEvent, line: int, column: int) -> Node:
        text: str = event.value
        if event.tag is None and event.implicit[0]:
            return self._builder.scalar(meaning_of_plain(text), line, column, text)
        self._check_tag(event, line, column)
        return self._builder.scalar(text, line, column, text)

    def _check_tag(self, event: Any, line: int, column: int) -> None:
        if event.tag is not None and event.tag not in _STRING_TAGS:
            name = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._builder.report(
                line, column, f"the YAML tag {shown(name)} is not supported", "allowed: !!str, or no tag"
            )

    def _mapping(self, event: events.MappingStartEvent, line: int, column: int) -> Node:
        builder = self._builder
        builder.deepen(line, column)
        self._check_tag(event, line, column)
        mapping = builder.mapping(line, column)
        if event.flow_style:
            self._brackets.append(("{", line, column))
        get_event = self._parser.get_event
        while not isinstance(key := get_event(), events.MappingEndEvent):
            key_line, key_column = self._place(key)
            name = self._key(key, key_line, key_column)
            if name is not None:
                builder.key(mapping, name, key_line, key_column)
            builder.path.append(name if name is not None else "?")
            value = self._node(get_event())
            builder.path.pop()
            if name is not None:
                builder.enter(mapping, name, key_line, key_column, value)
        if event.flow_style:
            self._brackets.pop()
        return mapping

    def _key(self, event: events.Event, line: int, column: int) -> str | None:
        """Return the name of a key; None when its entry has to be left out, which has been reported then."""
        if not isinstance(event, events.ScalarEvent):
            self._builder.path.append("?")
            self._node(event)
            self._builder.path.pop()
            self._builder.report(line, column, "a key must be a text", "found a mapping, a list or an alias")
            return None
        text: str = event.value
        if event.tag is not None or not event.implicit[0]:
            self._check_tag(event, line, column)
            return text
        value = meaning_of_plain(text)
        if text == "<<":
            self._builder.report(
                line,
                column,
                "merge keys ('<<') are not supported",
                remedy="write the fields out; an alias (*name) may stand for a whole value",
            )
            return None
        if not isinstance(value, str):
            self._builder.report(
                line,
                column,
                f"a key must be a text; YAML reads this one as {kind_of(value)}",
                remedy=f'quote it: "{text}"',
            )
        return text

    def _sequence(self, event: Any, line: int, column: int) -> Node:
        builder = self._builder
        builder.deepen(line, column)
        self._check_tag(event, line, column)
        sequence = builder.sequence(line, column)
        if event.flow_style:
            self._brackets.append(("[", line, column))
        get_event = self._parser.get_event
        index = 0
        while not isinstance(item := get_event(), events.SequenceEndEvent):
            builder.path.append(index)
            builder.append(sequence, self._node(item))
            builder.path.pop()
            index += 1
        if event.flow_style:
            self._brackets.pop()
        return sequence


@lru_cache(maxsize=8192)
def meaning_of_plain(text: str) -> Any:
    """Return what YAML 1.1 takes an unquoted scalar for: a text, number, boolean, None, or something to `Misread`."""
    tag = _RESOLVER.resolve(nodes.ScalarNode, text, (True, False))
    what = tag.rpartition(":")[2]
    if what == "null":
        return None
    if what == "bool":
        return text.lower() in _TRUE
    if what == "timestamp":
        return Misread("a date")
    if what in {"int", "float"}:
        node = nodes.ScalarNode(tag, text)
        try:
            read = _CONSTRUCTOR.construct_yaml_int if what == "int" else _CONSTRUCTOR.construct_yaml_float
            return read(node)
        except (ValueError, OverflowError):
            return Misread("a number")
    return text


def kind_of(value: Any) -> str:
    """Return what a value is, for a message."""
    if isinstance(value, Misread):
        return value.what
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "a text"


def _line(text: str, number: int) -> str:
    """Return the line of this number (from 0)."""
    return text.split("\n", number + 1)[number] if number <= text.count("\n") else ""


def _within(text: str, line: int, column: int) -> tuple[int, int]:
    """Return a place, or the end of the text if the C parser saw an open bracket end beyond it."""
    last = len(LINE_END.findall(text))
    return (line, column) if line <= last else (last, len(LINE_END.split(text)[-1]))


def _line_numbers(text: str, offsets: list[int]) -> list[int]:
    """Return the line (from 0) of each offset, in one walk over the text."""
    numbers: list[int] = []
    line = last = 0
    for offset in offsets:
        line += text.count("\n", last, offset)
        last = offset
        numbers.append(line)
    return numbers

"""JSON text to a document with positions."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator

from reconciler.bounded_json import NestedTooDeep, read_json
from reconciler.spec.loading.nodes import DEPTH_LIMIT, Abandoned, Node, TreeBuilder

_TOKEN = re.compile(r'[{}\[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+')
_CONSTANTS = frozenset({"NaN", "Infinity", "-Infinity"})
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEWLINE = re.compile("\n")


class JsonReader:
    """Reads the one document of a JSON text.

    The standard library's decoder says whether it is JSON; after that a plain walk over the tokens suffices to
    find where each value stands, and its numbers and escapes are decoded by the same decoder.
    """

    def __init__(self, builder: TreeBuilder) -> None:
        self._builder = builder
        self._starts: list[int] = []
        self._tokens: Iterator[re.Match[str]] = iter(())
        self.lost: list[str] = []
        """The text of each document that could not be read."""

    def documents(self, text: str) -> Iterator[Node]:
        """Return the document, if it can be read; everything else is reported to the builder."""
        self._builder.begin()
        if not text.strip():
            return
        self._starts = [0, *(found.end() for found in _NEWLINE.finditer(text))]
        try:
            self._check(text)
            self._tokens = _TOKEN.finditer(text)
            yield self._node(next(self._tokens))
        except Abandoned:
            self.lost.append(text)

    def _check(self, text: str) -> None:
        try:
            read_json(text, deepest=DEPTH_LIMIT)
        except json.JSONDecodeError as error:
            raise self._builder.abandon(error.lineno, error.colno, f"not valid JSON: {error.msg}") from None
        except NestedTooDeep as error:
            summary = f"the document is nested more than {DEPTH_LIMIT} deep"
            raise self._builder.abandon(error.line, error.column, summary) from None
        except ValueError:  # the interpreter's limit on the digits of a whole number
            raise self._builder.abandon(1, 1, "a number in the document has too many digits") from None

    def _place(self, token: re.Match[str]) -> tuple[int, int]:
        line = bisect.bisect_right(self._starts, token.start())
        return line, token.start() - self._starts[line - 1] + 1

    def _node(self, token: re.Match[str]) -> Node:
        builder = self._builder
        line, column = self._place(token)
        builder.grow(1, line, column)
        text = token.group()
        if text == "{":
            builder.deepen(line, column)
            return self._mapping(line, column)
        if text == "[":
            builder.deepen(line, column)
            return self._sequence(line, column)
        if text in _CONSTANTS:  # the decoder takes them, though JSON has none of them
            builder.report(line, column, f"{text} is not a JSON value")
            return Node(None, line, column, text)
        value = json.loads(text)
        if isinstance(value, str):
            self._check_text(value, line, column)
        return builder.scalar(value, line, column, text)

    def _check_text(self, text: str, line: int, column: int) -> None:
        if _SURROGATE.search(text):
            raise self._builder.abandon(line, column, "the text has half of a surrogate pair, which is not a character")

    def _mapping(self, line: int, column: int) -> Node:
        builder = self._builder
        mapping = builder.mapping(line, column)
        while (token := next(self._tokens)).group() != "}":
            if token.group() == ",":
                continue
            name: str = json.loads(token.group())
            place = self._place(token)
            self._check_text(name, *place)
            builder.key(mapping, name, *place)
            next(self._tokens)
            builder.path.append(name)
            value = self._node(next(self._tokens))
            builder.path.pop()
            builder.enter(mapping, name, *place, value)
        return mapping

    def _sequence(self, line: int, column: int) -> Node:
        builder = self._builder
        sequence = builder.sequence(line, column)
        index = 0
        while (token := next(self._tokens)).group() != "]":
            if token.group() == ",":
                continue
            builder.path.append(index)
            builder.append(sequence, self._node(token))
            builder.path.pop()
            index += 1
        return sequence

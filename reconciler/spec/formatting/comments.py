"""A YAML text as documents that keep their comments, each with the entry that it speaks of.

PyYAML throws comments away, and ruamel.yaml, which keeps them, loses those within braces and moves others when entries
change places (tried with 0.19). Here every comment is found in the gaps between the parser's events, and belongs to
what a reader would say: a comment on lines of its own to the entry below it, or to the end of the list or mapping that
it is indented as deep as; a comment at the end of a line to what stands on that line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from yaml import events

from reconciler.spec.loading.yaml_reader import LINE_END, meaning_of_plain

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PROPERTY = re.compile(r"[&!][^\s,\[\]{}]*")
_SPACES = re.compile(r"(?:\s|#[^\r\n]*)*")
_UNUSUAL_END = re.compile("[\r\x85\u2028\u2029]")

_DASH = len("- ")
BLANK = ""
"""A blank line among comment lines."""


@dataclass(slots=True)
class Scalar:
    """A single value. ``plain`` is how a number, true, false or null is written; None for a text, which is ``text``."""

    text: str
    plain: str | None = None
    block: tuple[str, ...] = ()
    """A text that is written below its key: ``|`` or ``>`` with its chomping sign, then its lines, not indented."""
    anchor: str | None = None


@dataclass(slots=True)
class Alias:
    """Stands for the value of that anchor."""

    name: str


@dataclass(slots=True)
class Collection:
    """A mapping or a list. ``flow``: whether it is written in braces or brackets."""

    mapping: bool
    items: list[Item] = field(default_factory=list)
    flow: bool = False
    after: list[str] = field(default_factory=list)
    """Comment lines at its end."""
    anchor: str | None = None


Value: TypeAlias = Scalar | Alias | Collection


@dataclass(slots=True)
class Item:
    """An entry of a mapping, or an element of a list (without a key)."""

    value: Value
    key: str | None = None
    before: list[str] = field(default_factory=list)
    """Comment lines above it."""
    beside: str = ""
    """The comment at the end of its first line."""


@dataclass(slots=True)
class CommentedDocument:
    """One document. ``head`` are the comment lines above its first entry."""

    root: Collection
    head: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Line:
    """A comment or a blank line that waits for what it belongs to. ``column`` counts from 0."""

    text: str
    column: int = 0


class CommentedReader:
    """Reads a text that is known to be valid: `reconciler.spec.loading.loader` has found no error in it.

    A line end of it is one character.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = len(text.rstrip())
        self._parser: Any = None
        self._at = 0
        """Up to where the text has been looked through for comments."""
        self._waiting: list[_Line] = []
        self._latest: Item | None = None
        """What was read last: a comment on the same line is its."""
        self.comments: list[str] = []
        """All of them, in the order of the text."""
        self.rest: list[str] = []
        """Comment lines of a text that has no documents."""

    def documents(self) -> list[CommentedDocument]:
        """Return the documents that are not empty."""
        self._parser = _Loader(self._text)
        try:
            return list(self._documents())
        finally:
            self._parser.dispose()

    def _documents(self) -> Iterator[CommentedDocument]:
        last: CommentedDocument | None = None
        while not isinstance(event := self._next(), events.StreamEndEvent):
            if not isinstance(event, events.DocumentStartEvent):
                continue
            if event.explicit:
                self._prologue(event)
            self._latest = None
            first = self._next()
            head = [] if isinstance(first, events.ScalarEvent) else self._taken()
            root = self._value(first, None)
            if not isinstance(root, Collection):
                continue  # Nothing, or null: its comments stand above the next document.
            last = CommentedDocument(root, head)
            self._until(self._parser.peek_event().start_mark.index)  # What is before its end mark belongs to it.
            root.after += self._taken()
            yield last
        (self.rest if last is None else last.root.after).extend(self._taken())

    def _next(self) -> Any:
        """Return the next event. Comments before it are waiting then."""
        event = self._parser.get_event()
        self._until(event.start_mark.index)
        return event

    def _until(self, index: int) -> None:
        """Look through the text up to here, in which there are but comments, spaces and indicators."""
        if index <= self._at:
            return
        gap, self._at = self._text[self._at : index], index
        begin = index - len(gap)
        for number, line in enumerate(LINE_END.split(gap)):
            mark, hash_sign, comment = line.partition("#")
            if hash_sign:
                text = ("#" + comment).rstrip()
                whole = number > 0 or _begins_line(self._text, begin)
                self._found(text, mark, len(mark), whole=whole)
            elif number > 0 and not mark.strip() and begin + len(line) < index:
                self._blank()
            begin += len(line) + 1

    def _blank(self) -> None:
        if not self._waiting or self._waiting[-1].text != BLANK:
            self._waiting.append(_Line(BLANK))

    def _found(self, text: str, mark: str, column: int, *, whole: bool) -> None:
        """Sort in a comment, before which ``mark`` stands in the gap."""
        self.comments.append(text)
        of_the_next = "-" in mark or "?" in mark or mark.strip() == "..."
        beside = self._latest is not None and not of_the_next and (not whole or bool(mark.strip()))
        if not beside or self._latest is None:
            self._waiting.append(_Line(text, column))
        elif self._latest.beside:
            self._latest.before.append(text)
        else:
            self._latest.beside = text

    def _taken(self) -> list[str]:
        """All that waits."""
        lines = [line.text for line in self._waiting]
        self._waiting.clear()
        return lines

    def _prologue(self, event: Any) -> None:
        """Return the comments among a document's directives; the directives themselves do not matter."""
        end = event.end_mark.index
        text, self._at = self._text[self._at : end].removesuffix("---"), end
        for line in LINE_END.split(text):
            if "#" in line:
                self._latest = None
                self._found(line[line.index("#") :].rstrip(), "", 0, whole=True)

    # -- values

    def _value(self, event: Any, item: Item | None) -> Value:
        """Return the value that begins with this event. ``item`` is what holds it."""
        kind = type(event)
        if kind is events.AliasEvent:
            self._at = event.end_mark.index
            return Alias(event.anchor)
        if kind is events.ScalarEvent:
            return self._scalar(event, item)
        collection = Collection(
            mapping=isinstance(event, events.MappingStartEvent), flow=bool(event.flow_style), anchor=event.anchor
        )
        self._skip_properties(event)
        if collection.flow:
            self._at = max(self._at, event.end_mark.index)
        # A list begins with its first dash, unless an anchor stands before that.
        known = not collection.mapping and event.anchor is None and event.tag is None
        self._fill(collection, item, event.start_mark.column if known else None)
        return collection

    def _skip_properties(self, event: Any) -> None:
        """Pass the anchor and the tag, between which and the value there may be comments."""
        while found := _PROPERTY.match(self._text, self._at, max(event.end_mark.index, self._at)):
            self._at = found.end()
            if (rest := _SPACES.match(self._text, self._at, event.end_mark.index)) is not None:
                self._until(rest.end())

    def _scalar(self, event: Any, item: Item | None) -> Scalar:
        self._skip_properties(event)
        begin, end = self._at, max(self._at, event.end_mark.index)
        self._at = end
        if event.style in {"|", ">"}:
            return Scalar(event.value, block=self._block_lines(begin, end, item), anchor=event.anchor)
        meaning = meaning_of_plain(event.value) if event.tag is None and event.implicit[0] else event.value
        if isinstance(meaning, str):
            return Scalar(event.value, anchor=event.anchor)
        plain = json.dumps(meaning) if meaning is None or isinstance(meaning, bool) else event.value
        return Scalar(event.value, plain, anchor=event.anchor)

    def _block_lines(self, begin: int, end: int, item: Item | None) -> tuple[str, ...]:
        """Return a text below its key as written, if it can be moved to another indentation; else nothing.

        The comment beside ``|`` and the blank lines at the end are no part of it.
        """
        header, *lines = LINE_END.split(self._text[begin:end])
        mark, hash_sign, comment = header.partition("#")
        if hash_sign and item is not None:
            self._latest = item
            self._found("#" + comment.rstrip(), ":", 0, whole=False)
        if "+" in mark:
            return ()
        if lines[-2:-1] and not lines[-2].strip():
            self._blank()
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines or any(character.isdigit() for character in mark) or _UNUSUAL_END.search(self._text, begin, end):
            return ()
        depth = min(len(line) - len(line.lstrip(" ")) for line in lines if line.strip())
        bare = tuple(line[depth:] for line in lines)
        return () if any(line != line.rstrip() for line in bare) else (mark.strip(), *bare)

    def _fill(self, collection: Collection, holder: Item | None, column: int | None) -> None:
        closing: Any = events.MappingEndEvent if collection.mapping else events.SequenceEndEvent
        while type(event := self._next()) is not closing:
            item = Item(Scalar(""), before=self._taken())
            self._latest = item
            if column is None:
                column = event.start_mark.column - (0 if collection.mapping else _DASH)
            if collection.mapping:
                self._skip_properties(event)
                item.key = event.value
                self._at = max(self._at, event.end_mark.index)
                event = self._next()
                if not _begins_block(event):
                    item.before += self._taken()
            item.value = self._value(event, item)
            collection.items.append(item)
        self._close(collection, holder, event, column or 0)
        if collection.flow:
            self._at = max(self._at, event.end_mark.index)
            self._latest = holder if holder is not None else self._latest

    def _close(self, collection: Collection, holder: Item | None, event: Any, column: int) -> None:
        """Give a collection those of the waiting comments that are its own, not of what follows.

        A block ends where the next thing begins: what is indented as deep as the block, and deeper than that, is its.
        """
        if collection.flow:
            (collection.after if collection.items or holder is None else holder.before).extend(self._taken())
            return
        last = isinstance(self._parser.peek_event(), events.DocumentEndEvent | events.StreamEndEvent) or (
            self._ends_document(event)
        )
        following = -1 if last else event.start_mark.column
        own = 0
        for number, line in enumerate(self._waiting, start=1):
            if line.text == BLANK:
                continue
            if line.column < column or line.column <= following:
                break
            own = number
        collection.after = [line.text for line in self._waiting[:own]]
        del self._waiting[:own]

    def _ends_document(self, event: Any) -> bool:
        """Whether nothing of the document follows: all its blocks end at one place."""
        index = event.start_mark.index
        rest = self._text[index : index + 3]
        at_line_start = _begins_line(self._text, index)
        return index >= self._end or (at_line_start and rest in {"---", "..."})


def _begins_line(text: str, index: int) -> bool:
    return index == 0 or LINE_END.match(text, index - 1) is not None


def _begins_block(event: Any) -> bool:
    return isinstance(event, events.CollectionStartEvent) and not event.flow_style

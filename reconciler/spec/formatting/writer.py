"""Writes documents in the one form that `reconcile fmt` gives them.

- Two spaces of indentation, also before the dash of a list; one blank line where there were some, none at the
  beginning or end of a block; ``---`` alone on its line between documents; one line end at the end of the file.
- What was written in braces or brackets stays so while it fits on its line and holds no comments; a document and its
  spec never do.
- A text is quoted when it is a version's label, or when YAML (1.1 or 1.2) could take it, or a part of it, for something
  else; ``true``, ``false`` and ``null`` are spelt so.
- Comments at the ends of consecutive lines stand below each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.spec.formatting.comments import BLANK, Alias, Collection, CommentedDocument, Item, Scalar, Value
from reconciler.spec.loading.yaml_reader import meaning_of_plain

WIDTH = 120
"""The length of a line from which on braces are opened. A text is never broken."""

_INDENT = "  "
_GAP = "  "
"""What stands between a value and the comment beside it."""
_FARTHEST = 80
"""The column up to which comments are moved to stand below each other."""
_DEEPEST_FLOW = 3
_ALWAYS_OPEN = frozenset({"spec"})
_LABEL, _LABELLED = "version", "versions"
"""The field that holds a version's label, and the mapping whose keys are labels."""

# Bare are texts that no YAML reader doubts: they begin with a letter, a digit or one of a few signs.
_BARE = re.compile(r"(?:\w|[/.$(+~](?=[\w/]))[^,\[\]{}#:\"\\`]*(?::(?=[^\s,\[\]{}])[^,\[\]{}#:\"\\`]*)*\Z")
_OTHER_NUMBER = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)"
    r"|\.(?:nan|NaN|NAN)|[0-9][0-9_.:]*"
)
_OTHER_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


@dataclass(slots=True)
class _Line:
    text: str
    beside: str = ""


def written(documents: Sequence[CommentedDocument], rest: Sequence[str] = ()) -> str:
    """Return the text of a file with these documents, then the lines of ``rest``."""
    parts = ["".join(f"{line}\n" for line in _document(document)) for document in documents]
    if rest and not parts:
        parts = ["".join(f"{line}\n" for line in _trimmed(rest))]
    return "---\n".join(parts)


def _document(document: CommentedDocument) -> Iterator[str]:
    # What stood above the first entry speaks of the document, whichever entry is the first now.
    yield from _trimmed([*document.head, *document.root.items[0].before], keep_end=True)
    yield from _aligned(list(_block(document.root, "", hoisted=True)))


def _trimmed(lines: Sequence[str], *, keep_end: bool = False) -> Iterator[str]:
    """Comment lines with single blank lines between them, and none at the beginning (or end)."""
    blank, begun = False, False
    for line in lines:
        if line == BLANK:
            blank = begun
            continue
        if blank:
            yield BLANK
        blank, begun = False, True
        yield line
    if keep_end and blank:
        yield BLANK


def _aligned(lines: list[_Line]) -> Iterator[str]:
    """Return the lines with the comments beside them, in one column where consecutive lines have some."""
    begin = 0
    while begin < len(lines):
        end = begin
        while end < len(lines) and lines[end].beside:
            end += 1
        run = lines[begin:end]
        widest = max((len(line.text) for line in run), default=0)
        for line in run:
            width = widest if widest <= _FARTHEST else len(line.text)
            yield f"{line.text:<{width}}{_GAP}{line.beside}"
        if end < len(lines):
            yield lines[end].text
        begin = end + 1


def _block(collection: Collection, indent: str, parent: str | None = None, *, hoisted: bool = False) -> Iterator[_Line]:
    """Return the lines of a collection's items; ``hoisted``: without the comments above the first."""
    for number, item in enumerate(collection.items):
        if number or not hoisted:
            yield from _comments(item.before, indent, first=number == 0)
        yield from _item(item, indent, parent)
    yield from _comments(collection.after, indent, last=True)


def _comments(lines: Sequence[str], indent: str, *, first: bool = False, last: bool = False) -> Iterator[_Line]:
    kept = list(_trimmed(lines, keep_end=not last))
    if not first and lines and lines[0] == BLANK and (kept or not last):
        kept.insert(0, BLANK)
    for line in kept:
        yield _Line(f"{indent}{line}" if line else BLANK)


def _item(item: Item, indent: str, parent: str | None) -> Iterator[_Line]:
    if item.key is None:
        yield from _element(item, indent, parent)
        return
    begin = f"{indent}{quoted(item.key, label=parent == _LABELLED)}:"
    inline = _inline(item.value, item.key, len(begin) + 1)
    if inline is not None:
        yield _Line(f"{begin} {inline}", item.beside)
        return
    yield _Line(f"{begin}{_opening(item.value)}", item.beside)
    yield from _below(item.value, indent + _INDENT, item.key)


def _element(item: Item, indent: str, parent: str | None) -> Iterator[_Line]:
    """Return an element of a list: a mapping begins on the line of the dash."""
    inline = _inline(item.value, parent, len(indent) + 2)
    if inline is not None:
        yield _Line(f"{indent}- {inline}", item.beside)
        return
    if not isinstance(item.value, Collection) or not item.value.mapping or item.value.anchor is not None:
        yield _Line(f"{indent}-{_opening(item.value)}", item.beside)
        yield from _below(item.value, indent + _INDENT, parent)
        return
    yield from _comments([item.beside or BLANK, *item.value.items[0].before], indent, first=True)
    lines = _block(item.value, indent + _INDENT, parent, hoisted=True)
    opening = next(lines)
    yield _Line(f"{indent}- {opening.text.removeprefix(indent + _INDENT)}", opening.beside)
    yield from lines


def _below(value: Value, indent: str, parent: str | None) -> Iterator[_Line]:
    """Return what stands on the lines below a key or a dash."""
    if isinstance(value, Collection):
        yield from _block(value, indent, parent)
    elif isinstance(value, Scalar):
        for line in value.block[1:]:
            yield _Line(f"{indent}{line}" if line else "")


def _anchor(value: Value) -> str:
    return f"&{value.anchor} " if not isinstance(value, Alias) and value.anchor is not None else ""


def _opening(value: Value) -> str:
    """Return what stands beside a key or a dash of what follows on the next lines."""
    mark = value.block[0] if isinstance(value, Scalar) else ""
    text = f"{_anchor(value)}{mark}".rstrip()
    return f" {text}" if text else ""


# -- in one line


def _inline(value: Value, key: str | None, column: int) -> str | None:
    """Return a value on the line of its key; None if it has to stand below."""
    if isinstance(value, Scalar) and value.block:
        return None
    if not isinstance(value, Collection) or not value.items:
        return _flow(value, key)
    if not value.flow or key in _ALWAYS_OPEN or not _closed(value, _DEEPEST_FLOW):
        return None
    text = _flow(value, key)
    return text if column + len(text) <= WIDTH else None


def _closed(collection: Collection, deepest: int) -> bool:
    """Whether nothing in a collection asks for lines of its own."""
    if deepest == 0 or any(line != BLANK for line in collection.after):
        return False
    return all(
        not item.beside
        and not any(line != BLANK for line in item.before)
        and (not isinstance(item.value, Collection) or _closed(item.value, deepest - 1))
        for item in collection.items
    )


def _flow(value: Value, key: str | None) -> str:
    if isinstance(value, Alias):
        return f"*{value.name}"
    if isinstance(value, Scalar):
        text = value.plain if value.plain is not None else quoted(value.text, label=key == _LABEL)
        return _anchor(value) + text
    if not value.mapping:
        return f"{_anchor(value)}[{', '.join(_flow(item.value, key) for item in value.items)}]"
    entries = (
        f"{quoted(item.key or '', label=key == _LABELLED)}: {_flow(item.value, item.key)}" for item in value.items
    )
    return f"{_anchor(value)}{{{', '.join(entries)}}}"


def quoted(text: str, *, label: bool = False) -> str:
    """Return a text as it is written: bare if no reader can take it for anything else."""
    if not label and _BARE.match(text) and text.isprintable() and text == text.strip() and not _doubtful(text):
        return text
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _doubtful(text: str) -> bool:
    return (
        not isinstance(meaning_of_plain(text), str)
        or text.lower() in _OTHER_WORDS
        or _OTHER_NUMBER.fullmatch(text) is not None
    )


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

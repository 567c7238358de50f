"""What is wrong with a user's file, as values: collected over the whole tree, then shown together.

SpecError                what a user wrote or asked for cannot be used
└── SpecErrors           a spec tree with errors: all of them, each a `Diagnostic`
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reconciler.spec.secret_detection import looks_secret, shown

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_CUTOFF = 0.6
_LONGEST_PATH = 16


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1, in characters. Line 0: the file or directory as a whole."""

    file: Path
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else str(self.file)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error.

    Attributes:
        summary: What is wrong, with what was found; one line, and never a secret.
        position: Where.
        field: The field's path, as in ``spec.gates[0].min``; empty for the document or file as a whole.
        detail: What is allowed, or the other places that take part.
        remedy: What to do, as far as it can be guessed.
    """

    summary: str
    position: Position
    field: str = ""
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        more = [line for text in (self.detail, self.remedy) if text for line in text.splitlines()]
        return "\n    ".join([f"{self.position}: {field}{self.summary}", *more])


class SpecError(Exception):
    """What a user wrote or asked for cannot be used; the message says what would be."""


class SpecErrors(SpecError):
    """All errors of a spec tree, in the order of files and lines."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics, key=lambda each: each.position))
        super().__init__("\n".join(str(each) for each in self.diagnostics))


def field_path(path: Iterable[str | int]) -> str:
    """Return a path as people write it: ``spec.gates[0].min``, ``spec.versions["2026-09"]``."""
    parts = list(path)
    if len(parts) > _LONGEST_PATH:
        return field_path(parts[:_LONGEST_PATH]) + "…"
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.match(part) and not looks_secret(part):
            text += f".{part}" if text else part
        else:
            text += f'["{shown(part)[1:-1]}"]'
    return text


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that was most likely meant; case, hyphens and underscores count for nothing."""
    folded: dict[str, str] = {}
    for choice in choices:
        folded.setdefault(_fold(choice), choice)
    close = difflib.get_close_matches(_fold(word), folded, n=1, cutoff=_CUTOFF)
    return folded[close[0]] if close else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return a remedy that names the nearest choice, or nothing."""
    found = nearest(word, choices)
    return f"did you mean {found!r}?" if found else ""


def join_names(names: Iterable[str], *, limit: int = 12, quoted: bool = False) -> str:
    """Return names with commas: all of a few; of many the first, and how many more there are."""
    joined = [f'"{name}"' if quoted else name for name in names]
    shown = ", ".join(joined[:limit])
    return shown if len(joined) <= limit else f"{shown} and {len(joined) - limit:,} more"


def _fold(word: str) -> str:
    return word.replace("-", "").replace("_", "").casefold()

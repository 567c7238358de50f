"""JSON that somebody hands over, read no deeper than everything that walks it afterwards can go.

The decoder stops where the interpreter's stack ends, which depends on the caller and on Python's version; code that
walks a value, compares or writes it gives up long before that. So how deep a text may be nested is said here.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

DEEPEST = 64
"""More than any real document is nested, and no trouble for anything that walks one."""

# A match begins where the one before it ended, so that finding all takes no longer than the text is long: a string that
# nobody closed is one to the end, and what is left at the end is found as well.
_BRACKET = re.compile(r'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+\\?(?:"|\Z))*+([\[\]{}]|\Z)', re.DOTALL)
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}


class NestedTooDeep(ValueError):
    """A text is nested too deep.

    Attributes:
        line: where the first value stands that is too deep, from 1.
        column: likewise.
        summary: what is wrong, without the place.
    """

    def __init__(self, deepest: int, line: int, column: int) -> None:
        self.summary = f"nested more than {deepest} deep"
        super().__init__(f"line {line}, column {column}: {self.summary}")
        self.line = line
        self.column = column


def read_json(text: str, *, deepest: int = DEEPEST, **options: Any) -> Any:
    """Return the value of a JSON text; the options are those of `json.loads`.

    Raises:
        NestedTooDeep: it is nested deeper than that; a ValueError, as is whatever else `json.loads` raises.
    """
    try:
        value = json.loads(text, **options)
    except RecursionError:
        check_depth(text, deepest)
        raise
    check_depth(text, deepest)
    return value


def check_depth(text: str, deepest: int = DEEPEST) -> None:
    """Count the brackets of a text that is JSON as far as its nesting is fit to be read.

    Raises:
        NestedTooDeep: it is nested deeper than that.
    """
    depth = 0
    for number, bracket in enumerate(_BRACKET.findall(text)):
        depth += _DEEPER.get(bracket, 0)
        if depth > deepest:
            start = next(islice(_BRACKET.finditer(text), number, None)).start(1)
            raise NestedTooDeep(deepest, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))

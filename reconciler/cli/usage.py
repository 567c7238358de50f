"""Help and usage errors in plain words, where Typer shows the types and sentences of its parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_ERRORS = {
    r"Value error, ('.*') is not one of (.*)\.": r"\1; allowed: \2",
    r"Input should be a valid integer.*": "not a whole number",
    r"Input should be a valid number.*": "not a number",
    r"Input should be greater than or equal to (.*)": r"the minimum is \1",
    r"Input should be less than or equal to (.*)": r"the maximum is \1",
}
_TYPE = re.compile(r"(?m)(?<=^  )([A-Z_|]+)( <\S+>)")
"""The type of an argument, such as ``PATH <list[Path]>``."""
_REQUIRED = re.compile(r"\{([A-Z_|]+)\}")
"""An argument in the line of usage."""


class PlainGroup(TyperGroup):
    """Commands whose usage errors are in plain words."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """See `TyperGroup.make_context`, where the group's own options are read."""
        with _plain_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """See `TyperGroup.invoke`, where the options of a command are read."""
        with _plain_errors():
            return super().invoke(ctx)


class PlainCommand(TyperCommand):
    """A command whose help names no types."""

    def get_help(self, ctx: Any) -> str:
        """See `TyperCommand.get_help`."""
        text = _TYPE.sub(lambda found: found[1] + " " * len(found[2]), super().get_help(ctx))
        return _REQUIRED.sub(r"\1", text)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        for pattern, plain in _ERRORS.items():
            error.message = re.sub(f"^{pattern}$", plain, error.message, flags=re.DOTALL)
        raise

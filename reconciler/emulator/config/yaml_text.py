"""YAML that a user hands over."""

from __future__ import annotations

from typing import Any, Final

import yaml

_DEEPEST: Final = 64


def read_yaml(text: str) -> Any:
    """Return the value of a YAML text with one document.

    Raises:
        yaml.YAMLError: it is not YAML, or nested more than 64 deep.
    """
    # The C composer calls itself for each level: deep enough, and it takes the process down with it.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                where = "" if event.start_mark is None else f" at line {event.start_mark.line + 1}"
                raise yaml.YAMLError(f"it is nested more than {_DEEPEST} deep{where}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return yaml.load(text, Loader=yaml.CSafeLoader)

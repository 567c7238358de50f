"""The text of a definition file, read more strictly than the standard library does. No network.

Its decoder keeps the last of two members of one name, takes NaN for a number, and lets through halves of characters
and any depth that it can bear itself: each would be found out by the service, or by nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from reconciler.azure.definition_members import member, spelling
from reconciler.spec.json_reader import JsonReader
from reconciler.spec.nodes import DEPTH_LIMIT, LITERAL_SECRET, TreeBuilder

PROPERTIES = (
    "title", "description", "readOnly", "realtimeConfiguration", "diagnostics", "exposeSampleData", "storageAccount",
    "machineLearningWorkspace", "packageType", "assets", "input", "output", "exampleRequest", "parameters", "package",
)  # fmt: skip
"""The members of a definition's properties that a file may have, in the service's spelling (new-protocol 1)."""

_MAPPINGS = (
    ("assets",), ("package",), ("package", "nodes"), ("parameters",), ("input",), ("output",), ("storageAccount",),
)  # fmt: skip
_OF_MAPPINGS = (("assets",), ("package", "nodes"))
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_PACKAGE_TYPE = "graph"


class DefinitionFileError(Exception):
    """A definition file can't be used. The message names the file and the place, and no secret."""


def parsed(text: str, file: Path) -> Any:
    """The one JSON value of a text.

    Raises:
        DefinitionFileError: it is not JSON, says something twice, or holds what no service takes.
    """
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    except json.JSONDecodeError as error:
        raise DefinitionFileError(f"{file}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        _told(text, file)
    if _HALF_CHARACTER.search(text) and _has_half_characters(content):
        _told(text, file)
    if _too_deep(content):
        _told(text, file)
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def _has_half_characters(content: Any) -> bool:
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except RecursionError:
        return False  # Its depth is told of then.
    return False


def _too_deep(content: Any) -> bool:
    level = [content]
    for _ in range(DEPTH_LIMIT + 1):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _told(text: str, file: Path) -> NoReturn:
    """Say what is wrong with a text and where, as with a spec file."""
    builder = TreeBuilder(file)
    for _ in JsonReader(builder).documents(text):
        pass
    for each in builder.diagnostics:
        if not each.summary.startswith(LITERAL_SECRET):
            raise DefinitionFileError("; ".join(filter(None, (f"{each.position}: {each.summary}", each.detail))))
    raise DefinitionFileError(f"{file}: can't be read: it says something twice, or is nested too deep")


def check_shape(content: Any, file: Path) -> None:
    """Refuse what is no definition of a web service, whatever its casing.

    Raises:
        DefinitionFileError: something is not of the type that Resource Manager has there (new-protocol 1).
    """
    properties = member(content, "properties")
    if not isinstance(properties, Mapping):
        raise DefinitionFileError(f"{file}: is not the definition of a web service: it has no properties")
    location, tags = member(content, "location"), member(content, "tags")
    if location is not None and not isinstance(location, str):
        raise DefinitionFileError(f"{file}: /location: has to be a text, as in South Central US")
    if tags is not None and not (isinstance(tags, Mapping) and all(isinstance(tag, str) for tag in tags.values())):
        raise DefinitionFileError(f'{file}: /tags: has to be an object of texts, as in {{"team": "oncology"}}')
    package_type = member(properties, "packageType")
    if package_type is not None and str(package_type).casefold() != _PACKAGE_TYPE:
        raise DefinitionFileError(f"{file}: /properties/packageType: there is no other than Graph")
    for path in _MAPPINGS:
        _check_mapping(properties, path, file)
    for path in _OF_MAPPINGS:
        for name in member(properties, *path) or {}:
            _check_mapping(properties, (*path, str(name)), file)
    _check_names(content, "", file)
    _check_names(properties, "/properties", file)


def _check_mapping(properties: Mapping[str, Any], path: tuple[str, ...], file: Path) -> None:
    value = member(properties, *path)
    if value is not None and not isinstance(value, Mapping):
        raise DefinitionFileError(f"{file}: /properties/{'/'.join(path)}: has to be an object")


def _check_names(members: Mapping[str, Any], place: str, file: Path) -> None:
    """Refuse two members that differ by casing alone, and one whose name is nearly one of the service's.

    The service takes no notice of what it does not know, so a slip of the pen would never come home.
    """
    for name in members:
        first = spelling({other: None for other in members if other != name}, name)
        if first is not None:
            raise DefinitionFileError(f"{file}: {place}/{name}: is there twice, as {first} too; keep one of them")
    known = {name.casefold(): name for name in PROPERTIES} if place else {}
    for name in members:
        near = get_close_matches(name.casefold(), known, n=1, cutoff=0.8)
        if near and near[0] != name.casefold():
            raise DefinitionFileError(
                f"{file}: {place}/{name}: there is no such member; did you mean {known[near[0]]}?"
            )

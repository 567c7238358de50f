"""What is wrong with a definition file: all of it at once, each error with its place. No network.

The plan refuses a file with the first of its errors (`reconciler.targets.new_service.definition.file`),
``reconcile validate`` tells all of them (`reconciler.targets.new_service.definition.spec_rule`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from reconciler.azure.arm.definition import member, spelling
from reconciler.bounded_json import NestedTooDeep, read_json
from reconciler.spec.diagnostics import Diagnostic, Position
from reconciler.spec.documents.base import SecretReference
from reconciler.spec.loading.files import read
from reconciler.spec.loading.json_reader import JsonReader
from reconciler.spec.loading.nodes import LITERAL_SECRET, Node, TreeBuilder
from reconciler.spec.loading.yaml_reader import kind_of
from reconciler.spec.secret_detection import looks_secret
from reconciler.targets.new_service.definition.form import SECRET, Definition, current_form, is_envelope, pointer, walk

_PROPERTIES = (
    "title", "description", "readOnly", "realtimeConfiguration", "diagnostics", "exposeSampleData", "storageAccount",
    "machineLearningWorkspace", "packageType", "assets", "input", "output", "exampleRequest", "parameters", "package",
)  # fmt: skip
_TEXTS = ("location", "properties/title", "properties/description", "properties/packageType")
_OBJECTS = (
    "tags", "properties/realtimeConfiguration", "properties/diagnostics", "properties/storageAccount",
    "properties/machineLearningWorkspace", "properties/assets", "properties/input", "properties/output",
    "properties/exampleRequest", "properties/parameters", "properties/package", "properties/package/nodes",
)  # fmt: skip
_OF_OBJECTS = ("properties/assets", "properties/package/nodes")
_ASSETS = ("properties", "assets")
_REFERENCES = (
    f'allowed: {{"{SECRET}": REFERENCE}}, where a reference is {{"env": "VARIABLE"}}, {{"file": "path"}} or '
    '{"keyVault": {"vault": "NAME", "secret": "NAME"}}'
)


def examine(file: Path) -> tuple[dict[str, Any] | None, tuple[Diagnostic, ...]]:
    """Read a definition file.

    Returns:
        Its ``location``, ``tags`` and ``properties``, as far as it has them, the properties in the service's own
        spelling and their parameters in the newer form; None if it has errors. And those.
    """
    errors: list[Diagnostic] = []
    text = _text(file, errors)
    content = None if text is None else _parsed(text, file, errors)
    if text is not None and not errors:
        errors += misread(text, file)
    if text is None or errors:
        return None, tuple(errors)
    properties = member(content, "properties")
    if not isinstance(properties, Mapping):
        what = "it has no properties" if properties is None else f"its properties are {kind_of(properties)}"
        summary = f"is not the definition of a web service: {what}"
        return None, (Diagnostic(summary, Position(file, 1, 1), remedy="`reconcile export` writes one"),)
    whole = {
        **{name: member(content, name) for name in ("location", "tags") if member(content, name)},
        "properties": current_form(named(properties)),
    }
    places = _Places(file, text)
    errors += [
        Diagnostic(summary, places.of(("properties", name)), pointer(("properties", name)), remedy=remedy)
        for name, summary, remedy in slips(properties, _PROPERTIES)
    ]
    errors += [*_misshapen(whole, places), *_secrets(whole, places)]
    return (None, tuple(errors)) if errors else (whole, ())


def named(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties in the service's own spelling of their names; what they hold is not touched."""
    known = {name.casefold(): name for name in _PROPERTIES}
    return {known.get(name.casefold(), name): value for name, value in properties.items() if value is not None}


def reference_of(placeholder: Mapping[str, Any]) -> SecretReference:
    """Return the reference in a placeholder; raises ValidationError."""
    return SecretReference.model_validate(placeholder[SECRET], by_alias=True, by_name=False)


def variable_for(service: str, path: tuple[str, ...]) -> str:
    """Return the name of an environment variable for the secret at a place: ``MINE_NODE1_ACCOUNT_KEY``."""
    dull = {"properties", "package", "nodes", "parameters", "assets", "locationinfo", "value"}
    words = [service, *(part for part in path if part.casefold() not in dull)]
    name = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(words)).strip("_").upper()
    return name if name[:1].isalpha() else f"SERVICE_{name}"


def _text(file: Path, errors: list[Diagnostic]) -> str | None:
    try:
        if file.exists():
            return read(file, errors).text
        summary, remedy = "the file does not exist", "`reconcile export` writes one"
    except (OSError, ValueError):
        summary, remedy = "cannot be read: the path is not valid", ""
    errors.append(Diagnostic(summary, Position(file), remedy=remedy))
    return None


def _parsed(text: str, file: Path, errors: list[Diagnostic]) -> Any:
    try:
        return read_json(text)
    except json.JSONDecodeError as error:
        summary, position = f"not valid JSON: {error.msg}", Position(file, error.lineno, error.colno)
    except NestedTooDeep as error:
        summary, position = error.summary, Position(file, error.line, error.column)
    except ValueError:  # the interpreter's limit on the digits of a whole number
        summary, position = "a number in the document has too many digits", Position(file, 1, 1)
    errors.append(Diagnostic(summary, position))
    return None


class _Places:
    """Where the values of a JSON text stand; it is looked for when it is first asked for."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._text = text

    @property
    def file(self) -> Path:
        return self._file

    @cached_property
    def _root(self) -> Node | None:
        # What the builder reports are rules of spec files: a definition may hold an envelope, which looks secret.
        return next(JsonReader(TreeBuilder(self._file)).documents(self._text), None)

    def of(self, path: tuple[str, ...]) -> Position:
        """Where the value at a path stands, or the innermost value around it; the file if it cannot be said."""
        if self._root is None:
            return Position(self._file)
        node = self._root
        for part in path:
            key: str | int | None = int(part) if node.items is not None else spelling(node.entries, part)
            inner = None if key is None else node.child(key)
            if inner is None:
                break
            node = inner
        return Position(self._file, node.line, node.column)


def _misshapen(content: Definition, places: _Places) -> Iterator[Diagnostic]:
    for path in map(_path, _TEXTS):
        yield from _unless(str, "a text", content, path, places)
    for path in map(_path, _OBJECTS):
        yield from _unless(Mapping, "an object", content, path, places)
    for path in map(_path, _OF_OBJECTS):
        for name in _names(content, path):
            yield from _unless(Mapping, "an object", content, (*path, name), places)
    for name in _names(content, ("tags",)):
        if not isinstance(content["tags"][name], str):
            summary = f"must be a text, found {kind_of(content['tags'][name])}"
            yield Diagnostic(summary, places.of(("tags", name)), pointer(("tags", name)))
    package_type = member(content, "properties", "packageType")
    if isinstance(package_type, str) and package_type.casefold() != "graph":
        place = ("properties", "packageType")
        yield Diagnostic("only Graph is allowed", places.of(place), pointer(place))
    for name in _names(content, _ASSETS):
        asset = (*_ASSETS, name)
        for text in ("name", "type"):
            yield from _unless(str, "a text", content, (*asset, text), places)
        yield from _unless(Mapping, "an object", content, (*asset, "locationInfo"), places)
        yield from _unless(str, "a text", content, (*asset, "locationInfo", "uri"), places)


def _names(content: Definition, path: tuple[str, ...]) -> list[str]:
    members = member(content, *path)
    return list(members) if isinstance(members, Mapping) else []


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split("/"))


def _unless(kind: Any, what: str, content: Definition, path: tuple[str, ...], places: _Places) -> Iterator[Diagnostic]:
    """Return an error if there is something of another kind at a place; a secret may stand anywhere."""
    value = member(content, *path)
    if value is not None and not isinstance(value, kind) and spelling(value, SECRET) is None:
        yield Diagnostic(f"must be {what}, found {kind_of(value)}", places.of(path), pointer(path))


def _secrets(content: Definition, places: _Places) -> Iterator[Diagnostic]:
    """Secrets that are written out, and placeholders that are no references."""
    for path, value in walk(content):
        if isinstance(value, Mapping) and SECRET in value:
            if not _is_reference(value):
                summary = "is not a reference to a secret"
                yield Diagnostic(summary, places.of(path), pointer(path), _REFERENCES)
        elif _is_secret(content, path, value):
            variable = variable_for(places.file.stem, path)
            remedy = (
                f'write a reference in its place, as in {{"{SECRET}": {{"env": "{variable}"}}}}, and change it at the '
                "service: it may have been committed"
            )
            yield Diagnostic("a literal secret (not shown)", places.of(path), pointer(path), remedy=remedy)


def _is_reference(value: Mapping[str, Any]) -> bool:
    try:
        reference_of(value)
    except ValidationError:
        return False
    return set(value) == {SECRET}


def _is_secret(content: Definition, path: tuple[str, ...], value: object) -> bool:
    if not isinstance(value, str) or not value or is_envelope(value):
        return False
    *above, name = (part.casefold() for part in path)
    if name == "value":
        holder: Any = member(content, *path[:-1]) if "parameters" in above else None
        return holder is not None and (bool(member(holder, "certificateThumbprint")) or looks_secret(value))
    if name == "uri":
        return "?" in value and looks_secret(value)
    return name == "credentials" or (above[-1:] == ["storageaccount"] and name == "key") or above[-1:] == ["keys"]


_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


def misread(text: str, file: Path) -> list[Diagnostic]:
    """Return what is wrong with a text that the decoder takes for JSON, as a spec file would be told of it."""
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
        if _HALF_CHARACTER.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except ValueError:
        builder = TreeBuilder(file)
        for _ in JsonReader(builder).documents(text):
            pass
        return [each for each in builder.diagnostics if not each.summary.startswith(LITERAL_SECRET)]
    return []


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def slips(properties: Mapping[str, Any], known: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Members of a definition's properties that were hardly meant so: name, summary, remedy.

    Two that differ by casing alone are one to the service, and it takes no notice of a name that it does not know.
    """
    folded = {name.casefold(): name for name in known}
    others = dict.fromkeys(properties)
    for name in properties:
        del others[name]
        first = spelling(others, name)
        if first is not None:
            yield name, f"is a duplicate of {first}", "keep one of them"
        near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.8)
        if near and near[0] != name.casefold():
            yield name, f"unknown member; did you mean {folded[near[0]]}?", ""

"""Turns what pydantic says of a document into diagnostics: where it stands, what was found, what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.spec.diagnostics import Diagnostic, Position, did_you_mean, field_path, join_names, nearest
from reconciler.spec.documents.base import KeyVaultReference, SecretReference
from reconciler.spec.documents.model import INPUT_FORMS, INPUT_PARTS, INPUT_RULE, VALUE_MARK
from reconciler.spec.documents.rules import REFERENCE_FORMS, RULE
from reconciler.spec.loading.nodes import Misread, Node
from reconciler.spec.loading.yaml_reader import kind_of
from reconciler.spec.secret_detection import shown

_QUOTED = re.compile(r"'([^']*)'")
_PREDICATES = frozenset({"is", "has", "uses", "does", "contains"})
_MARKS = frozenset({"[key]", VALUE_MARK, *INPUT_PARTS})
"""What pydantic puts into the locations of its errors and no document has."""

_REFERENCE = f"a reference, {REFERENCE_FORMS}"
_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "path_type": "a path",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
}
_LIMITS = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}


class _Place:
    """Where an error belongs: the path without pydantic's own marks, and the node (the enclosing one if missing)."""

    def __init__(self, root: Node, error: ErrorDetails) -> None:
        self.path: list[str | int] = []
        self.node = root
        self.parent = root
        self.line, self.column = root.line, root.column
        loc = error["loc"]
        for index, part in enumerate(loc):
            child = self.node.child(part)
            if child is not None:
                self.path.append(part)
                self.parent, self.node = self.node, child
                self.line, self.column = child.line, child.column
            elif part in _MARKS:
                continue
            elif index == len(loc) - 1:
                self.path.append(part)
        if loc[-1] == "[key]" or error["type"] == "extra_forbidden":
            self._point_to_key()

    def _point_to_key(self) -> None:
        entries = self.parent.entries or {}
        entry = entries.get(str(self.path[-1])) if self.path else None
        if entry is not None:
            self.line, self.column = entry.line, entry.column


def explain(error: ValidationError, root: Node, model: type[BaseModel], file: Path) -> Iterator[Diagnostic]:
    """Return a diagnostic for each of pydantic's errors that says something new."""
    details = error.errors(include_url=False, include_input=False)
    meant = set(_meant_fields(details, root, model))
    for each in details:
        place = _Place(root, each)
        if place.node.secret and each["type"] != "extra_forbidden":
            continue  # the builder has reported it, and nothing else about it matters before it is out
        if each["type"] == "missing" and tuple(place.path) in meant:
            continue  # its misspelling is reported
        summary, detail, remedy = _say(each, place, model)
        position = Position(file, place.line, place.column)
        yield Diagnostic(summary, position, field_path(place.path), detail, remedy)


def _meant_fields(details: list[ErrorDetails], root: Node, model: type[BaseModel]) -> Iterator[tuple[str | int, ...]]:
    """Return the paths of the fields that the unknown ones stand for."""
    for each in details:
        if each["type"] == "extra_forbidden":
            path = _Place(root, each).path
            found = nearest(str(path[-1]), allowed_fields(model, each["loc"][:-1]))
            if found:
                yield (*path[:-1], found)


def _say(  # noqa: PLR0911 - one return for each thing that pydantic says
    error: ErrorDetails, place: _Place, model: type[BaseModel]
) -> tuple[str, str, str]:
    """Summary, detail and remedy."""
    name, context = error["type"], error.get("ctx", {})
    if name in _WANTED and _in_secret_reference(model, error["loc"]):
        return f"{_WANTED[name]} is expected here (the found value is not shown)", f"allowed: {_REFERENCE}", ""
    found = describe(place.node)
    if name == "missing":
        return f"missing field {str(place.path[-1])!r}", _about(model, error["loc"]), ""
    if name == "extra_forbidden":
        return _unknown_field(place, allowed_fields(model, error["loc"][:-1]))
    if name == RULE:
        return _rule(context, place, found, at_key=error["loc"][-1] == "[key]")
    if name == INPUT_RULE:
        keys = list(place.node.entries or {})
        unknown = [key for key in keys if key not in INPUT_FORMS]
        remedy = next(filter(None, (did_you_mean(key, INPUT_FORMS) for key in unknown)), "")
        found = " and ".join(map(shown, keys)) or found
        return f"needs exactly one of {join_names(INPUT_FORMS)}; found {found}", "", remedy
    if name == "literal_error":
        allowed = _QUOTED.findall(str(context["expected"]))
        remedy = did_you_mean(place.node.value, allowed) if isinstance(place.node.value, str) else ""
        return f"{found} is not allowed here", f"allowed: {join_names(allowed)}", remedy
    if name in _LIMITS:
        key, words = _LIMITS[name]
        return f"{found} is out of range", f"allowed: {words} {context[key]}", ""
    if name in _WANTED:
        return f"{_WANTED[name]} is expected here, found {found}", "", _as_wanted(name, place.node)
    return f"{error['msg']}; found {found}", "", ""


def _in_secret_reference(model: type[BaseModel], loc: tuple[str | int, ...]) -> bool:
    """Whether a value stands where a secret may have been written by mistake, though it does not look like one."""
    return not {SecretReference, KeyVaultReference}.isdisjoint({_part_at(model, loc), _part_at(model, loc[:-1])})


def _rule(context: Mapping[str, Any], place: _Place, found: str, *, at_key: bool) -> tuple[str, str, str]:
    summary: str = context["summary"]
    if summary.partition(" ")[0] in _PREDICATES:
        subject = f"the key {shown(str(place.path[-1]))}" if at_key else found
        summary = f"{subject} {summary}"
    allowed, remedy = context["allowed"], context["remedy"]
    if not remedy and isinstance(place.node.value, Misread):
        remedy = f'quote it: "{place.node.text}"'
    return summary, f"allowed: {allowed}" if allowed else "", remedy


def _unknown_field(place: _Place, allowed: list[str]) -> tuple[str, str, str]:
    name = str(place.path[-1])
    return f"unknown field {shown(name)}", f"allowed: {join_names(allowed, limit=20)}", did_you_mean(name, allowed)


def _as_wanted(name: str, node: Node) -> str:
    """How the value that was meant is written, if that can be seen."""
    if name in {"string_type", "path_type"} and not isinstance(node.value, dict | list | None):
        return f'quote it: "{node.text}"'
    if name in {"int_type", "float_type"} and isinstance(node.value, str) and _is_number(node.value):
        return f"write it without quotes: {node.value}"
    if node.value is None and name in {"dict_type", "tuple_type"}:
        empty = "{}" if name == "dict_type" else "[]"
        return f"leave the field out, or write {empty}"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return len(text) < 40


def describe(node: Node) -> str:
    """Return what was found, for a message; a text that looks secret is not shown."""
    if node.secret:
        return "a text that looks like a secret"
    if isinstance(node.value, str):
        return shown(node.value)
    if isinstance(node.value, dict | list) or node.value is None:
        return kind_of(node.value)
    return f"{shown(node.text)[1:-1]} ({kind_of(node.value)})"


def allowed_fields(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Return the names of the fields that the mapping at this place may have."""
    part = _part_at(model, loc)
    return [field.alias or name for name, field in part.model_fields.items()] if part else []


def _about(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    part = _part_at(model, loc[:-1])
    fields = part.model_fields.values() if part else ()
    return next((field.description or "" for field in fields if field.alias == loc[-1]), "")


def _part_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    current: Any = model
    for step in loc:
        if step in INPUT_PARTS:
            current = INPUT_PARTS[str(step)]
        elif step == VALUE_MARK:
            return None
        elif isinstance(current, type) and issubclass(current, BaseModel):
            fields = current.model_fields.values()
            current = _bare(next((field.annotation for field in fields if field.alias == step), None))
        else:
            arguments = get_args(current)
            current = _bare(arguments[1] if get_origin(current) is dict else arguments[0]) if arguments else None
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """Return an annotation without ``Annotated`` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        members = [each for each in get_args(annotation) if each is not type(None)]
        return _bare(members[0])
    return annotation

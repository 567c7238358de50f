"""The canonical text of a spec file: what `reconcile fmt` makes of it.

The order of fields is that of the documents' models. Mappings whose keys are the user's own (labels, inputs,
parameters, versions) keep theirs, and so does a document with aliases, each of which has to stand below its anchor.
YAML looks as `reconciler.spec.formatting.writer` says, JSON as the standard library writes it with two spaces of
indentation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from reconciler.spec.documents import Document, Kinds
from reconciler.spec.formatting.comments import Alias, Collection, CommentedReader, Scalar
from reconciler.spec.formatting.writer import written
from reconciler.spec.loading.json_reader import JsonReader
from reconciler.spec.loading.nodes import TreeBuilder
from reconciler.spec.loading.yaml_reader import YamlReader

_DOCUMENT = ("apiVersion", "kind", "metadata", "spec")


class Unformattable(Exception):
    """The canonical form would not say the same: a bug of reconciler, so the file is left unchanged."""


def formatted(text: str, kinds: Kinds, *, as_json: bool) -> str:
    """Return the canonical form of a file's text in which `reconciler.spec.loading.loader` finds no error.

    Raises:
        Unformattable: it would not say the same, or not have all the comments.
    """
    text = text.replace("\r\n", "\n")
    result = _formatted_json(text, kinds) if as_json else _formatted_yaml(text, kinds)
    if _content(result, as_json=as_json) != _content(text, as_json=as_json):
        raise Unformattable
    if not as_json and _comments(result) != _comments(text):
        raise Unformattable
    return result


def _formatted_json(text: str, kinds: Kinds) -> str:
    if not text.strip():
        return ""
    value = json.loads(text)
    model = kinds.get(str(value.get("kind"))) if isinstance(value, dict) else None
    return json.dumps(_in_order(value, model), indent=2, ensure_ascii=False) + "\n"


def _formatted_yaml(text: str, kinds: Kinds) -> str:
    reader = CommentedReader(text)
    documents = []
    for document in reader.documents():
        root = document.root
        kind = next((item.value for item in root.items if item.key == "kind"), None)
        model = kinds.get(kind.text) if isinstance(kind, Scalar) else None
        documents.append(document if _has_alias(root) else replace(document, root=_arranged(root, model)))
    return written(documents, reader.rest)


# -- order


def _arranged(collection: Collection, annotation: Any) -> Collection:
    """Return the same with its fields in order; ``annotation`` is the type that a model gives to it."""
    position = _positions(annotation)
    items = [
        replace(item, value=_arranged(item.value, _type_under(annotation, item.key)))
        if isinstance(item.value, Collection)
        else item
        for item in collection.items
    ]
    if collection.mapping:
        items.sort(key=lambda item: position(item.key or ""))
    return replace(collection, items=items)


def _in_order(value: Any, annotation: Any) -> Any:
    """As `_arranged`, of JSON values."""
    if isinstance(value, list):
        return [_in_order(each, _type_under(annotation, None)) for each in value]
    if not isinstance(value, dict):
        return value
    position = _positions(annotation)
    return {key: _in_order(value[key], _type_under(annotation, key)) for key in sorted(value, key=position)}


def _positions(annotation: Any) -> Callable[[str], int]:
    """Where a key stands among those of a mapping; all are equal where the keys are the user's own."""
    names: list[str] = []
    for part in _parts(annotation):
        own = _DOCUMENT if issubclass(part, Document) else _fields(part)
        names += [name for name in own if name not in names]
    places = {name: place for place, name in enumerate(names)}
    return lambda key: places.get(key, len(places))


def _type_under(annotation: Any, key: str | None) -> Any:
    """Return the type of what stands under a key (or, without one, in a list); None if the models do not say."""
    for part in _parts(annotation):
        if key is not None and key in (fields := _fields(part)):
            return fields[key]
    for member in _members(annotation):
        origin, arguments = get_origin(member), get_args(member)
        if arguments and isinstance(origin, type):
            if key is not None and issubclass(origin, dict):
                return arguments[1]
            if key is None and issubclass(origin, tuple | list):
                return arguments[0]
    return None


def _parts(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a type may stand for."""
    return [each for each in _members(annotation) if isinstance(each, type) and issubclass(each, BaseModel)]


def _members(annotation: Any) -> Iterator[Any]:
    """Return a type's alternatives, each without ``Annotated``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for each in get_args(annotation):
            yield from _members(each)
    else:
        yield annotation


def _fields(part: type[BaseModel]) -> dict[str, Any]:
    """Return a model's fields and their types: those of its own first, then those that it shares with others."""
    shared = {name for base in part.__bases__ if issubclass(base, BaseModel) for name in base.model_fields}
    fields = sorted(part.model_fields.items(), key=lambda field: field[0] in shared)
    return {field.alias or name: field.annotation for name, field in fields}


# -- what must not change


def _content(text: str, *, as_json: bool) -> list[str]:
    """Return what a text says, document by document."""
    builder = TreeBuilder(Path())
    reader = JsonReader(builder) if as_json else YamlReader(builder)
    return [json.dumps(root.value, sort_keys=True, default=str) for root in reader.documents(text) if root.value]


def _comments(text: str) -> Counter[str]:
    reader = CommentedReader(text)
    reader.documents()
    return Counter(reader.comments)


def _has_alias(collection: Collection) -> bool:
    values = [item.value for item in collection.items]
    return any(isinstance(each, Alias) or (isinstance(each, Collection) and _has_alias(each)) for each in values)

"""JSON Schema (draft 2020-12) of the documents, for editors: completion, descriptions and early errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from reconciler.spec.diagnostics import SpecError, did_you_mean, join_names
from reconciler.spec.documents import EndpointSet, Kinds
from reconciler.spec.documents.rules import in_units

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _EditorSchema(GenerateJsonSchema):
    """Pydantic's schema without the titles that it makes up from field names, and without null.

    A loader takes null for a field left out; an editor had better not propose it.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return False

    def encode_default(self, dft: Any) -> Any:
        # A duration in a file is written 2h, not PT2H as pydantic would have it.
        return in_units(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        generated = super().default_schema(schema)
        if generated.get("default", ...) in (None, [], {}):
            del generated["default"]
        return generated


def json_schema(kinds: Kinds, kind: str | None = None) -> dict[str, Any]:
    """Return the schema of one kind of document, or of all of them, told apart by ``kind``.

    Raises:
        SpecError: there is no such kind; the message names those that there are.
    """
    if kind is None:
        return _all_kinds(kinds)
    if kind not in kinds:
        guess = did_you_mean(kind, kinds)
        raise SpecError(f"unknown kind {kind!r}; allowed: {join_names(kinds)}" + (f"; {guess}" if guess else ""))
    return {"$schema": DIALECT, **_one_kind(kinds, kind)}


def _one_kind(kinds: Kinds, kind: str) -> dict[str, Any]:
    generated = kinds[kind].model_json_schema(by_alias=True, schema_generator=_EditorSchema)
    generated["required"] = ["apiVersion", "kind", "metadata", "spec"]
    for name in ("apiVersion", "kind"):
        # In a file they must be written, so there is nothing to fall back to.
        generated["properties"][name].pop("default", None)
    generated["properties"]["kind"]["description"] = generated["description"]
    if kinds[kind] is EndpointSet:
        of = {"model": "Model", "endpoint": EndpointSet.ENDPOINT.kind_name()}
        templates = {field: partial(_one_kind, kinds, named) for field, named in of.items()}
        return with_templates(generated, templates)
    return generated


def _all_kinds(kinds: Kinds) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    branches = []
    for kind in kinds:
        generated = _one_kind(kinds, kind)
        definitions.update(generated.pop("$defs", {}))
        definitions[kind] = generated
        branches.append(_when(kind))
    return {
        "$schema": DIALECT,
        "title": "Reconciler spec",
        "description": "A document of a spec tree.",
        "type": "object",
        "properties": {
            "apiVersion": definitions["Workspace"]["properties"]["apiVersion"],
            "kind": {"enum": list(kinds), "description": "What the document describes."},
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        # Branches instead of oneOf: an editor then speaks of the errors in the kind that is written there.
        "allOf": branches,
        "$defs": definitions,
    }


def _when(kind: str) -> Mapping[str, Any]:
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": {"$ref": f"#/$defs/{kind}"},
    }


_PLACEHOLDER = {"type": "string", "pattern": r"\{.+\}"}
_REFERENCE = "#/$defs/"
_OF_WHOLE_TEXTS = frozenset({"pattern", "maxLength", "format"})
"""What holds for a text with its placeholders filled in, and for none with a placeholder in it."""
_BOUND = frozenset({"integer", "number", "boolean"})
_NAMED = frozenset({"properties", "patternProperties"})
_KEPT = frozenset({"description", "default"})

Schema = dict[str, Any]


def with_templates(schema: Schema, specs: Mapping[str, Callable[[], Schema]]) -> Schema:
    """Return the schema of an EndpointSet whose templates are described as far as an editor can check them.

    Args:
        schema: As pydantic has it, where a template is any mapping.
        specs: By the template's field, what makes the schema of the document that it is the ``spec`` of.
    """
    definitions = schema["$defs"]
    for field, document in specs.items():
        made = document()
        for owner, is_partial in (("EndpointSetSpec", False), ("Override", True)):
            known = definitions[owner]["properties"][field]
            described = {"description": known["description"]} if "description" in known else {}
            template = _Templates(made["$defs"], definitions, partial=is_partial)
            definitions[owner]["properties"][field] = {**template.of(made["properties"]["spec"]), **described}
    return schema


class _Templates:
    """Makes schemas of templates; those that they refer to are added to ``definitions`` under names of their own.

    ``partial`` ones are overrides: nothing is required in them, and null takes a field out.
    """

    def __init__(self, known: Schema, definitions: Schema, *, partial: bool) -> None:
        self._known = known
        self._definitions = definitions
        self._partial = partial
        self._suffix = "Override" if partial else "Template"

    def of(self, schema: Schema) -> Schema:
        """Return the schema of a value that may have placeholders in it."""
        made = {keyword: value for keyword, value in schema.items() if keyword not in _OF_WHOLE_TEXTS}
        if "$ref" in made:
            return {**made, "$ref": self._reference(made["$ref"].removeprefix(_REFERENCE))}
        if any("required" not in each for each in made.get("oneOf", ())):
            # A placeholder is a text, whatever it stands for: of such alternatives more than one may fit.
            made["anyOf"] = made.pop("oneOf")
        if self._partial:
            made.pop("oneOf", None)
            made.pop("required", None)
        for keyword, value in made.items():
            made[keyword] = self._inner(keyword, value)
        if made.get("type") in _BOUND or "enum" in made or "const" in made:
            beside = {keyword: made.pop(keyword) for keyword in _KEPT & made.keys()}
            return {**beside, "anyOf": [made, dict(_PLACEHOLDER)]}
        return made

    def _inner(self, keyword: str, value: Any) -> Any:
        if keyword in _NAMED:
            return {name: self._field(inner) for name, inner in value.items()}
        if keyword in {"items", "additionalProperties"} and isinstance(value, dict):
            return self.of(value)
        if keyword in {"anyOf", "allOf"}:
            return [self.of(each) for each in value]
        return deepcopy(value)

    def _field(self, schema: Schema) -> Schema:
        made = self.of(schema)
        if not self._partial:
            return made
        beside = {keyword: made.pop(keyword) for keyword in _KEPT & made.keys()}
        return {**beside, "anyOf": [made, {"type": "null"}]} if beside.get("description") else made

    def _reference(self, name: str) -> str:
        own = f"{name}{self._suffix}"
        if own not in self._definitions:
            self._definitions[own] = {}  # A definition may refer to itself.
            made = self.of(self._known[name])
            if name == "ModelUse" and "name" in made.get("required", ()):
                made["required"].remove("name")  # Beside model it is the set that names it.
            self._definitions[own] = made
        return f"{_REFERENCE}{own}"

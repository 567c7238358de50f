"""JSON Schema (draft 2020-12) of the documents, for editors: completion, descriptions and early mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from reconciler.spec.diagnostics import SpecError, did_you_mean, listed
from reconciler.spec.documents import KINDS
from reconciler.spec.rules import in_units
from reconciler.spec.set_schema import with_templates

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


def json_schema(kind: str | None = None) -> dict[str, Any]:
    """The schema of one kind of document, or of all of them, told apart by ``kind``.

    Raises:
        SpecError: there is no such kind; the message names those that there are.
    """
    if kind is None:
        return _all_kinds()
    if kind not in KINDS:
        guess = did_you_mean(kind, KINDS)
        raise SpecError(f"there is no kind {kind!r}; there are {listed(KINDS)}" + (f"; {guess}" if guess else ""))
    return {"$schema": DIALECT, **_one_kind(kind)}


def _one_kind(kind: str) -> dict[str, Any]:
    generated = KINDS[kind].model_json_schema(by_alias=True, schema_generator=_EditorSchema)
    generated["required"] = ["apiVersion", "kind", "metadata", "spec"]
    for name in ("apiVersion", "kind"):
        # In a file they must be written, so there is nothing to fall back to.
        generated["properties"][name].pop("default", None)
    generated["properties"]["kind"]["description"] = generated["description"]
    if kind == "EndpointSet":
        templates = {"model": partial(_one_kind, "Model"), "endpoint": partial(_one_kind, "ClassicEndpoint")}
        return with_templates(generated, templates)
    return generated


def _all_kinds() -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    branches = []
    for kind in KINDS:
        generated = _one_kind(kind)
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
            "kind": {"enum": list(KINDS), "description": "What the document describes."},
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        # Branches instead of oneOf: an editor then speaks of the mistakes in the kind that is written there.
        "allOf": branches,
        "$defs": definitions,
    }


def _when(kind: str) -> Mapping[str, Any]:
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": {"$ref": f"#/$defs/{kind}"},
    }

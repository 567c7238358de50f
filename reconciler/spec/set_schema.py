"""JSON Schema of a set's two templates: the specs that they become, with room for placeholders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

_PLACEHOLDER = {"type": "string", "pattern": r"\{.+\}"}
_REFERENCE = "#/$defs/"
_OF_WHOLE_TEXTS = frozenset({"pattern", "maxLength", "format"})
"""What holds for a text with its placeholders filled in, and for none with a placeholder in it."""
_BOUND = frozenset({"integer", "number", "boolean"})
_NAMED = frozenset({"properties", "patternProperties"})
_KEPT = frozenset({"description", "default"})

Schema = dict[str, Any]


def with_templates(schema: Schema, specs: Mapping[str, Callable[[], Schema]]) -> Schema:
    """The schema of an EndpointSet whose templates are described as far as an editor can check them.

    Args:
        schema: As pydantic has it, where a template is any mapping.
        specs: By the template's field, what makes the schema of the document that it is the ``spec`` of.
    """
    definitions = schema["$defs"]
    for field, document in specs.items():
        made = document()
        for owner, partial in (("EndpointSetSpec", False), ("Override", True)):
            known = definitions[owner]["properties"][field]
            described = {"description": known["description"]} if "description" in known else {}
            template = _Templates(made["$defs"], definitions, partial=partial)
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
        """The schema of a value that may have placeholders in it."""
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

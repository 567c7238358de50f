"""The JSON Schema that editors use says what the loader takes."""

import json
import re

import pytest

from reconciler.spec.diagnostics import SpecError
from reconciler.spec.json_schema import json_schema
from reconciler.targets import kinds

KINDS = kinds.documents()
KEYWORDS = {
    "$defs", "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "const", "default", "description", "enum",
    "format", "if", "items", "maxLength", "maximum", "minItems", "minLength", "minimum", "oneOf", "pattern",
    "patternProperties", "properties", "propertyNames", "required", "then", "title", "type",
}  # fmt: skip
NAMED = {"properties", "$defs", "patternProperties"}


def schemas_in(value):
    """Every schema within a schema."""
    if isinstance(value, dict):
        yield value
        for keyword, inner in value.items():
            if keyword in NAMED:
                for each in inner.values():
                    yield from schemas_in(each)
            elif keyword not in {"default", "const", "enum"}:
                yield from schemas_in(inner)
    elif isinstance(value, list):
        for each in value:
            yield from schemas_in(each)


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_a_schema_is_whole_and_of_the_dialect_it_names(kind):
    schema = json_schema(KINDS, kind)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema
    for each in schemas_in(schema):
        assert set(each) <= KEYWORDS
        if "$ref" in each:
            assert each["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        if "pattern" in each:
            re.compile(each["pattern"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_and_in_the_spelling_of_a_file(kind):
    schema = json_schema(KINDS, kind)

    for each in schemas_in(schema):
        for name, field in each.get("properties", {}).items():
            assert re.fullmatch("[a-z][A-Za-z]*", name)
            assert "description" in field or "description" in schema["$defs"][field["$ref"].removeprefix("#/$defs/")]
        if "properties" in each:
            assert each["additionalProperties"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_must_name_its_format_and_kind(kind):
    schema = json_schema(KINDS, kind)

    assert schema["required"] == ["apiVersion", "kind", "metadata", "spec"]
    assert schema["properties"]["kind"]["const"] == kind


def test_the_schema_of_all_kinds_branches_on_the_kind():
    schema = json_schema(KINDS)

    assert schema["properties"]["kind"]["enum"] == list(KINDS)
    assert [each["then"]["$ref"] for each in schema["allOf"]] == [f"#/$defs/{kind}" for kind in KINDS]


def test_limits_that_an_editor_can_check_are_in_it():
    endpoint = json_schema(KINDS, "ClassicEndpoint")["$defs"]["ClassicEndpointSpec"]["properties"]
    gate = json_schema(KINDS, "Model")["$defs"]["Gate"]

    assert endpoint["endpoint"]["maxLength"] == 24
    assert (endpoint["maxConcurrentCalls"]["minimum"], endpoint["maxConcurrentCalls"]["maximum"]) == (1, 200)
    assert endpoint["throttleLevel"]["enum"] == ["Low", "High"]
    assert gate["oneOf"] == [{"required": [name]} for name in ("min", "max", "maxDrop")]
    assert json_schema(KINDS, "Model")["$defs"]["Training"]["properties"]["timeout"]["default"] == "2h"


def test_the_templates_of_a_set_are_described_with_room_for_placeholders():
    definitions = json_schema(KINDS, "EndpointSet")["$defs"]
    template, override = definitions["ClassicEndpointSpecTemplate"], definitions["ClassicEndpointSpecOverride"]

    assert definitions["EndpointSetSpec"]["properties"]["endpoint"]["$ref"] == "#/$defs/ClassicEndpointSpecTemplate"
    assert definitions["Override"]["properties"]["model"]["$ref"] == "#/$defs/ModelSpecOverride"
    whole = json_schema(KINDS, "ClassicEndpoint")["$defs"]["ClassicEndpointSpec"]
    assert template["properties"].keys() == override["properties"].keys() == whole["properties"].keys()
    assert (template["required"], "required" in override) == (whole["required"], False)
    # A text with a placeholder is not yet the name that it becomes, and a number may be one.
    assert not {"pattern", "maxLength"} & template["properties"]["endpoint"].keys()
    number, placeholder = template["properties"]["maxConcurrentCalls"]["anyOf"]
    assert (number["maximum"], placeholder["type"]) == (200, "string")
    assert "name" not in definitions["ModelUseTemplate"]["required"]
    # null takes a field out.
    assert {"type": "null"} in override["properties"]["description"]["anyOf"]
    assert "FileInputTemplate" in definitions


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'ClassicEndpoint'"):
        json_schema(KINDS, "classicendpoint")

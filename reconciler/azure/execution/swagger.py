"""What a service's batch jobs take and give, as its own swagger document has it (classic-protocol 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.azure.errors import SwaggerError

_EXTENSION = re.compile(r"\.(ilearner|csv|tsv|arff)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JobSignature:
    """The names that a job may use, whose letter case matters. None is what the document does not tell.

    Attributes:
        inputs: The web service inputs.
        outputs: The web service outputs, each with the extensions that its blob may have; none if that is not told.
        parameters: The names that GlobalParameters may have.
        required: Those of them that have no default.
        columns: By input, the columns that its rows must have; an input of which that is not told is left out.
    """

    inputs: frozenset[str] | None = None
    outputs: Mapping[str, frozenset[str]] | None = None
    parameters: frozenset[str] | None = None
    required: frozenset[str] = frozenset()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def job_signature(document: Mapping[str, Any]) -> JobSignature:
    """Read a service's swagger document.

    Raises:
        SwaggerError: it describes no batch jobs.
    """
    swagger = SwaggerDocument(document)
    members = swagger.properties(swagger.body_of("/jobs", "BatchExecutionRequest"))
    if not members:
        raise SwaggerError("the swagger document describes no batch jobs")
    inputs, parameters = _names(swagger, members, "Inputs"), _names(swagger, members, "GlobalParameters")
    outputs = _names(swagger, members, "Outputs")
    return JobSignature(
        inputs=None if inputs is None else frozenset(inputs),
        outputs=None if outputs is None else {name: _extensions(schema) for name, schema in outputs.items()},
        parameters=None if parameters is None else frozenset(parameters),
        required=_required(swagger, members, parameters or {}),
        columns=_columns(swagger, inputs or {}),
    )


def _names(swagger: SwaggerDocument, members: Mapping[str, Any], member: str) -> Mapping[str, Any] | None:
    """Return the schemas by name; empty if the service has none of these, None if it is not told."""
    if member not in members:
        return {}
    schema = swagger.resolved(members[member])
    free = bool(schema.get("additionalProperties"))
    return None if free or "properties" not in schema else swagger.properties(schema)


def _extensions(output: Any) -> frozenset[str]:
    # Beside the reference to the schema of all blobs: only there is one output told from another.
    told = str(mapping(output).get("description") or "")
    return frozenset(f".{found.lower()}" for found in _EXTENSION.findall(told))


def _required(swagger: SwaggerDocument, members: Mapping[str, Any], parameters: Mapping[str, Any]) -> frozenset[str]:
    """Return the parameters that the document calls required; the service itself asks for any other."""
    named = swagger.resolved(members.get("GlobalParameters")).get("required")
    required = named if isinstance(named, list) else []
    return frozenset(name for name in required if "default" not in swagger.resolved(parameters.get(name)))


def _columns(swagger: SwaggerDocument, inputs: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the columns of each input: those that are called required, or all of them where no such list is given."""
    schemas = swagger.inputs() or {
        name: swagger.resolved(schema)
        for name, schema in swagger.properties(swagger.definition("ExecutionInputs")).items()
    }
    found: dict[str, tuple[str, ...]] = {}
    for name, schema in schemas.items():
        columns = swagger.columns(schema)
        required = swagger.resolved(schema.get("items", schema)).get("required")
        if name in inputs and columns:
            found[name] = tuple(map(str, required)) if isinstance(required, list) else tuple(columns)
    return found


class SwaggerDocument:
    """A service's document: the schemas of its operations, wherever in the document they stand."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._request = self.body_of("/execute", "ExecutionRequest")

    def inputs(self) -> dict[str, Mapping[str, Any]]:
        """Return the schema of each input, by name."""
        inputs = self.properties(self.properties(self._request).get("Inputs"))
        if not inputs:
            # No schema; an example still shows the names.
            return {name: {} for name in self._example_inputs()}
        return {name: self.resolved(schema) for name, schema in inputs.items()}

    def columns(self, schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the schema of each column of an input."""
        item = self.resolved(schema.get("items", schema))
        return {name: self.resolved(column) for name, column in self.properties(item).items()}

    def example_row(self, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return the first example row of an input; empty if there is none."""
        candidates = (
            self._example_inputs().get(name),
            schema.get("example"),
            self.resolved(schema.get("items")).get("example"),
        )
        for candidate in candidates:
            row = candidate[0] if isinstance(candidate, list) and candidate else candidate
            if isinstance(row, Mapping) and row:
                return dict(row)
        return {}

    def _example_inputs(self) -> Mapping[str, Any]:
        inputs = mapping(mapping(self._request.get("example")).get("Inputs"))
        return inputs or mapping(self.resolved(self.properties(self._request).get("Inputs")).get("example"))

    def body_of(self, path: str, definition: str) -> Mapping[str, Any]:
        """Return the schema POSTed to the path with that ending, else the definition of that name; empty if none.

        Paths may carry a query.
        """
        for each, operations in mapping(self._document.get("paths")).items():
            if str(each).split("?")[0].rstrip("/").endswith(path):
                parameters = mapping(mapping(operations).get("post")).get("parameters")
                for parameter in parameters if isinstance(parameters, list) else []:
                    resolved = self.resolved(parameter)
                    if resolved.get("in") == "body":
                        return self.resolved(resolved.get("schema"))
        return self.definition(definition)

    def definition(self, name: str) -> Mapping[str, Any]:
        """Return a definition by its name; empty if there is none."""
        return self.resolved(mapping(self._document.get("definitions")).get(name))

    def properties(self, schema: object) -> Mapping[str, Any]:
        """Return the members that a schema describes."""
        return mapping(self.resolved(schema).get("properties"))

    def resolved(self, schema: object) -> Mapping[str, Any]:
        """Return ``schema``, or what its ``$ref`` within the document leads to."""
        found = mapping(schema)
        for _ in range(10):  # a ring of references must not go on forever
            reference = found.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return found
            target: object = self._document
            for part in reference[2:].split("/"):
                target = mapping(target).get(part.replace("~1", "/").replace("~0", "~"))
            found = mapping(target)
        return {}


def mapping(value: object) -> Mapping[str, Any]:
    """``value``, or an empty mapping if it is none."""
    return value if isinstance(value, Mapping) else {}

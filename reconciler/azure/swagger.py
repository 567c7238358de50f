"""Reads a service's swagger 2.0 document, which names what the service takes and gives (classic-protocol 2 and 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SwaggerDocument:
    """A service's document: the schemas of its operations, wherever in the document they stand."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._request = self.body_of("/execute", "ExecutionRequest")

    def inputs(self) -> dict[str, Mapping[str, Any]]:
        """The schema of each input, by name."""
        inputs = self.properties(self.properties(self._request).get("Inputs"))
        if not inputs:
            # No schema; an example still shows the names.
            return {name: {} for name in self._example_inputs()}
        return {name: self.resolved(schema) for name, schema in inputs.items()}

    def columns(self, schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """The schema of each column of an input."""
        item = self.resolved(schema.get("items", schema))
        return {name: self.resolved(column) for name, column in self.properties(item).items()}

    def example_row(self, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The first example row of an input; empty if there is none."""
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
        """The schema of what is POSTed to the path with that ending, else the definition of that name; empty if none.

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
        """A definition by its name; empty if there is none."""
        return self.resolved(mapping(self._document.get("definitions")).get(name))

    def properties(self, schema: object) -> Mapping[str, Any]:
        """The members that a schema describes."""
        return mapping(self.resolved(schema).get("properties"))

    def resolved(self, schema: object) -> Mapping[str, Any]:
        """``schema``, or what its ``$ref`` within the document leads to."""
        found = mapping(schema)
        for _ in range(10):  # a ring of references must not hold us
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

"""Request/response scoring, and what can be compared of its answers (classic-protocol 2, new-protocol 4)."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from reconciler.azure.credentials import Credential
from reconciler.azure.errors import InvalidReply, SwaggerError
from reconciler.azure.execution.swagger import SwaggerDocument
from reconciler.azure.http import Http

Row: TypeAlias = Mapping[str, Any]
Answers: TypeAlias = Mapping[str, Sequence[Row]]
"""The answering rows by the output's name."""

_PROBE_ROWS = 3
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*|\s*[-+]?(nan|inf(inity)?)\s*", re.IGNORECASE)


class Scoring:
    """Scoring of one Classic endpoint or New service."""

    def __init__(self, http: Http, api_location: str, key: Credential) -> None:
        """Make a client; ``api_location`` is the base URL that the service gave, ``key`` the endpoint's own."""
        self._http = http
        self._base = api_location.rstrip("/")
        self._key = key

    async def swagger(self) -> dict[str, Any]:
        """Return the API document, which names the inputs and their columns.

        Raises:
            ServiceError: as `Http.request`.
        """
        operation = "get the swagger document"
        reply = await self._http.request("GET", f"{self._base}/swagger.json", token=self._key, operation=operation)
        document = reply.expect(dict, operation)
        if document is None:
            raise InvalidReply("the answer is empty", operation=operation, status=reply.status)
        return document

    async def execute(
        self, input_name: str, rows: Sequence[Row], parameters: Mapping[str, Any] | None = None
    ) -> Answers:
        """Score rows in the row-object form; gives the answering rows by output.

        Scoring changes nothing, so it is repeated after temporary failures, such as the 503
        InitializingContainers of a service that was idle (classic-protocol 2).

        Raises:
            ServiceError: as `Http.request`.
        """
        operation = "score"
        reply = await self._http.request(
            "POST",
            f"{self._base}/execute",
            token=self._key,
            json={
                "Inputs": {input_name: [dict(row) for row in rows]},
                "GlobalParameters": dict(parameters or {}),
            },
            params={"api-version": "2.0", "format": "swagger"},
            idempotent=True,
            operation=operation,
        )
        content = reply.expect(dict, operation) or {}
        results = content.get("Results")
        if not isinstance(results, Mapping):
            raise InvalidReply("the answer has no Results", operation=operation, status=reply.status)
        return {str(name): _rows(value, operation) for name, value in results.items()}


def _rows(value: object, operation: str) -> list[dict[str, Any]]:
    """Return an output's rows, whichever of the two forms it has (classic-protocol 2)."""
    if isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
        return [dict(row) for row in value]
    table = value.get("value") if isinstance(value, Mapping) else None
    if isinstance(table, Mapping):
        names, rows = table.get("ColumnNames"), table.get("Values")
        if isinstance(names, list) and isinstance(rows, list) and all(isinstance(row, list) for row in rows):
            return [dict(zip(map(str, names), row, strict=False)) for row in rows]
    raise InvalidReply("an output is neither rows nor a table", operation=operation)


def answers_digest(answers: Answers) -> str:
    """64 hex digits that are equal for answers that are the same but for noise in their numbers.

    Numbers count to six significant digits, and a text that is a number counts as one, because services
    differ in that. The order of rows counts; that of outputs and columns does not.
    """
    canonical = {
        name: [{column: _canonical(value) for column, value in row.items()} for row in rows]
        for name, rows in answers.items()
    }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return _rounded(float(value))
    if isinstance(value, str):
        return _rounded(float(value)) if _NUMBER.fullmatch(value) else value
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_canonical(item) for item in value]
    return str(value)


def _rounded(number: float) -> str:
    return "0" if number == 0 else f"{number:.6g}" if math.isfinite(number) else str(number)


def probe_rows(swagger: Mapping[str, Any], input_name: str | None = None) -> tuple[str, list[dict[str, Any]]]:
    """Rows to score a service with, made from its swagger document alone.

    The document's own example is the first row. The others vary its numbers, so that two models are unlikely
    to answer all of them alike; without an example, all rows are made from the columns' types.

    Args:
        swagger: The document.
        input_name: Which input; the first one if left out.

    Returns:
        The input's name, and its rows.

    Raises:
        SwaggerError: the document names no such input, or no columns for it.
    """
    document = SwaggerDocument(swagger)
    inputs = document.inputs()
    if not inputs:
        raise SwaggerError("the swagger document names no inputs. Add the probe's rows to the spec")
    name = input_name or next(iter(inputs))
    if name not in inputs:
        raise SwaggerError(f"the swagger document has no input {name!r}; found: {', '.join(map(repr, inputs))}")
    columns = document.columns(inputs[name])
    example = document.example_row(name, inputs[name])
    if not columns and not example:
        raise SwaggerError(f"the swagger document names no columns for input {name!r}")
    rows = [_made_row(columns, example, step) for step in range(_PROBE_ROWS)]
    return name, rows


def _made_row(columns: Mapping[str, Mapping[str, Any]], example: Mapping[str, Any], step: int) -> dict[str, Any]:
    names = list(columns) or list(example)
    return {name: _varied(example[name], step) if name in example else _made(columns[name], step) for name in names}


def _varied(value: object, step: int) -> object:
    """Return an example's number moved away from itself: the value, its double and one, its half and ten."""
    if step == 0 or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    moved = value * 2 + 1 if step == 1 else value / 2 + 10
    return round(moved) if isinstance(value, int) else moved


def _made(column: Mapping[str, Any], step: int) -> object:
    choices = column.get("enum")
    if isinstance(choices, list) and choices:
        return choices[step % len(choices)]
    kind = column.get("type")
    if kind == "boolean":
        return step % 2 == 1
    if kind in {"integer", "number"}:
        value = (0, 1, 10)[step % 3]
        return value if kind == "integer" else float(value)
    return ""

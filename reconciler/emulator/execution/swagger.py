"""The API document of an execution service, in the shape that the service gave it (classic-protocol 0, source SWE).

Names of inputs, outputs, parameters and columns, with example rows in ``example``.
"""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.emulator.config.predictive_experiments import PredictiveExperiment
from reconciler.emulator.config.studio_file import ParameterInput, TrainingExperiment
from reconciler.emulator.execution.code_bundle import CodeBundle
from reconciler.emulator.execution.columns import input_columns, label_columns
from reconciler.emulator.execution.services import ExecutionService
from reconciler.emulator.execution.training_data import Example
from reconciler.emulator.ml.types import Column, ColumnType, ModelDescription

Json = dict[str, Any]

_VERSION = {"name": "api-version", "in": "query", "required": True, "type": "string", "enum": ["2.0"]}
_EXAMPLES: Mapping[ColumnType, Any] = {"Integer": 1, "Number": 1, "Boolean": True, "String": ""}
_JOB_ID = {"name": "jobId", "in": "path", "required": True, "type": "string", "description": "The job's id."}


def predictive_swagger(
    service: ExecutionService, experiment: PredictiveExperiment, models: Sequence[ModelDescription], origin: str
) -> Json:
    """Return the document of a service that scores, made from the models that it was deployed with."""
    outputs = {
        scored.output: [*model.columns, *model.outputs] for scored, model in zip(experiment.scored, models, strict=True)
    }
    examples = zip(*(model.example_rows for model in models), strict=False)
    definitions = {
        **_rows("Input", experiment.input, input_columns(models), required=True, extra=label_columns(models)),
        **_tables("Output", outputs),
        **_execution_definitions({experiment.input: [dict(ChainMap(*map(dict, rows))) for rows in examples]}),
        **_batch_definitions([experiment.input], dict.fromkeys(outputs, ".csv, .tsv or .arff"), []),
    }
    paths = {"/execute": {"post": _execute()}, **_batch_paths()}
    return _document(service, origin, paths, definitions)


def code_swagger(service: ExecutionService, bundle: CodeBundle, origin: str) -> Json:
    """Return the document of a code service, made from its schemas.

    As AzureML's ``discover.R`` and ``consume.R`` read it: the rows are ``input1Item`` and ``output1Item``, the path of
    the execute operation has its query, and the example has a value for each column.
    """
    definitions: dict[str, Json] = {}
    for side, name, columns in (("Input", bundle.input, bundle.inputs), ("Output", bundle.output, bundle.outputs)):
        properties = {column.name: _column(column) for column in columns}
        item: Json = {"type": "object", "properties": properties}
        if side == "Input" and properties:
            item["required"] = list(properties)
        definitions[f"{name}Item"] = item
        definitions[name] = {"type": "array", "items": {"$ref": f"#/definitions/{name}Item"}}
        ports = {name: {"$ref": f"#/definitions/{name}"}}
        definitions[f"Execution{side}s"] = {"type": "object", "properties": ports}
    example = {column.name: _EXAMPLES[column.type] for column in bundle.inputs}
    definitions |= _execution_definitions({bundle.input: [example]})
    definitions |= _batch_definitions([bundle.input], {bundle.output: ".csv, .tsv or .arff"}, [])
    execute = _execute()
    # The query is in the path.
    execute["parameters"] = execute["parameters"][-1:]
    paths = {"/execute?api-version=2.0&format=swagger": {"post": execute}, **_batch_paths()}
    return _document(service, origin, paths, definitions)


def training_swagger(
    service: ExecutionService, experiment: TrainingExperiment, example: Example | None, origin: str
) -> Json:
    """Return the document of a service that trains: batch jobs alone, with the names that a job may use."""
    by_parameter = isinstance(experiment.input, ParameterInput)
    inputs = [] if isinstance(experiment.input, ParameterInput) else [experiment.input.web_service]
    parameters = [experiment.input.parameter] if isinstance(experiment.input, ParameterInput) else []
    outputs = {experiment.outputs.model: ".ilearner"}
    if experiment.outputs.evaluation is not None:
        outputs[experiment.outputs.evaluation] = ".csv, .tsv or .arff"
    definitions = _batch_definitions(inputs, outputs, parameters)
    if example is not None and not by_parameter:
        definitions |= _rows("Input", inputs[0], example.columns, required=True)
        definitions["ExecutionInputsItem"]["example"] = dict(example.rows[0])
    return _document(service, origin, _batch_paths(), definitions)


def _document(service: ExecutionService, origin: str, paths: Json, definitions: Json) -> Json:
    scheme, _, host = origin.partition("://")
    return {
        "swagger": "2.0",
        "info": {
            "version": "2.0",
            "title": service.title,
            "description": "",
            **({"x-endpoint-name": service.endpoint} if service.endpoint else {}),
        },
        "host": host,
        "schemes": [scheme],
        "basePath": f"/{service.path}",
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {"/swagger.json": {"get": _operation("getSwaggerDocument", {}, ok="The document.")}, **paths},
        "securityDefinitions": {
            "Bearer": {
                "type": "apiKey",
                "name": "Authorization",
                "in": "header",
                "description": "Bearer and one of the endpoint's keys.",
            }
        },
        "security": [{"Bearer": []}],
        "definitions": {**definitions, "ErrorResponse": _ERROR},
    }


def _execution_definitions(example: Mapping[str, Json | list[Json]]) -> dict[str, Json]:
    """Return the bodies of a scoring call; ``example`` has rows for each input."""
    return {
        "ExecutionRequest": {
            "type": "object",
            "properties": {
                "Inputs": {"$ref": "#/definitions/ExecutionInputs"},
                "GlobalParameters": {"type": "object", "properties": {}},
            },
            "required": ["Inputs"],
            "example": {"Inputs": example, "GlobalParameters": {}},
        },
        "ExecutionResults": {
            "type": "object",
            "properties": {"Results": {"$ref": "#/definitions/ExecutionOutputs"}},
            "required": ["Results"],
        },
    }


def _execute() -> Json:
    operation = _operation("execute", {"$ref": "#/definitions/ExecutionResults"}, ok="The scored rows.")
    operation["parameters"] = [
        _VERSION,
        {"name": "format", "in": "query", "required": True, "type": "string", "enum": ["swagger"]},
        _body("executionRequest", "ExecutionRequest"),
    ]
    return operation


def _batch_paths() -> Json:
    register = _operation("createJob", {"type": "string"}, ok="The id of the job, which is not started yet.")
    register["parameters"] = [_VERSION, _body("batchExecutionRequest", "BatchExecutionRequest")]
    start = _operation("startJob", None, status="204", ok="The job is queued.")
    status = _operation("getJob", {"$ref": "#/definitions/BatchExecutionStatus"}, ok="Where the job stands.")
    cancel = _operation("cancelJob", None, status="204", ok="The job is cancelled.")
    for operation in (start, status, cancel):
        operation["parameters"] = [_VERSION, _JOB_ID]
    return {
        "/jobs": {"post": register},
        "/jobs/{jobId}": {"get": status, "delete": cancel},
        "/jobs/{jobId}/start": {"post": start},
    }


def _operation(operation_id: str, schema: Json | None, *, ok: str, status: str = "200") -> Json:
    success: Json = {"description": ok}
    if schema:
        success["schema"] = schema
    failure = {"description": "An error.", "schema": {"$ref": "#/definitions/ErrorResponse"}}
    return {"operationId": operation_id, "responses": {status: success, "default": failure}}


def _body(name: str, definition: str) -> Json:
    return {"name": name, "in": "body", "required": True, "schema": {"$ref": f"#/definitions/{definition}"}}


def _rows(side: str, name: str, columns: Sequence[Column], *, required: bool, extra: Iterable[Column] = ()) -> Json:
    """Return ``Execution{side}s`` with one table, and the schema of its rows; ``extra`` columns may be left out."""
    definitions = _tables(side, {name: [*columns, *extra]})
    if required:
        definitions[f"Execution{side}sItem"]["required"] = [column.name for column in columns]
    return definitions


def _tables(side: str, tables: Mapping[str, Sequence[Column]]) -> Json:
    """Return ``Execution{side}s`` with tables by name, and the schema of the rows of each."""
    properties: Json = {}
    items: Json = {}
    for number, (name, columns) in enumerate(tables.items(), start=1):
        item = f"Execution{side}sItem{number if number > 1 else ''}"
        properties[name] = {"type": "array", "items": {"$ref": f"#/definitions/{item}"}}
        items[item] = {"type": "object", "properties": {column.name: _column(column) for column in columns}}
    return {f"Execution{side}s": {"type": "object", "properties": properties}, **items}


def _column(column: Column) -> Json:
    return {"type": column.type.lower(), **({"format": column.format} if column.format else {})}


def _batch_definitions(inputs: Sequence[str], outputs: Mapping[str, str], parameters: Sequence[str]) -> dict[str, Json]:
    reference = {"$ref": "#/definitions/BatchExecutionBlobReference"}
    properties: Json = {}
    required: list[str] = []
    if inputs:
        properties["Input"] = reference
        properties["Inputs"] = {"type": "object", "properties": dict.fromkeys(inputs, reference)}
    properties["Outputs"] = {
        "type": "object",
        "properties": {
            name: {**reference, "description": f"A blob whose name ends in {extensions}."}
            for name, extensions in outputs.items()
        },
    }
    properties["GlobalParameters"] = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in parameters},
        **({"required": list(parameters)} if parameters else {}),
    }
    if parameters:
        required.append("GlobalParameters")
    text = {"type": "string"}
    return {
        "BatchExecutionRequest": {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
        },
        "BatchExecutionBlobReference": {
            "type": "object",
            "properties": dict.fromkeys(("ConnectionString", "RelativeLocation", "BaseLocation", "SasBlobToken"), text),
        },
        "BatchExecutionStatus": {
            "type": "object",
            "properties": {
                "StatusCode": {
                    "type": "string",
                    "enum": ["NotStarted", "Running", "Failed", "Cancelled", "Finished"],
                    "default": "NotStarted",
                },
                "Results": {"type": "object", "additionalProperties": reference},
                "Details": text,
            },
        },
    }


_DETAIL: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("code", "target", "message")},
}
_ERROR: Json = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "array", "items": _DETAIL},
            },
        }
    },
}

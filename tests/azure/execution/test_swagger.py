"""What a service's swagger document says of its batch jobs; and whether trying a failed one again can help."""

from __future__ import annotations

import pytest

from reconciler.azure.errors import (
    CloudError,
    LostReply,
    ServiceError,
    ServiceUnavailable,
    SwaggerError,
    Throttled,
)
from reconciler.azure.execution.job_errors import advice, can_help
from reconciler.azure.execution.swagger import JobSignature, job_signature
from reconciler.emulator.config.studio_file import ParameterInput, TrainingExperiment, WebServiceInput
from reconciler.emulator.execution.services import ExecutionService
from reconciler.emulator.execution.swagger import training_swagger
from reconciler.emulator.execution.training_data import Example
from reconciler.emulator.ml.types import Column

BLOB = {"$ref": "#/definitions/BatchExecutionBlobReference"}
SERVICE = ExecutionService("workspaces", "w", "e", "Training", "default", "x", "k", "k", 4, "a")


def document(request, **definitions):
    body = {"name": "batchExecutionRequest", "in": "body", "schema": {"$ref": "#/definitions/Request"}}
    return {
        "paths": {"/jobs?api-version=2.0": {"post": {"parameters": [body]}}},
        "definitions": {"Request": {"type": "object", "properties": request}, **definitions},
    }


def training(given):
    return TrainingExperiment(kind="training", name="x", learner="Linear Regression", label="y", input=given)


def test_the_local_studio_tells_all_of_a_training_service():
    example = Example([Column("age", "Integer", "int64"), Column("y", "Number", "double")], [{"age": 1, "y": 2.0}])
    swagger = training_swagger(SERVICE, training(WebServiceInput(web_service="rows")), example, "http://h")

    assert job_signature(swagger) == JobSignature(
        inputs=frozenset({"rows"}),
        outputs={"output1": frozenset({".ilearner"}), "output2": frozenset({".csv", ".tsv", ".arff"})},
        parameters=frozenset(),
        columns={"rows": ("age", "y")},
    )


def test_parameters_without_a_default_are_required():
    swagger = training_swagger(SERVICE, training(ParameterInput(parameter="URI")), None, "http://h")

    found = job_signature(swagger)

    assert (found.inputs, found.parameters, found.required) == (frozenset(), {"URI"}, {"URI"})


def test_what_is_said_in_other_ways_is_read_as_well():
    found = job_signature(
        document(
            {
                "Inputs": {"$ref": "#/definitions/Inputs"},
                "Outputs": {"properties": {"out": {**BLOB, "description": "for a .ilearner file."}, "more": BLOB}},
                "GlobalParameters": {
                    "properties": {"p": {"type": "string", "default": "x"}, "q": {"type": "string"}},
                    "required": ["p", "q"],
                },
            },
            Inputs={"properties": {"in": BLOB}},
            ExecutionInputs={"properties": {"in": {"type": "array", "items": {"$ref": "#/definitions/Row"}}}},
            Row={"properties": {"a": {}, "b": {}}},
        )
    )

    assert found == JobSignature(
        inputs=frozenset({"in"}),
        outputs={"out": frozenset({".ilearner"}), "more": frozenset()},
        parameters=frozenset({"p", "q"}),
        required=frozenset({"q"}),
        columns={"in": ("a", "b")},
    )


def test_what_is_left_open_is_not_known():
    found = job_signature(
        document({"Inputs": {"type": "object", "additionalProperties": BLOB}, "Outputs": {"type": "object"}})
    )

    assert (found.inputs, found.outputs, found.parameters) == (None, None, frozenset())


@pytest.mark.parametrize("empty", [{}, {"paths": {"/execute": {}}}, document({}), {"definitions": [], "paths": 7}])
def test_a_document_without_jobs_is_told(empty):
    with pytest.raises(SwaggerError, match="describes no batch jobs"):
        job_signature(empty)


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        ("InternalError: something failed", True),
        ("ServiceUnavailable: no more resources", True),
        ("The job failed. Error: WorkerUnreachable", True),
        ("ModuleExecutionError: Error 0013: the learner has an invalid type", False),
        ("BadArgument: MissingRequiredGlobalParameters", False),
        ("BlobNotFound: there is no such blob", False),
        ("something else", None),
        ("", None),
        (ServiceError("m", status=400, code="BadArgument", detail_codes=("InvalidInputNames",)), False),
        (ServiceError("m", status=400, code="BadArgument"), False),
        (ServiceUnavailable("m", status=500, code="InternalError", detail_codes=("ModelPackageInvalid",)), False),
        (ServiceUnavailable("m", status=500, code="InternalError", detail_codes=("UnknownError",)), True),
        (Throttled("m", status=503, code="ServiceUnavailable", detail_codes=("RequestThrottled",)), True),
        (LostReply("m"), True),
        (ServiceError("m", status=400), False),
        (CloudError("m"), False),
    ],
)
def test_whether_trying_again_can_help_follows_the_table_of_codes(failure, again):
    """classic-protocol 4.1"""
    assert can_help(failure) is again
    assert advice(again)

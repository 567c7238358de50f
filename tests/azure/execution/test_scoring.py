"""Scoring, rows to score with, and answers that compare."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from reconciler.azure.errors import InvalidReply, SwaggerError, Throttled
from reconciler.azure.execution.scoring import Scoring, answers_digest, probe_rows

EXECUTE = "/workspaces/w/services/e/execute"


@pytest.fixture
def scoring(peer, http):
    return Scoring(http, f"{peer.url}/workspaces/w/services/e", SecretStr("endpoint-key"))


async def test_rows_are_scored_in_the_row_object_form(peer, scoring):
    peer.on("POST", EXECUTE, peer.says({"Results": {"output1": [{"Scored Labels": "1", "p": 0.5}]}}))

    answers = await scoring.execute("input1", [{"age": 7, "sex": "f"}])

    assert answers == {"output1": [{"Scored Labels": "1", "p": 0.5}]}
    (seen,) = peer.seen
    assert seen.query == {"api-version": "2.0", "format": "swagger"}
    assert seen.json == {"Inputs": {"input1": [{"age": 7, "sex": "f"}]}, "GlobalParameters": {}}
    assert seen.headers["authorization"] == "Bearer endpoint-key"


async def test_an_answer_in_the_column_form_is_read_too(peer, scoring):
    table = {"type": "DataTable", "value": {"ColumnNames": ["a", "b"], "Values": [["1", "x"], ["2", "y"]]}}
    peer.on("POST", EXECUTE, peer.says({"Results": {"output1": table}}))

    assert await scoring.execute("input1", [{}]) == {"output1": [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]}


async def test_a_service_that_was_idle_is_asked_again(peer, scoring):
    """classic-protocol 2: the first call after idle is a 503 InitializingContainers."""
    peer.on("POST", EXECUTE, peer.refuses(503, "InitializingContainers"), peer.cuts, peer.says({"Results": {}}))

    assert await scoring.execute("input1", [{}]) == {}
    assert len(peer.seen) == 3


async def test_it_is_not_asked_for_ever(peer, scoring):
    peer.on("POST", EXECUTE, peer.refuses(503, "ServiceUnavailable", "busy", "TooManyConcurrentRequests"))

    with pytest.raises(Throttled):
        await scoring.execute("input1", [{}])

    assert len(peer.seen) == 4


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "{}",
        '{"Results": 7}',
        '{"Results": {"o": 7}}',
        '{"Results": {"o": [7]}}',
        '{"Results": {"o": {"value": {"ColumnNames": ["a"], "Values": [7]}}}}',
    ],
)
async def test_an_answer_of_another_shape_is_invalid(peer, scoring, answer):
    peer.on("POST", EXECUTE, peer.says_text(answer))

    with pytest.raises(InvalidReply):
        await scoring.execute("input1", [{}])


async def test_the_swagger_document_is_read(peer, scoring):
    peer.on("GET", "/workspaces/w/services/e/swagger.json", peer.says({"swagger": "2.0"}))

    assert await scoring.swagger() == {"swagger": "2.0"}


def swagger(properties: dict[str, Any], **request: Any) -> dict[str, Any]:
    """A document as the service makes it: the request's schema behind references."""
    return {
        "swagger": "2.0",
        "paths": {
            "/execute?api-version=2.0&format=swagger": {
                "post": {
                    "parameters": [
                        {"name": "api-version", "in": "query"},
                        {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/ExecutionRequest"}},
                    ]
                }
            }
        },
        "definitions": {
            "ExecutionRequest": {
                "type": "object",
                "properties": {"Inputs": {"$ref": "#/definitions/ExecutionInputs"}, "GlobalParameters": {}},
                **request,
            },
            "ExecutionInputs": {
                "properties": {"input1": {"type": "array", "items": {"$ref": "#/definitions/ExecutionInput"}}}
            },
            "ExecutionInput": {"type": "object", "properties": properties},
        },
    }


def test_probe_rows_start_from_the_example_and_vary_its_numbers():
    document = swagger(
        {"age": {"type": "integer"}, "sex": {"type": "string"}},
        example={"Inputs": {"input1": [{"age": 40, "sex": "f", "share": 0.5, "member": True}]}},
    )

    name, rows = probe_rows(document)

    assert name == "input1"
    assert rows == [{"age": 40, "sex": "f"}, {"age": 81, "sex": "f"}, {"age": 30, "sex": "f"}]


def test_without_an_example_probe_rows_are_made_from_the_types():
    document = swagger(
        {
            "n": {"type": "number"},
            "i": {"type": "integer"},
            "b": {"type": "boolean"},
            "e": {"type": "string", "enum": ["x", "y"]},
            "s": {"type": "string"},
        }
    )

    assert probe_rows(document)[1] == [
        {"n": 0.0, "i": 0, "b": False, "e": "x", "s": ""},
        {"n": 1.0, "i": 1, "b": True, "e": "y", "s": ""},
        {"n": 10.0, "i": 10, "b": False, "e": "x", "s": ""},
    ]


def test_an_example_alone_is_enough():
    document = {"definitions": {"ExecutionRequest": {"example": {"Inputs": {"in": [{"a": 1.0}]}}}}}

    assert probe_rows(document) == ("in", [{"a": 1.0}, {"a": 3.0}, {"a": 10.5}])


def test_an_example_beside_the_columns_is_found():
    document = swagger({"a": {"type": "integer"}})
    document["definitions"]["ExecutionInput"]["example"] = {"a": 5}

    assert probe_rows(document)[1][0] == {"a": 5}


def test_the_input_can_be_named():
    document = swagger({"a": {"type": "integer"}})

    assert probe_rows(document, "input1")[0] == "input1"
    with pytest.raises(SwaggerError, match="no input 'input2'; found: 'input1'"):
        probe_rows(document, "input2")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"paths": None},
        {"paths": {"/execute": {"post": {"parameters": "odd"}}}},
        swagger({}),
        {"definitions": {"ExecutionRequest": {"$ref": "#/definitions/ExecutionRequest"}}},
        {"definitions": {"ExecutionRequest": {"$ref": "http://elsewhere/x"}}},
    ],
)
def test_a_document_without_inputs_or_columns_is_refused(document):
    with pytest.raises(SwaggerError):
        probe_rows(document)


def test_a_digest_is_64_hex_digits():
    digest = answers_digest({"o": [{"a": 1}]})

    assert len(digest) == 64
    assert int(digest, 16)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (0.123456789, 0.123456788),
        (1, 1.0),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        (0.0, -0.0),
        (12345678, 12345679),
        ("NaN", float("nan")),
    ],
)
def test_noise_and_spelling_of_numbers_do_not_count(left, right):
    assert answers_digest({"o": [{"a": left}]}) == answers_digest({"o": [{"a": right}]})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (0.12345, 0.12346),
        ("malignant", "benign"),
        (True, 1),
        (None, ""),
        ("1 2", 12),
        ("1_0", 10),
        (0, None),
        (float("inf"), float("-inf")),
    ],
)
def test_what_differs_differs(left, right):
    assert answers_digest({"o": [{"a": left}]}) != answers_digest({"o": [{"a": right}]})


def test_the_order_of_outputs_and_columns_does_not_count_and_that_of_rows_does():
    first, second = {"a": 1, "b": 2}, {"a": 3, "b": 4}

    assert answers_digest({"x": [first], "y": [second]}) == answers_digest({"y": [{"b": 4, "a": 3}], "x": [first]})
    assert answers_digest({"x": [first, second]}) != answers_digest({"x": [second, first]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=3), max_size=3))
def test_any_answers_have_a_digest_that_repeats(answers):
    assert answers_digest(answers) == answers_digest(answers)

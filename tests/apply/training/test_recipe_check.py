"""A recipe whose names its training service does not know is refused, with the names that it does know."""

from __future__ import annotations

from typing import Any

from reconciler.apply.training.recipe_check import recipe_problem
from reconciler.azure.execution.swagger import JobSignature
from reconciler.spec.documents import Training

MODEL, DATA = frozenset({".ilearner"}), frozenset({".csv", ".tsv", ".arff"})
SIGNATURE = JobSignature(
    inputs=frozenset({"input1", "extra rows"}),
    outputs={"output1": MODEL, "output2": DATA},
    parameters=frozenset({"URI", "Rounds"}),
    required=frozenset({"URI"}),
    columns={"input1": ("age", "smoker")},
)
RIGHT: dict[str, Any] = {
    "classic": {"webService": "Training"},
    "inputs": {"input1": {"file": "a.csv"}, "extra rows": {"file": "b.csv"}},
    "parameters": {"URI": {"url": "https://example.com/a.csv"}},
    "outputs": {"model": "output1", "evaluation": "output2"},
}


def problem_of(signature: JobSignature = SIGNATURE, columns: Any = None, **changes: Any) -> str | None:
    training = Training.model_validate({**RIGHT, **changes})
    found = recipe_problem(training, "Training, endpoint default", signature, columns or {})
    return None if found is None else f"[{found.code}] {found.message} -> {found.remedy}"


def test_a_recipe_of_the_right_names_is_no_problem() -> None:
    assert problem_of() is None
    assert problem_of(parameters={"URI": "https://example.com", "Rounds": 3}) is None
    assert problem_of(outputs={"model": "output1"}) is None


def test_a_wrong_name_is_told_with_the_right_ones_and_the_nearest() -> None:
    assert problem_of(inputs={"Input1": {"file": "a.csv"}, "extra rows": {"file": "b.csv"}}) == (
        '[unknown-input] Training service Training, endpoint default: unknown input "Input1" '
        '(the service has "extra rows", "input1") -> Did you mean "input1"?'
    )
    assert problem_of(outputs={"model": "output1", "evaluation": "metrics"}) == (
        '[unknown-output] Training service Training, endpoint default: unknown output "metrics" '
        '(the service has "output1", "output2") -> Correct the name of the output, or remove it'
    )
    assert problem_of(parameters={"uri": "x"}) == (
        '[unknown-parameter] Training service Training, endpoint default: unknown parameter "uri" '
        '(the service has "Rounds", "URI") -> Did you mean "URI"?'
    )


def test_what_a_job_needs_and_is_not_given_is_named() -> None:
    assert problem_of(inputs={"input1": {"file": "a.csv"}}) == (
        '[input-not-given] Training service Training, endpoint default: the spec has no data for input "extra rows"'
        " -> Add the data to training.inputs"
    )
    assert 'the spec has no value for parameter "URI", which has no default' in str(problem_of(parameters={}))


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = str(problem_of(inputs={}, outputs={"model": "outptu1"}, parameters={"Rounds": 1}))

    assert 'for input "extra rows", "input1"' in found
    assert 'unknown output "outptu1"' in found
    assert 'for parameter "URI"' in found
    assert found.startswith("[input-not-given]")


def test_an_output_of_another_kind_is_refused() -> None:
    assert problem_of(outputs={"model": "output2", "evaluation": "output1"}) == (
        "[output-is-no-model] Training service Training, endpoint default: "
        'output "output2" does not give a trained model (outputs that do: "output1"); '
        'output "output1" gives a trained model, not an evaluation -> Correct outputs.model; '
        "Correct outputs.evaluation"
    )


def test_columns_that_the_data_lack_are_named() -> None:
    assert problem_of(columns={"input1": ("smoker", "age", "more"), "extra rows": ("x",)}) is None
    assert problem_of(columns={"input1": ("smoker", "Age")}) == (
        '[input-columns] Training service Training, endpoint default: input "input1" is missing column "age"'
        " -> Add the missing columns to the data"
    )


def test_what_the_service_does_not_tell_is_not_checked() -> None:
    assert problem_of(JobSignature()) is None
    assert problem_of(JobSignature(outputs={"output1": frozenset(), "output2": frozenset()})) is None


def test_a_service_without_inputs_says_so() -> None:
    assert "(the service has no inputs) -> Correct the name of the input, or remove it" in str(
        problem_of(JobSignature(inputs=frozenset()))
    )

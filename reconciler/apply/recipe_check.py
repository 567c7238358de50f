"""Whether a recipe fits what its training service takes: by its own names, before anything is uploaded.

Letter case matters (classic-protocol 2), so a name that differs in it alone is a wrong one too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from reconciler.apply.local_data import listed_columns
from reconciler.azure.job_signature import JobSignature
from reconciler.plan.states import Problem
from reconciler.plan.wording import quoted
from reconciler.spec.documents import Training

_MODEL = ".ilearner"


def recipe_problem(
    training: Training, service: str, signature: JobSignature, columns: Mapping[str, Collection[str]]
) -> Problem | None:
    """All that is wrong with a recipe's names as one problem; None if the service would take them.

    Args:
        training: The recipe.
        service: Its training service, for people.
        signature: What the service says of its jobs. What it does not say is not checked.
        columns: By input, the columns of the data, as far as they are known.
    """
    found = [
        *_inputs(training, signature),
        *_outputs(training, signature),
        *_parameters(training, signature),
        *_columns(signature, columns),
    ]
    if not found:
        return None
    return Problem(
        found[0].code,
        f"training service {service}: " + "; ".join(problem.message for problem in found),
        "; ".join(dict.fromkeys(problem.remedy for problem in found)),
    )


def _inputs(training: Training, signature: JobSignature) -> Iterator[Problem]:
    if signature.inputs is None:
        return
    for name in training.inputs:
        if name not in signature.inputs:
            yield _unknown("input", name, signature.inputs)
    if missing := signature.inputs - training.inputs.keys():
        yield Problem(
            "input-not-given",
            f"no data are given for its input {quoted(sorted(missing))}",
            "name it in training.inputs",
        )


def _outputs(training: Training, signature: JobSignature) -> Iterator[Problem]:
    if signature.outputs is None:
        return
    outputs, wanted = signature.outputs, training.outputs
    for name in filter(None, (wanted.model, wanted.evaluation)):
        if name not in outputs:
            yield _unknown("output", name, outputs)
    if (told := outputs.get(wanted.model)) and _MODEL not in told:
        models = [name for name, extensions in outputs.items() if _MODEL in extensions]
        there = f"those that do: {quoted(sorted(models))}" if models else "none of its outputs does"
        yield Problem(
            "output-is-no-model",
            f'its output "{wanted.model}" gives no trained model; {there}',
            "correct outputs.model",
        )
    if wanted.evaluation is not None and outputs.get(wanted.evaluation) == frozenset({_MODEL}):
        yield Problem(
            "output-is-no-evaluation",
            f'its output "{wanted.evaluation}" gives a trained model, and no evaluation',
            "correct outputs.evaluation",
        )


def _parameters(training: Training, signature: JobSignature) -> Iterator[Problem]:
    if signature.parameters is not None:
        for name in training.parameters:
            if name not in signature.parameters:
                yield _unknown("parameter", name, signature.parameters)
    if missing := signature.required - training.parameters.keys():
        yield Problem(
            "parameter-not-given",
            f"no value is given for its parameter {quoted(sorted(missing))}, which has no default",
            "name it in training.parameters",
        )


def _columns(signature: JobSignature, columns: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    for name, given in columns.items():
        if missing := set(signature.columns.get(name, ())) - set(given):
            yield Problem(
                "input-columns",
                f'the data of input "{name}" lack the column {listed_columns(missing)}',
                "add what is missing to the file",
            )


def _unknown(what: str, name: str, known: Collection[str]) -> Problem:
    there = f"it has {quoted(sorted(known))}" if known else f"it has no {what}s"
    near = get_close_matches(name, known, n=1) or [each for each in known if each.lower() == name.lower()]
    remedy = f'did you mean "{near[0]}"?' if near else f"correct the name of the {what}, or leave it out"
    return Problem(f"unknown-{what}", f'it has no {what} "{name}"; {there}', remedy)

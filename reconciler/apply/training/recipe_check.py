"""Whether a recipe fits what its training service takes: by its own names, before anything is uploaded.

Letter case matters (classic-protocol 2), so a name that differs in it alone is a wrong one too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from reconciler.apply.training.local_files import listed_columns
from reconciler.azure.execution.swagger import JobSignature
from reconciler.plan.states import Problem
from reconciler.spec.diagnostics import join_names
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
        f"Training service {service}: " + "; ".join(problem.message for problem in found),
        "; ".join(dict.fromkeys(problem.remedy for problem in found)),
    )


def _inputs(training: Training, signature: JobSignature) -> Iterator[Problem]:
    if signature.inputs is not None:
        yield from _unknown("input", training.inputs, signature.inputs)
        if missing := _missing(training.inputs, signature.inputs, signature.inputs):
            message = f"the spec has no data for input {join_names(missing, quoted=True)}"
            yield Problem("input-not-given", message, "Add the data to training.inputs")


def _outputs(training: Training, signature: JobSignature) -> Iterator[Problem]:
    if signature.outputs is None:
        return
    outputs, wanted = signature.outputs, training.outputs
    yield from _unknown("output", [name for name in (wanted.model, wanted.evaluation) if name is not None], outputs)
    if (told := outputs.get(wanted.model)) and _MODEL not in told:
        models = [name for name, extensions in outputs.items() if _MODEL in extensions]
        there = f"outputs that do: {join_names(sorted(models), quoted=True)}" if models else "no output does"
        yield Problem(
            "output-is-no-model",
            f'output "{wanted.model}" does not give a trained model ({there})',
            "Correct outputs.model",
        )
    if wanted.evaluation is not None and outputs.get(wanted.evaluation) == frozenset({_MODEL}):
        yield Problem(
            "output-is-no-evaluation",
            f'output "{wanted.evaluation}" gives a trained model, not an evaluation',
            "Correct outputs.evaluation",
        )


def _parameters(training: Training, signature: JobSignature) -> Iterator[Problem]:
    if signature.parameters is not None:
        yield from _unknown("parameter", training.parameters, signature.parameters)
    if missing := _missing(training.parameters, signature.required, signature.parameters or ()):
        message = f"the spec has no value for parameter {join_names(missing, quoted=True)}, which has no default"
        yield Problem("parameter-not-given", message, "Add the value to training.parameters")


def _columns(signature: JobSignature, columns: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    for name, given in columns.items():
        if missing := set(signature.columns.get(name, ())) - set(given):
            yield Problem(
                "input-columns",
                f'input "{name}" is missing {"column" if len(missing) == 1 else "columns"} {listed_columns(missing)}',
                "Add the missing columns to the data",
            )


def _unknown(what: str, given: Iterable[str], known: Collection[str]) -> Iterator[Problem]:
    there = f"the service has {join_names(sorted(known), quoted=True)}" if known else f"the service has no {what}s"
    for name in given:
        if name not in known:
            meant = _meant(name, known)
            remedy = f'Did you mean "{meant}"?' if meant else f"Correct the name of the {what}, or remove it"
            yield Problem(f"unknown-{what}", f'unknown {what} "{name}" ({there})', remedy)


def _missing(given: Collection[str], needed: Collection[str], known: Collection[str]) -> list[str]:
    """Return what is needed and not given, without that which a misspelt name stands for."""
    meant = {_meant(name, known) for name in given if name not in known}
    return sorted(set(needed) - set(given) - meant)


def _meant(name: str, known: Collection[str]) -> str | None:
    near = [each for each in sorted(known) if each.casefold() == name.casefold()]
    return next(iter(near or get_close_matches(name, sorted(known), n=1)), None)

"""Which columns of a request each of a service's models scores: its own, out of one table for all of them."""

from collections.abc import Iterable, Sequence

from reconciler.emulator.ml.types import Column, ModelDescription, Scalar, ScoringError


def check_columns(given: Sequence[str], models: Sequence[ModelDescription]) -> None:
    """Check that a request has every input column of every model and no others; labels are optional.

    Raises:
        ScoringError: InputMismatchError.
    """
    wanted = [column.name for column in input_columns(models)]
    labels = {model.label for model in models}
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in wanted and name not in labels]
    if missing:
        raise ScoringError("InputMismatchError", f"The input lacks the column {', '.join(map(repr, missing))}.")
    if unknown:
        raise ScoringError("InputMismatchError", f"The model has no column {', '.join(map(repr, unknown))}.")


def input_columns(models: Iterable[ModelDescription]) -> list[Column]:
    """Return the columns that the models need together, in the order of first mention."""
    columns: dict[str, Column] = {}
    for model in models:
        for column in model.columns:
            columns.setdefault(column.name, column)
    return list(columns.values())


def label_columns(models: Sequence[ModelDescription]) -> list[Column]:
    """Return the columns of labels that no model needs for its scores."""
    needed = {column.name for column in input_columns(models)}
    labels = {model.label: Column(model.label, model.label_type, "") for model in models}
    return [column for name, column in labels.items() if name not in needed]


def known_columns(
    columns: Sequence[str], rows: Sequence[Sequence[Scalar]], model: ModelDescription
) -> tuple[list[str], list[list[Scalar]]]:
    """Return the part of a table that a model knows: its columns and its label."""
    known = {column.name for column in model.columns} | {model.label}
    kept = [index for index, name in enumerate(columns) if name in known]
    return [columns[index] for index in kept], [[row[index] for index in kept] for row in rows]

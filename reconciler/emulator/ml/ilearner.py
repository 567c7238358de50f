"""The ``.ilearner`` blob: a trained pipeline and what it says about itself, as a skops file; scoring with it.

Never a pickle. A file is loaded only if every type in it is one of scikit-learn's and numpy's plain ones or
on the short list here. Only workers import this module.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from zipfile import ZIP_DEFLATED

import numpy as np
import skops.io

from reconciler.emulator.ml.csv_table import parse
from reconciler.emulator.ml.types import (
    FORMATS,
    LEARNERS,
    Column,
    ColumnType,
    ModelDescription,
    Scalar,
    Scored,
    ScoringError,
    Task,
    UnreadableModelError,
)

Array = np.ndarray[Any, np.dtype[Any]]

_FORMAT: Final = "studio-trained-model/1"
_TRUSTED: Final = ["numpy.dtype", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


@dataclass(frozen=True)
class Model:
    """A trained model in memory.

    Attributes:
        description: what it says about itself.
        pipeline: scikit-learn's pipeline over `matrix` of the columns below.
        numbers: the names of the columns of numbers that it uses.
        categories: the names of the columns of texts that it uses.
    """

    description: ModelDescription
    pipeline: Any
    numbers: Sequence[str]
    categories: Sequence[str]


def dump(model: Model) -> bytes:
    """Write a model as a skops file."""
    about = {
        "description": asdict(model.description),
        "numbers": list(model.numbers),
        "categories": list(model.categories),
    }
    content = {"format": _FORMAT, "about": json.dumps(about), "pipeline": model.pipeline}
    data: bytes = skops.io.dumps(content, compression=ZIP_DEFLATED)
    return data


def load(data: bytes) -> Model:
    """Read a model from a skops file, trusting only a fixed list of types.

    Raises:
        UnreadableModelError: it is not a skops file, holds other types, or was not made by `dump`.
    """
    try:
        content = skops.io.loads(data, trusted=_TRUSTED)
        written_as = content["format"]
        about = json.loads(content["about"])
        description = about["description"]
        for name in ("columns", "outputs"):
            description[name] = [Column(**column) for column in description[name]]
        model = Model(ModelDescription(**description), content["pipeline"], about["numbers"], about["categories"])
    except Exception as error:
        # Anything may be in a file that somebody else wrote, and the loader may trip over any of it.
        raise UnreadableModelError(f"the blob is not a trained model ({type(error).__name__})") from error
    if written_as != _FORMAT:
        raise UnreadableModelError(f"the trained model has another format than {_FORMAT}")
    return model


def output_columns(task: Task, label_type: ColumnType, classes: Sequence[Scalar]) -> list[Column]:
    """Return the columns that scoring adds to its input, as Score Model names them."""
    number = FORMATS["Number"]
    if task == "regression":
        return [Column("Scored Labels", "Number", number)]
    labels = Column("Scored Labels", label_type, FORMATS[label_type])
    if task == "binary":
        return [labels, Column("Scored Probabilities", "Number", number)]
    each = [Column(f'Scored Probabilities for Class "{_text(c)}"', "Number", number) for c in classes]
    return [*each, labels]


def matrix(numbers: Sequence[Sequence[Scalar]], categories: Sequence[Sequence[Scalar]], rows: int) -> Array:
    """Put typed columns together as the pipeline wants them: numbers first, then texts."""
    values = np.empty((rows, len(numbers) + len(categories)), dtype=object)
    for i, column in enumerate(numbers):
        values[:, i] = [np.nan if value is None else float(value) for value in column]
    for i, column in enumerate(categories, start=len(numbers)):
        values[:, i] = ["" if value is None else str(value) for value in column]
    return values


def score(model: Model, columns: Sequence[str], rows: Sequence[Sequence[Scalar]]) -> Scored:
    """Score rows.

    The answer has all input columns of the model in their order, then the label if it was given (unchanged),
    then the columns that scoring adds. Input columns may come in any order, and texts may stand for numbers. A
    column that is not given counts as missing in every row, as long as one is given; a column that the model
    does not know is passed over.

    Args:
        model: a loaded model.
        columns: the names of the values in each row.
        rows: the values.

    Raises:
        ScoringError: InputMismatchError if names or row lengths do not fit, InputParseError if a value is not
            of its column's type.
    """
    about = model.description
    _check_shape(about, columns, rows)
    inputs = {column.name: _input_column(column, columns, rows) for column in about.columns}
    names = [column.name for column in about.columns]
    types = [column.type for column in about.columns]
    answer: list[list[Scalar]] = [inputs[name] for name in names]
    if about.label in columns:
        names.append(about.label)
        types.append(about.label_type)
        answer.append([row[columns.index(about.label)] for row in rows])
    names += [column.name for column in about.outputs]
    types += [column.type for column in about.outputs]
    if not rows:
        return Scored(names, types, [])
    values = matrix([inputs[name] for name in model.numbers], [inputs[name] for name in model.categories], len(rows))
    answer += _predict(model, values)
    return Scored(names, types, [list(row) for row in zip(*answer, strict=True)])


def _check_shape(about: ModelDescription, columns: Sequence[str], rows: Sequence[Sequence[Scalar]]) -> None:
    if len(set(columns)) < len(columns):
        twice = sorted({name for name in columns if columns.count(name) > 1})
        raise ScoringError("InputMismatchError", f"Column names are given twice: {', '.join(twice)}.")
    known = [column.name for column in about.columns]
    if not set(columns) & set(known):
        raise ScoringError(
            "InputMismatchError",
            f"None of the input columns is given. The model has: {', '.join(known)}.",
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise ScoringError("InputMismatchError", f"Row {number} has {len(row)} values for {len(columns)} columns.")


def _input_column(column: Column, columns: Sequence[str], rows: Sequence[Sequence[Scalar]]) -> list[Scalar]:
    if column.name not in columns:
        return [None] * len(rows)
    position = columns.index(column.name)
    values: list[Scalar] = []
    for number, row in enumerate(rows, start=1):
        value = row[position]
        try:
            values.append(parse(value, column.type))
        except (TypeError, ValueError, OverflowError):
            raise ScoringError(
                "InputParseError",
                f'Row {number}, column "{column.name}": unable to parse {str(value)[:60]!r} as {column.type}.',
            ) from None
    return values


def _predict(model: Model, values: Array) -> list[list[Scalar]]:
    about = model.description
    task = LEARNERS[about.learner]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # A category that was never seen needs no warning: the pipeline has a place for it.
        warnings.simplefilter("ignore")
        if task == "regression":
            return [[_finite(value) for value in model.pipeline.predict(values)]]
        probabilities = model.pipeline.predict_proba(values)
    labels = [about.classes[number] for number in probabilities.argmax(axis=1)]
    if task == "binary":
        return [labels, [_finite(p) for p in probabilities[:, 1]]]
    return [*([_finite(p) for p in column] for column in probabilities.T), labels]


def _finite(value: float) -> float | None:
    """Return a number that JSON can hold; a linear model can be driven over the edge of the floats."""
    return float(value) if np.isfinite(value) else None


def _text(value: Scalar) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)

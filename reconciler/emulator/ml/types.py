"""What training and scoring take and give, as plain values.

Nothing here imports scikit-learn: the server works with these values, and only its workers compute them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Scalar = str | int | float | bool | None
ColumnType = Literal["Integer", "Number", "String", "Boolean"]
Task = Literal["binary", "multiclass", "regression"]

LEARNERS: Final[Mapping[str, Task]] = {
    "Two-Class Logistic Regression": "binary",
    "Two-Class Boosted Decision Tree": "binary",
    "Multiclass Logistic Regression": "multiclass",
    "Linear Regression": "regression",
    "Boosted Decision Tree Regression": "regression",
}
"""Studio's learners that there are here, by their names, and what each is for."""

FORMATS: Final[Mapping[ColumnType, str]] = {
    "Integer": "int64",
    "Number": "double",
    "String": "string",
    "Boolean": "boolean",
}
"""The format that a service's API document gives beside a column's type."""


@dataclass(frozen=True)
class TrainingExperiment:
    """How to train.

    Attributes:
        learner: one of `LEARNERS`.
        label: the column to predict.
        seed: decides which rows are held out; the same data and seed give the same model.
    """

    learner: str
    label: str
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes:
        ilearner: the trained model, a skops file.
        evaluation_csv: Evaluate Model's metrics on the rows held out: a header and one row.
        rows_trained: how many rows the model has learned from.
        rows_evaluated: how many were held out.
    """

    ilearner: bytes
    evaluation_csv: bytes
    rows_trained: int
    rows_evaluated: int


@dataclass(frozen=True)
class Column:
    """An input column of a model; `format` narrows the type as an API document does."""

    name: str
    type: ColumnType
    format: str


@dataclass(frozen=True)
class ModelDescription:
    """What a trained model says about itself.

    Attributes:
        columns: the input columns, in the order of the training data, without the label.
        label: the column that it predicts.
        label_type: the label's type.
        learner: one of `LEARNERS`.
        classes: the classes that it distinguishes; empty for a regression.
        outputs: the columns that scoring adds: ``Scored Labels`` and, for classes, their probabilities.
        example_rows: a few rows of the training data, without the label.
        rows_trained: how many rows it has learned from.
    """

    columns: Sequence[Column]
    label: str
    label_type: ColumnType
    learner: str
    classes: Sequence[Scalar]
    outputs: Sequence[Column]
    example_rows: Sequence[Mapping[str, Scalar]]
    rows_trained: int


@dataclass(frozen=True)
class Scored:
    """Scored rows as a table; every value can be written as JSON."""

    columns: Sequence[str]
    types: Sequence[ColumnType]
    rows: Sequence[Sequence[Scalar]]


class ExperimentError(Exception):
    """Data or a model that an experiment cannot use.

    Attributes:
        code: what is wrong, for programs.
        message: what is wrong, for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TrainingError(ExperimentError):
    """A training that failed; the code is a module error of Studio, four digits, and the message begins with it."""


class ScoringError(ExperimentError):
    """Rows that do not fit the model; the code is InputMismatchError or InputParseError (classic-protocol 4.1)."""


class UnreadableModelError(TrainingError, ScoringError):
    """A blob that is not a model trained here; the code is IncompatibleModel (classic-protocol 4.1)."""

    def __init__(self, message: str) -> None:
        super().__init__("IncompatibleModel", message)


def training_error(code: str, reason: str) -> TrainingError:
    """Return a module's error, worded as Studio words it: ``Error 0001: …``."""
    return TrainingError(code, f"Error {code}: {reason}")

"""Train Model: a CSV in, a trained model and its evaluation out. Only workers import this module."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from reconciler.emulator.ml.csv_table import MISSING, Table, read_table
from reconciler.emulator.ml.evaluation import classification_metrics, evaluation_csv, regression_metrics
from reconciler.emulator.ml.ilearner import Array, Model, dump, matrix, output_columns
from reconciler.emulator.ml.types import (
    FORMATS,
    LEARNERS,
    Column,
    ModelDescription,
    Scalar,
    Task,
    Trained,
    TrainingExperiment,
    training_error,
)

_HELD_OUT: Final = 0.3
_FEWEST_ROWS: Final = 4
_EXAMPLES: Final = 3
_MANY_ROWS: Final = 20
_NEARLY_ALL: Final = 0.95


@dataclass(frozen=True)
class _Target:
    """What is to be predicted: class numbers, or values; `classes` is empty for a regression."""

    values: Array
    classes: Sequence[Scalar]


def train(data: bytes, experiment: TrainingExperiment) -> Trained:
    """Train on a part of the rows and evaluate on the others, with which the model has nothing to do.

    Rows without a label are left out. Columns are left out of the model, though not out of its inputs, that
    have no value, have one value only, or are texts that nearly every row has another of (ids, names).

    Args:
        data: a CSV with a header.
        experiment: what to train.

    Raises:
        TrainingError: with the code of the module error that Studio has for it.
    """
    task = LEARNERS.get(experiment.learner)
    if task is None:
        raise training_error("0013", f'Learner "{experiment.learner}" passed to Train Model has invalid type.')
    table = read_table(data)
    if experiment.label not in table.names:
        raise training_error("0001", f'Column with name or index "{experiment.label}" not found.')
    label = table.names.index(experiment.label)
    table = _labelled(table, label)
    target = _target(table, label, experiment.learner, task)
    numbers, categories = _features(table, label)
    columns = [
        Column(name, column_type, FORMATS[column_type])
        for name, column_type in zip(table.names, table.types, strict=True)
    ]
    typed = {i: table.typed(i) for i in range(len(columns)) if i != label}
    inputs = matrix([typed[i] for i in numbers], [typed[i] for i in categories], len(target.values))
    learned, held_out = _split(target, experiment.seed)
    pipeline = build(experiment.learner, len(numbers), len(categories))
    metrics = _fit(pipeline, task, inputs, target, (learned, held_out))
    description = ModelDescription(
        columns=[column for i, column in enumerate(columns) if i != label],
        label=experiment.label,
        label_type=columns[label].type,
        learner=experiment.learner,
        classes=target.classes,
        outputs=output_columns(task, columns[label].type, target.classes),
        example_rows=_examples(table.names, typed, learned),
        rows_trained=len(learned),
    )
    model = Model(
        description=description,
        pipeline=pipeline,
        numbers=[table.names[i] for i in numbers],
        categories=[table.names[i] for i in categories],
    )
    return Trained(dump(model), evaluation_csv(metrics), len(learned), len(held_out))


def _labelled(table: Table, label: int) -> Table:
    kept = [i for i, text in enumerate(table.columns[label]) if text not in MISSING]
    if len(kept) < _FEWEST_ROWS:
        raise training_error(
            "0021",
            f"Number of rows in input dataset is {len(kept)}, less than allowed minimum of {_FEWEST_ROWS} "
            "row(s) with a label.",
        )
    return Table(table.names, table.types, [[column[i] for i in kept] for column in table.columns])


def _target(table: Table, label: int, learner: str, task: Task) -> _Target:
    name, column_type = table.names[label], table.types[label]
    values = table.typed(label)
    if task == "regression":
        if column_type not in {"Integer", "Number"}:
            raise training_error(
                "0083", f'Dataset used for training is incompatible with {learner}: "{name}" is not numeric.'
            )
        return _Target(np.array(values, dtype=float), ())
    classes: list[Any] = sorted(set(values), key=lambda v: str(v) if column_type == "String" else v)
    if len(classes) < 2:
        raise training_error(
            "0083",
            f'Dataset used for training is incompatible with {learner}: label column "{name}" has a single '
            "class, at least two are needed.",
        )
    if task == "binary" and len(classes) > 2:
        raise training_error(
            "0083",
            f'Dataset used for training is incompatible with {learner}: label column "{name}" has '
            f"{len(classes)} classes, exactly two are needed.",
        )
    numbers = {value: number for number, value in enumerate(classes)}
    return _Target(np.array([numbers[value] for value in values]), classes)


def _features(table: Table, label: int) -> tuple[list[int], list[int]]:
    """Return the columns to learn from: of numbers (and booleans), and of texts."""
    numbers, categories = [], []
    for i, column_type in enumerate(table.types):
        present = [text for text in table.columns[i] if text not in MISSING]
        different = len(set(present)) + (len(present) < len(table.columns[i]))
        if i == label or not present or different < 2:
            continue
        if column_type != "String":
            numbers.append(i)
        elif len(present) < _MANY_ROWS or len(set(present)) < _NEARLY_ALL * len(present):
            categories.append(i)
    if not numbers and not categories:
        raise training_error(
            "0047", "Number of feature columns in the dataset is 0, less than allowed minimum of 1 column(s)."
        )
    return numbers, categories


def _split(target: _Target, seed: int) -> tuple[list[int], list[int]]:
    """Return the rows to learn from and the rows to hold out: every class is on both sides, if it has enough rows."""
    rows = len(target.values)
    count = max(1, round(_HELD_OUT * rows))
    strata = None
    if target.classes:
        sizes = np.bincount(target.values)
        count = max(count, len(sizes))
        if sizes.min() >= 2 and rows - count >= len(sizes):
            strata = target.values
        else:
            count = max(1, round(_HELD_OUT * rows))
    learned, held_out = train_test_split(np.arange(rows), test_size=count, random_state=seed % 2**32, stratify=strata)
    if target.classes and strata is None:
        # Some class has too few rows to be on both sides: what must be learned comes first.
        known = set(target.values[learned].tolist())
        needed = {int(target.values[i]): int(i) for i in held_out if target.values[i] not in known}
        learned = [*learned, *needed.values()]
        held_out = [i for i in held_out if i not in needed.values()] or list(learned)
    return sorted(int(i) for i in learned), sorted(int(i) for i in held_out)


def _fit(
    pipeline: Any,
    task: Task,
    inputs: Array,
    target: _Target,
    split: tuple[Sequence[int], Sequence[int]],
) -> dict[str, float]:
    learned, held_out = split
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Odd data (constant, enormous, separable) makes for a poor model and poor metrics, which is the
            # experiment's answer about it; nobody reads a worker's warnings.
            warnings.simplefilter("ignore")
            pipeline.fit(inputs[learned], target.values[learned])
            if task == "regression":
                return regression_metrics(target.values[held_out], pipeline.predict(inputs[held_out]))
            return classification_metrics(task, target.values[held_out], pipeline.predict_proba(inputs[held_out]))
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise training_error("0018", f"Input dataset contains invalid data: {reason}") from error


def _examples(names: Sequence[str], typed: dict[int, list[Scalar]], learned: Sequence[int]) -> list[dict[str, Scalar]]:
    """Return the first rows that have the most values."""
    by_gaps = sorted(learned, key=lambda row: sum(column[row] is None for column in typed.values()))
    return [{names[i]: column[row] for i, column in typed.items()} for row in sorted(by_gaps[:_EXAMPLES])]


_TREES: Final[dict[str, Any]] = {
    # Studio's defaults: 100 trees of 20 leaves, 10 rows a leaf, learning rate 0.2.
    "max_iter": 100,
    "max_leaf_nodes": 20,
    "min_samples_leaf": 10,
    "learning_rate": 0.2,
    "early_stopping": False,
    "random_state": 0,
}
_MOST_CATEGORIES: Final = 50


def build(learner: str, numbers: int, categories: int) -> Pipeline:
    """Return an untrained pipeline for a matrix that has columns of numbers first and columns of texts after them.

    Args:
        learner: one of `reconciler.emulator.ml.types.LEARNERS`.
        numbers: how many columns of numbers, in which NaN is a missing value.
        categories: how many columns of texts, in which an empty one is a missing value.
    """
    steps: list[tuple[str, Any, list[int]]] = []
    if numbers:
        # A column may be empty in the rows trained on, though not in all rows: it is kept then, as zeros.
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        scaled = Pipeline([("impute", imputer), ("scale", StandardScaler())])
        steps.append(("numbers", scaled, list(range(numbers))))
    if categories:
        # Texts seen rarely or never before share one column, so that they neither fail nor widen the model.
        encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=_MOST_CATEGORIES, sparse_output=False
        )
        steps.append(("categories", encoder, list(range(numbers, numbers + categories))))
    return Pipeline([("columns", ColumnTransformer(steps)), ("learner", _estimator(learner))])


def _estimator(learner: str) -> Any:
    match learner:
        case "Two-Class Logistic Regression" | "Multiclass Logistic Regression":
            return LogisticRegression(max_iter=1000)
        case "Two-Class Boosted Decision Tree":
            return HistGradientBoostingClassifier(**_TREES)
        case "Linear Regression":
            return LinearRegression()
        case "Boosted Decision Tree Regression":
            return HistGradientBoostingRegressor(**_TREES)
        case _:
            raise ValueError(f"no learner {learner!r}")

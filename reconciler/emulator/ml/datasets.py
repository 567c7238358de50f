"""Real data sets that scikit-learn ships, as CSV. Only workers import this module."""

from __future__ import annotations

import csv
import io
from typing import Any, Final, Literal

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes

DatasetName = Literal["breast-cancer", "diabetes"]

_ORDER: Final = 2024
"""Fixes the order of the rows, for good: what is version n of a data set must never change."""

_DIABETES_COLUMNS: Final = (
    "age",
    "sex",
    "body mass index",
    "blood pressure",
    "total cholesterol",
    "low-density lipoproteins",
    "high-density lipoproteins",
    "cholesterol ratio",
    "log of triglycerides",
    "blood sugar",
)


def dataset_csv(name: DatasetName, rows: int) -> bytes:
    """Return the first rows of a data set, in a fixed shuffled order, so that more rows contain the fewer ones.

    Args:
        name: ``breast-cancer`` (569 rows, label ``diagnosis``: malignant or benign) or ``diabetes`` (442
            rows, label ``progression``, a number).
        rows: how many.

    Raises:
        ValueError: there is no such data set, or it has fewer rows.
    """
    if name == "breast-cancer":
        source: Any = load_breast_cancer()
        columns = [str(column) for column in source.feature_names]
        labels = [str(source.target_names[number]) for number in source.target]
        label = "diagnosis"
    elif name == "diabetes":
        source = load_diabetes(scaled=False)
        columns = list(_DIABETES_COLUMNS)
        labels = [f"{value:g}" for value in source.target]
        label = "progression"
    else:
        raise ValueError(f"unknown data set {name!r}; known are breast-cancer and diabetes")
    if not 1 <= rows <= len(labels):
        raise ValueError(f"the data set {name} has {len(labels)} rows, so not {rows}")
    order = np.random.default_rng(_ORDER).permutation(len(labels))[:rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, label])
    for i in order:
        writer.writerow([*(f"{value:.10g}" for value in source.data[i]), labels[i]])
    return text.getvalue().encode()

"""Evaluate Model: metrics on rows held out from training, under Studio's names."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score, roc_auc_score

from reconciler.emulator.ml.types import Task

Array = np.ndarray[Any, np.dtype[Any]]


def classification_metrics(task: Task, actual: Array, probabilities: Array) -> dict[str, float]:
    """Return the metrics of a classifier; those that these rows do not determine are left out.

    Args:
        task: ``binary``, where the second class is the positive one, or ``multiclass``, where the metrics are
            averages over the classes, and AUC is one class against the rest.
        actual: the rows' class numbers.
        probabilities: for each row the probability of each class.
    """
    classes = list(range(probabilities.shape[1]))
    predicted = probabilities.argmax(axis=1)
    seen = sorted({*actual.tolist(), *predicted.tolist()})
    how: dict[str, Any] = {"zero_division": 0.0}
    how |= {"average": "binary"} if task == "binary" else {"average": "macro", "labels": seen}
    metrics = {
        "Accuracy": accuracy_score(actual, predicted),
        "Precision": precision_score(actual, predicted, **how),
        "Recall": recall_score(actual, predicted, **how),
        "F-Score": f1_score(actual, predicted, **how),
    }
    if task == "binary" and len(set(actual.tolist())) == 2:
        metrics["AUC"] = roc_auc_score(actual, probabilities[:, 1])
    elif task == "multiclass" and len(set(actual.tolist())) == len(classes):
        if len(classes) == 2:
            metrics["AUC"] = roc_auc_score(actual, probabilities[:, 1])
        else:
            metrics["AUC"] = roc_auc_score(actual, probabilities, multi_class="ovr", labels=classes)
    loss = log_loss(actual, probabilities, labels=classes)
    metrics["Average Log Loss"] = loss
    shares = np.bincount(actual, minlength=len(classes)) / len(actual)
    by_chance = -sum(share * np.log(share) for share in shares if share > 0)
    if by_chance > 0:
        # By how much the model is better than one that knows no more than how common each class is.
        metrics["Training Log Loss"] = (by_chance - loss) / by_chance * 100
    return {name: float(value) for name, value in metrics.items()}


def regression_metrics(actual: Array, predicted: Array) -> dict[str, float]:
    """Return the metrics of a regression; those relative to the mean need rows with different values."""
    errors = predicted - actual
    metrics = {
        "Mean Absolute Error": np.abs(errors).mean(),
        "Root Mean Squared Error": np.sqrt((errors**2).mean()),
    }
    spread = actual - actual.mean()
    if np.any(spread != 0):
        squared = (errors**2).sum() / (spread**2).sum()
        metrics["Relative Absolute Error"] = np.abs(errors).sum() / np.abs(spread).sum()
        metrics["Relative Squared Error"] = squared
        metrics["Coefficient of Determination"] = 1 - squared
    return {name: float(value) for name, value in metrics.items()}


def evaluation_csv(metrics: Mapping[str, float]) -> bytes:
    """Return the CSV that Evaluate Model's output is: a header of names and one row of values."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(metrics)
    writer.writerow(repr(value) for value in metrics.values())
    return text.getvalue().encode()

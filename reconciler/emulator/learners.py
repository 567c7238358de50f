"""Studio's learners as scikit-learn pipelines. Only workers import this module."""

from __future__ import annotations

from typing import Any, Final

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

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
    """An untrained pipeline for a matrix that has columns of numbers first and columns of texts after them.

    Args:
        learner: one of `experiments.LEARNERS`.
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

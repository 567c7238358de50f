"""Train Model and Evaluate Model on real data and on odd data."""

import csv
import io
import random

import pytest

from reconciler.emulator.ml.csv_table import read_table
from reconciler.emulator.ml.datasets import dataset_csv
from reconciler.emulator.ml.ilearner import load, score
from reconciler.emulator.ml.training import train
from reconciler.emulator.ml.types import LEARNERS, TrainingError, TrainingExperiment

CLASSIFICATION = ["Accuracy", "Precision", "Recall", "F-Score", "AUC", "Average Log Loss", "Training Log Loss"]
REGRESSION = [
    "Mean Absolute Error",
    "Root Mean Squared Error",
    "Relative Absolute Error",
    "Relative Squared Error",
    "Coefficient of Determination",
]


def metrics(data, learner, label, seed=0):
    trained = train(data, TrainingExperiment(learner, label, seed))
    rows = list(csv.DictReader(io.StringIO(trained.evaluation_csv.decode())))
    assert len(rows) == 1
    return {name: float(value) for name, value in rows[0].items()}


def table(header, rows):
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def refused(data, learner="Two-Class Logistic Regression", label="y"):
    with pytest.raises(TrainingError) as raised:
        train(data, TrainingExperiment(learner, label))
    assert raised.value.message.startswith(f"Error {raised.value.code}: ")
    return raised.value


def flowers(rows, seed=1):
    """Two numbers, a text, a boolean, gaps, an id, and columns that say nothing; the label follows from some."""
    source = random.Random(seed)  # noqa: S311 - the same every time
    for i in range(rows):
        size, colour = source.gauss(0, 1), source.choice(["red", "blue", "green"])
        kind = "rose" if size + (colour == "red") > 0.3 else "tulip"
        yield [
            f"id-{i}",
            "" if i % 7 == 0 else f"{size:.3f}",
            "NA" if i % 11 == 0 else colour,
            str(source.random() > 0.5).lower(),
            "",
            "same",
            "5",
            kind,
        ]


FLOWER_HEADER = ["id", "size", "colour", "fresh", "nothing", "constant", "five", "kind"]


@pytest.mark.parametrize("rows", [250, 400, 569])
@pytest.mark.parametrize("learner", ["Two-Class Logistic Regression", "Two-Class Boosted Decision Tree"])
def test_breast_cancer_is_told_apart_with_every_version_of_the_data(learner, rows):
    found = metrics(dataset_csv("breast-cancer", rows), learner, "diagnosis")

    assert list(found) == CLASSIFICATION
    assert found["AUC"] > 0.95
    assert found["Accuracy"] > 0.9
    assert found["Average Log Loss"] < 0.4


def test_spoiled_labels_show_in_the_metrics():
    rows = list(csv.reader(io.StringIO(dataset_csv("breast-cancer", 569).decode())))
    labels = [row[-1] for row in rows[1:]]
    random.Random(7).shuffle(labels)  # noqa: S311 - the same every time
    spoiled = table(rows[0], [[*row[:-1], label] for row, label in zip(rows[1:], labels, strict=True)])

    found = metrics(spoiled, "Two-Class Logistic Regression", "diagnosis")

    assert 0.35 < found["AUC"] < 0.65


@pytest.mark.parametrize("learner", ["Linear Regression", "Boosted Decision Tree Regression"])
def test_diabetes_progression_is_better_told_than_by_the_mean(learner):
    found = metrics(dataset_csv("diabetes", 442), learner, "progression")

    assert list(found) == REGRESSION
    assert found["Coefficient of Determination"] > 0.3
    assert found["Coefficient of Determination"] == pytest.approx(1 - found["Relative Squared Error"])
    assert found["Mean Absolute Error"] < found["Root Mean Squared Error"]


def test_a_regression_that_is_exact_has_no_error():
    found = metrics(table(["x", "y"], [[i, 3 * i + 2] for i in range(40)]), "Linear Regression", "y")

    assert found["Mean Absolute Error"] == pytest.approx(0, abs=1e-9)
    assert found["Coefficient of Determination"] == pytest.approx(1)


def test_many_classes_have_averaged_metrics():
    source = random.Random(3)  # noqa: S311 - the same every time
    rows = [[source.gauss(3 * (i % 3), 0.5), "abc"[i % 3]] for i in range(150)]

    found = metrics(table(["x", "kind"], rows), "Multiclass Logistic Regression", "kind")

    assert list(found) == CLASSIFICATION
    assert found["AUC"] > 0.95
    assert found["F-Score"] > 0.9


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_takes_numbers_texts_booleans_gaps_ids_and_empty_columns(learner):
    rows = list(flowers(200))
    if LEARNERS[learner] == "regression":
        rows = [[*row[:-1], 10 if row[-1] == "rose" else 1] for row in rows]

    found = metrics(table(FLOWER_HEADER, rows), learner, "kind")

    if LEARNERS[learner] == "regression":
        assert found["Coefficient of Determination"] > 0.2
    else:
        assert found["AUC"] > 0.8


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_same_data_and_seed_give_the_same_model(learner):
    label = "progression" if LEARNERS[learner] == "regression" else "diagnosis"
    data = dataset_csv("diabetes" if label == "progression" else "breast-cancer", 200)
    first, second = (train(data, TrainingExperiment(learner, label)) for _ in range(2))
    model = load(first.ilearner)
    columns = [column.name for column in model.description.columns]
    rows = [[row[name] for name in columns] for row in model.description.example_rows]

    assert first.evaluation_csv == second.evaluation_csv
    assert score(model, columns, rows) == score(load(second.ilearner), columns, rows)


def test_another_seed_holds_out_other_rows():
    data = dataset_csv("breast-cancer", 300)

    assert metrics(data, "Two-Class Logistic Regression", "diagnosis", 1) != metrics(
        data, "Two-Class Logistic Regression", "diagnosis", 2
    )


def test_the_evaluation_knows_only_rows_that_the_model_does_not():
    """Labels that are pure chance are learned by heart by trees; held-out rows must not be told that."""
    source = random.Random(5)  # noqa: S311 - the same every time
    rows = [[source.random(), source.random(), source.choice("ab")] for _ in range(400)]

    found = metrics(table(["x", "z", "y"], rows), "Two-Class Boosted Decision Tree", "y")

    assert found["Accuracy"] < 0.65


def test_rows_without_a_label_are_left_out():
    rows = [[i, "yes" if i > 20 else "no"] for i in range(40)]
    trained = train(
        table(["x", "y"], [*rows, [1, ""], [2, "NA"]]), TrainingExperiment("Two-Class Logistic Regression", "y")
    )

    assert trained.rows_trained + trained.rows_evaluated == 40


@pytest.mark.parametrize("rows", range(4, 12))
@pytest.mark.parametrize("rare", [1, 2])
def test_very_few_rows_are_enough(rows, rare):
    data = table(["x", "y"], [[i, "rare" if i < rare else "usual"] for i in range(rows)])

    found = metrics(data, "Two-Class Logistic Regression", "y")

    assert 0 <= found["Accuracy"] <= 1


def test_enormous_and_infinite_numbers_are_survived():
    rows = [[10.0**i, "1e999" if i % 3 else i, "a" if i % 2 else "b"] for i in range(30)]

    assert 0 <= metrics(table(["x", "z", "y"], rows), "Two-Class Logistic Regression", "y")["Accuracy"] <= 1


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "0003", "null or empty"),
        (b"x,y\n", "0003", "null or empty"),
        (b"x,z\n1,2\n", "0001", 'Column with name or index "y" not found'),
        (b"x,y\n1,a\n2,b\n", "0021", "Number of rows in input dataset is 2"),
        (b"y\n" + b"a\nb\n" * 9, "0047", "Number of feature columns"),
        (b"x,y\n" + b"1,a\n2,a\n" * 9, "0083", "single class"),
        (b"x,y\n" + b"1,a\n2,b\n3,c\n" * 9, "0083", "3 classes"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "0049", "not UTF-8"),
        (b"PK\x03\x04\x00\x00", "0049", "not text"),
        (b"x,y\n1,2,3\n", "0049", "Line 2 has 3 values"),
        (b'x,y\n"1,2\n', "0049", "cannot be parsed"),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused_as_studio_words_it(data, code, words):
    error = refused(data)

    assert error.code == code
    assert words in error.message


def test_a_regression_wants_a_number():
    assert refused(b"x,y\n" + b"1,a\n2,b\n" * 9, "Linear Regression").code == "0083"


def test_an_unknown_learner_is_refused():
    assert refused(b"x,y\n1,2\n", "Three-Class Oracle").code == "0013"


def test_types_are_the_narrowest_that_fit_all_values():
    read = read_table(b"\xef\xbb\xbfi,n,b,s,e\r\n1,1.5,true,x,\r\n-2,,FALSE,1,\r\n\r\nNA,2e3,?,true,null\r\n")

    assert read.names == ["i", "n", "b", "s", "e"]
    assert read.types == ["Integer", "Number", "Boolean", "String", "String"]
    assert read.typed(0) == [1, -2, None]
    assert read.typed(1) == [1.5, None, 2000.0]
    assert read.typed(2) == [True, False, None]


def test_names_that_come_twice_or_not_at_all_are_told_apart():
    assert read_table(b"a,a,,a (2)\n1,2,3,4\n").names == ["a", "a (2)", "Col3", "a (2) (2)"]


@pytest.mark.parametrize(
    ("name", "label", "rows"), [("breast-cancer", "diagnosis", 569), ("diabetes", "progression", 442)]
)
def test_more_rows_of_a_data_set_contain_the_fewer_ones(name, label, rows):
    """Version n+1 of the data is version n and more."""
    whole = dataset_csv(name, rows)

    assert whole.startswith(dataset_csv(name, 100))
    assert whole.splitlines()[0].endswith(label.encode())
    assert len(whole.splitlines()) == rows + 1
    with pytest.raises(ValueError, match=f"{rows} rows"):
        dataset_csv(name, rows + 1)


def test_the_diagnoses_are_words():
    labels = {line.rpartition(b",")[2] for line in dataset_csv("breast-cancer", 100).splitlines()[1:]}

    assert labels == {b"malignant", b"benign"}

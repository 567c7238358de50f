"""Scoring with trained models, and what the models say about themselves."""

import io
import json
import pickle
import zipfile
from dataclasses import asdict

import pytest
import skops.io

from reconciler.emulator.ml.datasets import dataset_csv
from reconciler.emulator.ml.ilearner import load, score
from reconciler.emulator.ml.training import train
from reconciler.emulator.ml.types import ScoringError, TrainingExperiment, UnreadableModelError

ROWS = [f"{i % 10},{i / 4},{'red' if i % 3 else 'blue'},{'true' if i % 2 else 'false'}" for i in range(60)]
LABELLED = [f"{row},{'big' if i > 30 else 'small'}" for i, row in enumerate(ROWS)]
DATA = "\n".join(["count,size,colour,fresh,kind", *LABELLED]).encode()
COLUMNS = ["count", "size", "colour", "fresh"]


def trained(learner="Two-Class Logistic Regression", label="kind", data=DATA):
    return load(train(data, TrainingExperiment(learner, label)).ilearner)


@pytest.fixture(scope="module")
def model():
    return trained()


def only(scored):
    (row,) = scored.rows
    return dict(zip(scored.columns, row, strict=True))


def test_a_model_describes_its_inputs(model):
    about = model.description

    assert [(c.name, c.type, c.format) for c in about.columns] == [
        ("count", "Integer", "int64"),
        ("size", "Number", "double"),
        ("colour", "String", "string"),
        ("fresh", "Boolean", "boolean"),
    ]
    assert (about.label, about.label_type, about.classes) == ("kind", "String", ["big", "small"])
    assert about.learner == "Two-Class Logistic Regression"
    assert len(about.example_rows) == 3
    assert all(list(row) == COLUMNS for row in about.example_rows)
    assert about.rows_trained == 42


def test_two_classes_give_a_label_and_the_positive_ones_probability(model):
    scored = score(model, COLUMNS, [[5, 0.0, "red", True], [5, 15.0, "red", True]])

    assert scored.columns == [*COLUMNS, "Scored Labels", "Scored Probabilities"]
    assert scored.types == ["Integer", "Number", "String", "Boolean", "String", "Number"]
    first, second = scored.rows
    assert first[:4] == [5, 0.0, "red", True]
    assert (first[4], second[4]) == ("small", "big")
    assert first[5] > 0.5 > second[5]


def test_many_classes_give_a_probability_for_each():
    data = "x,k\n" + "".join(f"{i % 3}.{i},{'abc'[i % 3]}\n" for i in range(60))
    scored = score(trained("Multiclass Logistic Regression", "k", data.encode()), ["x"], [["0.5"]])

    assert scored.columns == [
        "x",
        *(f'Scored Probabilities for Class "{name}"' for name in "abc"),
        "Scored Labels",
    ]
    assert sum(scored.rows[0][1:4]) == pytest.approx(1)


def test_labels_keep_their_type():
    data = "x,k\n" + "".join(f"{i},{int(i > 20)}\n" for i in range(40))
    scored = score(trained("Two-Class Logistic Regression", "k", data.encode()), ["x"], [[39]])

    assert only(scored)["Scored Labels"] == 1
    assert scored.types[1] == "Integer"


def test_a_regression_gives_a_number():
    data = "x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(40))

    assert only(score(trained("Linear Regression", "y", data.encode()), ["x"], [[100]])) == {
        "x": 100,
        "Scored Labels": pytest.approx(200),
    }


def test_columns_may_come_in_any_order_and_texts_may_stand_for_numbers(model):
    plain = score(model, COLUMNS, [[5, 1.5, "red", True]])

    assert score(model, ["fresh", "colour", "size", "count"], [["True", "red", "1.5", "5"]]) == plain


def test_a_column_that_is_not_given_counts_as_missing(model):
    assert score(model, ["size"], [[1.5]]) == score(model, COLUMNS, [[None, 1.5, "", "NA"]])


def test_a_column_that_the_model_does_not_know_is_passed_over(model):
    assert score(model, [*COLUMNS, "more"], [[5, 1.5, "red", True, {"any": "thing"}]]) == score(
        model, COLUMNS, [[5, 1.5, "red", True]]
    )


def test_a_label_that_is_given_comes_back_unchanged(model):
    scored = score(model, [*COLUMNS, "kind"], [[5, 15.0, "red", True, "whatever"]])

    assert only(scored)["kind"] == "whatever"
    assert only(scored)["Scored Labels"] == "big"


def test_a_text_that_was_never_seen_is_scored(model):
    assert only(score(model, COLUMNS, [[5, 15.0, "ultraviolet", True]]))["Scored Labels"] == "big"


def test_no_rows_give_no_rows(model):
    assert score(model, COLUMNS, []).rows == []


@pytest.mark.parametrize(
    ("columns", "row", "code", "words"),
    [
        (["size"], ["much"], "InputParseError", "'much' as Number"),
        (["fresh"], [7], "InputParseError", "as Boolean"),
        (["size"], [[1]], "InputParseError", "as Number"),
        (["colour"], [{"a": 1}], "InputParseError", "as String"),
        (["size"], [1, 2], "InputMismatchError", "2 values for 1 columns"),
        (["size", "size"], [1, 2], "InputMismatchError", "twice"),
        (["Size"], [1], "InputMismatchError", "count, size, colour, fresh"),
        ([], [], "InputMismatchError", "None of the input columns"),
    ],
)
def test_rows_that_do_not_fit_are_refused(model, columns, row, code, words):
    with pytest.raises(ScoringError) as raised:
        score(model, columns, [row])

    assert raised.value.code == code
    assert words in raised.value.message


def test_whatever_is_scored_can_be_written_as_json():
    data = "x,y\n" + "".join(f"{i},{i}\n" for i in range(40))
    scored = score(trained("Linear Regression", "y", data.encode()), ["x"], [[1e308], ["nan"], [float("inf")]])

    assert json.loads(json.dumps(asdict(scored), allow_nan=False)) == asdict(scored)


def test_another_model_answers_otherwise():
    """Versions of the example data must be told apart by scoring them: that is the proof of an update."""
    answers = set()
    for rows in (250, 400, 569):
        model = trained(label="diagnosis", data=dataset_csv("breast-cancer", rows))
        columns = [column.name for column in model.description.columns]
        probe = dataset_csv("breast-cancer", 1).decode().splitlines()[1].split(",")[:-1]
        answers.add(f"{score(model, columns, [probe]).rows[0][-1]:.6g}")

    assert len(answers) == 3


def foreign():
    """Files that are not models of ours, some of them hostile."""

    class Hostile:
        def __reduce__(self):
            return (print, ("loaded",))

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("schema.json", "{}")
    return {
        "empty": b"",
        "text": b"not a model",
        "pickle": pickle.dumps(Hostile()),
        "zip": archive.getvalue(),
        "other skops": skops.io.dumps([1, 2, 3]),
        "other format": skops.io.dumps({"format": "else", "about": "{}", "pipeline": None}),
        "a type that is not trusted": skops.io.dumps({"format": "studio-trained-model/1", "pipeline": io.StringIO}),
    }


@pytest.mark.parametrize("kind", foreign())
def test_a_file_that_is_no_model_is_refused(kind, capsys):
    with pytest.raises(UnreadableModelError) as raised:
        load(foreign()[kind])

    assert raised.value.code == "IncompatibleModel"
    assert capsys.readouterr().out == ""

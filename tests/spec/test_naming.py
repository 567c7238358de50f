"""Documents and files are named after what services are called."""

import pytest

from reconciler.spec.documents.rules import document_name, model_name
from reconciler.spec.naming import slug, told_apart, unique


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Breast Cancer [predictive exp.]", "breast-cancer"),
        ("Breast Cancer [trained model]", "breast-cancer"),
        ("BreastCancer", "breast-cancer"),
        ("IcM23294387.2016.9.20.21.6.53.585", "icm23294387-2016-9-20-21-6-53-585"),
        ("Größe & Maß", "groe-ma"),
        ("  --x__y--  ", "x-y"),
        ("[predictive exp.]", "other"),
        ("日本", "other"),
    ],
)
def test_a_name_is_made_of_what_a_service_is_called(name, expected):
    assert slug(name, 40, otherwise="other") == expected


def test_a_name_is_valid_however_long_the_service_s_is():
    assert model_name(slug("Ab " * 100, 48, otherwise="x"))
    assert document_name(slug("é" * 300 + "1.", 100, otherwise="x"))


def test_a_name_that_looks_like_a_secret_is_not_made_of_it():
    assert slug("AccountKey=abcdefgh12345678;", 40, otherwise="service") == "service"


def test_services_of_several_workspaces_are_told_apart_by_these():
    wanted = {"1": "cancer", "2": "cancer", "3": "cancer", "4": "diabetes", "5": "new"}
    told = told_apart(wanted, {"1": "contoso", "2": "fabrikam", "3": "fabrikam", "4": "contoso"}, 20)
    assert list(told.values()) == ["contoso-cancer", "fabrikam-cancer", "fabrikam-cancer", "diabetes", "new"]
    assert told_apart({"1": "a" * 9, "2": "a" * 9}, {"1": "w" * 9 + "-", "2": "v" * 9}, 11)["1"] == "w" * 9


def test_two_that_want_one_name_are_told_apart_whatever_their_order():
    wanted = {"1": "cancer", "2": "cancer", "3": "diabetes"}
    names = unique(wanted, {"1": "id-1", "2": "id-2", "3": "id-3"}, (), 100)
    assert "diabetes" == names["3"]
    assert len(set(names.values())) == 3
    assert all(names[key].startswith("cancer-") for key in ("1", "2"))
    assert names == unique(dict(reversed(wanted.items())), {"1": "id-1", "2": "id-2", "3": "id-3"}, (), 100)


def test_a_name_that_is_taken_is_left_to_its_owner():
    (name,) = unique({"1": "cancer"}, {"1": "id-1"}, {"cancer"}, 100).values()
    assert name.startswith("cancer-")

"""EndpointSets: what they expand to, and every mistake at its place."""

from __future__ import annotations

import pytest

from reconciler.spec.diagnostics import Position, SpecError

WORKSPACE = """
apiVersion: reconciler/v1
kind: Workspace
metadata: {name: contoso}
spec:
  id: 3ad1c2b4e5f60718293a4b5c6d7e8f90
  region: South Central US
  token: {env: TOKEN}
  storage: {connectionString: {env: STORAGE}, container: models}
---
"""
SET = """apiVersion: reconciler/v1
kind: EndpointSet
metadata: {name: bikes, labels: {team: rentals}}
spec:
  items: {csv: data/locations.csv}
  model:
    workspace: contoso
    training:
      classic: {webService: Training}
      parameters: {URI: "https://data.example/{version}/{location:03}.csv"}
      outputs: {model: output1}
  endpoint:
    workspace: contoso
    webService: Scoring
    endpoint: rental{location:03}
    description: "{name} {{at night}}"
    maxConcurrentCalls: "{calls:n}"
    model: {resource: Bikes, version: "2026-11"}
"""
CSV = 'location,name,calls\n1,"Alma, north",20\n02,Bern,5\n'


@pytest.fixture
def files():
    return {"contoso.yaml": WORKSPACE, "bikes.yaml": SET, "data/locations.csv": CSV}


def changed(files, old, new, name="bikes.yaml"):
    assert old in files[name]
    return {**files, name: files[name].replace(old, new)}


def test_each_row_becomes_a_model_and_an_endpoint_that_serves_it(load, files):
    fleet = load(files)

    assert ["bikes-02", "bikes-1"] == list(fleet.models) == list(fleet.target_documents)
    alma = fleet.target_documents["bikes-1"].spec
    assert ("rental001", "Alma, north {at night}", 20) == (alma.endpoint, alma.description, alma.max_concurrent_calls)
    assert ["bikes-1"] == [use.name for use in alma.bindings]
    training = fleet.models["bikes-02"].spec.training
    assert {"URI": "https://data.example/2026-11/002.csv"} == training.resolve("2026-11").parameters


def test_what_a_set_made_is_selected_by_its_label_and_leads_back_to_its_row(load, files):
    fleet = load(files)

    assert {"bikes-1", "bikes-02"} == {target.name for target in fleet.select(["set=bikes"]).targets}
    assert {"bikes-1", "bikes-02"} == {target.name for target in fleet.select(["team=rentals"]).targets}
    place = fleet.position_of("ClassicEndpoint", "bikes-02")
    assert ("data/locations.csv", 3) == (str(place.file.relative_to("specs")), place.line)
    assert "specs" == str(fleet.base_dir_of("Model", "bikes-02"))
    assert {"bikes-1": "bikes", "bikes-02": "bikes"} == dict(fleet.set_of)


def test_who_selects_a_set_by_its_name_is_told_its_label(load, files):
    with pytest.raises(SpecError, match="matches no target; the endpoints of a set are set=bikes"):
        load(files).select(["bikes"])


def test_items_may_be_listed_or_counted(load, files):
    listed = changed(files, "{csv: data/locations.csv}", "{list: [{location: 007, name: A, calls: 4}]}")
    assert ["bikes-007"] == list(load(listed).target_documents)

    counted = SET.replace("{csv: data/locations.csv}", "{range: {from: 8, to: 12, step: 2, pad: 3}}")
    for old, new in (("{location:03}", "{item}"), ("{name} {{at night}}", "n"), ('"{calls:n}"', "20")):
        counted = counted.replace(old, new)
    assert ["bikes-008", "bikes-010", "bikes-012"] == list(load({**files, "bikes.yaml": counted}).target_documents)


def test_one_model_may_serve_all_items(load, files):
    one = SET[: SET.index("  model:\n")] + SET[SET.index("  endpoint:\n") :]
    one = one.replace("{resource: Bikes,", "{resource: Bikes, name: all-bikes,")
    model = (
        SET[SET.index("    workspace") : SET.index("  endpoint:\n")].replace("\n  ", "\n").replace("{location:03}", "x")
    )
    document = f"---\napiVersion: reconciler/v1\nkind: Model\nmetadata: {{name: all-bikes}}\nspec:\n{model[2:]}"
    fleet = load({**files, "bikes.yaml": one + document})

    assert {"all-bikes"} == {use.name for target in fleet.targets for use in target.spec.bindings}
    assert {"all-bikes"} == fleet.sets["bikes"].shared


def test_another_column_may_name_the_items(load, files):
    assert ["bikes-Bern", "bikes-Alma"] == sorted(
        load({**changed(files, "{csv: data/locations.csv}", "{csv: data/locations.csv}\n  key: name"),
              "data/locations.csv": "location,name,calls\n1,Alma,20\n2,Bern,5\n"}).models, reverse=True)  # fmt: skip


def test_an_override_changes_one_item_and_null_takes_a_field_out(load, files):
    more = (
        '  overrides:\n    "02":\n'
        '      endpoint: {throttleLevel: High, description: null, model: {version: "2026-10"}}\n'
        '      model: {training: {parameters: {URI: "https://other.example/{location}.csv"}}}\n'
    )
    fleet = load({**files, "bikes.yaml": SET + more})

    bern, alma = fleet.target_documents["bikes-02"].spec, fleet.target_documents["bikes-1"].spec
    assert ("High", None, "2026-10") == (bern.throttle_level, bern.description, bern.bindings[0].version)
    assert (None, "2026-11") == (alma.throttle_level, alma.bindings[0].version)
    assert "https://other.example/02.csv" == fleet.models["bikes-02"].spec.training.parameters["URI"]


def test_an_empty_set_has_no_endpoints_and_still_knows_its_web_service(load, files):
    fleet = load({**files, "data/locations.csv": "location,name,calls\n"})

    assert {} == dict(fleet.target_documents)
    assert {("contoso", "Scoring")} == fleet.sets["bikes"].services


MISTAKES = {
    "no such column": ("{name} {{at night}}", "{nmae}", "bikes.yaml", 16, "the placeholder '{nmae}' is not a column"),
    "unknown form": ("{location:03}.csv", "{location:x}.csv", "bikes.yaml", 10, "unknown form"),
    "number beside text": ('"{calls:n}"', '"{calls:n} calls"', "bikes.yaml", 17, "has other text beside it"),
    "field of the template": ("maxConcurrentCalls:", "maxConcurentCalls:", "bikes.yaml", 17, "unknown field"),
    "no such CSV": ("data/locations", "data/location", "bikes.yaml", 5, "the CSV file does not exist"),
    "no such workspace": ("    workspace: contoso\n    webS", "    workspace: cotoso\n    webS", "bikes.yaml", 13,
                          "no Workspace is named 'cotoso'"),
    "label": ("team:", "set:", "bikes.yaml", 3, "has the label 'set'"),
    "override": ("  model:\n    w", '  overrides: {"3": {endpoint: {}}}\n  model:\n    w', "bikes.yaml", 6,
                 "unknown item '3' in overrides"),
    "brace left open": ("{location:03}.csv", "{location:03.csv", "bikes.yaml", 10, "unbalanced brace"),
    "directory": ("data/locations.csv}", "data}", "bikes.yaml", 5, "a directory is not a CSV file"),
    "same endpoint": ("rental{location:03}", "rental", "bikes.yaml", 15, "every item has the same endpoint 'rental'"),
    "no such model": ("{resource: Bikes,", "{resource: Bikes, name: biks,", "bikes.yaml", 18,
                      "no Model is named 'biks'"),
    "model of nobody": ('\n    model: {resource: Bikes, version: "2026-11"}', "", "bikes.yaml", 13,
                        "the set makes a model of each item, but its endpoints serve no model"),
    "key": ("  model:\n    w", "  key: nme\n  model:\n    w", "bikes.yaml", 6, "'nme' is not a column"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "file", "line", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_of_the_set_is_told_once_at_its_place(mistakes, files, old, new, file, line, words):
    (found,) = mistakes(changed(files, old, new))

    assert (f"specs/{file}", line) == (str(found.position.file), found.position.line)
    assert words in found.summary


ROWS = {
    "too short": ("02,Bern,5\n", "02,Bern\n", 3, "the row has 2 values, the header names 3 columns"),
    "no key": ("02,Bern,5\n", ",Bern,5\n", 3, "the row has no 'location'"),
    "twice": ("02,Bern,5\n", "1,Bern,5\n", 3, "duplicate item '1'"),
    "not a number": ("02,Bern,5\n", "02,Bern,five\n", 3, "'five' in column calls is not a number"),
    "out of range": ("02,Bern,5\n", "02,Bern,500\n", 3, "500 (a number) is out of range"),
    "not to be padded": ("02,Bern,5\n", "b2,Bern,5\n", 3, "is not a whole number"),
    "secret": ("Bern,5\n", "AccountKey=abcdefghijkl,5\n", 3, "a literal secret"),
    "no column name": ("location,name,calls", "location,,calls", 1, "column 2 has no name"),
    "column twice": ("location,name,calls", "location,name,name", 1, "duplicate column 'name'"),
    "after a row of two lines": ('"Alma, north",20\n02,', '"Alma,\nnorth",20\n02,x,', 4, "the row has 4 values"),
}


@pytest.mark.parametrize(("old", "new", "line", "words"), ROWS.values(), ids=ROWS)
def test_a_mistake_in_a_row_is_told_at_its_line(mistakes, files, old, new, line, words):
    found = mistakes(changed(files, old, new, "data/locations.csv"))

    assert any(
        each.position == Position(each.position.file, line, 1)
        and str(each.position.file).endswith("locations.csv")
        and words in each.summary
        for each in found
    ), found


def test_an_item_that_is_no_part_of_a_name_is_told_at_its_line(mistakes, files):
    plain = {**files, "bikes.yaml": SET.replace("{location:03}", "x{location}")}
    found = mistakes(changed(plain, "02,Bern", "0 2,Bern", "data/locations.csv"))

    assert {3} == {each.position.line for each in found}
    assert "'bikes-0 2' is not a valid model name" in [each.summary for each in found]


def test_two_items_with_one_endpoint_name_are_refused_with_both_lines(mistakes, files):
    (found,) = mistakes({**files, "data/locations.csv": "location,name,calls\n1,A,5\n001,B,5\n"})

    assert "two targets manage the same endpoint: 'bikes-1' and 'bikes-001'" == found.summary
    assert 3 == found.position.line
    assert "the first is at specs/data/locations.csv:2:1" == found.detail


def test_two_items_with_one_ready_made_artifact_are_refused_with_both_lines(mistakes, files):
    training = SET[SET.index("    training:") : SET.index("  endpoint:\n")]
    ready = (
        '    versions: {"2026-11": {location: {baseLocation: "https://a.blob.core.windows.net/", '
        "relativeLocation: models/same.ilearner}}}\n"
    )
    (found,) = mistakes(changed(files, training, ready))

    assert "two items have the same artifact 'models/same.ilearner'" == found.summary
    assert (3, "the first is at specs/data/locations.csv:2:1") == (found.position.line, found.detail)


def test_a_value_that_fits_no_artifacts_path_is_told_at_its_line(mistakes, files):
    training = SET[SET.index("    training:") : SET.index("  endpoint:\n")]
    ready = (
        '    versions: {"2026-11": {location: {baseLocation: "https://a.blob.core.windows.net/", '
        'relativeLocation: "models/{location:03}.ilearner"}}}\n'
    )
    found = mistakes(changed(changed(files, training, ready), "02,Bern", "b2,Bern", "data/locations.csv"))

    assert {3} == {each.position.line for each in found}


def test_a_mistake_of_all_items_is_told_for_the_first_and_counted_for_the_others(mistakes, files):
    rows = "".join(f"{number},N,500\n" for number in range(100))
    found = mistakes({**files, "data/locations.csv": f"location,name,calls\n{rows}"})

    assert 21 == len(found)
    assert "80 more items have an error here" in [each.summary for each in found]


def test_what_fits_no_placeholder_is_told_for_the_first_and_counted_for_the_others(mistakes, files):
    rows = "".join(f"x{number},N,5\n" for number in range(100))
    found = mistakes({**files, "data/locations.csv": f"location,name,calls\n{rows}"})

    assert 42 == len(found)
    assert {"spec.model", "spec.endpoint"} == {each.field for each in found}
    assert 2 == [each.summary for each in found].count("80 more items have an error here")

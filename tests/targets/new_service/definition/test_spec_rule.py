"""What ``reconcile validate`` says of the definition files that specs name: all of it, at its place, offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.commands import specs
from reconciler.spec.diagnostics import SpecErrors
from reconciler.targets.new_service.definition.spec_rule import definition_errors
from tests.support.fleets import load_fleet, load_sound

GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g/providers/Microsoft.MachineLearning"
HEAD = f"""apiVersion: reconciler/v1
kind: NewWebService
metadata: {{name: NAME}}
spec:
  resourceId: {GROUP}/webServices/NAME
  definition: {{file: FILE}}
"""
MODELS = """apiVersion: reconciler/v1
kind: Workspace
metadata: {name: contoso}
spec:
  id: 3ad1c2b4e5f60718293a4b5c6d7e8f90
  region: South Central US
  token: {env: TOKEN}
  storage: {connectionString: {env: STORAGE}, container: models}
---
apiVersion: reconciler/v1
kind: Model
metadata: {name: bc}
spec:
  workspace: contoso
  versions: {"1": {location: {baseLocation: "https://a.example/", relativeLocation: models/a.ilearner}}}
"""
ASSETS = {"asset3": {"name": "Cancer", "type": "Resource", "locationInfo": {"uri": "https://a/c/old.ilearner"}}}


def service(name="mine", file="mine.json", more=""):
    return HEAD.replace("NAME", name).replace("FILE", file) + more


@pytest.fixture
def mistakes(tmp_path, monkeypatch):
    """Writes files below ``specs``; gives what is said of them."""
    monkeypatch.chdir(tmp_path)

    def said(files):
        for name, content in {"models.yaml": MODELS, **files}.items():
            path = Path("specs") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        try:
            load_fleet([Path("specs")], definition_errors)
        except SpecErrors as errors:
            return [str(each) for each in errors.diagnostics]
        return []

    return said


def test_a_sound_definition_has_nothing_said_of_it(mistakes):
    content = {"properties": {"assets": ASSETS, "parameters": {"Key": {"value": {"$secret": {"env": "KEY"}}}}}}
    bindings = "  model: {resource: Cancer, name: bc, version: '1'}\n"
    assert mistakes({"mine.yaml": service(more=bindings), "mine.json": content}) == []


def test_a_file_that_is_not_there_is_told_at_the_field_that_names_it(mistakes):
    (one,) = mistakes({"mine.yaml": service(file="definitions/none.json")})
    assert one.startswith(
        "specs/mine.yaml:6:22: spec.definition.file: specs/definitions/none.json: the file does not exist"
    )
    assert "reconcile export" in one


def test_what_is_wrong_in_the_file_is_told_at_its_place_there_and_who_names_it(mistakes):
    content = {"location": 3, "properties": {"storageAccount": {"name": "a", "key": "supersecret"}, "assets": {"a": 1}}}
    found = mistakes({"mine.yaml": service(file="../mine.json"), "../mine.json": content})
    assert [each.splitlines()[0] for each in found] == [
        "specs/../mine.json:2:14: /location: must be a text, found a number",
        "specs/../mine.json:6:11: /properties/storageAccount/key: a literal secret (not shown)",
        "specs/../mine.json:9:9: /properties/assets/a: must be an object, found a number",
    ]
    assert all("it is the definition of 'mine', named at specs/mine.yaml:6:22" in each for each in found)
    assert "supersecret" not in "".join(found)


def test_a_malformed_reference_is_told_with_what_is_allowed(mistakes):
    content = {"properties": {"parameters": {"Key": {"value": {"$secret": {"environment": "KEY"}}}}}}
    (one,) = mistakes({"mine.yaml": service(), "mine.json": content})
    assert "/properties/parameters/Key/value: is not a reference to a secret" in one
    assert '"keyVault"' in one


def test_a_resource_that_is_not_among_the_assets_is_told_where_the_spec_names_it(mistakes):
    bindings = "  models:\n    - {resource: Cancre, name: bc, version: '1'}\n"
    (one,) = mistakes({"mine.yaml": service(more=bindings), "mine.json": {"properties": {"assets": ASSETS}}})
    assert one.startswith("specs/mine.yaml:8:18: spec.models[0].resource: ")
    assert "no trained model 'Cancre', did you mean 'Cancer'?" in one
    assert "specs/mine.json" in one


def test_a_definition_without_assets_manages_the_rest_of_a_service(mistakes):
    bindings = "  model: {resource: Cancer, name: bc, version: '1'}\n"
    assert mistakes({"mine.yaml": service(more=bindings), "mine.json": {"properties": {"title": "t"}}}) == []


def test_a_file_of_two_services_and_one_that_is_no_json_are_told_once(mistakes):
    found = mistakes({
        "mine.yaml": service(file="broken.json"), "broken.json": '{"properties": {]}',
        "one.yaml": service("one", "shared.json"), "two.yaml": service("two", "shared.json"),
        "shared.json": {"properties": {"title": 7}},
    })  # fmt: skip
    assert len(found) == 2
    assert found[0].startswith("specs/broken.json:1:17: not valid JSON")
    assert "/properties/title" in found[1]


def test_the_file_of_a_service_that_is_to_go_is_not_looked_at(mistakes):
    assert mistakes({"mine.yaml": service(more="  state: absent\n")}) == []


def test_all_mistakes_come_together_and_a_document_that_is_wrong_hides_none_of_its_file(mistakes):
    found = mistakes({"mine.yaml": service(more="  tagz: {}\n"), "a.yaml": service("a", "none.json")})
    assert ["specs/a.yaml:6:", "specs/mine.yaml:6:", "specs/mine.yaml:7:"] == [
        each[: each.index(":") + 3] for each in found
    ]
    fleet, told = load_sound([Path("specs")], definition_errors)
    assert (list(fleet.target_documents), len(told)) == (["a"], 3)


def test_the_command_fails_with_them_and_says_how_many(mistakes, capsys):
    mistakes({"mine.yaml": service()})
    assert specs.validate([]) == 1
    assert "mine.json: the file does not exist" in capsys.readouterr().err

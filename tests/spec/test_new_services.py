"""What a New web service's document says beside its models."""

from __future__ import annotations

import json

import pytest

GROUP = "/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g/providers/Microsoft.MachineLearning"
PLAN = f"{GROUP}/commitmentPlans/plan"


def service(name="mine", **spec):
    content = {"resourceId": f"{GROUP}/webServices/{name}", **spec}
    document = {"apiVersion": "reconciler/v1", "kind": "NewWebService", "metadata": {"name": name}, "spec": content}
    return json.dumps(document)


def test_a_document_says_all_that_is_managed(load):
    fleet = load({
        "mine.json": service(
            definition={"file": "mine-definition.json"}, location="West Europe", commitmentPlan=PLAN,
            storage={"account": "a", "key": {"env": "K"}}, keys={"secondary": {"file": "k"}}, tags={"a": "b"},
            ignore=["/properties/title", "/properties/a~1b"], armVersion="2016-05-01-preview",
            settings={"title": "t", "description": "d", "exposeSampleData": False},
        ),
    })  # fmt: skip
    spec = fleet.target_documents["mine"].spec
    assert (spec.storage.account, spec.keys.primary, spec.settings.expose_sample_data) == ("a", None, False)
    assert spec.definition.path.name == "mine-definition.json"


def test_a_definition_that_lies_in_the_tree_is_no_document(load):
    definition = {"location": "West Europe", "properties": {"storageAccount": {"key": "secret"}}}
    fleet = load({"mine.json": service(), "definitions/mine.json": json.dumps(definition)})
    assert list(fleet.target_documents) == ["mine"]


def test_what_a_copy_is_made_of_is_known_to_a_selection_without_it(load):
    copy = service(
        "copy", copyOf="mine", location="x", storage={"account": "a", "key": {"env": "K"}}, commitmentPlan=PLAN
    )
    fleet = load({"mine.json": service(), "copy.json": copy}).select(["copy"])
    assert fleet.unselected["mine"].spec.resource_id == f"{GROUP}/webServices/mine"


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"copyOf": "min", "location": "x", "storage": {"account": "a", "key": {"env": "K"}}, "commitmentPlan": PLAN},
         "spec.copyOf", "no NewWebService is named 'min'"),
        ({"copyOf": "other", "location": "x", "storage": {"account": "a", "key": {"env": "K"}}, "commitmentPlan": PLAN},
         "spec.copyOf", "names the document's own web service"),
        ({"copyOf": "mine", "location": "x"}, "spec", "is a copy and has no storage and no commitmentPlan"),
        ({"copyOf": "mine", "definition": {"file": "x.json"}}, "spec.copyOf", "stands beside definition"),
        ({"ignore": ["/properties/a"]}, "spec.ignore", "has no definition to be compared with"),
        ({"definition": {"file": "x.json"}, "ignore": ["a"]}, "spec.ignore[0]", "is not a JSON Pointer"),
        ({"commitmentPlan": "plan"}, "spec.commitmentPlan", "is not the resource id of a commitment plan"),
        ({"keys": {}}, "spec.keys", "has no key"),
        ({"keys": {"primary": "k"}}, "spec.keys.primary", "a literal secret"),
        ({"tags": {"reconciler-version": "x"}}, "spec.tags.reconciler-version", "begins with 'reconciler-'"),
        ({"tags": {"a/b": "x"}}, 'spec.tags["a/b"]', "is not a tag name that Azure accepts"),
        ({"tags": {"k" * 513: "x"}}, f"spec.tags.{'k' * 513}", "is not a tag name that Azure accepts"),
        ({"tags": {" team": "x"}}, 'spec.tags[" team"]', "is not a tag name that Azure accepts"),
        ({"tags": {"a": "v" * 257}}, "spec.tags.a", "has 257 characters"),
        ({"tags": {"Team": "x", "team": "y"}}, "spec.tags", "has a tag twice"),
        ({"tags": {f"k{number}": "x" for number in range(51)}}, "spec.tags", "has 51 tags"),
        ({"definition": {"file": "x.json"}, "ignore": ["/title"]}, "spec.ignore[0]", "is not a place in"),
        ({"armVersion": "2018-01-01"}, "spec.armVersion", "2018-01-01"),
        ({"storage": {"account": "a"}}, "spec.storage.key", "missing field 'key'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(mistakes, spec, field, words):
    (found,) = mistakes({"other.json": service("other", **spec), "mine.json": service()})
    assert found.field == field
    assert words in found.summary

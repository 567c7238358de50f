"""What is taken from a definition file and what is refused, and what an export leaves out."""

from __future__ import annotations

import json

import pytest

from reconciler.targets.new_service.definition.file import (
    DefinitionFileError,
    export_definition,
    read_definition,
    resolved,
)
from tests.targets.new_service.definition.test_diff import ENVELOPE, definition, shown


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "mine.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_what_only_the_service_writes_is_not_taken_and_casing_does_not_matter(file):
    content = {"Location": "westeurope", "Properties": {"Title": "t", "ModifiedOn": "x", "PayloadsInBlobStorage": True}}
    written = read_definition(file(content))
    assert written.properties == {"title": "t", "packageType": "Graph"}
    assert written.location == "westeurope"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"properties": {\n  "a": ]}}', r"mine\.json:2:8: not valid JSON"),
        ([], "is not the definition of a web service"),
        ({"properties": {"keys": {"primary": "k"}}}, "/properties/keys/primary: a literal secret"),
        ({"properties": {"storageAccount": {"name": "a", "key": "k"}}}, "/properties/storageAccount/key: a literal"),
        (
            {"properties": {"parameters": {"P": {"value": "v", "certificateThumbprint": "AB"}}}},
            r'\{"\$secret": \{"env": "MINE_P"\}\}',
        ),
        ({"properties": {"assets": {"a": {"locationInfo": {"uri": "https://x/y?sv=1&sig=abcdefgh"}}}}}, "literal"),
        ({"properties": {"assets": {"a": {"locationInfo": {"credentials": "AccountKey=k"}}}}}, "literal"),
        ({"properties": {"title": {"$secret": "plain"}}}, "is not a reference to a secret"),
        ({"properties": {"title": {"$secret": {"env": "A"}, "more": 1}}}, "is not a reference to a secret"),
        ({"properties": {"payloadsLocation": {"uri": "https://x/y?sig=abcdefgh"}}}, "payloadsLocation/uri: a literal"),
        (
            '{"properties": {"title": "a",\n "title": "b"}}',
            r"mine\.json:2:2: .*duplicate key .*mine\.json:1:17",
        ),
        ('{"properties": {"title": "a", "Title": "b"}}', "/properties/title: is a duplicate of Title"),
        ('{"properties": {"exampleRequest": NaN}}', r"mine\.json:1:35: .*NaN is not a JSON value"),
        ('{"properties": {"title": "\\ud800"}}', r"mine\.json:1:26: .*half of a surrogate pair"),
        ('{"properties": {"title": ' + "1" * 5000 + "}}", "too many digits"),
        ({"properties": {}, "location": 5}, "/location: must be a text"),
        ({"properties": {}, "tags": {"a": {"$secret": {"env": "A"}}}}, "/tags/a: must be a text"),
        ({"properties": {"packageType": "Tree"}}, "only Graph is allowed"),
        ({"properties": {"pakage": {}}}, "/properties/pakage: unknown member; did you mean package?"),
        ({"properties": []}, "its properties are a list"),
        ({"tags": ["a"], "properties": {}}, r"mine\.json:1:\d+: /tags: must be an object, found a list"),
        ({"properties": {"assets": [1]}}, "/properties/assets: must be an object"),
        ({"properties": {"title": 1, "assets": {"a": 2}}}, "title: must be a text, found a number; 1 more error: "),
    ],
)
def test_what_can_not_be_used_is_refused_with_its_place_and_without_the_secret(file, content, said):
    with pytest.raises(DefinitionFileError, match=said) as raised:
        read_definition(file(content))
    assert "abcdefgh" not in str(raised.value)


def test_a_file_of_windows_is_taken_and_so_is_a_member_that_is_not_known(file):
    path = file("")
    path.write_bytes(b'\xef\xbb\xbf{"properties": {\r\n"title": "\\ud83d\\ude00", "somethingNew": 1}}\r\n')
    assert read_definition(path).properties == {"title": "\U0001f600", "somethingNew": 1, "packageType": "Graph"}


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DefinitionFileError, match="the file does not exist; `reconcile export` writes one"):
        read_definition(tmp_path / "none.json")


def test_an_export_has_no_secret_and_is_taken_again(file):
    live = {"name": "Mine", "tags": {"team": "x", "reconciler-version": "bc@1"}, **shown(definition())}
    live["properties"]["assets"]["asset3"]["locationInfo"] |= {"uri": "https://a/c/m.ilearner?sig=abcdefgh"}

    exported = export_definition(live)

    text = json.dumps(exported.content)
    assert ENVELOPE not in text
    assert "abcdefgh" not in text
    assert exported.content["tags"] == {"team": "x"}
    assert "https://a/c/m.ilearner" in text
    assert any("MINE_NODE1_ACCOUNT_KEY" in note for note in exported.notes)
    assert not {"keys", "commitmentPlan", "modifiedOn", "swaggerLocation"} & set(exported.content["properties"])
    read_definition(file(exported.content))


def test_a_secret_in_an_example_or_a_tag_is_not_exported_either(file):
    live = {"name": "Mine", "tags": {"conn": "AccountKey=abcdefgh;"}, **shown(definition())}
    live["properties"]["exampleRequest"] = {"globalParameters": {"Key": "Password=abcdefgh"}, "inputs": {"i": [["x"]]}}

    exported = export_definition(live)

    assert "abcdefgh" not in json.dumps(exported.content) + " ".join(exported.notes)
    example = exported.content["properties"]["exampleRequest"]
    assert example["globalParameters"] == {"Key": {"$secret": {"env": "MINE_EXAMPLEREQUEST_GLOBALPARAMETERS_KEY"}}}
    assert "left out: 1 tag that might hold a secret" in exported.notes
    read_definition(file(exported.content))


def test_an_older_definition_is_taken_in_the_newer_form(file):
    written = read_definition(file({"properties": {"parameters": {"Query": "SELECT 1"}}}))
    assert written.properties["parameters"] == {"Query": {"value": "SELECT 1"}}


def test_placeholders_are_replaced_where_they_stand():
    body = {"a": [{"$secret": {"env": "X"}}], "b": {"c/d": {"$secret": {"env": "Y"}}}}
    assert resolved(body, {"/a/0": "x", "/b/c~1d": "y"}) == {"a": ["x"], "b": {"c/d": "y"}}

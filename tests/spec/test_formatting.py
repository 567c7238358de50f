"""One form for all spec files: what is in it, and that nothing is lost on the way to it."""

import json
import random
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.spec.formatting.formatter import formatted
from reconciler.targets import kinds

DOCUMENTS = list(yaml.safe_load_all(Path(__file__).with_name("valid_fleet.yaml").read_text()))
ENDPOINT = """\
apiVersion: reconciler/v1
kind: ClassicEndpoint
metadata: {name: clinic-a}
spec:
"""
quick = settings(derandomize=True, deadline=None, max_examples=100)


def yaml_form(text):
    return formatted(text, kinds.documents(), as_json=False)


def spec_form(text):
    """The form of an endpoint's spec that is written like this."""
    lines = yaml_form(ENDPOINT + "".join(f"  {line}\n" for line in text.splitlines())).splitlines()
    return "\n".join(line.removeprefix("  ") for line in lines[4:])


class Scribe:
    """Writes documents as people might: fields in any order, braces or not, quotes or not, comments everywhere."""

    def __init__(self, chance):
        self.chance = chance
        self.comments = 0

    def maybe(self, share=0.3):
        return self.chance.random() < share

    def comment(self):
        self.comments += 1
        return f"# comment {self.comments}"

    def beside(self):
        return f"  {self.comment()}" if self.maybe(0.2) else ""

    def above(self, indent):
        lines = ["" for _ in range(self.chance.randrange(3)) if self.maybe()]
        if self.maybe(0.2):
            lines.append(" " * self.chance.choice([indent, indent, 0, indent + 2]) + self.comment())
        return lines + ["" for _ in range(2) if self.maybe(0.1)]

    def scalar(self, value):
        if not isinstance(value, str):
            return json.dumps(value)
        forms = [json.dumps(value), "'" + value.replace("'", "''") + "'"]
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9 /._-]*", value) and value != "None":
            forms.append(value)
        return self.chance.choice(forms)

    def braces(self, value, indent):
        if not isinstance(value, dict | list):
            return self.scalar(value)
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        parts = []
        for key in self.keys(value):
            name = f"{self.scalar(key)}: " if isinstance(value, dict) else ""
            part = name + self.braces(value[key], indent)
            if self.maybe(0.1):
                part += f",  {self.comment()}\n{' ' * (indent + 2)}"
            elif self.maybe(0.1):
                part += f",\n{' ' * (indent + 2)}{self.comment()}\n{' ' * (indent + 2)}"
            else:
                part += ", "
            parts.append(part)
        return opening + "".join(parts) + closing

    def keys(self, value):
        if not isinstance(value, dict):
            return range(len(value))
        keys = list(value)
        self.chance.shuffle(keys)
        return keys

    def block(self, value, indent):
        lines = []
        for key in self.keys(value):
            child = value[key]
            lead = f"{self.scalar(key)}:" if isinstance(value, dict) else "-"
            lines += self.above(indent)
            if isinstance(child, dict | list) and child and self.maybe(0.6):
                lines.append(" " * indent + lead + self.beside())
                lines += self.block(child, indent + self.chance.choice([1, 2, 4]))
            elif isinstance(child, dict | list):
                lines.append(" " * indent + lead + " " + self.braces(child, indent) + self.beside())
            else:
                lines.append(" " * indent + lead + " " + self.scalar(child) + self.beside())
        return lines

    def file(self, documents):
        parts = ["\n".join([*self.above(0), *self.block(each, 0), *self.above(0)]) + "\n" for each in documents]
        return parts[0] + "".join(f"---{self.beside()}\n{part}" for part in parts[1:])


def written_by_chance(seed):
    scribe = Scribe(random.Random(seed))  # noqa: S311 - no secret is made of it
    return scribe.file(DOCUMENTS), scribe.comments


@quick
@given(st.integers(0, 2**32))
def test_whatever_people_write_keeps_its_meaning_and_each_comment(seed):
    text, comments = written_by_chance(seed)
    result = yaml_form(text)
    assert list(yaml.safe_load_all(result)) == DOCUMENTS
    assert sorted(re.findall(r"# comment \d+", result)) == sorted(f"# comment {n + 1}" for n in range(comments))


@quick
@given(st.integers(0, 2**32))
def test_the_form_of_the_form_is_the_form(seed):
    once = yaml_form(written_by_chance(seed)[0])
    assert yaml_form(once) == once


@quick
@given(st.integers(0, 2**32))
def test_blank_lines_and_line_ends_are_as_promised(seed):
    result = yaml_form(written_by_chance(seed)[0])
    assert re.search(r"\n\n\n|[ \t]\n|---\n\n|\n\n---|:\n\n|\A\n|\n\n\Z", result) is None
    assert result.endswith("\n")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@quick
@given(texts | texts.map(lambda text: text + ": ") | st.from_regex(r"[-+.0-9eExo:_~nyTF]{1,6}", fullmatch=True))
def test_any_text_is_read_back_as_it_was(text):
    """Also by a reader of YAML 1.2, to whom other bare texts are numbers."""
    value = {"a": text, "b": [text], "c": {text: text}}
    for braces in (True, False):
        result = yaml_form(yaml.safe_dump(value, default_flow_style=braces, sort_keys=False))
        assert yaml.safe_load(result) == value
        assert yaml_form(result) == result
    bare = result.splitlines()[0].removeprefix("a: ")
    if bare == text:
        assert re.fullmatch(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0o[0-7]+|0x[0-9a-fA-F]+", bare) is None


def test_fields_stand_in_the_order_of_the_documents():
    text = """\
spec:
  model: {version: "1", name: mine, resource: r}
  endpoint: e
  webService: s
  workspace: w
metadata: {labels: {z: "1", a: "2"}, name: one}
kind: ClassicEndpoint
apiVersion: reconciler/v1
"""
    assert (
        yaml_form(text)
        == """\
apiVersion: reconciler/v1
kind: ClassicEndpoint
metadata: {name: one, labels: {z: "1", a: "2"}}
spec:
  workspace: w
  webService: s
  endpoint: e
  model: {resource: r, name: mine, version: "1"}
"""
    )


def test_a_comment_goes_where_its_field_goes():
    text = """\
# The file.

# Clinic A.
kind: ClassicEndpoint
apiVersion: reconciler/v1  # the version
spec:
  # what serves
  endpoint: e     # our own
  workspace: w
  # nothing else
# who
metadata: {name: one}
# The end.
"""
    assert (
        yaml_form(text)
        == """\
# The file.

# Clinic A.
apiVersion: reconciler/v1  # the version
kind: ClassicEndpoint
# who
metadata: {name: one}
spec:
  workspace: w
  # what serves
  endpoint: e  # our own
  # nothing else
# The end.
"""
    )


@pytest.mark.parametrize(
    ("given_line", "expected"),
    [
        ("version: 2026-10", 'version: "2026-10"'),
        ("model: {version: v1}", 'model: {version: "v1"}'),
        ("versions: {v1: {}}", 'versions: {"v1": {}}'),
        ("webService: Diabetes [training exp.]", 'webService: "Diabetes [training exp.]"'),
        ("webService: 'plain'", "webService: plain"),
        ('url: "https://a/b?c=1"', "url: https://a/b?c=1"),
        ('label: "yes"', 'label: "yes"'),
        ('label: "12"', 'label: "12"'),
        ('label: "1e3"', 'label: "1e3"'),
        ("label: '2026-10-01'", 'label: "2026-10-01"'),
        (r"path: 'C:\data'", r"path: 'C:\data'"),
        ("value: yes", "value: true"),
        ("value: ~", "value: null"),
        ("value:", "value: null"),
        ("value: 0.950", "value: 0.950"),
        ("value: !!str 12", 'value: "12"'),
    ],
)
def test_a_value_is_quoted_when_it_could_be_taken_for_something_else(given_line, expected):
    assert spec_form(given_line) == expected


def test_braces_stay_while_they_fit_and_hold_no_comment():
    short = "probe: {rows: [{age: 40}]}"
    assert spec_form(short) == short
    long_text = "x" * 120
    assert spec_form(f"probe: {{name: a, text: {long_text}}}") == f"probe:\n  name: a\n  text: {long_text}"
    assert spec_form("probe: {a: 1, # one\n  b: 2}") == "probe:\n  a: 1  # one\n  b: 2"
    assert yaml_form("{kind: X, spec: {a: {b: 1}}}") == "kind: X\nspec:\n  a: {b: 1}\n"


def test_a_comment_beside_the_end_of_a_document_stays_at_its_end():
    """It speaks of no field, so it must not wander off with the last one when the fields are put in order."""
    text = (
        "apiVersion: reconciler/v1\nkind: Workspace\nmetadata: {name: a}\nspec:\n  region: x\n  id: y\n... # the end\n"
    )
    assert formatted(text, kinds.documents(), as_json=False).endswith("\n  region: x\n# the end\n")


def test_comments_beside_consecutive_lines_stand_below_each_other():
    assert spec_form("a: 1 # one\nlonger: 2 # two\nb: 3\nc: 4    # four") == (
        "a: 1       # one\nlonger: 2  # two\nb: 3\nc: 4  # four"
    )


def test_a_text_of_several_lines_stays_as_it_was_written():
    text = "endpoint: e\n# next\ndescription: |-  # for people\n  one\n    two\n\n  three"
    assert spec_form("endpoint: e\n# next\ndescription: |- # for people\n     one\n       two\n\n     three\n") == text
    assert spec_form(text) == text


def test_anchors_stay_above_their_aliases():
    text = "probe: &p {rows: 1}  # first\nendpoint: *p"
    assert spec_form(text) == text


def test_lists_are_indented_and_their_mappings_begin_beside_the_dash():
    assert spec_form("gates:\n-\n  # why\n  metric: AUC\n  min: 0.9\n- {metric: F1, min: 1}\n# foot\nname: one") == (
        "gates:\n  # why\n  - metric: AUC\n    min: 0.9\n  - {metric: F1, min: 1}\n# foot\nname: one"
    )


def test_documents_that_are_empty_go_and_their_comments_stay():
    assert yaml_form("# a\n---\n# b\n---\na: 1\n# c\n---\n...\n---\nb: 2\n---\n# d") == (
        "# a\n# b\na: 1\n# c\n---\nb: 2\n# d\n"
    )
    assert yaml_form("\n# only\n\n\n# comments") == "# only\n\n# comments\n"


def test_line_ends_of_windows_become_plain_ones():
    assert yaml_form("a: 1 # c\r\n\r\n\r\nb: |\r\n  x\r\n  y\r\n") == "a: 1  # c\n\nb: |\n  x\n  y\n"


def test_json_keeps_to_json_with_the_same_order_of_fields():
    text = '{"spec": {"model": {"version": "1", "resource": "é"}}, "kind": "ClassicEndpoint"}'
    assert formatted(text, kinds.documents(), as_json=True) == (
        '{\n  "kind": "ClassicEndpoint",\n  "spec": {\n    "model": {\n      "resource": "é",\n'
        '      "version": "1"\n    }\n  }\n}\n'
    )


def test_the_example_fleet_is_in_canonical_form():
    for file in sorted((Path(__file__).parents[2] / "specs").rglob("*.yaml")):
        assert formatted(file.read_text(), kinds.documents(), as_json=False) == file.read_text()

"""Whatever bytes a file holds, loading gives a fleet or mistakes, never another error."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.spec.diagnostics import SpecErrors
from reconciler.spec.loading import yaml_reader
from tests.support.fleets import load_fleet

LINES = Path(__file__).with_name("valid_fleet.yaml").read_text().splitlines()
FRAGMENTS = [
    *LINES, "---", "...",
    "\t", "- ", "? ", ": ", "&a ", "*a", "!!str ", "!x ", "<<: ", "'", '"', "[", "{", "}", "]", "|",
    ">", "#", "%YAML 1.1", "\\u0000", "2026-11-01", "1e999", ".inf", "yes", "~", "\r", "\x85", "kind: ", "spec: ",
    "metadata: {name: ",
]  # fmt: skip

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(LINES)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
pieces = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=40)
quick = settings(
    derandomize=True, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def load_or_report(directory, name, content):
    file = directory / name
    file.write_bytes(content)
    lines = len(re.findall("\r\n|[\n\r\x85\u2028\u2029]", content.decode(errors="replace"))) + 1
    for each in mistakes_in(file):
        assert each.position.file == file
        assert 0 <= each.position.line <= lines
        str(each).encode()  # prints on any terminal that speaks UTF-8


def mistakes_in(file):
    try:
        load_fleet([file])
    except SpecErrors as errors:
        return errors.diagnostics
    return ()


@quick
@given(st.binary(max_size=200), st.sampled_from(["a.yaml", "a.json"]))
def test_any_bytes_give_a_fleet_or_mistakes(tmp_path, content, name):
    load_or_report(tmp_path, name, content)


@quick
@given(pieces.map("\n".join) | pieces.map("".join))
def test_any_mixture_of_yaml_gives_a_fleet_or_mistakes(tmp_path, text):
    load_or_report(tmp_path, "a.yaml", text.encode("utf-8", "replace"))


@quick
@given(trees)
def test_any_json_value_gives_a_fleet_or_mistakes(tmp_path, value):
    load_or_report(tmp_path, "a.json", json.dumps(value).encode())


@quick
@given(st.integers(0, len(LINES) - 1), trees, st.sampled_from(["id", "token", "training", "gates", "model", "probe"]))
def test_any_value_in_any_field_gives_a_fleet_or_mistakes(tmp_path, line, value, name):
    lines = [*LINES[:line], f"  {name}: {json.dumps(value)}", *LINES[line + 1 :]]
    load_or_report(tmp_path, "a.yaml", "\n".join(lines).encode())


@quick
@given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_json_means_the_same_in_a_yaml_file(tmp_path, value):
    """What both readers take they must take for the same, and at the same place."""
    name = json.dumps(value)
    text = f'{{"apiVersion": "reconciler/v1", "kind": "Model",\n "metadata": {{"name": {name}}}, "spec": {{"x": "x"}}}}'

    def summaries(file):
        (tmp_path / file).write_text(text)
        found = mistakes_in(tmp_path / file)
        return [(each.position.line, each.position.column, each.summary) for each in found]

    assert summaries("a.yaml") == summaries("a.json")


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 100_000, "{a: " * 50_000, "? " * 50_000, "&a " * 50_000])
def test_deep_nesting_is_an_error_and_not_the_end_of_the_process(text, tmp_path):
    load_or_report(tmp_path, "a.yaml", text.encode())


def test_the_slow_parser_says_the_same(tmp_path, monkeypatch):
    """Where PyYAML was built without its C parser, the pure one stands in."""
    text = "\n".join(LINES).replace("throttleLevel: High", "throttleLevel: [High").encode()
    (tmp_path / "a.yaml").write_bytes("\n".join(LINES).encode())
    fast = load_fleet([tmp_path / "a.yaml"])

    monkeypatch.setattr(yaml_reader, "_Loader", yaml_reader.yaml.SafeLoader)

    assert load_fleet([tmp_path / "a.yaml"]).revision == fast.revision
    load_or_report(tmp_path, "a.yaml", text)

"""What a rendering must do whatever the names are; how it looks is in the goldens."""

from __future__ import annotations

import json
import re

import pytest

from reconciler.plan.render import json_text, markdown, text
from reconciler.plan.text import duration, number, printable, scalar
from reconciler.spec.diagnostics import join_names

HOSTILE = "a\x1b[31m|`x`</details>\n\u202e\x9b\ud800 @octocat \\"


def hostile_plan(a):
    target = a.endpoint(HOSTILE, identity=HOSTILE, resource=HOSTILE, settings={HOSTILE: HOSTILE})
    live = a.live(target, resources=(HOSTILE,), settings={HOSTILE: "x"}, fingerprint=HOSTILE)
    version = a.version(inputs={HOSTILE: HOSTILE}, training=HOSTILE)
    return a.plan([target], [live], versions=[version], cloud=HOSTILE)


def test_no_name_steers_a_terminal(a):
    for shown in (text(hostile_plan(a)), json_text(hostile_plan(a))):
        assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(shown)
        shown.encode()
    assert "\\x1b[31m" in text(hostile_plan(a))


def test_no_name_breaks_out_of_markdown(a):
    shown = markdown(hostile_plan(a))
    shown.encode()
    assert shown.count("</details>") == shown.count("<details>") == 1
    assert re.search(r"(?<!\w)@octocat", shown) is None
    for header, row in re.findall(r"^(\|.*\|)\n(?:\|[-|]+\|)\n(\|.*\|)$", shown, re.MULTILINE):
        assert len(re.findall(r"(?<!\\)\|", header)) == len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", row)))


def test_a_fence_is_longer_than_any_run_of_backticks_inside(a):
    target = a.service()
    plan = a.plan([target], [a.live(target, uri="https://x/```y")], a.ledger(a.known()))
    assert "\n````json\n" in markdown(plan)


def test_ascii_only_keeps_every_line(a):
    target = a.endpoint("klinik-größe")
    plan = a.plan([target], [a.live(target, marker=a.marker("2026-09"))], a.ledger(a.known()))
    shown = text(plan, ascii_only=True)
    assert shown.isascii()
    assert "breast-cancer@2026-09 -> breast-cancer@2026-11" in shown
    assert shown.count("\n") == text(plan).count("\n")


def test_colour_is_all_that_colour_adds(a):
    plan = hostile_plan(a)
    coloured = text(plan, color=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(plan)


@pytest.mark.parametrize("width", [1, 40, 72, 200])
def test_prose_is_wrapped_to_the_width_and_no_word_is_lost(a, width):
    target = a.endpoint()
    ledger = a.ledger(a.known(), converged={target.identity: a.converged(answers="recorded")})
    plan = a.plan([target], [a.live(target, answers="other")], ledger)
    shown = text(plan, width=width)
    assert shown.split() == text(plan, width=1000).split()
    why = [line for line in shown.splitlines() if "recorded" in line]
    assert all(len(line) <= max(width, 40) for line in why)


def test_many_targets_in_sync_take_few_lines_and_all_are_in_the_json(a):
    targets = [a.endpoint(f"clinic-{count:04d}") for count in range(1000)]
    ledger = a.ledger(a.known(), converged={target.identity: a.converged() for target in targets})
    plan = a.plan(targets, [a.live(target, marker=a.marker()) for target in targets], ledger)
    assert text(plan).count("\n") < 15
    assert "and 980 more" in " ".join(text(plan).split())
    assert markdown(plan).count("\n") < 20
    assert len(json.loads(json_text(plan))["in_sync"]) == 1000
    assert text(plan).splitlines()[-1].startswith("in sync: 1,000 targets")


def test_an_empty_fleet_is_in_sync(a):
    assert "in sync: no targets" in text(a.plan([], []))
    assert "in sync: no selected targets" in text(a.plan([], [], partial=True))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (59.6, "1m00s"), (130, "2m10s"), (3900, "1h05m"), (360_000, "4d04h"), (-1, "0s")],
)
def test_a_duration_has_two_units(seconds, words):
    assert duration(seconds) == words


def test_values_read_as_what_they_are():
    assert [scalar(value) for value in (None, "20", 20, True, 0.5)] == ["not set", '"20"', "20", "true", "0.5"]
    assert number(0.97314159) == "0.973142"
    assert join_names(["a", "b", "c"], limit=2) == "a, b and 1 more"
    assert printable("größe\t1") == "größe\\x091"

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.plan.diff import explain_difference, plan_differences
from reconciler.plan.document import TargetStatus, digest_of, plan_schema
from reconciler.plan.errors import SavedPlanError
from reconciler.plan.render import json_text
from reconciler.plan.saved import load_plan


@pytest.fixture
def plan(a):
    target = a.endpoint()
    return a.plan([target], [a.live(target, marker=a.marker("2026-09"))], a.ledger(a.known("2026-09")))


def resealed(content):
    return json.dumps({**content, "digest": digest_of(content)})


def test_a_member_that_a_newer_minor_version_added_is_ignored_and_covered_by_the_digest(plan):
    content = {**json.loads(json_text(plan)), "format_version": "1.7", "novelty": {"x": 1}}
    content["changes"][0]["novelty"] = True
    assert load_plan(resealed(content)).changes == plan.changes
    sealed = json.loads(resealed(content))
    sealed["novelty"]["x"] = 2
    with pytest.raises(SavedPlanError, match="edited"):
        load_plan(json.dumps(sealed))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "format_version"),
        ('{"format_version": 1}', "format_version"),
        ('{"format_version": "2.0"}', "reads 1.x"),
        ('{"format_version": "1.0"}', "no digest"),
        (
            '{"format_version": "1.0", "digest": "sha256:x", "changes": 3}',
            "every target group must be a list of objects",
        ),
        (
            '{"format_version": "1.0", "digest": "sha256:x", "changes": [3]}',
            "every target group must be a list of objects",
        ),
        ('{"format_version": "1.0", "x": NaN}', "not a JSON number"),
        ("[" * 200_000, "Invalid plan file"),
        ("1" * 5_000, "Invalid plan file"),
    ],
)
def test_what_is_no_plan_is_refused_with_the_remedy(text, complaint):
    with pytest.raises(SavedPlanError, match=complaint) as refused:
        load_plan(text)
    assert "reconcile --dry-run" in str(refused.value)


def test_a_plan_that_was_saved_before_its_targets_were_one_tuple_is_read_and_written_as_it_was():
    text = (Path(__file__).parent / "saved_plans" / "every_group.json").read_text(encoding="utf-8")
    saved = load_plan(text)

    assert set(TargetStatus) == {target.status for target in saved.targets}
    assert saved.digest == saved.computed_digest() == json.loads(text)["digest"]
    assert text == json_text(saved)


def test_an_edited_plan_is_refused(plan):
    edited = json_text(plan).replace('"desired": "breast-cancer@2026-11"', '"desired": "breast-cancer@2026-09"')
    with pytest.raises(SavedPlanError, match="edited"):
        load_plan(edited)


def test_a_sealed_document_that_is_no_plan_names_the_place(plan):
    content = json.loads(json_text(plan))
    content["changes"][0]["status"] = "unheard-of"
    with pytest.raises(SavedPlanError, match=r"changes\.0\.status"):
        load_plan(resealed(content))


@pytest.mark.parametrize(
    ("after", "complaint"),
    [(["nowhere"], "waits for the missing nowhere"), (["verify:ClassicEndpoint/clinic-a"], "wait for each other")],
)
def test_steps_that_could_never_run_are_refused(plan, after, complaint):
    content = json.loads(json_text(plan))
    content["changes"][0]["steps"][0]["after"] = after
    with pytest.raises(SavedPlanError, match=complaint):
        load_plan(resealed(content))


def test_two_steps_of_one_id_are_refused(plan):
    content = json.loads(json_text(plan))
    content["changes"][0]["steps"] *= 2
    with pytest.raises(SavedPlanError, match="two steps"):
        load_plan(resealed(content))


def test_nothing_moved_when_only_the_time_did(a):
    target = a.endpoint()
    plans = [a.plan([target], [a.live(target)], now=a.now.replace(hour=hour)) for hour in (1, 2)]
    assert plan_differences(*plans) == ()


def test_what_moved_is_told_by_target(a):
    kept, gone, new = a.endpoint("kept"), a.endpoint("gone"), a.endpoint("new")
    ledger = a.ledger(a.known("2026-09"))
    old = a.plan([kept, gone], [a.live(kept, marker=a.marker("2026-09")), a.live(gone)], ledger)
    fresh = a.plan(
        [kept, new],
        [a.live(kept, fingerprint="moved"), a.live(new)],
        ledger,
        cloud="public",
        revision="b",
        forced=frozenset({"gate"}),
    )
    assert set(plan_differences(old, fresh)) == {
        "cloud changed from local to public",
        "spec revision changed from 1a2b3c4d5e6f7a8b to b",
        "--force changed from nothing to gate",
        "gone is no longer in the specs",
        "new is not in the saved plan",
        "kept: live version changed from breast-cancer@2026-09 (evidence: marker) to unknown (evidence: unknown)",
    }


def test_a_live_side_that_moved_without_moving_the_model_is_told(a):
    target = a.endpoint()
    plans = [a.plan([target], [a.live(target, fingerprint=seen)]) for seen in "ab"]
    assert plan_differences(*plans) == ("clinic-a: the live state changed after the plan was made",)


def test_a_difference_that_no_sentence_covers_is_explained_by_its_place(a):
    target, other = (a.endpoint(settings={"MaxConcurrentCalls": calls}) for calls in (10, 20))
    plans = [a.plan([wanted], [a.live(wanted)]) for wanted in (target, other)]
    (moved,) = plan_differences(*plans)
    assert "changes from 10 to 20" in moved


def test_a_version_that_became_usable_is_told(a):
    target = a.endpoint()
    plans = [a.plan([target], [a.live(target)], ledger) for ledger in (a.ledger(), a.ledger(a.known()))]
    assert "version breast-cancer@2026-11: state changed from not usable to usable" in plan_differences(*plans)


def test_many_moved_targets_are_counted_instead_of_told(a):
    targets = [a.endpoint(f"clinic-{number:03d}") for number in range(50)]
    plans = [a.plan(targets, [a.live(target, fingerprint=seen) for target in targets]) for seen in "ab"]
    moved = plan_differences(*plans)
    assert (len(moved), moved[-1]) == (21, "30 more targets changed")


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1}}, {"a": {"b": "1"}}, ['a/b changes from 1 to "1"']),
        ({}, {"a": [1]}, ["a is added: [1]"]),
        ([1, 2], [1], ["1 is removed: 2"]),
        ({"keys": {"primary": "SECRET"}}, {"keys": {"primary": "OTHER"}}, ["keys/primary differs"]),
        (1, 2, ["the whole value changes from 1 to 2"]),
    ],
)
def test_a_difference_of_definitions_is_said_in_words(old, new, sentences):
    assert explain_difference(old, new) == sentences


def test_the_published_schema_describes_every_member_that_is_written(plan):
    schema = plan_schema()
    left_out_when_empty = {"orphaned"}
    assert schema["properties"].keys() == json.loads(json_text(plan)).keys() | left_out_when_empty
    assert schema["properties"]["format_version"]["pattern"] == r"^1\.[0-9]+$"
    # Unknown members are tolerated by design, so nothing may forbid them.
    assert "additionalProperties" not in {
        name for definition in schema["$defs"].values() for name in definition if name != "properties"
    }

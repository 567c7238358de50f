"""Sets in a plan: one line each, orphans that are left alone or pruned, and too many of them refused."""

from __future__ import annotations

import json

import pytest

from reconciler.plan.errors import UnknownRuleError
from reconciler.plan.render import json_text, markdown, text
from reconciler.plan.render.grouping import grouped
from reconciler.plan.states import DesiredTarget, Problem

GROUP = "bike-rental"


def member(a, number, label="2026-11"):
    model = f"{GROUP}-{number:03}"
    return a.endpoint(model, version=a.key(label, model), group=GROUP, identity=f"ws/svc/rentalloc{number:03}")


def orphan(number, *, prune=False):
    name = f"{GROUP}-{number:03}"
    return DesiredTarget(
        name, "ClassicEndpoint", f"ws/svc/rentalloc{number:03}", absent=True, group=GROUP, orphan=True, prune=prune
    )


def marked(a, target, label="2026-11"):
    return a.live(target, marker=a.marker(label, target.name), answers="same")


def a_plan(a, *, behind=10, of=1000, orphans=(), prune=False, marker=True, **given):
    """A set of which some serve an older version, and orphans."""
    members = [member(a, number) for number in range(of)]
    left = [orphan(number, prune=prune) for number in orphans]
    live = [marked(a, target, "2026-10" if number < behind else "2026-11") for number, target in enumerate(members)]
    live += [marked(a, target) if marker else a.live(target) for target in left]
    known = [a.known(label, target.name) for target in members[behind:] for label in ("2026-11",)]
    known += [a.known("2026-10", target.name) for target in members[:behind]]
    converged = {
        target.identity: a.converged("2026-10" if number < behind else "2026-11", target.name, answers="same")
        for number, target in enumerate(members)
    }
    ledger = a.ledger(*known, converged=converged)
    return a.plan([*members, *left], live, ledger, groups=frozenset({GROUP}), **given)


@pytest.fixture(scope="module")
def thousand(a):
    return a_plan(a, orphans=[2000, 2001])


def test_a_set_of_a_thousand_is_one_line_with_counts(thousand):
    shown = text(thousand)

    line = "bike-rental: 1,002 endpoints: 990 in sync, 10 to retrain and repoint, 2 orphaned"
    assert line in shown
    assert "10 batch jobs at Breast Cancer [training exp.], endpoint default" in shown
    assert len(shown.splitlines()) < 20


def test_a_set_of_a_thousand_is_one_row_of_markdown(thousand):
    shown = markdown(thousand)

    assert "| `bike-rental` | 1,002 endpoints: 990 in sync, 10 to retrain and repoint, 2 orphaned |" in shown
    assert len(shown.splitlines()) < 25


def test_a_set_unfolds_when_it_is_asked_for_and_in_json_always(thousand):
    unfolded = text(thousand, unfolded={GROUP})
    assert "+ bike-rental-009@2026-11" in unfolded
    assert "~ bike-rental-009  bike-rental-010" not in unfolded
    assert "? bike-rental-2001" in unfolded

    plan = json.loads(json_text(thousand))
    assert (10, 990, 2) == tuple(len(plan[group]) for group in ("changes", "in_sync", "orphaned"))
    assert {GROUP} == {target["group"] for target in plan["changes"]}


def test_a_target_of_its_own_is_shown_beside_the_sets(a):
    clinic, bike = a.endpoint(), member(a, 1)
    plan = a.plan([clinic, bike], [a.live(clinic), a.live(bike)])
    shown = text(plan)

    assert "~ clinic-a" in shown
    assert "bike-rental: 1 endpoint: 1 to retrain and repoint" in shown
    assert "+ breast-cancer@2026-11" in shown
    assert "+ bike-rental-001@2026-11" not in shown


def test_an_orphan_is_shown_and_is_no_pending_change(a):
    plan = a_plan(a, behind=0, of=3, orphans=[7])

    assert not plan.pending
    (left,) = plan.orphaned
    assert ("bike-rental-007", (), "bike-rental-007@2026-11") == (left.name, left.steps, left.live)
    assert "in sync: 3 targets match the specs, 1 orphaned" in text(plan)


def test_an_orphan_is_deleted_when_its_set_prunes(a):
    plan = a_plan(a, behind=0, of=6, orphans=[7], prune=True)

    (gone,) = plan.changes
    assert ["delete", "verify"] == [step.action for step in gone.steps]
    assert "6 in sync, 1 to delete" in text(plan)
    # A count alone does not tell whether the right one goes.
    assert "delete    bike-rental-007: Removed from set bike-rental" in text(plan)


def test_an_orphan_without_our_note_is_never_deleted(a):
    plan = a_plan(a, behind=0, of=6, orphans=[7], prune=True, marker=False)

    (kept,) = plan.refused
    assert "not-ours" in [reason.code for reason in kept.reasons]
    assert () == kept.steps


@pytest.mark.parametrize(
    ("of", "orphans", "limit"), [(0, 1, 0), (8, 3, 2), (3, 2, 1)], ids=["none left", "three of eleven", "few"]
)
def test_too_many_orphans_at_once_are_refused_with_number_limit_and_remedy(a, of, orphans, limit):
    plan = a_plan(a, behind=0, of=of, orphans=range(100, 100 + orphans), prune=True)

    assert orphans == len(plan.refused)
    told = plan.refused[0].reasons[0]
    assert "prune-limit" == told.code
    assert told.text.startswith(f"This would delete {orphans} of {of + orphans} endpoint")
    assert f"The limit is {limit} (" in told.text
    assert f"--force prune:{GROUP}" in plan.refused[0].remedy


def test_too_many_orphans_are_deleted_when_a_person_forces_it(a):
    plan = a_plan(a, behind=0, of=0, orphans=[7, 8], prune=True, forced=frozenset({f"prune:{GROUP}"}))

    assert 2 == len(plan.changes)
    assert not plan.refused


@pytest.mark.parametrize("rule", ["prune", "prune:bikerental"])
def test_only_the_pruning_of_a_set_can_be_forced(a, rule):
    with pytest.raises(UnknownRuleError, match="prune"):
        a_plan(a, behind=0, of=1, forced=frozenset({rule}))


def test_what_blocks_many_items_is_one_line_with_the_first_names(a):
    members = [member(a, number) for number in range(12)]
    versions = [
        a.version(
            model=target.name,
            fingerprint=None,
            location=None,
            problem=Problem("input-missing", f"blob rentals/BikeRental{number:03}.csv does not exist", "upload it"),
        )
        for number, target in enumerate(members)
    ]
    shown = text(a.plan(members, [a.live(target) for target in members], versions=versions), width=400)

    assert (
        "12 (bike-rental-000, bike-rental-001, bike-rental-002, bike-rental-003, bike-rental-004 and 7 more): " in shown
    )
    assert "blob rentals/BikeRental….csv does not exist (upload it)" in shown


def test_sentences_are_alike_when_they_differ_in_names_and_ids_alone(a):
    plan = a.plan([member(a, 1), member(a, 2)], [])
    told = [
        (target, f"job {number * 8} of {target.name}: no rentals in loc{target.name[-3:]}, 2001 rows")
        for target, number in zip(plan.targets, "5a", strict=True)
    ]

    (alike,) = grouped(told)
    assert "job … of …: no rentals in loc…, 2001 rows" == alike.text
    assert ("bike-rental-001", "bike-rental-002") == alike.names

"""A target that serves what it should becomes ours when our note is put on it, and the plan says so first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.plan.checks.facts import Access, Facts, RequiredPermission
from reconciler.plan.checks.judge import with_preflight
from reconciler.plan.document import Action, TargetStatus
from reconciler.plan.render import json_text, markdown, text
from reconciler.plan.saved import load_plan
from reconciler.plan.states import Marker, VersionKey

GROUP = "/subscriptions/0f/resourceGroups/ml"


def made_by_hand(a, target=None, **given):
    """The plan over a target that shows the wanted artifact and was never ours."""
    target = target or a.endpoint()
    live = replace(a.live(target, location=a.location(a.key())), **given)
    return a.plan([target], [live], a.ledger(a.known()))


def only(plan):
    (target,) = plan.targets
    return target


def actions(plan):
    return [step.action for step in only(plan).steps]


def codes(plan):
    return {reason.code for reason in only(plan).reasons}


@pytest.mark.parametrize("kind", ["endpoint", "service"])
def test_what_was_made_by_hand_is_adopted_and_nothing_else_is_pending(a, kind):
    plan = made_by_hand(a, getattr(a, kind)())
    assert (plan.pending, plan.writes, len(plan.adopted)) == (False, True, 1)
    assert [Action.ADOPT, Action.VERIFY] == actions(plan)
    assert TargetStatus.IN_SYNC is only(plan).status
    assert {"adopt"} == codes(plan)


def test_what_carries_our_note_is_written_to_no_more(a):
    plan = made_by_hand(a, markers=(a.marker(),), managed=True)
    assert ([], set(), False) == (actions(plan), codes(plan), plan.writes)


def test_a_note_that_is_gone_is_put_back(a):
    target = a.endpoint()
    live = a.live(target, location=a.location(a.key()))
    plan = a.plan([target], [live], a.ledger(a.known(), converged={target.identity: a.converged()}))
    assert [Action.ADOPT, Action.VERIFY] == actions(plan)
    assert {"note-gone"} == codes(plan)


def test_a_note_that_names_another_version_than_is_served_is_put_right(a):
    plan = made_by_hand(a, markers=(a.marker("2026-10"),), managed=True)
    assert [Action.ADOPT, Action.VERIFY] == actions(plan)
    assert {"note-differs"} == codes(plan)
    assert "breast-cancer@2026-10" in text(plan)


def test_a_description_that_leaves_no_room_is_let_be_and_said(a):
    needed = len("[reconciler: breast-cancer@2026-11 0123456789ab]")
    assert [] != actions(made_by_hand(a, marker_room=needed))
    plan = made_by_hand(a, marker_room=needed - 1)
    assert ([], {"no-room-for-note"}) == (actions(plan), codes(plan))


def test_what_has_to_be_moved_and_leaves_no_room_is_stopped_before_it_is_written_to(a):
    target = a.endpoint()
    live = replace(a.live(target, location=a.location(a.key("2026-10"))), marker_room=0)
    (stopped,) = a.plan([target], [live], a.ledger(a.known(), a.known("2026-10"))).blocked
    assert ["no-room-for-note"] == [reason.code for reason in stopped.reasons]
    assert "Shorten the description" in stopped.remedy


def test_what_takes_no_change_any_more_is_let_be(a):
    assert [] == actions(made_by_hand(a, a.service(), read_only=True))


def test_a_target_without_a_model_is_adopted_if_it_surely_is_no_training_service(a):
    target = replace(a.endpoint(), bindings=())
    for resources, expected in ((("Model",), [Action.ADOPT, Action.VERIFY]), ((), []), (None, [])):
        assert expected == actions(made_by_hand(a, target, resources=resources))
    noted = made_by_hand(a, target, resources=("Model",), managed=True)
    assert [] == actions(noted)


def test_a_version_whose_recipe_is_not_known_can_not_be_noted(a):
    target = a.endpoint()
    live = a.live(target, location=a.location(a.key()))
    versions = [a.version(fingerprint=None)]
    assert [] == actions(a.plan([target], [live], versions=versions))


def test_a_change_of_settings_takes_the_note_along(a):
    target = replace(a.endpoint(), settings={"ThrottleLevel": "High"})
    live = replace(a.live(target, location=a.location(a.key())), settings={"ThrottleLevel": "Low"})
    plan = a.plan([target], [live], a.ledger(a.known()))
    assert [Action.SETTINGS, Action.VERIFY] == actions(plan)
    assert {"adopt", "settings"} <= codes(plan)


def test_of_several_models_each_is_noted_in_its_order(a):
    other = VersionKey("age", "2026-11")
    bindings = (
        replace(a.endpoint().bindings[0], resource="A", version=other),
        replace(a.endpoint().bindings[0], resource="B"),
    )
    target = replace(a.endpoint(), bindings=bindings)
    shown = {use.resource: replace(_bound(a), location=a.location(use.version)) for use in bindings}
    right = tuple(Marker.of(use.version, a.fingerprint(use.version)) for use in bindings)
    for markers, expected in ((right, []), (right[::-1], [Action.ADOPT, Action.VERIFY])):
        live = replace(a.live(target), bound=shown, markers=markers)
        assert expected == actions(a.plan([target], [live], a.ledger(a.known(), a.known(model="age"))))


def _bound(a):
    return a.live(a.endpoint(), location=a.location(a.key())).bound[a.endpoint().bindings[0].resource]


def test_who_may_not_write_is_told_and_has_an_empty_plan_all_the_same(a):
    plan = made_by_hand(a, a.service())
    (step, _) = only(plan).steps
    needs = {step.id: (RequiredPermission("Microsoft.MachineLearning/webServices/write", only(plan).identity, GROUP),)}
    judged = with_preflight(plan, Facts(needs=needs, access={GROUP: Access()}), a.ledger(), a.now, 40)
    assert TargetStatus.IN_SYNC is only(judged).status
    assert ([], True) == (actions(judged), "not-noted" in codes(judged))
    assert not judged.writes


def test_a_fleet_that_is_adopted_is_told_in_few_lines(a):
    targets = [a.endpoint(f"clinic-{number:03}") for number in range(100)]
    live = [a.live(target, location=a.location(a.key())) for target in targets]
    plan = a.plan(targets, live, a.ledger(a.known()))
    told = text(plan)
    assert "100 to adopt" in told
    assert 12 > told.count("\n")
    assert "100 targets" in markdown(plan)
    assert plan.digest == load_plan(json_text(plan)).digest


def test_a_set_says_how_many_of_it_are_adopted(a):
    targets = [replace(a.endpoint(f"clinic-{number}"), group="clinics") for number in range(3)]
    live = [a.live(target, location=a.location(a.key())) for target in targets]
    live[0] = replace(live[0], markers=(a.marker(),), managed=True)
    plan = a.plan(targets, live, a.ledger(a.known()), groups=frozenset({"clinics"}))
    assert "3 endpoints: 1 in sync, 2 in sync and to adopt" in text(plan)

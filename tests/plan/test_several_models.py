"""Targets with several models, without any, to be refreshed or deleted."""

from __future__ import annotations

import pytest

from reconciler.plan.document import Action, CostClass, TargetStatus
from reconciler.plan.states import ModelBinding, Served
from reconciler.spec.documents import Gate

OLD, NEW = "2026-09", "2026-11"


def pair(a, ears=NEW, eyes=NEW, **given):
    return a.endpoint(
        bindings=(ModelBinding("ears", a.key(ears, "ears")), ModelBinding("eyes", a.key(eyes, "eyes"))), **given
    )


def served(a, ears, eyes):
    keys = {"ears": a.key(ears, "ears"), "eyes": a.key(eyes, "eyes")}
    return {resource: Served(key, a.fingerprint(key)) for resource, key in keys.items()}


def marked(a, ears, eyes):
    return (a.marker(ears, "ears"), a.marker(eyes, "eyes"))


def only(plan):
    (target,) = plan.targets
    return target


def actions(target):
    return [step.action for step in target.steps]


def test_one_of_two_models_moves_and_the_patch_says_which(a):
    target = pair(a)
    ledger = a.ledger(
        a.known(OLD, "ears"), a.known(NEW, "eyes"), converged={target.identity: a.converged(serves=served(a, OLD, NEW))}
    )
    plan = a.plan([target], [a.live(target, markers=marked(a, OLD, NEW))], ledger)
    assert [step.subject for step in plan.steps if step.action is Action.TRAIN] == ["ears@2026-11"]
    assert [(model.resource, model.in_sync) for model in only(plan).models] == [("ears", False), ("eyes", True)]
    (repoint,) = [step for step in plan.steps if step.action is Action.REPOINT]
    assert [(change.resource, change.old, change.new) for change in repoint.differences] == [
        ("ears", "ears@2026-09", "ears@2026-11")
    ]
    assert only(plan).status is TargetStatus.CHANGE
    assert all(reason.text.startswith("ears: ") for reason in only(plan).reasons)


def test_a_target_waits_for_every_version_that_it_lacks(a):
    plan = a.plan([target := pair(a)], [a.live(target)])
    assert only(plan).steps[0].after == ("train:ears@2026-11", "train:eyes@2026-11")


def test_one_gate_that_fails_holds_both_models(a):
    target = pair(a)
    ledger = a.ledger(a.known(NEW, "ears"), a.known(NEW, "eyes", metrics={"AUC": 0.5}))
    gates = (Gate(metric="AUC", min=0.9),)
    versions = [a.version(NEW, "ears", gates=gates), a.version(NEW, "eyes", gates=gates)]
    (held,) = a.plan([target], [a.live(target)], ledger, versions).held
    assert [gate.outcome for gate in held.gates] == ["pass", "fail"]


def test_it_has_drifted_only_if_all_that_moves_was_moved_by_others(a):
    target = pair(a)
    known = [a.known(label, model) for label in (OLD, NEW) for model in ("ears", "eyes")]
    for ears, status in ((NEW, TargetStatus.DRIFT), (OLD, TargetStatus.CHANGE)):
        ledger = a.ledger(*known, converged={target.identity: a.converged(serves=served(a, ears, NEW))})
        plan = a.plan([target], [a.live(target, markers=marked(a, ears, OLD))], ledger)
        assert only(plan).status is status


def test_a_note_of_before_a_model_was_added_is_read_by_its_name(a):
    target = pair(a)
    ledger = a.ledger(a.known(NEW, "ears"), a.known(NEW, "eyes"))
    plan = a.plan([target], [a.live(target, markers=(a.marker(OLD, "eyes"),))], ledger)
    assert [model.live for model in only(plan).models] == [None, "eyes@2026-09"]


def test_without_models_only_its_settings_are_brought_home(a):
    target = a.endpoint(bindings=(), settings={"MaxConcurrentCalls": 20})
    (change,) = a.plan([target], [a.live(target, settings={"MaxConcurrentCalls": 4})]).changes
    assert actions(change) == [Action.SETTINGS, Action.VERIFY]
    (made,) = a.plan([target], [a.live(target, exists=False)]).changes
    assert actions(made) == [Action.CREATE, Action.SETTINGS, Action.VERIFY]
    assert a.plan([target], [a.live(target, settings={"MaxConcurrentCalls": 20})]).in_sync


def test_a_stale_endpoint_is_refreshed_before_its_model_is_written_again(a):
    """A refresh may bring the experiment's own model along, so the repoint comes after it (classic-protocol 6)."""
    target = a.endpoint(label=NEW, refresh=True)
    ledger = a.ledger(a.known(NEW), converged={target.identity: a.converged(NEW)})
    (change,) = a.plan([target], [a.live(target, marker=a.marker(NEW), stale=True)], ledger).changes
    assert actions(change) == [Action.REFRESH, Action.REPOINT, Action.VERIFY]
    assert change.gates == ()
    for stale, codes in ((False, []), (None, ["refresh-unknown"])):
        plan = a.plan([target], [a.live(target, marker=a.marker(NEW), stale=stale)], ledger)
        assert [reason.code for reason in only(plan).reasons] == codes
        assert plan.in_sync


def test_a_refresh_that_changed_nothing_is_not_asked_for_again_until_the_next_republish(a):
    """A 304, or a ``Version`` that never moves (classic-protocol 1.8), must not refresh it in every pass."""
    target = a.endpoint(label=NEW, refresh=True)
    served = a.converged(NEW, ignored_settings={"Version": "2026-11-24T09:00:00+00:00"})
    ledger = a.ledger(a.known(NEW), converged={target.identity: served})

    def seen(published):
        shown = a.live(target, marker=a.marker(NEW), stale=True, published=published)
        return a.plan([target], [shown], ledger)

    again = seen("2026-11-24T09:00:00+00:00")
    assert [reason.code for reason in only(again).reasons] == ["refresh-in-vain"]
    assert again.in_sync
    (change,) = seen("2026-11-25T09:00:00+00:00").changes
    assert actions(change) == [Action.REFRESH, Action.REPOINT, Action.VERIFY]


def test_nobody_asks_for_a_refresh_that_the_spec_does_not_want(a):
    target = a.endpoint(label=NEW)
    ledger = a.ledger(a.known(NEW), converged={target.identity: a.converged(NEW)})
    assert a.plan([target], [a.live(target, marker=a.marker(NEW), stale=True)], ledger).in_sync


def test_what_is_to_be_absent_is_deleted_if_it_is_ours(a):
    target = a.endpoint(bindings=(), absent=True)
    (change,) = a.plan([target], [a.live(target, marker=a.marker(OLD))]).changes
    assert actions(change) == [Action.DELETE, Action.VERIFY]
    assert change.steps[0].cost is CostClass.DELETE
    assert a.plan([target], [a.live(target, exists=False)]).in_sync


def test_what_is_not_ours_is_refused_and_says_why(a):
    """design 5.7: no delete of anything without our marker."""
    target = a.endpoint(bindings=(), absent=True)
    plan = a.plan([target], [a.live(target)])
    (refused,) = plan.refused
    assert (refused.status, refused.steps, [reason.code for reason in refused.reasons]) == (
        TargetStatus.REFUSED,
        (),
        ["not-ours"],
    )
    assert "by hand" in refused.remedy
    assert not plan.pending


@pytest.mark.parametrize("resource", ["ears", "eyes"])
def test_a_resource_that_is_not_offered_blocks_whichever_of_the_two_it_is(a, resource):
    target = pair(a)
    (blocked,) = a.plan([target], [a.live(target, resources=(resource,))]).blocked
    other = {"ears": "eyes", "eyes": "ears"}[resource]
    assert f'no resource "{other}"' in blocked.reasons[0].text


# -- what a note and the answers say of each of several models


def test_a_killed_run_that_moved_one_model_does_not_make_the_other_look_like_drift(a):
    """The answers are those of both together: they differ because of the move that was never recorded."""
    target = pair(a)
    was = a.converged(serves=served(a, OLD, NEW), answers="rows:old")
    ledger = a.ledger(a.known(NEW, "ears"), a.known(NEW, "eyes"), converged={target.identity: was})
    plan = a.plan([target], [a.live(target, markers=marked(a, NEW, NEW), answers="rows:new")], ledger)
    assert [(model.live, model.in_sync) for model in only(plan).models] == [
        ("ears@2026-11", False),
        ("eyes@2026-11", True),
    ]
    assert [reason.code for reason in only(plan).reasons] == ["unconfirmed"]


def test_answers_that_differ_are_asked_of_all_models_when_every_note_is_as_recorded(a):
    target = pair(a)
    was = a.converged(serves=served(a, NEW, NEW), answers="rows:old")
    ledger = a.ledger(a.known(NEW, "ears"), a.known(NEW, "eyes"), converged={target.identity: was})
    plan = a.plan([target], [a.live(target, markers=marked(a, NEW, NEW), answers="rows:new")], ledger)
    assert only(plan).status is TargetStatus.DRIFT
    assert [model.live for model in only(plan).models] == [None, None]


def test_a_note_is_read_by_the_names_of_models_when_the_resources_changed_their_places(a):
    """Resource ears is not managed any more and nose is: the order of the notes is another, their models are not."""
    target = a.endpoint(bindings=(ModelBinding("eyes", a.key(NEW, "eyes")), ModelBinding("nose", a.key(NEW, "nose"))))
    ledger = a.ledger(a.known(NEW, "eyes"), a.known(NEW, "nose"))
    plan = a.plan([target], [a.live(target, markers=marked(a, OLD, OLD))], ledger)
    assert [model.live for model in only(plan).models] == ["eyes@2026-09", None]


def test_a_resource_that_is_given_another_model_is_known_to_serve_the_one_before(a):
    target = pair(a)
    ledger = a.ledger(a.known(NEW, "ears"), a.known(NEW, "eyes"))
    plan = a.plan([target], [a.live(target, markers=(a.marker(OLD, "tails"), a.marker(NEW, "eyes")))], ledger)
    assert [model.live for model in only(plan).models] == ["tails@2026-09", "eyes@2026-11"]

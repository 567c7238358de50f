from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.plan.document import Action, CostClass, Difference, TargetStatus
from reconciler.plan.errors import UnknownRuleError
from reconciler.plan.overrides import gate_forced
from reconciler.plan.states import Evidence, Problem, VersionState
from reconciler.spec.documents import Gate

GATE = (Gate(metric="AUC", min=0.95),)
OLD, NEW = "2026-09", "2026-11"


def actions(target):
    return [step.action for step in target.steps]


def codes(target):
    return [reason.code for reason in target.reasons]


def only(plan):
    (target,) = plan.targets
    return target


def chain_is_whole(target, first_after=()):
    expected = first_after
    for step in target.steps:
        assert expected == step.after
        expected = (step.id,)


def test_a_version_bump_trains_once_then_moves_every_target_that_wants_it(a):
    targets = [a.endpoint("clinic-a"), a.endpoint("clinic-b")]
    ledger = a.ledger(a.known(OLD), converged={target.identity: a.converged(OLD) for target in targets})
    versions = [a.version(NEW, gates=GATE)]
    plan = a.plan(targets, [a.live(target, marker=a.marker(OLD)) for target in targets], ledger, versions)
    (train,) = [step for step in plan.steps if step.action is Action.TRAIN]
    assert (train.id, train.cost) == ("train:breast-cancer@2026-11", CostClass.RETRAIN)
    assert [reason.code for reason in train.reasons] == ["never-trained"]
    for target in plan.changes:
        assert actions(target) == [Action.GATE, Action.REPOINT, Action.VERIFY]
        chain_is_whole(target, (train.id,))
        assert (target.live, target.desired) == ("breast-cancer@2026-09", "breast-cancer@2026-11")
        assert [a.key(OLD)] == [model.incumbent for model in target.models]
    assert len(plan.changes) == 2


def test_a_usable_version_is_judged_in_the_plan_and_only_pointed_to(a):
    target = a.endpoint()
    plan = a.plan([target], [a.live(target)], a.ledger(a.known()), [a.version(gates=GATE)])
    assert actions(only(plan)) == [Action.REPOINT, Action.VERIFY]
    assert [gate.outcome for gate in only(plan).gates] == ["pass"]
    assert (plan.versions[0].usable, plan.versions[0].steps) == (True, ())
    chain_is_whole(only(plan))


def test_the_time_that_a_training_takes_is_the_median_of_earlier_ones(a):
    times = {"1": 60, "2": 100, "3": 1000}
    known = [a.known(label, trained_in=timedelta(seconds=taken)) for label, taken in times.items()]
    other = a.known("9", model="other", trained_in=timedelta(seconds=5))
    target = a.endpoint()
    plan = a.plan([target], [a.live(target)], a.ledger(*known, other, a.known("4", trained_in=None)))
    assert plan.versions[0].steps[0].estimate_seconds == 100


@pytest.mark.parametrize(
    ("state", "attempt", "code"),
    [(VersionState.TRAINING, 3, "resume"), (VersionState.FAILED, 4, "failed-before")],
)
def test_an_attempt_under_way_is_taken_up_and_a_failed_one_followed_by_the_next(a, state, attempt, code):
    target = a.endpoint()
    known = a.known(state=state, attempt=3, message="the job was cancelled", location=None)
    plan = a.plan([target], [a.live(target)], a.ledger(known))
    (version,) = plan.versions
    (reason,) = version.steps[0].reasons
    assert (attempt, code) == (version.attempt, reason.code)
    assert code == "resume" or reason.text == "Attempt 3 failed: the job was cancelled. The next one is attempt 4"


def test_a_changed_recipe_may_follow_an_attempt_that_made_nothing(a):
    target = a.endpoint()
    known = a.known(state=VersionState.FAILED, fingerprint="f" * 64, location=None)
    assert actions(only(a.plan([target], [a.live(target)], a.ledger(known)))) == [
        Action.REPOINT,
        Action.VERIFY,
    ]


@pytest.mark.parametrize("state", [VersionState.USABLE, VersionState.TRAINING])
def test_a_changed_recipe_under_the_same_label_names_both_fingerprints(a, state):
    target = a.endpoint()
    plan = a.plan([target], [a.live(target)], a.ledger(a.known(state=state, fingerprint="f" * 64)))
    (blocked,) = plan.blocked
    assert codes(blocked) == ["recipe-changed"]
    assert "ffffffffffff" in blocked.reasons[0].text
    assert a.fingerprint(a.key())[:12] in blocked.reasons[0].text
    assert "new version label" in blocked.remedy
    assert list(plan.steps) == []


def test_a_recipe_that_is_gone_is_a_note_once_the_version_is_usable(a):
    target = a.endpoint()
    problem = Problem("input-unreadable", "data/x.csv is not there")
    versions = [a.version(fingerprint=None, location=None, problem=problem)]
    plan = a.plan([target], [a.live(target)], a.ledger(a.known()), versions)
    assert actions(only(plan)) == [Action.REPOINT, Action.VERIFY]
    assert "recipe-unverified" in codes(only(plan))
    unusable = only(a.plan([target], [a.live(target)], versions=versions))
    assert (unusable.status, codes(unusable)) == (TargetStatus.BLOCKED, ["input-unreadable"])


def test_one_blocked_target_does_not_stop_the_others_and_trains_nothing_for_itself(a):
    targets = [a.endpoint("clinic-a", NEW), a.endpoint("clinic-b", OLD)]
    live = [a.live(targets[0], problem=Problem("denied", "403", "ask for access")), a.live(targets[1])]
    plan = a.plan(targets, live, a.ledger(a.known(OLD)))
    assert (
        [target.name for target in plan.blocked],
        [target.name for target in plan.changes],
    ) == (["clinic-a"], ["clinic-b"])
    assert plan.blocked[0].remedy == "ask for access"
    assert not any(version.steps for version in plan.versions)


@pytest.mark.parametrize(
    ("offered", "code", "remedy"),
    [
        (("Breast Cancer [trained modell]", "Other"), "unknown-resource", "Breast Cancer [trained modell]"),
        ((), "no-resources", "training service"),
    ],
)
def test_a_resource_that_is_not_offered_blocks_and_names_what_is(a, offered, code, remedy):
    target = a.endpoint()
    blocked = only(a.plan([target], [a.live(target, resources=offered)], a.ledger(a.known())))
    assert (TargetStatus.BLOCKED, [code]) == (blocked.status, codes(blocked))
    assert remedy in blocked.remedy
    assert all(name in blocked.reasons[0].text for name in offered)


def test_a_classic_endpoint_that_is_absent_is_created_first(a):
    target = a.endpoint(settings={"Description": "Clinic A", "ThrottleLevel": "High"})
    plan = a.plan([target], [a.live(target, exists=False, resources=None)], a.ledger(a.known()))
    (change,) = plan.changes
    assert actions(change) == [Action.CREATE, Action.REPOINT, Action.SETTINGS, Action.VERIFY]
    chain_is_whole(change)
    assert change.live is None


def test_an_absent_target_blocks_when_its_driver_says_that_it_can_not_be_created(a):
    target = a.service()
    problem = Problem("create-unsupported", "it does not exist", "deploy it once")
    plan = a.plan([target], [a.live(target, exists=False, problem=problem)], a.ledger(a.known()))
    assert codes(only(plan)) == ["create-unsupported"]


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda _a, _target: {"live": []}, "not-observed"),
        (lambda a, target: {"live": [a.live(target)], "versions": []}, "version-unknown"),
        (
            lambda a, target: {
                "live": [a.live(target)],
                "versions": [a.version(ready_made=True, location=None)],
            },
            "no-location",
        ),
        (
            lambda a, target: {"live": [a.live(target)], "versions": [a.version(fingerprint=None)]},
            "no-recipe",
        ),
    ],
)
def test_what_is_not_known_blocks_with_a_code_of_its_own(a, prepare, code):
    target = a.service()
    assert [code] == codes(only(a.plan([target], **prepare(a, target))))


def test_two_documents_that_manage_one_target_are_both_blocked(a):
    targets = [a.endpoint("clinic-a", identity="same"), a.endpoint("clinic-b", identity="same")]
    plan = a.plan(targets, [a.live(targets[0])], a.ledger(a.known()))
    assert [codes(target) for target in plan.blocked] == [["claimed-twice"]] * 2


def test_a_new_web_service_is_moved_by_a_patch_that_tests_what_was_seen(a):
    target = a.service()
    old, new = a.location(a.key(OLD)), a.location(a.key(NEW))
    plan = a.plan([target], [a.live(target, location=old)], a.ledger(a.known(OLD), a.known(NEW)))
    repoint = only(plan).steps[0]
    assert [("test", a.pointer, old.uri), ("replace", a.pointer, new.uri)] == [
        (operation.op, operation.path, operation.value) for operation in repoint.patch
    ]
    assert repoint.evidence == Evidence.LOCATION


def test_a_signature_in_a_live_uri_never_reaches_the_plan(a):
    target = a.service()
    live = a.live(target, uri="https://elsewhere/x.ilearner?sv=1&sig=SECRET")
    plan = a.plan([target], [live], a.ledger(a.known()))
    assert [operation.op for operation in only(plan).steps[0].patch] == ["replace"]
    assert "SECRET" not in plan.model_dump_json()


def test_settings_alone_are_a_change_of_their_own_cost_and_need_no_gate(a):
    target = a.endpoint(settings={"MaxConcurrentCalls": 20, "ThrottleLevel": "High"})
    live = a.live(target, marker=a.marker(), settings={"MaxConcurrentCalls": 4, "ThrottleLevel": "High", "X": 1})
    ledger = a.ledger(a.known(metrics={}), converged={target.identity: a.converged()})
    (change,) = a.plan([target], [live], ledger, [a.version(gates=GATE)]).changes
    assert actions(change) == [Action.SETTINGS, Action.VERIFY]
    assert (CostClass.SETTINGS, (Difference(field="MaxConcurrentCalls", old=4, new=20),)) == (
        change.steps[0].cost,
        change.steps[0].differences,
    )


@pytest.mark.parametrize(("asked", "status"), [(20, "in-sync"), (10, "change")])
def test_a_setting_that_the_service_does_not_take_is_not_asked_for_again(a, asked, status):
    target = a.endpoint(settings={"MaxConcurrentCalls": 20})
    live = a.live(target, marker=a.marker(), settings={"MaxConcurrentCalls": 4})
    record = a.converged(ignored_settings={"MaxConcurrentCalls": asked})
    found = only(a.plan([target], [live], a.ledger(a.known(), converged={target.identity: record})))
    assert status == found.status
    assert ("not-taken" in codes(found)) is (asked == 20)


def test_a_setting_is_compared_by_value_and_type(a):
    target = a.endpoint(settings={"Flag": True, "Count": 1})
    live = a.live(target, marker=a.marker(), settings={"Flag": 1, "Count": 1.0})
    ledger = a.ledger(a.known(), converged={target.identity: a.converged()})
    (change,) = a.plan([target], [live], ledger).changes
    assert [difference.field for difference in change.steps[0].differences] == ["Flag"]


def held_world(a, metrics, gates=GATE, **version):
    target = a.endpoint()
    ledger = a.ledger(a.known(OLD), a.known(metrics=metrics), converged={target.identity: a.converged(OLD)})
    return target, [a.live(target, marker=a.marker(OLD))], ledger, [a.version(gates=gates, **version)]


@pytest.mark.parametrize(
    ("metrics", "code"), [({"AUC": 0.5}, "gate-fail"), ({}, "gate-inconclusive"), ({"AUC": 0.99}, None)]
)
def test_a_gate_that_does_not_pass_holds_the_target_where_it_is(a, metrics, code):
    target, live, ledger, versions = held_world(a, metrics)
    found = only(a.plan([target], live, ledger, versions))
    if code is None:
        assert found.status == TargetStatus.CHANGE
        return
    assert (found.status, found.steps) == (TargetStatus.HELD, ())
    assert code == codes(found)[0]
    assert "--force gate:clinic-a" in found.remedy
    assert found.live == "breast-cancer@2026-09"


@pytest.mark.parametrize("rule", ["gate", "gate:clinic-a"])
def test_a_forced_gate_is_recorded_in_plan_and_reasons(a, rule):
    target, live, ledger, versions = held_world(a, {"AUC": 0.5})
    plan = a.plan([target], live, ledger, versions, forced=frozenset({rule}))
    assert ((rule,), [Action.REPOINT, Action.VERIFY]) == (plan.forced, actions(only(plan)))
    assert codes(only(plan))[:2] == ["gate-forced", "gate-fail"]


def test_forcing_one_target_holds_the_other(a):
    targets = [a.endpoint("clinic-a"), a.endpoint("clinic-b")]
    plan = a.plan(
        targets,
        [a.live(target) for target in targets],
        a.ledger(a.known(metrics={})),
        [a.version(gates=GATE)],
        forced=frozenset({"gate:clinic-b"}),
    )
    assert [target.name for target in plan.held] == ["clinic-a"]


@pytest.mark.parametrize("rule", ["gates", "gate:clinic-z", "gate:", "threshold"])
def test_a_rule_that_does_not_exist_is_refused_with_what_does(a, rule):
    target = a.endpoint()
    with pytest.raises(UnknownRuleError, match="gate"):
        a.plan([target], [a.live(target)], forced=frozenset({rule}))


def test_a_forced_rule_applies_by_its_whole_name():
    assert gate_forced({"gate:clinic-a"}, "clinic-a")
    assert not gate_forced({"gate:clinic-a"}, "clinic-ab")


def test_a_ready_made_version_has_nothing_to_judge_and_is_held_by_any_gate(a):
    target = a.endpoint()
    ready = {"ready_made": True, "inputs": {}, "training": ""}
    assert actions(only(a.plan([target], [a.live(target)], versions=[a.version(**ready)]))) == [
        Action.REPOINT,
        Action.VERIFY,
    ]
    held = only(a.plan([target], [a.live(target)], versions=[a.version(gates=GATE, **ready)]))
    assert (held.status, codes(held)[:1]) == (TargetStatus.HELD, ["gate-inconclusive"])
    assert "ready-made" in held.remedy


def test_max_drop_compares_with_the_version_now_live(a):
    gates = (Gate(metric="AUC", max_drop=0.01),)
    target, live, ledger, versions = held_world(a, {"AUC": 0.9}, gates)
    held = only(a.plan([target], live, ledger, versions))
    assert (held.status, held.gates[0].incumbent) == (TargetStatus.HELD, 0.97)


def test_max_drop_does_not_compare_with_a_version_of_another_model(a):
    gates = (Gate(metric="AUC", max_drop=0.01),)
    target = a.endpoint()
    live = a.live(target, marker=a.marker("1", "other"))
    ledger = a.ledger(a.known(metrics={"AUC": 0.5}), a.known("1", "other"))
    assert only(a.plan([target], [live], ledger, [a.version(gates=gates)])).status == TargetStatus.CHANGE


def test_what_drifted_in_sets_no_standard_for_the_repair(a):
    """Else a better model patched in outside reconciler could not be undone."""
    gates = (Gate(metric="AUC", max_drop=0.01),)
    target = a.endpoint(label=OLD)
    live = a.live(target, location=a.location(a.key(NEW)))
    ledger = a.ledger(
        a.known(OLD, metrics={"AUC": 0.9}),
        a.known(NEW, metrics={"AUC": 0.99}),
        converged={target.identity: a.converged(OLD)},
    )
    plan = a.plan([target], [live], ledger, [a.version(OLD, gates=gates)])
    (drift,) = plan.drift
    assert (actions(drift), drift.live) == ([Action.REPOINT, Action.VERIFY], "breast-cancer@2026-11")


def test_targets_of_two_kinds_may_share_a_name(a):
    targets = [a.endpoint("same"), a.service("same")]
    plan = a.plan(targets, [a.live(target) for target in targets], a.ledger(a.known()))
    ids = [step.id for step in plan.steps]
    assert len(ids) == len(set(ids)) == 4


def test_a_name_given_twice_is_the_callers_mistake(a):
    with pytest.raises(ValueError, match="given twice"):
        a.plan([a.endpoint(), a.endpoint(identity="other")], [])

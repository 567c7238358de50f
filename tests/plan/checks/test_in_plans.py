"""What a plan looks like after its preflight: what cannot be carried out is stopped, all else goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.plan.checks.facts import Access, Facts, Grant, Quota, RequiredPermission, Signature, Storage
from reconciler.plan.checks.judge import with_preflight
from reconciler.plan.checks.result import CheckOutcome
from reconciler.plan.diff import plan_differences
from reconciler.plan.document import Action, TargetStatus
from reconciler.plan.render import json_text, markdown, text
from reconciler.plan.saved import load_plan

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
OLD, NEW = "2026-09", "2026-11"
SOON = NOW + timedelta(minutes=5)


def bump(a, *targets, known=()):
    """A plan that trains the new version and points the targets to it."""
    ledger = a.ledger(a.known(OLD), *known)
    return a.plan(list(targets), [a.live(target, marker=a.marker(OLD)) for target in targets], ledger), ledger


def steps_of(plan, action):
    return frozenset(step.id for step in plan.steps if step.action is action)


def judged(a, plan, ledger, facts, at_once=8):
    return with_preflight(plan, facts, ledger, NOW, at_once)


def test_a_plan_with_nothing_against_it_is_as_it_was_and_keeps_its_digest(a):
    plan, ledger = bump(a, a.endpoint())
    after = judged(a, plan, ledger, Facts())
    assert plan.digest == after.digest
    assert (plan.changes, plan.versions) == (after.changes, after.versions)


def test_storage_that_refuses_its_key_blocks_what_writes_to_it_and_nothing_is_trained(a):
    plan, ledger = bump(a, a.endpoint("clinic-a"), a.endpoint("clinic-b"))
    storage = Storage("workspace contoso", "https://x/", "it refuses the key", "put the new one in")
    after = judged(a, plan, ledger, Facts(storage={storage: steps_of(plan, Action.TRAIN)}))
    assert ["clinic-a", "clinic-b"] == [target.name for target in after.blocked]
    assert list(after.steps) == []
    assert [version.steps for version in after.versions] == [()]
    (first, *_) = after.blocked[0].reasons
    assert (first.code, first.text) == ("preflight-storage", "workspace contoso: it refuses the key")
    assert after.blocked[0].remedy == "put the new one in"
    assert after.preflight.estimate is None
    assert plan.digest != after.digest


def test_one_stopped_target_leaves_the_others_and_what_they_wait_for(a):
    targets = [a.endpoint("clinic-a"), a.endpoint("clinic-b")]
    ledger = a.ledger(a.known(OLD))
    plan = a.plan(targets, [a.live(target, exists=False, resources=None) for target in targets], ledger)
    full = Quota("web service X", 2, 3)
    after = judged(a, plan, ledger, Facts(quotas=dict.fromkeys(steps_of(plan, Action.CREATE), full)))
    assert (["clinic-b"], ["clinic-a"]) == ([t.name for t in after.blocked], [t.name for t in after.changes])
    assert [step.action for version in after.versions for step in version.steps] == [Action.TRAIN]
    assert "2 endpoints of at most 3" in after.blocked[0].reasons[0].text


def test_what_could_be_done_and_should_not_is_refused_and_what_cannot_is_blocked(a):
    target = a.service()
    plan, ledger = bump(a, target)
    repoint = steps_of(plan, Action.REPOINT)
    short_fingerprint = Facts(signatures={Signature("version 2026-11", ends=SOON): repoint})
    assert [TargetStatus.REFUSED] == [each.status for each in judged(a, plan, ledger, short_fingerprint).refused]
    need = RequiredPermission("Microsoft.MachineLearning/webServices/write", "/r", "/g")
    denied = Facts(
        signatures=short_fingerprint.signatures,
        needs=dict.fromkeys(repoint, (need,)),
        access={"/g": Access((Grant(("*/read",)),))},
    )
    after = judged(a, plan, ledger, denied)
    assert [TargetStatus.BLOCKED] == [each.status for each in after.blocked]
    assert ["preflight-permissions", "preflight-signature"] == [r.code for r in after.blocked[0].reasons[:2]]


def test_what_is_only_told_stops_nothing_and_changes_no_digest(a):
    plan, ledger = bump(a, a.endpoint())
    unreached = Storage("workspace contoso", "https://x/", unreached="connection refused", ahead=timedelta(minutes=-3))
    after = judged(a, plan, ledger, Facts(storage={unreached: steps_of(plan, Action.TRAIN)}))
    assert plan.digest == after.digest
    assert [CheckOutcome.WARNING] * 2 == [check.outcome for check in after.preflight.checks]
    assert plan_differences(plan, after) == ()


def test_a_drifted_target_that_is_stopped_is_not_pending_any_more(a):
    target = a.endpoint()
    ledger = a.ledger(a.known(), converged={target.identity: a.converged(answers="recorded")})
    plan = a.plan([target], [a.live(target, marker=a.marker(), answers="other")], ledger)
    assert plan.drift
    refused = Storage("workspace contoso", "https://x/", "it refuses the key")
    after = judged(a, plan, ledger, Facts(storage={refused: steps_of(plan, Action.REPOINT)}))
    assert (after.drift, after.pending, len(after.blocked)) == ((), False, 1)


def test_the_words_of_the_preflight_are_in_every_rendering_and_survive_a_saved_plan(a):
    plan, ledger = bump(a, a.endpoint(), known=[a.known("2026-08", trained_in=timedelta(minutes=5))])
    storage = Storage("workspace contoso", "https://x/", unreached="connection refused")
    after = judged(a, plan, ledger, Facts(storage={storage: steps_of(plan, Action.TRAIN)}))
    for rendering in (text(after), markdown(after)):
        assert "Preflight checks" in rendering
        assert "connection refused" in rendering
        assert "1 retrain, 1 at a time: about 3m35s and about $0.12" in rendering.replace("\n", " ")
    assert load_plan(json_text(after)).preflight == after.preflight
    assert json.loads(json_text(after))["preflight"]["estimate"]["retrains"] == 1


@pytest.mark.parametrize("quiet", [CheckOutcome.OK, CheckOutcome.SKIPPED])
def test_what_is_in_order_is_in_the_json_alone(a, quiet):
    target = a.endpoint()
    ledger = a.ledger(a.known())
    plan = a.plan([target], [a.live(target)], ledger)
    fine = Storage("workspace contoso", "https://x/")
    after = judged(a, plan, ledger, Facts(storage={fine: steps_of(plan, Action.REPOINT)}))
    told = after.preflight.checks[0].model_copy(update={"outcome": quiet})
    after = after.model_copy(update={"preflight": after.preflight.model_copy(update={"checks": (told,)})})
    assert "Preflight checks" not in text(after) + markdown(after)
    assert "accepts the key" in json_text(after)

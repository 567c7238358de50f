"""What each step on a New web service has to be allowed, and how a refusal by the service itself is read."""

from __future__ import annotations

import pytest

from reconciler.azure.errors import NotFound, SignInError
from reconciler.emulator.arm.roles import need
from reconciler.plan.checks.facts import RequiredPermission
from reconciler.plan.document import Action, CostClass, Difference, PatchOperation, Step
from reconciler.spec.documents import NewWebServiceSpec
from reconciler.targets.arm.permissions import refusal, training_needs
from reconciler.targets.new_service.permissions import step_needs

ML = "Microsoft.MachineLearning"
PROVIDER = f"/subscriptions/6f1d7c1e-8a53-4c56-9a0e-2f6f6f0d4b11/resourceGroups/g/providers/{ML}"
OWN, SOURCE = f"{PROVIDER}/webServices/Own", f"{PROVIDER}/webServices/Source"
OLD, NEW = f"{PROVIDER}/commitmentPlans/old", f"{PROVIDER}/commitmentPlans/new"
KEYS = {"primary": {"env": "KEY"}}
PROBE = {"rows": [{"a": 1}]}


def spec(**more):
    return NewWebServiceSpec.model_validate({"resourceId": OWN, **more})


def needs(action, document, *differences, patch=(), source=None):
    changed = tuple(Difference(field=name, old=old, new=new) for name, old, new in differences)
    step = Step(id="x", action=action, subject="x", cost=CostClass.FREE, differences=changed, patch=tuple(patch))
    found = step_needs(document, step, source)
    assert not found or found[0].resource == OWN
    return {(each.action.removeprefix(f"{ML}/"), each.resource) for each in found}


READ, WRITE = ("webServices/read", OWN), ("webServices/write", OWN)
LIST_KEYS = ("webServices/listKeys/read", OWN)
MOVE = {
    ("commitmentPlans/join/action", NEW),
    ("commitmentPlans/read", NEW),
    ("commitmentPlans/read", OLD),
    ("commitmentPlans/commitmentAssociations/read", NEW),
    ("commitmentPlans/commitmentAssociations/read", OLD),
    ("commitmentPlans/commitmentAssociations/move/action", OLD),
}


def test_a_move_to_another_plan_is_a_move_of_the_association_and_no_write():
    found = needs(Action.SETTINGS, spec(commitmentPlan=NEW), ("commitmentPlan", OLD, NEW))
    assert found == {READ, *MOVE}


def test_a_service_that_no_plan_pays_for_yet_is_given_one_by_a_write():
    found = needs(Action.SETTINGS, spec(commitmentPlan=NEW), ("commitmentPlan", None, NEW))
    assert found == {
        READ,
        WRITE,
        ("commitmentPlans/join/action", NEW),
        ("commitmentPlans/commitmentAssociations/read", NEW),
    }


def test_our_note_is_put_on_by_a_write():
    assert needs(Action.ADOPT, spec()) == {READ, WRITE}


def test_other_settings_are_a_write_and_the_plan_is_read_where_it_is_managed():
    assert needs(Action.SETTINGS, spec(), ("title", "a", "b")) == {READ, WRITE}
    found = needs(Action.SETTINGS, spec(commitmentPlan=NEW), ("title", "a", "b"))
    assert found == {READ, WRITE, ("commitmentPlans/commitmentAssociations/read", NEW)}


def test_keys_are_read_where_they_are_managed_rotated_or_have_to_be_kept():
    assert LIST_KEYS in needs(Action.SETTINGS, spec(keys=KEYS), ("keys.primary", "another", "as referenced"))
    assert LIST_KEYS in needs(Action.VERIFY, spec(keys=KEYS))
    removal = PatchOperation(op="remove", path="/properties/parameters/x")
    assert LIST_KEYS in needs(Action.SETTINGS, spec(), patch=[removal])
    assert LIST_KEYS not in needs(Action.REPOINT, spec(keys=KEYS))


def test_a_probe_is_scored_with_a_key():
    assert needs(Action.VERIFY, spec(probe=PROBE)) == {READ, LIST_KEYS}
    assert needs(Action.VERIFY, spec()) == {READ}


def test_a_copy_needs_its_source_and_the_plan_that_pays():
    found = needs(Action.CREATE, spec(commitmentPlan=NEW), source=SOURCE)
    copied = {("webServices/read", SOURCE), ("webServices/action", SOURCE)}
    assert found == {READ, WRITE, *copied, ("commitmentPlans/join/action", NEW)}


def test_a_service_that_goes_is_read_and_deleted_and_nothing_of_it_is_verified():
    gone = spec(state="absent")
    assert needs(Action.DELETE, gone) == {READ, ("webServices/delete", OWN)}
    assert needs(Action.VERIFY, gone) == needs(Action.GATE, spec()) == set()


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("POST", f"{OLD}/commitmentAssociations/a/move", MOVE),
        ("GET", f"{OLD}/commitmentAssociations", MOVE),
        ("POST", f"{SOURCE}/CreateRegionalBlob", {("webServices/action", SOURCE)}),
        ("GET", f"{OWN}/listKeys", {LIST_KEYS}),
    ],
)
def test_the_actions_are_those_that_the_studio_asks_for_the_same_requests(method, path, asked):
    wanted = need(method, path)
    assert wanted.action in {f"{ML}/{action}" for action, _ in asked}


def test_a_job_needs_its_training_services_place_and_key():
    assert training_needs(OWN) == (
        RequiredPermission(f"{ML}/webServices/read", OWN),
        RequiredPermission(f"{ML}/webServices/listKeys/read", OWN),
    )


def test_a_refusal_is_told_with_action_scope_and_remedy_and_without_the_requests_id():
    said = f"The client 'x' does not have authorization to perform action '{ML}/webServices/read' over scope '{OWN}' or"
    problem = refusal(SignInError(said, status=403, code="AuthorizationFailed", request_id="abc"), "service")
    assert (problem.code, problem.message) == (
        "not-permitted",
        f"service: missing permission: {ML}/webServices/read on {OWN}",
    )
    assert problem.remedy == f"Ask for Contributor, or a role with {ML}/webServices/read, on {OWN}"
    assert refusal(SignInError("no", status=401), "x") is refusal(NotFound(said, status=404), "x") is None

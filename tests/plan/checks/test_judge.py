"""Each judgement by itself: quotas, permissions, signatures, clocks, commitment plans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.emulator.arm.roles import Need as Asked
from reconciler.emulator.arm.roles import allows, permissions
from reconciler.emulator.config.principals import Principal, RoleAssignment
from reconciler.plan.checks.clocks import check_clock
from reconciler.plan.checks.commitment_plans import Spending, check_headroom, judge_claims, judge_headroom
from reconciler.plan.checks.facts import (
    Access,
    CommitmentPlanAssignment,
    CommitmentPlanState,
    CommitmentPlanUsage,
    Grant,
    Quota,
    RequiredPermission,
    Storage,
)
from reconciler.plan.checks.permissions import allowed, judge_permissions
from reconciler.plan.checks.quotas import check_quota, endpoint_quota, judge_jobs, judge_quotas
from reconciler.plan.checks.result import CheckOutcome
from reconciler.plan.checks.signatures import check_signature, judge_signatures, read_signature
from reconciler.plan.checks.storage import judge_storage

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
OK, WARNING, FAILED, UNKNOWN = CheckOutcome.OK, CheckOutcome.WARNING, CheckOutcome.FAILED, CheckOutcome.UNKNOWN
ML = "Microsoft.MachineLearning"


# -- quotas

FREE = endpoint_quota("web service X of workspace contoso", "contoso", "free", 2)


def test_what_no_longer_fits_is_stopped_in_the_order_of_the_steps():
    (finding,) = judge_quotas({"create:b": FREE, "create:a": FREE, "create:c": FREE})
    assert finding.steps == {"create:b", "create:c"}
    assert finding.check.outcome is FAILED
    assert finding.check.text == ("it has 2 endpoints of at most 3, and this plan creates 3 more: 2 of them do not fit")
    assert finding.check.remedy


def test_a_plan_that_just_fits_is_fine_up_to_ten_thousand():
    standard = endpoint_quota("X", "contoso", "standard", 9_998)
    (fits,) = judge_quotas({"create:a": standard, "create:b": standard})
    (over,) = judge_quotas(dict.fromkeys(("create:a", "create:b", "create:c"), standard))
    assert (fits.check.outcome, fits.steps) == (OK, frozenset())
    assert (over.check.outcome, over.steps) == (FAILED, {"create:c"})
    assert "9,998 endpoints of at most 10,000" in over.check.text


def test_a_workspace_of_which_nothing_tells_what_it_is_is_warned_of_once_it_matters():
    unknown = endpoint_quota("X", "contoso", None, 2)
    (one,) = judge_quotas({"create:a": unknown})
    (two,) = judge_quotas({"create:a": unknown, "create:b": unknown})
    assert (one.check.outcome, two.check.outcome, two.steps) == (OK, WARNING, frozenset())
    assert "if workspace contoso is a free workspace" in two.check.text
    assert "tier: standard" in two.check.remedy


def test_a_quota_is_told_without_a_plan():
    assert (OK, FAILED) == (check_quota(FREE).outcome, check_quota(Quota("X", 4, 3)).outcome)


def test_jobs_beyond_forty_wait_and_it_says_how_many():
    assert list(judge_jobs({"X, endpoint default": 40})) == []
    (finding,) = judge_jobs({"X, endpoint default": 1_000})
    assert (finding.check.outcome, finding.steps) == (WARNING, frozenset())
    assert finding.check.text == "1,000 jobs: 40 run at one time, the other 960 wait"


# -- permissions

SERVICE = f"/subscriptions/0f/resourceGroups/ml/providers/{ML}/webServices/X"
GROUP = "/subscriptions/0f/resourceGroups/ml"
READ = RequiredPermission(f"{ML}/webServices/read", SERVICE, GROUP)
WRITE = RequiredPermission(f"{ML}/webServices/write", SERVICE, GROUP)


def test_only_the_steps_that_lack_something_are_stopped_and_told_what():
    reader = Access((Grant(("*/read",)),))
    (finding,) = judge_permissions({"repoint:x": (READ, WRITE), "verify:x": (READ,)}, {GROUP: reader})
    assert finding.steps == {"repoint:x"}
    assert finding.check.text == f"missing permission: {ML}/webServices/write"
    assert GROUP in finding.check.remedy


def test_steps_that_lack_different_actions_are_told_their_own_each():
    reader = Access((Grant(("*/read",)),))
    delete = RequiredPermission(f"{ML}/webServices/delete", SERVICE, GROUP)
    first, second = judge_permissions({"delete:y": (READ, delete), "repoint:x": (READ, WRITE)}, {GROUP: reader})
    assert (first.steps, first.check.text) == ({"delete:y"}, f"missing permission: {ML}/webServices/delete")
    assert (second.steps, second.check.text) == ({"repoint:x"}, f"missing permission: {ML}/webServices/write")


def test_what_could_not_be_asked_is_unknown_and_stops_nothing():
    denied = Access(unknown="the question is answered 403 AuthorizationFailed")
    (finding,) = judge_permissions({"repoint:x": (WRITE,)}, {GROUP: denied})
    assert (finding.check.outcome, finding.steps) == (UNKNOWN, frozenset())
    assert "403" in finding.check.text


@pytest.mark.parametrize(
    "roles",
    [
        [{"role": "Owner"}],
        [{"role": "Contributor", "scope": GROUP.replace("0f", "0F")}],
        [{"role": "Reader"}],
        [{"actions": [f"{ML.lower()}/WEBSERVICES/*"]}],
        [{"actions": ["*"], "notActions": [f"{ML}/*/write"]}],
        [{"actions": ["*"], "notActions": ["*/write"]}, {"role": "Contributor"}],
        [{"actions": [f"{ML}/webServices"]}],
        [],
    ],
)
@pytest.mark.parametrize(
    "need", [READ, WRITE, RequiredPermission("Microsoft.Authorization/roleAssignments/write", SERVICE, GROUP)]
)
def test_roles_are_read_as_azure_reads_them(roles, need):
    # The emulator decides by its own reading of the same rules.
    someone = Principal(
        tenant_id="0d9a6a44-3c0e-4b0e-9b5c-5a0a4c1f7e21",
        client_id="4e2f6a18-90b3-4f0d-9d57-6c8a1b2e3f40",
        roles=tuple(map(RoleAssignment.model_validate, roles)),
    )
    grants = [Grant(tuple(each["actions"]), tuple(each["notActions"])) for each in permissions(someone, SERVICE)]
    assert allows(someone, Asked(need.action, SERVICE)) is allowed(need.action, grants)


# -- signatures


def signed(ends=None, begins=None, sp="r"):
    parts = {"st": begins, "se": ends, "sp": sp, "sv": "2021-08-06", "sig": "abc%3D"}
    return read_signature("version 2026-11 of model m", "?" + "&".join(f"{k}={v}" for k, v in parts.items() if v))


@pytest.mark.parametrize(
    ("signature", "outcome", "words"),
    [
        (signed("2026-12-24T00:00:00Z"), OK, "until 2026-12-24 00:00:00Z"),
        (signed("2026-12-24"), OK, "until 2026-12-24"),
        (signed("2026-12-24T10:00Z", "2026-11-24T09:00:00.1234567Z"), OK, "until"),
        (signed("2026-11-24T09:00:00Z"), FAILED, "ended on 2026-11-24 09:00:00Z"),
        (signed("2026-11-24T09:40:00Z"), FAILED, "ends on 2026-11-24 09:40:00Z, and an update may take 15m00s"),
        (signed("2026-12-24T00:00:00Z", "2026-11-25T00:00:00Z"), FAILED, "is not valid before 2026-11-25 00:00:00Z"),
        (signed("2026-12-24T00:00:00Z", sp="wl"), FAILED, "does not grant reading"),
        (signed(sp=""), UNKNOWN, "stored access policy"),
        (signed("soon"), UNKNOWN, "the end of its SAS is unknown"),
    ],
)
def test_a_signature_has_to_hold_until_the_update_is_through(signature, outcome, words):
    check = check_signature(signature, NOW)
    assert (check.outcome, check.subject) == (outcome, "version 2026-11 of model m")
    assert words in check.text
    assert "abc" not in check.text + check.remedy


def test_one_that_has_ended_can_not_be_used_and_one_that_ends_soon_should_not():
    steps = frozenset({"repoint:x"})
    findings = judge_signatures({signed("2026-11-24T09:00:00Z"): steps, signed("2026-11-24T09:40:00Z"): steps}, NOW)
    assert {True, False} == {finding.unsafe for finding in findings}


# -- clocks and storage


@pytest.mark.parametrize(
    ("ahead", "outcome"),
    [
        (timedelta(seconds=30), OK),
        (timedelta(minutes=-3), WARNING),
        (timedelta(minutes=3), WARNING),
        (timedelta(minutes=-6), FAILED),  # What we sign begins in the server's future.
        (timedelta(minutes=10), WARNING),
        (timedelta(minutes=16), FAILED),  # Storage refuses requests that are so old.
        (None, UNKNOWN),
    ],
)
def test_clocks_may_differ_by_less_than_signatures_are_backdated(ahead, outcome):
    assert check_clock("storage", ahead).outcome is outcome


def test_it_says_by_how_much_which_way_and_what_to_do():
    check = check_clock("storage", timedelta(minutes=-6, seconds=-3))
    assert check.text.startswith("this machine's clock is about 6 min ahead of the server's")
    assert "NTP" in check.remedy
    assert "behind" in check_clock("storage", timedelta(minutes=20)).text


def test_a_clock_that_is_off_is_the_reason_for_a_refused_key():
    off = Storage("workspace contoso", "https://x/", "it refuses the key", ahead=timedelta(minutes=20))
    (finding,) = judge_storage({off: frozenset({"train:m"})})
    assert (finding.check.name, finding.steps) == ("clock", {"train:m"})


# -- commitment plans


def plan(hours=(25.0, 25.0), transactions=(1e5, 1e5), *, stops=False, created=NOW - timedelta(days=9)):
    return CommitmentPlanUsage("contoso-plan", "DevTest" if stops else "S1", stops, hours, transactions, 30, created)


@pytest.mark.parametrize(
    ("payer", "spending", "outcome", "words"),
    [
        (plan(), [], OK, "25 of 25 compute hours and 100000 of 100000 transactions are left"),
        (plan((0.5, 25.0)), [Spending(3, 1.0)], WARNING, "3 jobs of about 1 compute hours more is charged as overage"),
        (plan((1.5, 2.0), (900.0, 1e3), stops=True), [], OK, "stop when it is used up"),
        (plan((0.1, 2.0), (900.0, 1e3), stops=True), [], WARNING, "nearly used up"),
        (plan((0.1, 2.0), (900.0, 1e3), stops=True), [Spending(1, 0.01)], FAILED, "nearly used up"),
        (plan((1.5, 2.0), (900.0, 1e3), stops=True), [Spending(1, 1.6)], FAILED, "does not fit"),
        (plan((1.5, 2.0), (900.0, 1e3), stops=True), [Spending(1_000, None)], FAILED, "1,000 jobs more does not fit"),
        (plan((0.0, 2.0), (900.0, 1e3), stops=True), [], WARNING, "are stopped"),
        (plan((0.0, 2.0), (0.0, 1e3), stops=True, created=NOW - timedelta(hours=2)), [], UNKNOWN, "too new"),
        (plan(None), [], UNKNOWN, "is unknown"),
    ],
)
def test_what_is_left_of_a_commitment_plan_has_to_do(payer, spending, outcome, words):
    check = check_headroom(payer, spending, NOW)
    assert (check.outcome, check.subject) == (outcome, f"contoso-plan ({payer.sku})")
    assert words in check.text


PLAN = "/subscriptions/0f/resourceGroups/ml/providers/Microsoft.MachineLearning/commitmentPlans/p"


def claimed(*locations, services=0, most=10_000, location="southcentralus", payer=None):
    claims = {f"create:{number}": CommitmentPlanAssignment(PLAN, each) for number, each in enumerate(locations)}
    return list(judge_claims(claims, {PLAN: CommitmentPlanState(payer or plan(), location, services, most)}, NOW))


def test_a_commitment_plan_pays_in_its_own_region_however_that_is_spelt():
    (fine,) = claimed("South Central US", "southcentralus")
    assert (fine.check.outcome, fine.steps) == (OK, frozenset())
    wrong, _ = claimed("South Central US", "West Europe")
    assert (wrong.check.outcome, wrong.steps) == (FAILED, {"create:1"})
    assert wrong.check.text == "the commitment plan is in southcentralus and cannot pay for web services in West Europe"


def test_a_commitment_plan_pays_for_so_many_services_and_no_more():
    over, _ = claimed("southcentralus", "southcentralus", services=9_999)
    assert (over.check.outcome, over.steps) == (FAILED, {"create:1"})
    assert "9,999 web services of at most 10,000, and this plan adds 2 more: 1 of them does not fit" in over.check.text
    (unknown,) = claimed("southcentralus", services=None)
    assert unknown.steps == frozenset()


def test_a_commitment_plan_that_there_is_not_pays_for_nothing_and_one_that_was_not_asked_is_let_be():
    claims = {"create:0": CommitmentPlanAssignment(PLAN, "x")}
    (missing,) = judge_claims(claims, {PLAN: None}, NOW)
    assert (missing.check.outcome, missing.steps) == (FAILED, {"create:0"})
    assert list(judge_claims(claims, {}, NOW)) == []


def test_a_new_service_of_a_nearly_spent_plan_is_warned_of():
    (low,) = claimed("southcentralus", payer=plan((0.1, 2.0), (900.0, 1e3), stops=True))
    assert (low.check.outcome, low.steps) == (WARNING, frozenset())


def test_only_jobs_are_refused_for_a_plan_that_is_nearly_used_up():
    low = plan((0.1, 2.0), (900.0, 1e3), stops=True)
    (finding,) = judge_headroom({"train:m": low, "repoint:x": low}, {"train:m": Spending(1, 0.01)}, NOW)
    assert (finding.steps, finding.unsafe) == ({"train:m"}, True)

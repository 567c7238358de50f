from __future__ import annotations

import math

import pytest

from reconciler.plan.document import GateOutcome
from reconciler.plan.gates import Incumbent, find_incumbent, judge_gates, lower_is_better, overall, rule_text
from reconciler.plan.states import VersionKey
from reconciler.spec.documents import Gate

PASS, FAIL, INCONCLUSIVE = GateOutcome.PASS, GateOutcome.FAIL, GateOutcome.INCONCLUSIVE
OLD, NEW = VersionKey("m", "1"), VersionKey("m", "2")


def gate(metric="AUC", **rule):
    return Gate(metric=metric, **rule)


def judged(rule, metrics, incumbent=None, candidate=NEW):
    (result,) = judge_gates([rule], metrics, incumbent, candidate)
    return result


@pytest.mark.parametrize(
    ("rule", "value", "outcome"),
    [
        ({"min": 0.95}, 0.95, PASS),
        ({"min": 0.95}, 0.9499, FAIL),
        ({"max": 0.2}, 0.2, PASS),
        ({"max": 0.2}, 0.21, FAIL),
        ({"min": -1.0}, 0.0, PASS),
        ({"max": 0.0}, 0.0, PASS),
    ],
)
def test_a_bound_is_part_of_what_passes(rule, value, outcome):
    assert outcome == judged(gate(**rule), {"AUC": value}).outcome


@pytest.mark.parametrize(
    ("metric", "before", "now", "outcome"),
    [
        ("AUC", 0.95, 0.94, PASS),  # exactly the limit, though 0.95 - 0.94 > 0.01 in binary
        ("AUC", 0.95, 0.9399, FAIL),
        ("AUC", 0.95, 0.99, PASS),
        ("Root Mean Squared Error", 50.0, 50.01, PASS),
        ("Root Mean Squared Error", 50.0, 50.02, FAIL),
        ("Root Mean Squared Error", 50.0, 10.0, PASS),
        ("Average Log Loss", 0.1, 0.2, FAIL),
        ("Coefficient of Determination", 0.5, 0.4, FAIL),
    ],
)
def test_max_drop_limits_how_much_worse_a_version_may_be(metric, before, now, outcome):
    result = judged(gate(metric, max_drop=0.01), {metric: now}, Incumbent(OLD, {metric: before}))
    assert outcome == result.outcome
    assert (now, before) == (result.value, result.incumbent)


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("Mean Absolute Error", True),
        ("Relative Squared Error", True),
        ("relative absolute error", True),
        ("Average Log Loss", True),
        ("Negative Log Likelihood", True),
        ("My Own Error", True),
        ("Training Log Loss", False),  # an advantage over guessing, in percent
        ("Accuracy", False),
        ("F-Score", False),
        ("Coefficient of Determination", False),
    ],
)
def test_it_is_known_which_metrics_are_errors(metric, lower):
    assert lower is lower_is_better(metric)


def test_max_drop_passes_when_no_version_of_ours_is_live_and_says_so():
    result = judged(gate(max_drop=0.01), {"AUC": 0.5})
    assert result.outcome == PASS
    assert "no live version to compare with" in result.text


def test_max_drop_is_inconclusive_when_the_live_version_lacks_the_metric():
    result = judged(gate(max_drop=0.01), {"AUC": 0.99}, Incumbent(OLD, {"Recall": 0.9}))
    assert result.outcome == INCONCLUSIVE
    assert "m@1" in result.text


def test_max_drop_passes_for_the_version_that_is_live_already():
    assert judged(gate(max_drop=0.0), {}, Incumbent(NEW)).outcome == PASS


@pytest.mark.parametrize("rule", [{"min": 0.1}, {"max": 0.9}, {"max_drop": 0.1}])
@pytest.mark.parametrize("metrics", [{}, {"AUC": math.nan}, {"AUC": math.inf}, {"Recall": 1.0}])
def test_what_can_not_be_judged_is_inconclusive(rule, metrics):
    result = judged(gate(**rule), metrics, Incumbent(OLD, {"AUC": 0.5}))
    assert result.outcome == INCONCLUSIVE
    assert result.value is None


def test_a_metric_that_is_no_number_on_the_live_version_is_inconclusive():
    assert judged(gate(max_drop=1), {"AUC": 0.5}, Incumbent(OLD, {"AUC": math.nan})).outcome == INCONCLUSIVE


def test_a_metric_is_found_in_another_case_only_when_it_is_the_only_one():
    assert judged(gate("auc", min=0.5), {"AUC": 0.9}).value == 0.9
    assert judged(gate("auc", max=0.5), {"AUC": 0.9, "auc": 0.1}).value == 0.1
    ambiguous = judged(gate("auc", min=0.5), {"AUC": 0.9, "Auc": 0.1})
    assert ambiguous.outcome == INCONCLUSIVE
    assert "AUC, Auc" in ambiguous.text


def test_the_verdict_is_the_worst_of_all_rules():
    rules = [gate(min=0.5), gate("Recall", min=0.5), gate("Missing", min=0.5)]
    assert overall([]) == PASS
    assert overall(judge_gates(rules, {"AUC": 1, "Recall": 1}, None)) == INCONCLUSIVE
    assert overall(judge_gates(rules, {"AUC": 1, "Recall": 0}, None)) == FAIL


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (gate(min=0.95), "AUC >= 0.95"),
        (gate(max=1), "AUC <= 1"),
        (gate(max_drop=0.01), "AUC may drop by at most 0.01"),
        (gate("Mean Absolute Error", max_drop=0), "Mean Absolute Error may rise by at most 0"),
    ],
)
def test_a_rule_reads_as_a_sentence(rule, text):
    assert text == rule_text(rule)


def test_the_incumbent_has_the_metrics_that_the_ledger_knows(a):
    ledger = a.ledger(a.known(metrics={"AUC": 0.9}))
    assert find_incumbent(None, ledger) is None
    assert Incumbent(a.key(), {"AUC": 0.9}) == find_incumbent(a.key(), ledger)
    assert Incumbent(a.key("2026-09"), {}) == find_incumbent(a.key("2026-09"), ledger)

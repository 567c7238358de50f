"""How long the retrains of a plan take, and what they cost, as far as history tells."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.plan.checks.estimates import Retrain, estimate, retrains_of
from reconciler.plan.render.phrases import dollars, estimate_words

X = "X, endpoint default"


def retrains(*seconds, endpoint=X, alike=False):
    return [Retrain(f"train:m{number}", endpoint, taken, alike) for number, taken in enumerate(seconds)]


def test_nothing_to_train_has_no_estimate():
    assert estimate([], 8) is None


def test_jobs_run_side_by_side_as_far_as_they_may():
    made = estimate(retrains(*[60.0] * 10), 4)
    assert made is not None
    assert (made.retrains, made.at_once, made.waves, made.seconds) == (10, 4, 3, 180.0)


def test_an_endpoint_runs_forty_of_its_own_at_one_time():
    made = estimate(retrains(*[60.0] * 100), 1_000)
    # Another endpoint has places of its own.
    other = estimate(retrains(*[60.0] * 40) + retrains(*[60.0] * 40, endpoint="Y"), 1_000)
    assert made is not None
    assert other is not None
    assert (made.at_once, made.waves, made.seconds) == (40, 3, 180.0)
    assert (other.at_once, other.waves, other.seconds) == (80, 1, 60.0)


def test_the_price_of_the_faqs_example_comes_out():
    # 3,100 jobs of 500 rows at 0.72 s: $1.55 for the transactions and $620 for the compute hours.
    made = estimate(retrains(*[360.0] * 3_100), 40)
    assert made is not None
    assert (made.compute_hours, made.dollars) == (310.0, 621.55)
    assert "2017" in made.basis


def test_what_was_never_timed_is_left_out_and_it_says_so():
    made = estimate(retrains(60.0, None, None), 8)
    assert made is not None
    assert (made.timed, made.seconds) == (1, 60.0)
    assert (
        estimate_words(made) == "3 retrains, 3 at a time: at least 1m00s and at least $0.03 for the 1 with earlier jobs"
    )
    none = estimate(retrains(None), 8)
    assert none is not None
    assert (none.seconds, none.dollars) == (None, None)
    assert "no earlier job to estimate from" in estimate_words(none)


def test_a_new_model_goes_by_others_that_the_same_service_trained(a):
    training = "Breast Cancer [training exp.], endpoint default"
    target = a.endpoint()
    others = [
        a.known("1", model="a", trained_in=timedelta(seconds=60), training=training),
        a.known("1", model="b", trained_in=timedelta(seconds=80), training=training),
        a.known("1", model="c", trained_in=timedelta(seconds=9_000), training="another"),
    ]
    ledger = a.ledger(*others)
    (found,) = retrains_of(a.plan([target], [a.live(target)], ledger), ledger)
    assert (found.seconds, found.alike, found.endpoint) == (70.0, True, training)
    ledger = a.ledger(*others, a.known("2026-09", trained_in=timedelta(seconds=30), training=training))
    (found,) = retrains_of(a.plan([target], [a.live(target)], ledger), ledger)
    assert (found.seconds, found.alike) == (30.0, False)


@pytest.mark.parametrize(
    ("amount", "words"), [(0.004, "less than $0.01"), (0.12, "about $0.12"), (1234.5, "about $1,234.50")]
)
def test_money_is_told_in_cents(amount, words):
    assert words == dollars(amount)

"""How long what failed waits for its next try."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.plan.backoff import RETRY, Backoff

MIDDLE = 0.5


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (9, 3600), (10**9, 3600)]
)
def test_the_delay_doubles_from_thirty_seconds_up_to_an_hour(failures: int, seconds: int) -> None:
    assert timedelta(seconds=seconds) == RETRY.delay(failures, MIDDLE)


@pytest.mark.parametrize(("failures", "shortest", "longest"), [(1, 24, 36), (20, 2880, 4320)])
def test_a_delay_is_spread_by_a_fifth_to_both_sides_the_longest_one_too(
    failures: int, shortest: int, longest: int
) -> None:
    assert timedelta(seconds=shortest) == RETRY.delay(failures, 0.0)
    assert timedelta(seconds=longest) == RETRY.delay(failures, 1.0)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_no_delay_is_shorter_than_the_one_after_fewer_failures(failures: int, draw: float) -> None:
    assert RETRY.delay(failures, draw) <= RETRY.delay(failures + 1, draw)


def test_without_jitter_every_draw_gives_the_same() -> None:
    steady = Backoff(timedelta(seconds=1), timedelta(seconds=30), factor=1.5, jitter=0)

    assert {timedelta(seconds=2.25)} == {steady.delay(3, draw) for draw in (0.0, 0.3, 1.0)}

"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples at every run, and none refused for the time it took: a loaded machine must not fail a test.
settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("deterministic")

"""What holds for every test."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# An assertion in a shared class shows the values it compared, as one in a test does.
pytest.register_assert_rewrite("tests.support")

pytest_plugins = ["tests.support.no_skips", "tests.support.studio_fixtures"]

# The same examples at every run, and none refused for the time it took: a loaded machine must not fail a test.
settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("deterministic")


# A conftest file below may ask for it as it is read, which without workers is before any hook has the option.
_given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
_given.add_argument("--studio-profile")
if (_profile := _given.parse_known_args(sys.argv[1:])[0].studio_profile) is not None:
    os.environ["STUDIO_PROFILE"] = _profile


def pytest_addoption(parser: pytest.Parser) -> None:
    """The profile under which the Studios of the client's tests run; see README.md of the emulator."""
    parser.addoption(
        "--studio-profile",
        default=os.environ.get("STUDIO_PROFILE", "documented"),
        metavar="NAME",
        help="what the emulator does where no source is sure: documented, terse, hostile or random:SEED "
        "(default: $STUDIO_PROFILE, else documented)",
    )


def pytest_configure(config: pytest.Config) -> None:
    # For every process that the tests start.
    os.environ["STUDIO_PROFILE"] = config.getoption("--studio-profile")
    # Where nothing may be kept, each of these hundreds of processes would compile the package anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One worker more than there are cores, as a test waits for processes and timers a third of its time."""
    cores = yield
    return cores if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else cores + 1

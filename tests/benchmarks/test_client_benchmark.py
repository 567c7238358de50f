"""The benchmark of the client is run by hand; here its parts run with a few endpoints, so that it does not rot."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.client import desk
from tests.benchmarks.client_world import NEW, World


def test_the_client_and_the_bare_script_do_what_they_are_compared_by() -> None:
    with desk(World(1, 3, 1), NEW, known=True) as one:
        one.look()
        one.reconcile("--yes", "--select", "rental-0000-*")
        assert one.rate() > 0  # Every endpoint was patched once, else it raises.
        one.patch("ssgpgs")
        assert one.rate() > 0

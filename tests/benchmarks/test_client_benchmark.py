"""The benchmark of the client is run by hand; here its parts run with a handful of endpoints, so that it does not rot."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.client import desk, measure_converge
from tests.benchmarks.client_world import OLD, World


def test_a_world_that_the_store_knows_is_in_sync() -> None:
    with desk(World(2, 2, 1), OLD, known=True) as one:
        one.plan()  # It would raise if anything were pending.
        assert one.look().wall > 0


def test_converging_patches_every_endpoint_once() -> None:
    rows = list(measure_converge(World(1, 3), rounds=1))
    assert all(row.found > 0 for row in rows)

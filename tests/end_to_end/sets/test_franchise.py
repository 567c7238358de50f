"""The bike-rental walkthrough (context 4.5), and what becomes of endpoints whose location was taken out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.end_to_end.sets.franchise import numbers
from tests.end_to_end.sets.killing import assert_each_trained_once_and_all_repointed, kill_at_random
from tests.support.studio import LONGEST

ALL_SAME = 1e-9


def test_each_location_ends_with_its_own_model_and_a_second_run_has_nothing_to_do(franchise: Any) -> None:
    """The proof of the walkthrough: the same input to each endpoint gives different predictions."""
    locations = numbers(1, 10)
    franchise.write(locations)

    planned = franchise.run("--dry-run")
    assert f"{franchise.name}: 10 endpoints: 10 to retrain, create, repoint and write settings" in planned.stdout
    done = franchise.run("--yes")

    assert f"{franchise.name}: 10 converged: serves …, " in done.stdout
    predictions = franchise.predictions()
    assert set(locations) == set(predictions)
    ordered = sorted(predictions.values())
    assert all(higher - lower > ALL_SAME for lower, higher in pairwise(ordered)), predictions
    assert_each_trained_once_and_all_repointed(franchise, locations)
    again = franchise.run("--dry-run", "--detailed-exitcode")
    assert f"{franchise.name}: 10 endpoints: 10 in sync" in again.stdout

    # A location without data, and one whose data are no table, fail; the report has each reason once.
    franchise.write([*locations, "801", "802"])
    failed = franchise.run("--yes", code=5)
    assert f"{franchise.name}: 2 failed: " in failed.stdout
    assert f"({franchise.name}-801, {franchise.name}-802)" in failed.stdout


def test_a_location_taken_out_leaves_an_orphan_that_is_pruned_only_when_asked(franchise: Any) -> None:
    locations = numbers(1, 6)
    franchise.write(locations)
    franchise.run("--yes")

    franchise.write(locations[:5])
    plan = franchise.plan("--detailed-exitcode")
    assert [f"{franchise.name}-006"] == [target["name"] for target in plan["orphaned"]]
    left = franchise.run("--yes")
    assert "1 orphaned" in left.stdout
    assert "006" in franchise.endpoints()
    # Who asks the store alone is told, too, until the location comes back.
    known = {target["name"]: target["last_message"] for target in franchise.status()["targets"]}
    assert [f"{franchise.name}-006"] == [name for name, told in known.items() if "Removed from set" in told]
    franchise.write(locations)
    franchise.run("--yes")
    assert {"converged"} == {target["last_outcome"] for target in franchise.status()["targets"]}
    franchise.write(locations[:5])

    # A selection does not tell what the other documents name.
    assert "orphaned" not in franchise.plan("--select", f"set={franchise.name}")

    # Two runs at once delete it once, and neither fails.
    franchise.write(locations[:5], prune=True)
    both = [franchise.start("--yes") for _ in range(2)]
    told = [one.communicate(timeout=LONGEST) for one in both]
    assert {one.returncode for one in both} <= {0, 4}, told
    gone = f"{franchise.name}-006: converged: deleted; it served {franchise.name}-006@2026-11"
    assert any(gone in out for out, _ in told)
    assert set(locations[:5]) == set(franchise.endpoints())
    assert "in sync: 5 targets" in franchise.run("--yes").stdout

    # The CSV was cut to nothing: refused, with number, limit and remedy, until a person forces it.
    franchise.write([], prune=True)
    refused = franchise.run("--yes", code=3)
    assert f"would delete 5 of 5 endpoints of set {franchise.name}" in refused.stdout
    assert f"--force prune:{franchise.name}" in refused.stdout
    assert set(locations[:5]) == set(franchise.endpoints())

    # One that has lost our note is never deleted, whatever is forced.
    franchise.describe("001", "mine now")
    forced = franchise.run("--yes", "--force", f"prune:{franchise.name}", code=3)
    assert f"{franchise.name}: 4 converged: deleted" in forced.stdout
    assert {"001"} == set(franchise.endpoints())


def test_killed_at_random_each_location_is_trained_once_and_all_are_repointed(franchise: Any) -> None:
    """The whole program as a process, killed three times; tests/benchmarks/killed_sets.py does it with 1,000."""
    locations = numbers(1, 24)
    franchise.write(locations)

    killed = kill_at_random(franchise, len(locations), kills=3, seed=11)

    assert 3 == len(killed.done_before)
    assert_each_trained_once_and_all_repointed(franchise, locations)
    assert f"{franchise.name}: 24 endpoints: 24 in sync" in franchise.run("--dry-run", "--detailed-exitcode").stdout

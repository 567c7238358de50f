"""A run over a set of 1,000 locations, killed at random five times: each trained once, all repointed.

    python tests/benchmarks/killed_sets.py [--locations 1000] [--kills 5] [--seed 11] [--walkthrough]

Starts a Studio of its own in a temporary directory, makes the data, runs the real command and kills it with SIGKILL
when random shares of the work are done, lets it end, and prints the proof. ``--walkthrough`` kills nothing and prints
what each endpoint predicts for one and the same hour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.end_to_end.sets.franchise import Franchise, numbers, open_studio
from tests.end_to_end.sets.killing import assert_each_trained_once_and_all_repointed, kill_at_random

parser = argparse.ArgumentParser(description="Kills runs over a set at random and proves what came of it.")
parser.add_argument("--locations", type=int, default=1000)
parser.add_argument("--kills", type=int, default=5)
parser.add_argument("--seed", type=int, default=11)
parser.add_argument("--walkthrough", action="store_true")
chosen = parser.parse_args()
locations = numbers(1, chosen.locations)

with tempfile.TemporaryDirectory() as directory, open_studio(Path(directory) / "studio", chosen.locations) as studio:
    desk = Franchise(Path(directory) / "desk", studio)
    desk.write(locations)
    kills = 0 if chosen.walkthrough else chosen.kills
    killed = kill_at_random(desk, len(locations), kills, chosen.seed)
    for number, (started, repointed) in enumerate(killed.done_before, 1):
        print(f"kill {number}: {started} jobs had been started, {repointed} endpoints repointed")
    assert_each_trained_once_and_all_repointed(desk, locations)
    print(f"{len(desk.jobs())} jobs were started for {len(locations)} locations, each once, and all finished")
    print(f"all {len(desk.endpoints())} endpoints serve their own location's model")
    if chosen.walkthrough:
        predictions = desk.predictions()
        different = len(set(predictions.values()))
        print(f"the same hour gives {different} different predictions at {len(predictions)} locations")
        print(", ".join(f"{location}: {value:.1f}" for location, value in sorted(predictions.items())[:10]), "…")
    print(f"{killed.seconds:.0f} s with {kills} kills")
    began = time.monotonic()
    print(desk.reconcile("--dry-run", "--detailed-exitcode").stdout)
    print(f"the plan after it: {time.monotonic() - began:.1f} s")

"""Runs a command over a set and kills it at random, until nothing is left to do; then proves what came of it."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass

from tests.end_to_end.sets.franchise import LABEL, Franchise


@dataclass(frozen=True)
class Killed:
    """What a series of killed runs came to.

    Attributes:
        done_before: For each kill: (jobs that had been started, endpoints that had been repointed by then).
        seconds: How long it all took.
    """

    done_before: tuple[tuple[int, int], ...]
    seconds: float


def kill_at_random(desk: Franchise, items: int, kills: int, seed: int) -> Killed:
    """Start the command, ``kill -9`` it when a random share of the work is done, and so on; at last let it end.

    The moments are shares of all that has to be done (a job to start and an endpoint to repoint an item), drawn from
    the seed, so that they are spread over the work however fast the machine is.
    """
    drawn = random.Random(seed)  # noqa: S311 - which moments are tried
    moments = sorted(drawn.uniform(0.02, 0.95) for _ in range(kills))
    seen: list[tuple[int, int]] = []
    began = time.monotonic()
    for moment in moments:
        process = subprocess.Popen(
            desk.arguments("--yes"), cwd=desk.home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None:
            started, repointed = progress(desk)
            if (started + repointed) / (2 * items) >= moment:
                break
            time.sleep(0.02 + drawn.random() * 0.1)  # a look costs the Studio time
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -9, f"the run ended by itself: {process.returncode}\n{errors}"
        seen.append(progress(desk))
    desk.reconcile("--yes", env={**os.environ, "NO_COLOR": "1"})
    return Killed(tuple(seen), time.monotonic() - began)


def progress(desk: Franchise) -> tuple[int, int]:
    """How many jobs were started, and how many endpoints carry our note."""
    noted = sum("[reconciler: " in (each.get("Description") or "") for each in desk.endpoints().values())
    return len(desk.jobs()), noted


def assert_each_trained_once_and_all_repointed(desk: Franchise, locations: list[str]) -> None:
    """One started and finished job for each location, and each endpoint serves its own location's model."""
    jobs = desk.jobs()
    assert {"Finished"} == {job["state"] for job in jobs}
    trained = Counter(place.split("/")[1] for job in jobs for place in job["outputs"].values() if "ilearner" in place)
    assert Counter({f"{desk.name}-{location}": 1 for location in locations}) == trained
    endpoints = desk.endpoints()
    assert set(locations) == set(endpoints)
    for location, endpoint in endpoints.items():
        assert f"[reconciler: {desk.name}-{location}@{LABEL} " in endpoint["Description"]
    with desk.open_store() as store:
        assert () == store.operations(open_only=True)
        assert {"converged"} == {target.last_outcome for target in store.targets()}

"""How the client fares against its budgets (design 7), beside a bare aiohttp script that does the same calls.

    python tests/benchmarks/client.py [--quick] [--rounds 3] [--only plan,converge,growth,help]

The services are a small server of ready answers in a process of its own, which costs the same whoever asks. Exits 1 if
a budget is missed. Nothing here is collected by pytest, and no test asserts a time.

*plan*: ``reconcile --dry-run`` over 10,000 Classic endpoints in 100 services and 500 New services, all in sync, with a
store that knows all of them. The script beside it loads the same files with PyYAML's C loader, and gets and parses the
same listings and definitions; it does not sign in, validate, compare, or remember. Both are whole processes, start and
imports included. What is judged is processor time, of which both consist and which a busy machine does not change much;
the wall clock's ratio stands beside it.

*converge*: ``reconcile --yes`` moves 1,000 endpoints to a ready version. What the protocol requires of an endpoint is
a score before (twice: does it answer the same to the same?), a GET to compare with the plan, the PATCH, a GET to read
it back, and a score after. The design says "the same calls", so the bare script beside it sends these six, one after
the other, for as many endpoints at once as the client does: that ratio is judged. A script that sends its PATCHes
blindly and nothing else is shown beside it. The server counts: patches, by the seconds from the first call about an
endpoint to the end of the last. It is done twice: with a service that takes no time, where only the cost of each side
shows, and with one that takes 10 ms a call. The cloud file says that a patch takes effect at once, so no waiting for
that is in it. What the client does beside its calls is to lease each target and to write down what came of it, on the
disk, before it goes on.

*growth*: the plan of *plan* over 1,000, 10,000 and 100,000 Classic endpoints. Judged is what one more endpoint costs
in the second step, by what it costs in the first: 1 is linear.

*help*: ``reconcile --help``, and which of Azure's modules it imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.client_world import NEW, OLD, World

_HERE = Path(__file__).resolve().parent
_CALLS = "ssgpgs"
_AT_ONCE = 16
_CALL_TAKES = 0.01
"""Seconds; a service across a network takes longer."""
"""As many targets as the client moves side by side (`reconciler.apply.run.Limits.rollouts`)."""


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds by the clock and of the processor, and MB of memory at its peak."""

    wall: float
    processor: float
    memory: float


@dataclass(frozen=True)
class Row:
    """A line of the table. Without a budget it is only told."""

    what: str
    found: float
    budget: float | None = None
    at_least: bool = False
    unit: str = "x"
    how: str = ""

    @property
    def met(self) -> bool:
        """Whether the budget is met."""
        if self.budget is None:
            return True
        return self.found >= self.budget if self.at_least else self.found <= self.budget

    def __str__(self) -> str:
        budget = "" if self.budget is None else f"{'≥' if self.at_least else '≤'} {self.budget:g} {self.unit}"
        verdict = "" if self.budget is None else "met" if self.met else "MISSED"
        return f"{self.what:64} {self.found:9.2f} {self.unit:4} {budget:10} {verdict:7} {self.how}"


def run(*command: str | Path) -> Cost:
    """Runs a Python program to its end.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    with tempfile.TemporaryFile("w+") as said:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *map(str, command)], stdout=said, stderr=subprocess.STDOUT, env=_environment()
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}:\n{said.read()[-3000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _environment() -> dict[str, str]:
    # Without the bytecode that any installation has, the client's own modules would be compiled anew each time.
    left = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**left, "PYTHONPATH": str(_HERE.parents[1]), "PYTHONHASHSEED": "0"}


def best(costs: Sequence[Cost]) -> Cost:
    """The least of each time, and the most memory."""
    return Cost(
        min(cost.wall for cost in costs), min(cost.processor for cost in costs), max(cost.memory for cost in costs)
    )


@dataclass(frozen=True)
class Desk:
    """A world with its server and its specs."""

    directory: Path
    world: World
    url: str

    @property
    def sizes(self) -> tuple[str, ...]:
        """The numbers that a world is made of, as arguments."""
        return (str(self.world.services), str(self.world.endpoints), str(self.world.new))

    def reconcile(self, *options: str) -> Cost:
        """Runs the client."""
        given = ("--specs", self.directory / "specs", "--cloud", self.directory / "cloud.json")
        return run("-m", "reconciler.cli", *given, "--store", self.directory / "state.db", *options)

    def plan(self) -> Cost:
        """Plans; raises RuntimeError if anything is not in sync."""
        return self.reconcile("--dry-run", "--detailed-exitcode")

    def look(self) -> Cost:
        """Runs the bare script that looks at everything."""
        return run(_HERE / "client_bare.py", "look", self.url, self.directory / "specs", *self.sizes)

    def patch(self, calls: str) -> Cost:
        """Runs the bare script that patches everything."""
        return run(_HERE / "client_bare.py", "patch", self.url, *self.sizes[:2], str(_AT_ONCE), calls)

    def rate(self) -> float:
        """Patches a second since it was last asked; raises RuntimeError if not every endpoint was patched once."""
        with urllib.request.urlopen(self.url + "/_span") as reply:
            span = json.load(reply)
        if span["patches"] != self.world.classic:
            raise RuntimeError(f"{span['patches']} patches for {self.world.classic} endpoints")
        return float(span["patches"] / span["seconds"])


@contextmanager
def desk(world: World, label: str, *, known: bool, takes: float = 0) -> Iterator[Desk]:
    """A world whose specs want a version; ``known`` if the store has brought it to where it is.

    A call about a single endpoint takes at least so many seconds.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        sizes = (str(world.services), str(world.endpoints), str(world.new))
        world.write_specs(directory / "specs", label)
        command = [sys.executable, str(_HERE / "client_server.py"), name, *sizes, str(takes)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) as server:
            assert server.stdout is not None
            try:
                url = json.loads(server.stdout.readline())["url"]
                if known:
                    run(_HERE / "client_ledger.py", directory / "state.db", *sizes)
                yield Desk(directory, world, url)
            finally:
                server.kill()


def measure_plan(world: World, rounds: int) -> Iterator[Row]:
    """A plan in which everything is in sync."""
    with desk(world, OLD, known=True) as one:
        client, bare = [], []
        for _ in range(rounds):
            client.append(one.plan())
            bare.append(one.look())
    ours, theirs = best(client), best(bare)
    what = f"plan {world.classic:,} Classic + {world.new:,} New"
    seconds = f"{ours.processor:.2f} s and {theirs.processor:.2f} s"
    yield Row(f"{what}: processor time by the script's", ours.processor / theirs.processor, 3, how=seconds)
    clock = f"{ours.wall:.2f} s and {theirs.wall:.2f} s"
    yield Row(f"{what}: time by the script's", ours.wall / theirs.wall, how=clock)
    yield Row(f"{what}: memory at its peak", ours.memory, 300, unit="MB", how=f"script {theirs.memory:.0f} MB")


def measure_converge(world: World, rounds: int) -> Iterator[Row]:
    """Everything moves to another version."""
    costs = []
    for takes in (0, _CALL_TAKES):
        client, same, blind = [], [], []
        for _ in range(rounds):
            with desk(world, NEW, known=True, takes=takes) as one:
                costs.append(one.reconcile("--yes"))
                client.append(one.rate())
                one.patch(_CALLS)
                same.append(one.rate())
                one.patch("p")
                blind.append(one.rate())
        what = f"converge {world.classic:,}, {takes * 1000:.0f} ms a call: rate by that of"
        ours, theirs, most = max(client), max(same), max(blind)
        yield Row(f"{what} the same", ours / theirs, 0.7, at_least=True, how=f"{ours:.0f}/s and {theirs:.0f}/s")
        yield Row(f"{what} PATCHes", ours / most, how=f"{ours:.0f}/s and {most:.0f}/s")
    each = best(costs).processor / world.classic * 1000
    yield Row(f"converge {world.classic:,}: processor time of all of it, each", each, unit="ms")


def measure_growth(sizes: tuple[int, int, int]) -> Iterator[Row]:
    """Plans of three sizes, in services of 100 endpoints."""
    costs = []
    for size in sizes:
        with desk(World(max(1, size // 100), min(size, 100)), OLD, known=True) as one:
            costs.append(one.plan())
    for size, cost in zip(sizes, costs, strict=True):
        told = f"{cost.processor:.2f} s, {cost.memory:.0f} MB"
        yield Row(f"plan {size:,} Classic: processor time, each", cost.processor / size * 1000, unit="ms", how=told)
    values: Mapping[str, Callable[[Cost], float]] = {
        "processor time": lambda cost: cost.processor,
        "memory": lambda cost: cost.memory,
    }
    for name, value in values.items():
        (small, middle, large), (first, second, third) = sizes, map(value, costs)
        before, after = (second - first) / (middle - small), (third - second) / (large - middle)
        yield Row(f"growth: {name} of one more, by that of one more before", after / before, 1.25)


def measure_help(rounds: int) -> Iterator[Row]:
    """The time to say what there is."""
    cost = best([run("-m", "reconciler.cli", "--help") for _ in range(max(rounds, 3))])
    start = best([run("-c", "") for _ in range(max(rounds, 3))])
    yield Row("--help: time", cost.wall, 0.25, unit="s", how=f"{cost.wall / start.wall:.1f} x Python's own start")
    command = [sys.executable, "-X", "importtime", "-m", "reconciler.cli", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment()).stderr
    imported = [line for line in said.splitlines() if line.rpartition("|")[2].strip().startswith(("azure", "aiohttp"))]
    yield Row("--help: modules of Azure and aiohttp imported", len(imported), 0, unit="")


def main() -> int:
    """Measures, prints, and says whether all budgets were met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller where that tells as much, and once")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many")
    parser.add_argument("--only", default="plan,converge,growth,help")
    given = parser.parse_args()
    wanted, rounds = given.only.split(","), 1 if given.quick else given.rounds
    parts: Mapping[str, Iterator[Row]] = {
        "help": measure_help(rounds),
        "plan": measure_plan(World(100, 100, 500), rounds),
        "converge": measure_converge(World(3, 100) if given.quick else World(10, 100), rounds),
        "growth": measure_growth((1_000, 5_000, 20_000) if given.quick else (1_000, 10_000, 100_000)),
    }
    missed = 0
    for name, rows in parts.items():
        for row in rows if name in wanted else ():
            print(row, flush=True)
            missed += not row.met
    print("all budgets are met" if not missed else f"{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

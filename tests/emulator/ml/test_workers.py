"""Training and scoring in processes of their own."""

import asyncio
import hashlib
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from reconciler.emulator.ml.workers import (
    ScoringError,
    TrainingError,
    TrainingExperiment,
    UnreadableModelError,
    WorkerDied,
    Workers,
)

EXPERIMENT = TrainingExperiment("Two-Class Logistic Regression", "diagnosis")
LINE = TrainingExperiment("Linear Regression", "y")
LINE_DATA = b"x,y\n" + b"".join(b"%d,%d\n" % (x, x) for x in range(10))

on_shared_workers = pytest.mark.asyncio(loop_scope="module")


def children():
    """This process's children that live, by their ids."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(name.split()[0]))
    return found


class Crew:
    """Workers with room for two trainings at once, and their processes. A start takes seconds, so tests share them."""

    def __init__(self, workers):
        self.workers = workers
        self._others = children()

    def processes(self):
        return children() - self._others

    async def two(self):
        """Have two processes that are at rest; gives their ids."""
        while len(pids := self.processes()) < 2:
            # One that is at work is waited for only for a moment; then another one is started.
            halt(pids)
            calls = [asyncio.create_task(self.workers.train(LINE_DATA, LINE)) for _ in range(len(pids) + 1)]
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            go_on(pids)
            await asyncio.gather(*calls)
        return pids

    async def two_halted_at_work(self):
        """Two trainings, and the ids of the processes that have them: neither answers, however fast it is."""
        pids = await self.two()
        halt(pids)
        calls = [asyncio.create_task(self.workers.train(LINE_DATA, LINE)) for _ in range(2)]
        for _ in range(10):  # to be sent they need nothing but turns of the loop
            await asyncio.sleep(0)
        return calls, pids


def halt(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def go_on(pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crew():
    async with Workers(training=2, scoring=1) as workers:
        crew = Crew(workers)
        yield crew
    assert crew.processes() == set()


@pytest.fixture
def shared(crew):
    """The workers alone, for tests that leave them as they were."""
    return crew.workers


def digest_of(ilearner):
    return hashlib.sha256(ilearner).hexdigest()


@on_shared_workers
async def test_a_model_goes_from_data_to_scores(shared):
    data = await shared.dataset("breast-cancer", 250)
    trained = await shared.train(data, EXPERIMENT)
    digest = digest_of(trained.ilearner)

    about = await shared.describe(trained.ilearner, digest)
    columns = [column.name for column in about.columns]
    rows = [[row[name] for name in columns] for row in about.example_rows]
    scored = await shared.score(trained.ilearner, digest, columns, rows)

    assert trained.evaluation_csv.startswith(b"Accuracy,Precision,Recall,F-Score,AUC")
    assert (about.label, about.classes) == ("diagnosis", ["benign", "malignant"])
    assert scored.columns[-2:] == ["Scored Labels", "Scored Probabilities"]
    assert all(0 <= row[-1] <= 1 for row in scored.rows)


@on_shared_workers
async def test_errors_come_back_as_they_were_raised(shared):
    with pytest.raises(TrainingError) as training:
        await shared.train(b"a,b\n1,2\n", EXPERIMENT)
    with pytest.raises(UnreadableModelError) as describing:
        await shared.describe(b"junk", digest_of(b"junk"))
    with pytest.raises(ValueError, match="unknown data set 'iris'"):
        await shared.dataset("iris", 10)

    assert (training.value.code, describing.value.code) == ("0001", "IncompatibleModel")


@on_shared_workers
async def test_a_model_is_sent_again_when_the_worker_has_dropped_it(shared):
    """More models than a worker keeps, and back to the first: neither side may be confused by it."""
    models = []
    for i in range(18):
        data = b"x,y\n" + b"".join(b"%d,%d\n" % (x, (i + 1) * x) for x in range(10))
        models.append((await shared.train(data, LINE)).ilearner)

    for _ in range(2):
        for i, ilearner in enumerate(models):
            scored = await shared.score(ilearner, digest_of(ilearner), ["x"], [[10]])
            assert scored.rows[0][-1] == pytest.approx(10 * (i + 1))


@on_shared_workers
async def test_a_refused_row_does_not_cost_the_worker(shared):
    ilearner = (await shared.train(LINE_DATA, LINE)).ilearner
    digest = digest_of(ilearner)
    await shared.describe(ilearner, digest)
    before = children()

    with pytest.raises(ScoringError):
        await shared.score(ilearner, digest, ["x"], [["text"]])
    await shared.score(ilearner, digest, ["x"], [[1]])

    assert children() == before


@on_shared_workers
async def test_a_worker_that_is_killed_fails_its_own_call_and_no_other(crew):
    calls, pids = await crew.two_halted_at_work()

    killed = pids.pop()
    os.kill(killed, signal.SIGKILL)
    go_on(pids)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Trained", "WorkerDied"]
    assert killed not in crew.processes()
    assert len(await asyncio.gather(*(crew.workers.train(LINE_DATA, LINE) for _ in range(2)))) == 2


@on_shared_workers
async def test_a_cancelled_training_ends_its_process_and_no_other(crew):
    (cancelled, other), pids = await crew.two_halted_at_work()

    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    left = crew.processes()
    go_on(left)

    assert len(pids - left) == 1
    assert (await other).ilearner
    assert (await crew.workers.train(LINE_DATA, LINE)).ilearner


@on_shared_workers
async def test_no_more_trainings_run_at_once_than_there_are_workers(crew):
    pids = await crew.two()

    trained = await asyncio.gather(*(crew.workers.train(LINE_DATA, LINE) for _ in range(6)))

    assert len(trained) == 6
    assert crew.processes() == pids


@on_shared_workers
async def test_a_worker_that_died_idle_is_replaced(crew):
    await crew.workers.warm_up()
    there = crew.processes()
    for pid in there:
        os.kill(pid, signal.SIGKILL)

    # Whether a call still meets one that was killed is a matter of moments; the last call here cannot.
    outcomes = [
        await asyncio.gather(crew.workers.dataset("diabetes", 10), return_exceptions=True)
        for _ in range(len(there) + 1)
    ]

    assert all(isinstance(outcome, bytes | WorkerDied) for (outcome,) in outcomes)
    assert isinstance(outcomes[-1][0], bytes)


@on_shared_workers
async def test_calls_one_after_the_other_have_one_process_whatever_their_sort():
    before = children()
    async with Workers(training=2, scoring=1) as workers:
        ilearner = (await workers.train(LINE_DATA, LINE)).ilearner
        await workers.describe(ilearner, digest_of(ilearner))
        await workers.dataset("diabetes", 10)

        assert len(children() - before) == 1


async def test_closing_leaves_no_process_and_takes_no_more_calls():
    workers = Workers()
    before = children()
    assert await workers.dataset("diabetes", 10)
    halt(children() - before)
    busy = asyncio.create_task(workers.train(LINE_DATA, LINE))
    await asyncio.sleep(0)

    await workers.aclose()

    assert children() == before
    with pytest.raises(WorkerDied):
        await busy
    with pytest.raises(RuntimeError, match="closed"):
        await workers.dataset("diabetes", 10)


async def test_workers_that_were_never_used_cost_nothing():
    before = children()
    async with Workers():
        assert children() == before


SERVER = """
import asyncio, os
from reconciler.emulator.ml.workers import Workers

async def main():
    async with Workers() as workers:
        await workers.warm_up()
        print("sklearn" in __import__("sys").modules, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_no_worker_outlives_a_server_that_was_killed():
    """And the server has not loaded scikit-learn. The pipe's end comes only when all that hold it are gone."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert await server.stdout.readline() == b"False\n"

    server.kill()
    await server.wait()

    async with asyncio.timeout(30):
        # The workers hold the server's standard error, so that it ends with the last of them.
        assert await server.stderr.read() == b""
    await server.stdout.read()

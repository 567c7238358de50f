"""Training and scoring in processes of their own, so that the server stays responsive and never loads scikit-learn.

Each worker is a child process that is spoken to through its pipes (`worker_process`). Not an executor's pool: there
the death of one process fails every call of the pool, a call that is no longer wanted cannot be stopped, and
processes outlive a parent that was killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from reconciler.emulator.experiments import (
    Column,
    ModelDescription,
    Scalar,
    Scored,
    ScoringError,
    Trained,
    TrainingError,
    TrainingExperiment,
    UnreadableModelError,
)
from reconciler.emulator.worker_messages import Message, encode, receive

__all__ = [
    "Column",
    "ModelDescription",
    "Scored",
    "ScoringError",
    "Trained",
    "TrainingError",
    "TrainingExperiment",
    "UnreadableModelError",
    "WorkerDied",
    "WorkerFailed",
    "Workers",
]

_MODELS_REMEMBERED: Final = 16
_SECONDS_TO_END: Final = 5.0
# One thread a process: the machine's cores are shared by the workers, and results do not depend on the machine.
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1"
)


class WorkerDied(Exception):
    """The worker ended before it answered: killed, or out of memory. The next call gets a new one."""


class WorkerFailed(Exception):
    """The worker met a fault of its own program.

    Attributes:
        trace: where, as the worker saw it.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class Workers:
    """The workers of one server. Use as an async context manager, or call `aclose`.

    Processes start at the first call that needs them, and take some seconds for it; `warm_up` does it beforehand.

    Args:
        training: how many trainings run side by side; others wait.
        scoring: likewise for scoring and describing.
    """

    def __init__(self, training: int = 2, scoring: int = 1) -> None:
        self._training = _Pool(training)
        self._scoring = _Pool(scoring)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all processes; calls under way raise WorkerDied, later ones RuntimeError."""
        await asyncio.gather(self._training.aclose(), self._scoring.aclose())

    async def warm_up(self) -> None:
        """Start one worker of each sort, so that the first calls need not wait for it."""
        await asyncio.gather(self._training.call({"call": "warm_up"}), self._scoring.call({"call": "warm_up"}))

    async def train(self, csv: bytes, experiment: TrainingExperiment, *, dies: bool = False) -> Trained:
        """Train a model; a cancelled training stops at once.

        Args:
            csv: the data.
            experiment: what to do with them.
            dies: the process is killed when it has begun, as a test of what becomes of its caller.

        Raises:
            TrainingError: the data or the experiment is at fault.
            WorkerDied: the process ended.
        """
        answer = await self._training.call({"call": "train", "experiment": asdict(experiment)}, csv, dies=dies)
        return Trained(answer.attachments[0], answer.attachments[1], **answer.body)

    async def score(
        self,
        ilearner: bytes,
        digest: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Scalar]],
        *,
        dies: bool = False,
    ) -> Scored:
        """Score rows; see `ilearner.score`.

        Args:
            ilearner: the trained model.
            digest: stands for these bytes: the same digest, the same model. A worker that has it loaded is not
                sent the bytes again.
            columns: the names of the values in each row.
            rows: the values.
            dies: as in `train`.

        Raises:
            ScoringError: the rows do not fit the model; UnreadableModelError, the bytes are none.
            WorkerDied: the process ended.
        """
        rows = [list(row) for row in rows]
        body = {"call": "score", "digest": digest, "columns": list(columns), "rows": rows}
        return Scored(**(await self._scoring.call_with_model(body, digest, ilearner, dies=dies)).body)

    async def describe(self, ilearner: bytes, digest: str) -> ModelDescription:
        """What a trained model says about itself; arguments as in `score`.

        Raises:
            UnreadableModelError: the bytes are no model; it is a TrainingError and a ScoringError.
            WorkerDied: the process ended.
        """
        answer = await self._scoring.call_with_model({"call": "describe", "digest": digest}, digest, ilearner)
        about = dict(answer.body)
        for name in ("columns", "outputs"):
            about[name] = [Column(**column) for column in about[name]]
        return ModelDescription(**about)

    async def dataset(self, name: str, rows: int) -> bytes:
        """A real data set as CSV; see `datasets.dataset_csv`.

        Raises:
            ValueError: there is no such data set, or it has fewer rows.
        """
        return (await self._training.call({"call": "dataset", "name": name, "rows": rows})).attachments[0]


class _Pool:
    """Some workers of which each does one call at a time."""

    def __init__(self, size: int) -> None:
        self._slots = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    async def call(self, body: Mapping[str, Any], *attachments: bytes, dies: bool = False) -> Message:
        async with self._worker() as worker:
            return await worker.ask(Message(body, attachments), dies=dies)

    async def call_with_model(
        self, body: Mapping[str, Any], digest: str, ilearner: bytes, *, dies: bool = False
    ) -> Message:
        async with self._worker(digest) as worker:
            # A worker may have dropped a model that it was sent once; it says so then.
            answer = await worker.ask(Message(body, () if digest in worker.models else (ilearner,)), dies=dies)
            if answer.body.get("send_model"):
                answer = await worker.ask(Message(body, (ilearner,)))
            worker.remember(digest)
            return answer

    async def aclose(self) -> None:
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(self._drop(worker) for worker in list(self._all)))

    @asynccontextmanager
    async def _worker(self, digest: str = "") -> AsyncIterator[_Worker]:
        async with self._slots:
            worker = await self._take(digest)
            try:
                yield worker
            finally:
                if worker.ready and not self._closed:
                    self._idle.append(worker)
                else:
                    # It ended, or its answer is no longer wanted: what it would say next belongs to nobody.
                    await self._drop(worker)

    async def _take(self, digest: str) -> _Worker:
        """A worker that is free: one that has the model, else any, else a new one."""
        for worker in [w for w in self._idle if not w.ready]:
            self._idle.remove(worker)
            await self._drop(worker)
        self._check_open()
        if self._idle:
            position = next((i for i, w in enumerate(self._idle) if digest in w.models), -1)
            return self._idle.pop(position)
        worker = await _Worker.start()
        self._all.add(worker)
        try:
            self._check_open()
        except RuntimeError:
            await self._drop(worker)
            raise
        return worker

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the workers are closed")

    async def _drop(self, worker: _Worker) -> None:
        await worker.end()
        self._all.discard(worker)


class _Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asked = False
        self._reading = False
        self._ending = asyncio.Lock()
        self._models: OrderedDict[str, None] = OrderedDict()

    @classmethod
    async def start(cls) -> Self:
        package = str(Path(__file__).parents[2])
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"} | _ONE_THREAD
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the working directory is the user's, and must not offer modules
            "-m",
            "reconciler.emulator.worker_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environ,
            # Ctrl-C in the server's terminal is the server's business alone; it ends its workers itself.
            start_new_session=True,
        )
        return cls(process)

    @property
    def ready(self) -> bool:
        """Whether it lives and owes no answer."""
        return self._process.returncode is None and not self._asked

    @property
    def models(self) -> Collection[str]:
        """The digests of the models that it was sent lately."""
        return self._models.keys()

    def remember(self, digest: str) -> None:
        """Note that it has a model."""
        self._models[digest] = None
        self._models.move_to_end(digest)
        if len(self._models) > _MODELS_REMEMBERED:
            self._models.popitem(last=False)

    async def ask(self, message: Message, *, dies: bool = False) -> Message:
        """Send a call and wait for its answer.

        Args:
            message: the call.
            dies: kill the process once it has the call.

        Raises:
            ExperimentError: what the worker raised.
            ValueError: likewise.
            WorkerFailed: what the worker raised, if it should not have.
            WorkerDied: there will be no answer.
        """
        assert self._process.stdin is not None  # noqa: S101 - it was started with pipes
        assert self._process.stdout is not None  # noqa: S101
        self._asked = self._reading = True
        try:
            self._process.stdin.write(encode(message))
            await self._process.stdin.drain()
            if dies:
                self._kill()
            answer = await receive(self._process.stdout)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerDied("the worker process ended before it answered") from None
        finally:
            self._reading = False
        self._asked = False
        _raise_error(answer.body)
        return answer

    async def end(self) -> None:
        """End the process: at once if it owes an answer, else by closing its input."""
        async with self._ending:
            if not self.ready and self._process.returncode is None:
                self._kill()
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                async with asyncio.timeout(_SECONDS_TO_END):
                    await self._process.wait()
            except TimeoutError:
                self._kill()
                await self._process.wait()
            if self._process.stdout is not None and not self._reading:
                # To the end of the pipe, so that nothing of it is left open; a call that waits does it itself.
                await self._process.stdout.read()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()


def _raise_error(body: Mapping[str, Any]) -> None:
    match body.get("error"):
        case None:
            return
        case "TrainingError":
            raise TrainingError(body["code"], body["message"])
        case "ScoringError":
            raise ScoringError(body["code"], body["message"])
        case "UnreadableModelError":
            raise UnreadableModelError(body["message"])
        case "ValueError":
            raise ValueError(body["message"])
        case other:
            raise WorkerFailed(f"{other}: {body['message']}", body.get("trace", ""))

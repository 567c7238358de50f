"""The processes behind `workers`: started when they are needed, asked one thing at a time, ended with the server.

Each is a child process that is spoken to through its pipes (`worker_process`). Not an executor's pool: there the
death of one process fails every call of the pool, a call that is no longer wanted cannot be stopped, and processes
outlive a parent that was killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from reconciler.emulator.ml.types import ScoringError, TrainingError, UnreadableModelError
from reconciler.emulator.ml.worker_messages import Message, encode, receive

_MODELS_REMEMBERED: Final = 16
_SECONDS_TO_END: Final = 5.0
_SECONDS_WORTH_WAITING: Final = 0.3
# One thread a process: the machine's cores are shared by the workers, and results do not depend on the machine.
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1"
)


class WorkerDied(Exception):
    """A worker that ended before it answered: killed, or out of memory. The next call gets a new one."""


class WorkerFailed(Exception):
    """A worker with an error of its own program.

    Attributes:
        trace: where, as the worker saw it.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class Processes:
    """The workers, each of which does one call at a time. There are as many as there ever were calls at once.

    A start costs more than most calls do. So a worker that is starting is waited for, and one that is at work for a
    moment, before another one is started.
    """

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._starting = False
        self._closed = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def one(self, digest: str = "") -> AsyncIterator[Worker]:
        """Return a worker for one call, if possible one that has the model of this digest.

        Raises:
            WorkerDied: it ended before it could be asked.
            RuntimeError: the workers are closed.
        """
        worker = await self._take(digest)
        try:
            yield worker
        finally:
            if worker.ready and not self._closed:
                self._idle.append(worker)
            else:
                # It ended, or its answer is no longer wanted: what it would say next belongs to nobody.
                await self._drop(worker)
            await self._tell()

    async def aclose(self) -> None:
        """End all workers; calls under way raise WorkerDied, later ones RuntimeError."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(self._drop(worker) for worker in list(self._all)))
        await self._tell()

    async def _take(self, digest: str) -> Worker:
        async with self._changed:
            while True:
                await self._changed.wait_for(lambda: self._idle or self._closed or not self._starting)
                if self._all and not self._idle:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_SECONDS_WORTH_WAITING):
                            await self._changed.wait_for(lambda: self._idle or self._closed)
                self._check_open()
                for worker in [w for w in self._idle if not w.ready]:
                    self._idle.remove(worker)
                    await self._drop(worker)
                if self._idle:
                    position = next((i for i, w in enumerate(self._idle) if digest in w.models), -1)
                    return self._idle.pop(position)
                if not self._starting:
                    self._starting = True
                    break
        return await self._start()

    async def _start(self) -> Worker:
        try:
            worker = await Worker.start()
            self._all.add(worker)
            try:
                self._check_open()
                await worker.greeted()
                self._check_open()
            except BaseException:
                await self._drop(worker)
                raise
            return worker
        finally:
            self._starting = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the workers are closed")

    async def _drop(self, worker: Worker) -> None:
        await worker.end()
        self._all.discard(worker)


class Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asked = False
        self._reading = False
        self._ending = asyncio.Lock()
        self._models: OrderedDict[str, None] = OrderedDict()

    @classmethod
    async def start(cls) -> Self:
        """Return a new process, which says by its greeting that it can be asked."""
        package = str(Path(__file__).parents[3])
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"} | _ONE_THREAD
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the working directory is the user's, and must not offer modules
            "-m",
            "reconciler.emulator.ml.worker_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environ,
            # Ctrl-C in the server's terminal is the server's business alone; it ends its workers itself.
            start_new_session=True,
        )
        return cls(process)

    async def greeted(self) -> None:
        """Wait until the process has loaded what it needs.

        Raises:
            WorkerDied: it ended instead.
        """
        self._asked = True
        await self._answer()
        self._asked = False

    @property
    def ready(self) -> bool:
        """Whether the process lives and owes no answer."""
        return self._process.returncode is None and not self._asked

    @property
    def models(self) -> Collection[str]:
        """The digests of the models that the process was sent lately."""
        return self._models.keys()

    def remember(self, digest: str) -> None:
        """Record that the process has a model."""
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
        self._asked = True
        self._process.stdin.write(encode(message))
        with suppress(ConnectionError):  # it has ended; that there is no answer says so
            await self._process.stdin.drain()
        if dies:
            self._kill()
        answer = await self._answer()
        self._asked = False
        _raise_error(answer.body)
        return answer

    async def _answer(self) -> Message:
        assert self._process.stdout is not None  # noqa: S101 - it was started with pipes
        self._reading = True
        try:
            return await receive(self._process.stdout)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerDied("the worker process ended before it answered") from None
        finally:
            self._reading = False

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

"""Training and scoring in processes of their own, so that the server stays responsive and never loads scikit-learn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from reconciler.emulator.ml.types import (
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
from reconciler.emulator.ml.worker_messages import Message
from reconciler.emulator.ml.worker_pool import Processes, WorkerDied, WorkerFailed

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


class Workers:
    """The workers of one server. Use as an async context manager, or call `aclose`.

    Processes start when calls need them, which takes some seconds; `warm_up` starts the first one beforehand. Each
    does whatever is asked, so that where nothing runs side by side there is one alone.

    Args:
        training: how many trainings run side by side; others wait.
        scoring: likewise for scoring and describing, which no training keeps waiting for longer than a start takes.
    """

    def __init__(self, training: int = 2, scoring: int = 1) -> None:
        self._processes = Processes()
        self._training = _Calls(self._processes, training)
        self._scoring = _Calls(self._processes, scoring)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all processes; calls under way raise WorkerDied, later ones RuntimeError."""
        await self._processes.aclose()

    async def warm_up(self) -> None:
        """Start a worker if there is none, so that the first call need not wait for it."""
        await self._scoring.call({"call": "warm_up"})

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
        """Return what a trained model says about itself; arguments as in `score`.

        Raises:
            UnreadableModelError: the bytes are not a model; it is a TrainingError and a ScoringError.
            WorkerDied: the process ended.
        """
        answer = await self._scoring.call_with_model({"call": "describe", "digest": digest}, digest, ilearner)
        about = dict(answer.body)
        for name in ("columns", "outputs"):
            about[name] = [Column(**column) for column in about[name]]
        return ModelDescription(**about)

    async def dataset(self, name: str, rows: int) -> bytes:
        """Return a real data set as CSV; see `datasets.dataset_csv`.

        Raises:
            ValueError: there is no such data set, or it has fewer rows.
        """
        return (await self._training.call({"call": "dataset", "name": name, "rows": rows})).attachments[0]


class _Calls:
    """Calls of one sort, of which so many are under way at one time."""

    def __init__(self, processes: Processes, at_once: int) -> None:
        self._processes = processes
        self._slots = asyncio.Semaphore(at_once)

    async def call(self, body: Mapping[str, Any], *attachments: bytes, dies: bool = False) -> Message:
        async with self._slots, self._processes.one() as worker:
            return await worker.ask(Message(body, attachments), dies=dies)

    async def call_with_model(
        self, body: Mapping[str, Any], digest: str, ilearner: bytes, *, dies: bool = False
    ) -> Message:
        async with self._slots, self._processes.one(digest) as worker:
            # A worker may have dropped a model that it was sent once; it says so then.
            answer = await worker.ask(Message(body, () if digest in worker.models else (ilearner,)), dies=dies)
            if answer.body.get("send_model"):
                answer = await worker.ask(Message(body, (ilearner,)))
            worker.remember(digest)
            return answer

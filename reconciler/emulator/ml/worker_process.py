"""The worker process: it reads calls from its standard input and answers them on its standard output.

Started as ``python -m reconciler.emulator.ml.worker_process``, once per worker. It ends when its input ends, so that
no worker outlives a server that was killed.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO, Final

from reconciler.emulator.ml import datasets, ilearner, training
from reconciler.emulator.ml.types import ExperimentError, TrainingExperiment
from reconciler.emulator.ml.worker_messages import Message, read_message, write_message

MODELS_KEPT: Final = 16
"""How many loaded models a worker remembers; the least recently used one goes first."""


class _Models:
    """Loaded models by the digest of their files."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[str, ilearner.Model] = OrderedDict()

    def get(self, digest: str, data: bytes | None) -> ilearner.Model | None:
        """Return a model, loaded from `data` unless it is here already; None if it must be sent first."""
        model = self._loaded.get(digest)
        if model is None:
            if data is None:
                return None
            model = self._loaded[digest] = ilearner.load(data)
            if len(self._loaded) > MODELS_KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(digest)
        return model


def _answer(call: Message, models: _Models) -> Message:
    body = call.body
    match body["call"]:
        case "train":
            trained = training.train(call.attachments[0], TrainingExperiment(**body["experiment"]))
            counts = {"rows_trained": trained.rows_trained, "rows_evaluated": trained.rows_evaluated}
            return Message(counts, (trained.ilearner, trained.evaluation_csv))
        case "score" | "describe":
            return _with_model(body, call.attachments[0] if call.attachments else None, models)
        case "dataset":
            return Message({}, (datasets.dataset_csv(body["name"], body["rows"]),))
        case "warm_up":
            return Message({})
        case other:
            raise ValueError(f"no call {other!r}")


def _with_model(body: Mapping[str, Any], data: bytes | None, models: _Models) -> Message:
    model = models.get(body["digest"], data)
    if model is None:
        return Message({"send_model": True})
    if body["call"] == "describe":
        return Message(asdict(model.description))
    return Message(asdict(ilearner.score(model, body["columns"], body["rows"])))


def _serve(calls: BinaryIO, answers: BinaryIO) -> None:
    models = _Models()
    while (call := read_message(calls)) is not None:
        try:
            answer = _answer(call, models)
        except ExperimentError as error:
            answer = Message({"error": type(error).__name__, "code": error.code, "message": error.message})
        except Exception as error:  # noqa: BLE001 - one call's fault must not end the worker of all others
            answer = Message({"error": type(error).__name__, "message": str(error), "trace": traceback.format_exc()})
        write_message(answers, answer)


def main() -> None:
    """Serve until the input ends."""
    # Whatever a library prints must not end up among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with answers:
        # Everything is loaded: from here on it is fast.
        write_message(answers, Message({"ready": True}))
        _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()

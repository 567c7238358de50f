"""Running published code: by a command that the studio file names for its language, or not at all.

There is no interpreter from the start, for two reasons. What runs is whatever somebody with the workspace's token has
published, with the rights of whoever started the emulator: it is not shut in, it is only bounded in time and memory.
And what clients publish is Python 2.7, which a Python 3 runs wrongly or not at all; only the user knows whether it
does for their code.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from reconciler.emulator.config.settings import CodeSettings
from reconciler.emulator.execution.code_bundle import CodeBundle
from reconciler.emulator.ml.csv_table import parse
from reconciler.emulator.ml.types import Column, Scalar, Scored, ScoringError

_SCRIPT: Final = Path(__file__).with_name("python_script.py")
# Nothing else of the emulator's environment, in which there may be secrets.
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AT_ONCE: Final = 2
_LONGEST_LOG: Final = 2000


class CodeFailed(Exception):
    """A run of a service's code that did not come to its end.

    Attributes:
        code: ModuleExecutionError, LibraryExecutionError or MemoryQuotaViolation (classic-protocol 4.1).
        detail: The code of the details.
        target: What the details name as the place.
        message: What happened.
    """

    def __init__(self, code: str, detail: str, target: str | None, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail
        self.target = target
        self.message = message


class CodeRuns:
    """The processes that run code, one for each call.

    Args:
        settings: The commands, by language, and what they may use.
        seconds: How long a run may take.
    """

    def __init__(self, settings: CodeSettings, seconds: float) -> None:
        self._settings = settings
        self._seconds = seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self, bundle: CodeBundle, columns: Sequence[str], rows: Sequence[Sequence[Scalar]]) -> Scored:
        """Return the rows that the code gives for some rows.

        Raises:
            ScoringError: they do not fit the InputSchema.
            CodeFailed: the code failed, or there is nothing here to run it.
            TimeoutError: it took too long.
        """
        values = _typed(bundle, columns, rows)
        command = self._settings.interpreter(bundle.language)
        if command is None:
            raise _nothing_runs(bundle)
        request = {
            "source": bundle.source,
            "files": bundle.files,
            "columns": [asdict(column) for column in bundle.inputs],
            "rows": values,
            "outputs": [column.name for column in bundle.outputs],
            "memory": self._settings.memory_megabytes << 20,
            "seconds": int(self._seconds) + 1,
        }
        async with self._slots, asyncio.timeout(self._seconds):
            answer = await _answer(command, request)
        if answer.get("memory"):
            raise CodeFailed(
                "MemoryQuotaViolation",
                "OutOfMemoryLimit",
                None,
                f"The code needs more than the {self._settings.memory_megabytes} MB that it may use here.",
            )
        if "error" in answer:
            raise _script_failed(answer["error"])
        types = [column.type for column in bundle.outputs]
        return Scored([column.name for column in bundle.outputs], types, list(zip(*answer["values"], strict=True)))


def _typed(bundle: CodeBundle, columns: Sequence[str], rows: Sequence[Sequence[Scalar]]) -> list[list[Scalar]]:
    wanted = [column.name for column in bundle.inputs]
    if missing := [name for name in wanted if name not in columns]:
        raise ScoringError("InputMismatchError", f"The input lacks the column {', '.join(map(repr, missing))}.")
    if unknown := [name for name in columns if name not in wanted]:
        raise ScoringError("InputMismatchError", f"The service has no column {', '.join(map(repr, unknown))}.")
    positions = {name: position for position, name in enumerate(columns)}
    return [[_value(column, row[positions[column.name]]) for column in bundle.inputs] for row in rows]


def _value(column: Column, given: Scalar) -> Scalar:
    if column.type == "String" and isinstance(given, str):
        return given  # whatever it says: NA is a text like any other
    try:
        return parse(given, column.type)
    except ValueError:
        raise ScoringError("InputParseError", f"{given!r} in {column.name!r} is not of type {column.type}.") from None


async def _answer(command: Sequence[str], request: dict[str, Any]) -> dict[str, Any]:
    environ = {name: os.environ[name] for name in _KEPT if name in os.environ} | _ONE_THREAD
    with TemporaryDirectory(prefix="studio-code-") as directory:
        log = Path(directory) / "log"
        try:
            with log.open("wb") as errors:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    str(_SCRIPT),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    cwd=directory,
                    env={**environ, "HOME": directory},
                    # A group of its own, which can be ended with all that the code has started.
                    start_new_session=True,
                )
        except OSError as error:
            raise _script_failed(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            output, _ = await process.communicate(json.dumps(request).encode())
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError:
            said = log.read_bytes()[-_LONGEST_LOG:].decode(errors="replace").strip()
            raise _script_failed(f"The interpreter ended with {process.returncode}. {said}") from None
    return answer


def _script_failed(reason: str) -> CodeFailed:
    """Return a failure as recorded for Python: error 0085, and the interpreter's message between two lines [O]."""
    start, end = (f"---------- {word} of error message from Python interpreter ----------" for word in ("Start", "End"))
    message = (
        "Error 0085: The following error occurred during script evaluation, please view the output log for more "
        f"information:\r\n{start}\r\n{reason.rstrip()}\r\n{end}"
    )
    return CodeFailed("ModuleExecutionError", "85", "Execute Python Script RRS", message)


def _nothing_runs(bundle: CodeBundle) -> CodeFailed:
    if bundle.family == "r":
        # As an R script was seen to fail (classic-protocol 4.1).
        message = f"This Studio runs no R: {bundle.language} is published, and cannot be called here."
        return CodeFailed(
            "LibraryExecutionError", "FailedToEvaluateRScript", "Execute R Script Piped (RPackage)", message
        )
    return _script_failed(
        f"This Studio has no interpreter for {bundle.language}: name a command for it in the studio file, under "
        "codeServices.interpreters. The code then runs on this machine with the emulator's rights."
    )

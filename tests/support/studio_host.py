"""Studios for the tests of one pytest worker, all in one process beside it.

A Studio takes a fraction of a second to start, but a process of its own takes most of a second to import what it
consists of, and the process in which it trains and scores twice as long. So one process opens the Studios one after
the other, and they share those that train and score. To a client there is no difference.

Run as a program, it reads a line of JSON for each thing to do and answers each with a line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from reconciler.emulator.config.studio_file import load_studio
from reconciler.emulator.faults import load_rules
from reconciler.emulator.ml.workers import Workers
from reconciler.emulator.server import Studio, log_to_standard_error


class StudioHost:
    """The process, from the tests' side; its standard error, the log of every Studio, goes to a file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )

    def open(self, state: Path, *arguments: str) -> dict[str, str]:
        """Start a Studio; the arguments are those of ``python -m reconciler.emulator``, as is what is returned."""
        return self._ask("open", [*arguments, "--state", str(state)])

    def close(self, url: str) -> None:
        """End the Studio that answers there."""
        self._ask("close", url)

    def end(self) -> None:
        """End the process, and with it what is still open."""
        self._process.communicate(timeout=60)

    def _ask(self, what: str, of: Any) -> dict[str, str]:
        calls, answers = self._pipes
        calls.write(json.dumps({what: of}) + "\n")
        calls.flush()
        line = answers.readline()
        assert line, f"the process of the Studios ended:\n{self.log.read_text()}"
        answer: dict[str, str] = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    @property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


class _Studios:
    """The Studios that are open, in the process itself."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._open: dict[str, Studio] = {}

    async def answer(self, call: dict[str, Any]) -> dict[str, str]:
        try:
            return await self._start(call["open"]) if "open" in call else await self._close(call["close"])
        except Exception as error:  # noqa: BLE001 - it is the test's failure, not that of the tests after it
            return {"error": f"{type(error).__name__}: {error}"}

    async def close(self) -> None:
        for url in list(self._open):
            await self._close(url)

    async def _start(self, arguments: list[str]) -> dict[str, str]:
        parser = argparse.ArgumentParser(exit_on_error=False)
        for name in ("--studio", "--state", "--faults"):
            parser.add_argument(name, type=Path)
        parser.add_argument("--port", type=int, default=0)
        parser.add_argument("--profile")
        given = parser.parse_args(arguments)
        studio_file = load_studio(given.studio, given.profile)
        studio = Studio(studio_file, state=given.state, port=given.port, workers=self._workers)
        if given.faults is not None:
            rules = load_rules(given.faults)
            studio.faults.add(*rules.rules, seed=rules.seed)
        await studio.__aenter__()
        self._open[studio.url] = studio
        files = {"cloudFile": studio.cloud_file, "envFile": studio.env_file}
        return {"url": studio.url, **{name: str(path.resolve()) for name, path in files.items()}}

    async def _close(self, url: str) -> dict[str, str]:
        await self._open.pop(url).__aexit__(None, None, None)
        return {}


async def _serve() -> None:
    calls = asyncio.StreamReader()
    pipe = os.fdopen(os.dup(sys.stdin.fileno()), "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(calls), pipe)
    async with Workers() as workers:
        studios = _Studios(workers)
        while line := await calls.readline():
            sys.stdout.write(json.dumps(await studios.answer(json.loads(line))) + "\n")
            sys.stdout.flush()
        await studios.close()
    transport.close()


if __name__ == "__main__":
    log_to_standard_error()
    asyncio.run(_serve())

"""``reconcile demo``: a release, a second release and a held release on the local emulator, step by step.

The demo runs the commands that a user would type, as processes of their own, and stops at the first that does not end
as expected. A demo that reaches its end is a test of all of them.
"""

from __future__ import annotations

import csv
import difflib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.local_studio import COMMAND, running_studio

_TARGETS = "endpoints.yaml"


def demo(
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory",
            metavar="DIR",
            help="The directory to work in; its files are kept. Default: a temporary directory, removed at the end.",
        ),
    ] = None,
) -> ExitCode:
    """Show the main workflow on the local emulator.

    Trains, releases and holds model versions with real data, in about two minutes. Connects to nothing outside this
    machine.
    """
    with ExitStack() as stack:
        if directory is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reconcile-demo-")))
        else:
            home = directory.resolve()
            _create(home)
        return _Demo(home, stack).run()


def _create(home: Path) -> None:
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise UserError(f"{home} is not an empty directory. Choose another --directory")
    home.mkdir(parents=True, exist_ok=True)


def example_fleet() -> Path:
    """Return the directory of the example fleet, which is beside the package in a checkout.

    Raises:
        UserError: the package was not installed from a checkout.
    """
    place = Path(__file__).resolve().parents[3] / "specs"
    if not (place / _TARGETS).is_file():
        raise UserError("the demo needs the example specs of the repository. Clone it and run the demo from the clone")
    return place


class _Demo:
    """The steps of the demo, in its directory."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self._home = home
        self._stack = stack
        self._targets = home / "specs" / _TARGETS
        self._began = time.monotonic()

    def run(self) -> ExitCode:
        shutil.copytree(example_fleet(), self._home / "specs")
        _say(f"Working in {self._home}. Everything below stays on this machine.")
        self._start_studio()
        self._first_converge()
        self._bump()
        self._refusal()
        seconds = time.monotonic() - self._began
        _heading(f"Done in {seconds:.0f} seconds.")
        _say(
            "All four targets, of two kinds of service, were updated from one edited file. To keep the files and try "
            "more, run: reconcile demo --directory DIR. README.md describes each command."
        )
        return ExitCode.OK

    def _start_studio(self) -> None:
        _heading("1. The local emulator")
        _say(
            "Microsoft retired the service in 2024. The emulator speaks its protocol on this machine, and trains and "
            "scores real models with real data."
        )
        arguments = [
            "emulator",
            "--state",
            "studio",
            "--cloud-file",
            "cloud.json",
            "--env-file",
            "studio.env",
        ]
        _show([*arguments, "&"])
        ready = self._stack.enter_context(running_studio(arguments, self._home, self._home / "studio.log"))
        print(json.dumps(ready))

    def _first_converge(self) -> None:
        _heading("2. Plan")
        _say("The specs name a model version for each target. No version has been trained. --dry-run changes nothing:")
        self._reconcile(["--dry-run"], ExitCode.OK)
        _heading("3. Apply")
        _say(
            "One batch job trains each missing version, and its gates judge the result. Then each target is pointed "
            "at the version and verified: read back, and scored before and after."
        )
        self._reconcile(["--yes"], ExitCode.OK)
        _heading("4. Apply again: in sync")
        _say("A second run finds no changes and writes nothing.")
        self._reconcile(["--yes"], ExitCode.OK, expect="in sync")

    def _bump(self) -> None:
        _heading("5. Release a new version")
        _say("The data of November have more rows than those of October. A release is an edit of the spec, as in git:")
        self._edit('version: "2026-10"', 'version: "2026-11"', model="breast-cancer")
        _say("The plan. With --detailed-exitcode, exit code 2 means that changes are pending:")
        self._reconcile(["--dry-run", "--detailed-exitcode"], ExitCode.PENDING)
        self._reconcile(["--yes"], ExitCode.OK)

    def _refusal(self) -> None:
        _heading("6. A gate holds a bad version")
        _say("The labels of December's data are shuffled, as after a broken join. The spec asks for that version:")
        _spoil(
            self._home / "specs" / "data" / "breast-cancer-2026-11.csv",
            self._home / "specs" / "data" / "breast-cancer-2026-12.csv",
        )
        self._edit('version: "2026-11"', 'version: "2026-12"', model="breast-cancer")
        _say("The version is trained and fails its gate: exit code 4, and each target keeps its version.")
        self._reconcile(["--yes"], ExitCode.HELD)
        _say("The recorded state, with the reason:")
        self._reconcile(["status"], ExitCode.OK, cloud=False)

    def _edit(self, old: str, new: str, *, model: str) -> None:
        """Change the version of the targets that serve a model, and show the edit as a diff."""
        before = self._targets.read_text(encoding="utf-8")
        after = "\n---\n".join(
            document.replace(old, new) if f"name: {model}" in document else document
            for document in before.split("\n---\n")
        )
        self._targets.write_text(after, encoding="utf-8")
        diff = difflib.unified_diff(
            before.splitlines(),
            after.splitlines(),
            f"a/specs/{_TARGETS}",
            f"b/specs/{_TARGETS}",
            lineterm="",
            n=1,
        )
        print("\n".join(diff), "\n")

    def _reconcile(self, arguments: list[str], code: ExitCode, *, expect: str = "", cloud: bool = True) -> None:
        shown = [*arguments, "--cloud", "cloud.json"] if cloud else arguments
        _show(shown)
        done = subprocess.run(  # noqa: S603 - this very interpreter
            [*COMMAND, *shown],
            cwd=self._home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=_clean_environment(),
        )
        print(done.stdout.rstrip())
        print(f"(exit code {done.returncode})\n")
        if done.returncode != code or expect not in done.stdout:
            wanted = f"exit code {int(code)}" + (f" and {expect!r} in its output" if expect else "")
            raise UserError(f"the demo stops: `reconcile {' '.join(shown)}` should have ended with {wanted}")


def _clean_environment() -> dict[str, str]:
    """Return this environment without what could lead the demo to a real cloud, a real store or real secrets."""
    foreign = ("RECONCILER_", "CONTOSO_", "AZURE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _spoil(good: Path, bad: Path) -> None:
    """Write the same rows with their labels shuffled, as after a broken join."""
    with good.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    labels = [row["diagnosis"] for row in rows]
    random.Random(20261201).shuffle(labels)  # noqa: S311 - not a secret; the same at every demo
    with bad.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "diagnosis": label} for row, label in zip(rows, labels, strict=True))


def _heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def _say(text: str) -> None:
    print(text + "\n", flush=True)


def _show(arguments: Sequence[str]) -> None:
    print("$ reconcile " + " ".join(arguments), flush=True)

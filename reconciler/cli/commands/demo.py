"""``reconcile demo``: the whole main job on a local Studio, told step by step.

It runs the very commands that a user would type, as processes of their own, and stops at the first that does not end
as it should, so that a demo that reaches its end is a proof.
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
            help="Where to work. Default: a new temporary directory, removed at the end.",
        ),
    ] = None,
) -> ExitCode:
    """Walk through the main job on a local Studio with real data: two minutes, nothing but loopback."""
    with ExitStack() as stack:
        if directory is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reconcile-demo-")))
        else:
            home = directory.resolve()
            _take(home)
        return _Demo(home, stack).run()


def _take(home: Path) -> None:
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise UserError(f"{home} is not an empty directory: name another for --directory")
    home.mkdir(parents=True, exist_ok=True)


def example_fleet() -> Path:
    """Return the example fleet, which lies beside the package in a checkout.

    Raises:
        UserError: this is no checkout.
    """
    place = Path(__file__).resolve().parents[3] / "specs"
    if not (place / _TARGETS).is_file():
        raise UserError("the demo works on the example fleet of a checkout: clone the repository and run it there")
    return place


class _Demo:
    """The walk, in its directory."""

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
        _heading(f"That was the main job, in {seconds:.0f} seconds.")
        _say(
            "Four targets, two kinds of service, and the only thing that a person did was to edit a file. README.md "
            "says where to look next."
        )
        return ExitCode.OK

    def _start_studio(self) -> None:
        _heading("1. A local Studio")
        _say(
            "Microsoft retired the service in 2024. This Studio speaks its protocol on loopback, and trains and scores "
            "for real; real models and real data make the proofs below real."
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
        _heading("2. What would happen?")
        _say("The specs name a model version for each target. Nothing has been trained yet. --dry-run only looks:")
        self._reconcile(["--dry-run"], ExitCode.OK)
        _heading("3. Make it so")
        _say(
            "Each missing version is trained by one batch job and judged by its gates; then every target is pointed at "
            "it, read back, and scored before and after."
        )
        self._reconcile(["--yes"], ExitCode.OK)
        _heading("4. Again: in sync")
        _say("A second run finds nothing to do and sends no write.")
        self._reconcile(["--yes"], ExitCode.OK, expect="in sync")

    def _bump(self) -> None:
        _heading("5. New data has come: a new version, by a commit")
        _say(
            "November's file has more rows than October's. Asking for it is an edit of the spec, as a commit shows it:"
        )
        self._edit('version: "2026-10"', 'version: "2026-11"', model="breast-cancer")
        _say("The plan of it. With --detailed-exitcode, exit code 2 says that changes are pending:")
        self._reconcile(["--dry-run", "--detailed-exitcode"], ExitCode.PENDING)
        self._reconcile(["--yes"], ExitCode.OK)

    def _refusal(self) -> None:
        _heading("6. Bad data has come, and the gate refuses it")
        _say("In the December file somebody mixed up the labels. The spec asks for it all the same:")
        _spoil(
            self._home / "specs" / "data" / "breast-cancer-2026-11.csv",
            self._home / "specs" / "data" / "breast-cancer-2026-12.csv",
        )
        self._edit('version: "2026-11"', 'version: "2026-12"', model="breast-cancer")
        _say("The version is trained, judged, and not promoted: exit code 4, and every target serves what it served.")
        self._reconcile(["--yes"], ExitCode.HELD)
        _say("Why, and since when:")
        self._reconcile(["status"], ExitCode.OK, cloud=False)

    def _edit(self, old: str, new: str, *, model: str) -> None:
        """Change the version that targets of one model name, and show it as a commit would."""
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
            raise UserError(
                f"the demo stops: `reconcile {' '.join(shown)}` should have ended with {int(code)} {expect}".rstrip()
            )


def _clean_environment() -> dict[str, str]:
    """Return this environment without what could lead the demo to a real cloud, a real store or real secrets."""
    foreign = ("RECONCILER_", "CONTOSO_", "AZURE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _spoil(good: Path, bad: Path) -> None:
    """Write the same rows with their labels shuffled, as a broken join would do."""
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

"""``reconcile emulator``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode


def emulator(
    studio: Annotated[
        Path | None,
        typer.Option("--studio", metavar="FILE", help="A studio file. Default: the built-in one."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="Keep its state here. Default: in memory.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The loopback port; 0 picks a free one.")] = 0,
    cloud_file: Annotated[
        Path | None, typer.Option("--cloud-file", metavar="FILE", help="Where to write the file for --cloud.")
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", metavar="FILE", help="Where to write the secrets that specs refer to."),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option("--faults", metavar="FILE", help="Rules that make it fail. Default: none."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="What it does where no source is sure: documented, terse, hostile or random:SEED. "
            "Default: that of the studio file.",
        ),
    ] = None,
) -> int:
    """Run a local Studio; prints one line of JSON, with its URL and its files, when it answers."""
    try:
        from reconciler.emulator.server import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "reconciler":
            raise
        raise UserError(
            f"the emulator needs {error.name}: pip install 'reconciler[emulator]'", ExitCode.ERROR
        ) from error
    return run(studio, state, port, cloud_file, env_file, faults=faults, profile=profile)

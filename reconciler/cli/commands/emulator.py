"""``reconcile emulator``: the local emulator of the service."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from reconciler.cli.errors import UserError


def emulator(
    studio: Annotated[
        Path | None,
        typer.Option("--studio", metavar="FILE", help="The studio file to emulate. Default: a built-in one."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Keep the state in this directory. Default: in memory."),
    ] = None,
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="The port on loopback; 0 picks a free one."),
    ] = 0,
    cloud_file: Annotated[
        Path | None,
        typer.Option("--cloud-file", metavar="FILE", help="Write the cloud file, for --cloud of other commands, here."),
    ] = None,
    env_file: Annotated[
        Path | None,
        typer.Option("--env-file", metavar="FILE", help="Write the secrets that specs refer to here."),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option("--faults", metavar="FILE", help="Fault rules to start with. Default: none."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="How to behave where the behaviour of the real service is undocumented: documented, terse, hostile or "
            "random:SEED. Default: the profile in the studio file.",
        ),
    ] = None,
) -> int:
    """Run the local emulator until Ctrl-C.

    Prints one line of JSON, with its URL and files, when it is ready.
    """
    try:
        from reconciler.emulator.server import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "reconciler":
            raise
        raise _extra_missing(error.name) from error
    for package in ("sklearn", "skops"):  # Imported later, in worker processes.
        if find_spec(package) is None:
            raise _extra_missing(package)
    return run(studio, state, port, cloud_file, env_file, faults=faults, profile=profile)


def _extra_missing(package: str) -> UserError:
    text = f"the emulator needs extra packages ({package} is missing). Install them: pip install 'reconciler[emulator]'"
    return UserError(text)

"""``reconcile emulator``."""

from __future__ import annotations

from pathlib import Path

from reconciler.cli.errors import UserError
from reconciler.cli.exit_codes import ExitCode


def run_emulator(
    studio: Path | None,
    state: Path | None,
    port: int,
    cloud_file: Path | None,
    env_file: Path | None,
    faults: Path | None = None,
    *,
    profile: str | None = None,
) -> int:
    """Run the local Studio until Ctrl-C or SIGTERM."""
    try:
        from reconciler.emulator.server import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "reconciler":
            raise
        raise UserError(
            f"the emulator needs {error.name}: pip install 'reconciler[emulator]'", ExitCode.ERROR
        ) from error
    return run(studio, state, port, cloud_file, env_file, faults=faults, profile=profile)

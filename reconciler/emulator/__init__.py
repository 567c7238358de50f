"""A local, faithful Azure ML Studio (classic). It imports nothing from the rest of the package.

``Studio`` is the whole of it, for tests; ``run`` is what the command line calls.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.emulator.server import Studio

__all__ = ["Studio", "run"]


def run(
    studio: Path | None,
    state: Path | None,
    port: int,
    cloud_file: Path | None,
    env_file: Path | None,
    *,
    faults: Path | None = None,
    profile: str | None = None,
) -> int:
    """Serve an emulator until SIGINT or SIGTERM; see `reconciler.emulator.server.run`."""
    # Imported when it is called: its workers import this package too, and need none of the server.
    from reconciler.emulator import server  # noqa: PLC0415

    return server.run(studio, state, port, cloud_file, env_file, faults=faults, profile=profile)


def __getattr__(name: str) -> Any:
    if name == "Studio":
        from reconciler.emulator.server import Studio  # noqa: PLC0415 - as above

        return Studio
    raise AttributeError(name)

"""``python -m reconciler.emulator``: the emulator without reconciler's command line."""

import argparse
import sys
from pathlib import Path

from reconciler.emulator.server import run


def main() -> int:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m reconciler.emulator", description="Serve a local emulator of Azure ML Studio (classic)."
    )
    parser.add_argument("--studio", type=Path, help="studio file (YAML); the default one if left out")
    parser.add_argument("--state", type=Path, help="directory that keeps everything through a restart")
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--cloud-file", type=Path, help="where to write the cloud file")
    parser.add_argument("--env-file", type=Path, help="where to write the secrets")
    parser.add_argument("--faults", type=Path, help="a file of fault rules (YAML)")
    parser.add_argument(
        "--profile", help="documented, terse, hostile or random:SEED; that of the studio file if left out"
    )
    given = parser.parse_args()
    return run(
        given.studio,
        given.state,
        given.port,
        given.cloud_file,
        given.env_file,
        faults=given.faults,
        profile=given.profile,
    )


if __name__ == "__main__":
    sys.exit(main())

"""``python -m reconciler.cli`` is ``reconcile``."""

from __future__ import annotations

import gc
import sys

import typer

from reconciler.cli.app import app
from reconciler.cli.exit_codes import ExitCode

_COLLECT_SELDOM = (1_000_000, 20, 20)
"""Thresholds of `gc`: new objects before a collection, then collections of each generation before the next one's."""


def main() -> None:
    """Run the command line: every expected failure is a message and an exit code, never a traceback."""
    from reconciler.cli.errors import explained

    # A run keeps what it reads (documents, listings, a plan) to its end, and hardly any of it is in a cycle. Searching
    # it for cycles as often as Python does by default takes a third of a run over 10,000 endpoints.
    gc.set_threshold(*_COLLECT_SELDOM)

    # Without this a wrong command line exits 2, which a script would read as pending changes. Only one class of usage
    # errors is public; its parent is the class of all of them.
    usage_error = typer.BadParameter.__mro__[1]
    usage_error.exit_code = ExitCode.ERROR  # type: ignore[attr-defined]  # no public class
    try:
        with explained():
            app()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
    finally:
        gc.freeze()  # The end of the process frees all memory, so a last collection would only take time.


if __name__ == "__main__":
    main()

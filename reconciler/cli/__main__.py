"""``python -m reconciler.cli`` is ``reconcile``."""

from __future__ import annotations

import gc
import sys

import typer

from reconciler.cli.app import app
from reconciler.cli.exit_codes import ExitCode

_COLLECT_SELDOM = (1_000_000, 20, 20)
"""After how many more objects, and every how many collections of the younger ones, `gc` looks at each generation."""


def main() -> None:
    """Run the command line: every expected failure is a message and an exit code, never a traceback."""
    from reconciler.cli.errors import explained

    # What a run reads (documents, listings, a plan) it keeps to its end, and hardly any of it is in a cycle. To look
    # all of it through for cycles as often as Python does by itself takes a third of a run over 10,000 endpoints.
    gc.set_threshold(*_COLLECT_SELDOM)

    # A wrong command line ends with 2 otherwise, which a script would read as pending changes. Only the class of one
    # such mistake is public; its parent is the class of all of them.
    mistake = typer.BadParameter.__mro__[1]
    mistake.exit_code = ExitCode.ERROR  # type: ignore[attr-defined]  # no public class
    try:
        with explained():
            app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
    finally:
        gc.freeze()  # The end of the process frees all memory; nothing has to be looked through before.


if __name__ == "__main__":
    main()

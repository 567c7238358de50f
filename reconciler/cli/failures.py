"""What a user sees of a failure that was foreseen: what happened, where, what to do. Never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli.exit_codes import ExitCode


class UserError(Exception):
    """A command can't do what was asked. The message is all that the user sees."""

    def __init__(self, message: str, code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def explained() -> Iterator[None]:
    """Turn a foreseen failure into its message on stderr and its exit code."""
    try:
        yield
    except UserError as error:
        _fail(str(error), error.code)
    except Exception as error:
        code = _code_of(error)
        if code is None:
            raise  # Not foreseen: a bug, and its traceback is what its report needs.
        _fail(str(error), code)


def _fail(message: str, code: ExitCode) -> None:
    print(f"reconcile: {message}", file=sys.stderr)
    sys.exit(code)


def _code_of(error: Exception) -> ExitCode | None:
    # The modules that define these are loaded by now if anything could have raised them.
    foreseen = {
        "reconciler.spec.diagnostics": ("SpecError",),
        "reconciler.store.errors": ("StoreError",),
        "reconciler.azure.errors": ("StudioError",),
        "reconciler.plan.errors": ("PlanError",),
    }
    for module, names in foreseen.items():
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, tuple(getattr(loaded, name) for name in names)):
            return ExitCode.ERROR
    moved = sys.modules.get("reconciler.convergence")
    return ExitCode.REFUSED if moved is not None and isinstance(error, moved.WorldMoved) else None

"""What a user sees of a failure that was foreseen: what happened, where, what to do. Never a traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli.exit_codes import ExitCode


class UserError(Exception):
    """A command cannot do what was asked. The message is all that the user sees."""

    def __init__(self, message: str, code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.code = code


_NO_PLACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a full disk, quota or broken device says to a print; each other write has an error of its own."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn a foreseen failure into its message on stderr and its exit code."""
    _prepare_streams()
    try:
        try:
            yield
        finally:
            # At the interpreter's own end it would be too late for a message, and success be taken for granted.
            sys.stdout.flush()
    except BrokenPipeError:
        _throw_away_output()
        sys.exit(ExitCode.ERROR)
    except UserError as error:
        _fail(str(error), error.code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_PLACE:
            _throw_away_output()
            _fail(f"the output cannot be written: {error.strerror}", ExitCode.ERROR)
        code = _code_of(error)
        if code is None:
            raise  # Not foreseen: a bug, and its traceback is what its report needs.
        _fail(str(error), code)


def _prepare_streams() -> None:
    """Replace an output stream that the caller closed (``>&-``, a daemon): that is not a reason to fail.

    Nor is a terminal or a pipe whose encoding lacks a letter of a name.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, "w", encoding="utf-8", closefd=False))
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _throw_away_output() -> None:
    """Discard buffered output that could not be written: it would fail again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    moved = sys.modules.get("reconciler.reconciliation")
    return ExitCode.REFUSED if moved is not None and isinstance(error, moved.StalePlanError) else None

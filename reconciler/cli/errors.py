"""Expected failures as a user sees them: what happened, where, and what to do. Never a traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.cli.exit_codes import ExitCode


class UserError(Exception):
    """A command cannot do what was asked. The user sees the message and nothing else."""

    def __init__(self, message: str, code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.code = code


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a print to a full disk or a broken device; writes to files have messages of their own."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn an expected failure into its message on stderr and its exit code."""
    _prepare_streams()
    try:
        try:
            yield
        finally:
            # A failure to write must show here: when the interpreter ends, the exit code is fixed already.
            sys.stdout.flush()
    except BrokenPipeError:
        _throw_away_output()
        sys.exit(ExitCode.ERROR)
    except UserError as error:
        _fail(str(error), error.code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            _throw_away_output()
            _fail(f"the output cannot be written: {error.strerror}", ExitCode.ERROR)
        code = _code_of(error)
        if code is None:
            raise  # A bug: its report needs the traceback.
        _fail(str(error), code)


def _prepare_streams() -> None:
    """Replace output streams that the caller closed (``>&-``, a daemon), so that printing to them does not fail.

    A letter that the encoding of a terminal or a pipe lacks is printed as an escape.
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
    # A module that is not loaded cannot have raised its errors, and loading it here would take time.
    expected = {
        "reconciler.spec.diagnostics": ("SpecError",),
        "reconciler.store.errors": ("StoreError",),
        "reconciler.azure.errors": ("StudioError",),
        "reconciler.plan.errors": ("PlanError",),
    }
    for module, names in expected.items():
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, tuple(getattr(loaded, name) for name in names)):
            return ExitCode.ERROR
    passes = sys.modules.get("reconciler.reconciliation")
    return ExitCode.REFUSED if passes is not None and isinstance(error, passes.StalePlanError) else None

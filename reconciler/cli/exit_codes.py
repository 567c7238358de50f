"""What the exit code of every command means; scripts rely on it, so a meaning never changes."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The codes, and when each is given."""

    OK = 0
    """In sync or converged; with ``--dry-run``: the plan was made."""
    ERROR = 1
    """A bad spec, sign-in, a failure of the service."""
    PENDING = 2
    """``--dry-run --detailed-exitcode``: changes are pending."""
    REFUSED = 3
    """Refused as unsafe, such as a stale plan; the target of the refusal was not changed."""
    HELD = 4
    """A gate failed or could not be evaluated, another run holds the lock, or the plan was not approved."""
    PARTLY = 5
    """Some targets failed, the others converged."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM; jobs that were started keep running, and the next run resumes them."""

"""What can be wrong with a plan as a whole.

::

    PlanError            the message says what is wrong and what to do
    ├── SavedPlanError   a file is not a plan, has another major format, or was edited
    └── UnknownRuleError ``--force`` names a rule that there is not

What is wrong with one target or one version is no exception: it is `TargetStatus.BLOCKED` or `HELD` in the
plan, so that it never stops the others.
"""

from __future__ import annotations


class PlanError(Exception):
    """A plan cannot be made or used. Nothing was changed anywhere."""


class SavedPlanError(PlanError):
    """A saved plan cannot be used as it is."""


class UnknownRuleError(PlanError):
    """``--force`` names a rule that there is not."""

"""What can be wrong with a plan as a whole.

::

    PlanError            the message says what is wrong and what to do
    ├── SavedPlanError   a saved plan is no plan of ours, of another major format, or was edited
    └── UnknownRuleError ``--force`` names a rule that there is not

What is wrong with one target or one version is no exception: it is `TargetStatus.BLOCKED` or `HELD` in the
plan, so that it never stops the others.
"""

from __future__ import annotations


class PlanError(Exception):
    """A plan can't be made or used. Nothing was changed anywhere."""


class SavedPlanError(PlanError):
    """A saved plan can't be trusted as it stands."""


class UnknownRuleError(PlanError):
    """``--force`` names a rule that there is not."""

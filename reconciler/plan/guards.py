"""The rules that a person may override with ``--force``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from reconciler.plan.errors import UnknownRuleError

GATE = "gate"
"""Promote a version although a gate failed or is inconclusive. ``gate:<target>`` does so for one target."""


def gate_forced(forced: Collection[str], target: str) -> bool:
    """Whether the gates of this target are overridden."""
    return GATE in forced or f"{GATE}:{target}" in forced


def check_forced(forced: Iterable[str], targets: Collection[str]) -> None:
    """Refuse a rule that does not exist: a misspelt one would otherwise be forced in silence nowhere.

    Args:
        forced: The values of ``--force``.
        targets: The names of the targets that the plan is about.

    Raises:
        UnknownRuleError: naming the first such rule, what is allowed and the nearest.
    """
    for rule in sorted(forced):
        name, separator, target = rule.partition(":")
        if name != GATE:
            raise UnknownRuleError(f'"{rule}" is no rule that can be forced; there is "gate" and "gate:<target>"')
        if separator and target not in targets:
            near = get_close_matches(target, targets, n=1)
            hint = f'; did you mean "gate:{near[0]}"?' if near else ""
            raise UnknownRuleError(f'--force {rule}: no target of this plan has the name "{target}"{hint}')

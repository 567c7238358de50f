"""The rules that a person may override with ``--force``."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from reconciler.plan.errors import UnknownRuleError
from reconciler.spec.diagnostics import nearest

GATE = "gate"
"""Promote a version although a gate failed or is inconclusive. ``gate:<target>`` does so for one target."""
PRUNE = "prune"
"""``prune:<set>``: delete the set's orphans, however many there are."""


def gate_forced(forced: Collection[str], target: str) -> bool:
    """Return whether the gates of this target are overridden."""
    return GATE in forced or f"{GATE}:{target}" in forced


def prune_forced(forced: Collection[str], group: str) -> bool:
    """Return whether a set may lose all of its orphans."""
    return f"{PRUNE}:{group}" in forced


def check_forced(forced: Iterable[str], targets: Collection[str], groups: Collection[str] = ()) -> None:
    """Refuse a rule that does not exist: a misspelt one would otherwise have no effect, silently.

    Args:
        forced: The values of ``--force``.
        targets: The names of the targets that the plan is about.
        groups: The names of the sets.

    Raises:
        UnknownRuleError: naming the first such rule, what is allowed and the nearest.
    """
    for rule in sorted(forced):
        name, separator, target = rule.partition(":")
        if name not in {GATE, PRUNE} or (name == PRUNE and not separator):
            allowed = 'Allowed are "gate", "gate:<target>" and "prune:<set>"'
            raise UnknownRuleError(f"--force {rule}: not a rule that can be overridden. {allowed}")
        known, what = (targets, "target of this plan") if name == GATE else (groups, "set of these specs")
        if separator and target not in known:
            near = nearest(target, known)
            hint = f'. Did you mean "{name}:{near}"?' if near else ""
            raise UnknownRuleError(f'--force {rule}: no {what} is named "{target}"{hint}')

"""Whether the roles that we have allow what the steps of a plan do in Azure Resource Manager."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from reconciler.plan.checks import Check, CheckOutcome
from reconciler.plan.preflight.facts import Access, Finding, Grant, Need


def judge_permissions(needs: Mapping[str, tuple[Need, ...]], access: Mapping[str, Access]) -> Iterator[Finding]:
    """One finding for each scope that was asked.

    Args:
        needs: By the id of the step.
        access: By the scope.
    """
    by_scope: dict[str, dict[Need, set[str]]] = {}
    for step_id, needed in needs.items():
        for need in needed:
            by_scope.setdefault(need.scope, {}).setdefault(need, set()).add(step_id)
    for scope, wanted in sorted(by_scope.items()):
        yield _judge(scope, wanted, access.get(scope, Access(unknown="it was not asked for")))


def check_permissions(scope: str, needs: Iterable[Need], access: Access) -> Check:
    """Whether needs on one scope are met, when nothing is planned."""
    return _judge(scope, {need: set() for need in needs}, access).check


def allowed(action: str, grants: Iterable[Grant]) -> bool:
    """Whether some role allows an action: roles add up, and what one leaves out it leaves out for itself alone."""
    return any(_any(action, grant.actions) and not _any(action, grant.not_actions) for grant in grants)


def _judge(scope: str, wanted: Mapping[Need, set[str]], access: Access) -> Finding:
    actions = ", ".join(sorted({need.action for need in wanted}))
    if access.unknown:
        text = f"whether we may do {actions} can't be told: {access.unknown}"
        return Finding.of(Check(name="permissions", subject=scope, outcome=CheckOutcome.UNKNOWN, text=text))
    lacking = {need: steps for need, steps in wanted.items() if not allowed(need.action, access.grants)}
    if not lacking:
        text = f"we may do {actions}"
        return Finding.of(Check(name="permissions", subject=scope, outcome=CheckOutcome.OK, text=text))
    missing = ", ".join(sorted({need.action for need in lacking}))
    remedy = f"ask for Contributor, or a role with {missing}, on {scope}"
    check = Check(
        name="permissions",
        subject=scope,
        outcome=CheckOutcome.FAILED,
        text=f"no role of ours allows {missing}",
        remedy=remedy,
    )
    return Finding.of(check, {step for steps in lacking.values() for step in steps})


def _any(action: str, patterns: Iterable[str]) -> bool:
    return any(_compiled(pattern).fullmatch(action) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE)

"""Judges whether the signed-in identity's roles allow a plan's steps in Azure Resource Manager."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from reconciler.plan.checks.facts import Access, Finding, Grant, RequiredPermission
from reconciler.plan.checks.result import Check, CheckOutcome


def judge_permissions(
    needs: Mapping[str, tuple[RequiredPermission, ...]], access: Mapping[str, Access]
) -> Iterator[Finding]:
    """Yield one finding for each scope, or more where steps lack different actions there.

    Args:
        needs: By the id of the step.
        access: By the scope.
    """
    by_scope: dict[str, dict[RequiredPermission, set[str]]] = {}
    for step_id, needed in needs.items():
        for need in needed:
            by_scope.setdefault(need.scope, {}).setdefault(need, set()).add(step_id)
    for scope, wanted in sorted(by_scope.items()):
        yield from _judge(scope, wanted, access.get(scope, Access(unknown="it was not looked up")))


def check_permissions(scope: str, needs: Iterable[RequiredPermission], access: Access) -> Check:
    """Return whether permissions on one scope are granted, when nothing is planned."""
    (finding,) = _judge(scope, {need: set() for need in needs}, access)
    return finding.check


def allowed(action: str, grants: Iterable[Grant]) -> bool:
    """Return whether some role allows an action: roles add up, and a role's exclusions bind that role alone."""
    return any(_any(action, grant.actions) and not _any(action, grant.not_actions) for grant in grants)


def remedy_for(actions: str, scope: str) -> str:
    """Return the remedy for missing permissions, given as a message lists them."""
    return f"Ask for Contributor, or a role with {actions}, on {scope}"


def _judge(scope: str, wanted: Mapping[RequiredPermission, set[str]], access: Access) -> Iterator[Finding]:
    actions = ", ".join(sorted({need.action for need in wanted}))
    if access.unknown:
        text = f"unknown whether {actions} is allowed: {access.unknown}"
        yield Finding.of(Check(name="permissions", subject=scope, outcome=CheckOutcome.UNKNOWN, text=text))
        return
    lacking: dict[frozenset[str], set[str]] = {}
    for action, steps in _by_action(wanted).items():
        if not allowed(action, access.grants):
            lacking.setdefault(frozenset(steps), set()).add(action)
    if not lacking:
        text = f"allowed: {actions}"
        yield Finding.of(Check(name="permissions", subject=scope, outcome=CheckOutcome.OK, text=text))
    for stopped, missing in sorted(lacking.items(), key=lambda item: sorted(item[1])):
        names = ", ".join(sorted(missing))
        check = Check(
            name="permissions",
            subject=scope,
            outcome=CheckOutcome.FAILED,
            text=f"missing permission: {names}",
            remedy=remedy_for(names, scope),
        )
        yield Finding.of(check, stopped)


def _by_action(wanted: Mapping[RequiredPermission, set[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for need, steps in wanted.items():
        found.setdefault(need.action, set()).update(steps)
    return found


def _any(action: str, patterns: Iterable[str]) -> bool:
    return any(_compiled(pattern).fullmatch(action) for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.IGNORECASE)

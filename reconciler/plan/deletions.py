"""Decides on targets that are to be deleted, and on orphans: endpoints that were removed from their set.

An orphan is shown and left unchanged. It is deleted if its set says ``prune: true`` and it has the ownership marker
(design 5.7). A deletion of a large share of a set is refused unless a person forces it: the list of items was more
likely truncated by mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from reconciler.plan import steps
from reconciler.plan.document import Reason, TargetPlan, TargetStatus
from reconciler.plan.overrides import PRUNE, prune_forced
from reconciler.plan.states import DesiredTarget, Evidence, LiveTarget, Problem
from reconciler.plan.text import count

PRUNED_AT_ONCE = 0.2
"""The share of a set's endpoints that may be deleted in one pass; one endpoint always may, unless no item is left."""


def too_many_orphans(
    targets: Iterable[DesiredTarget], live: Mapping[str, LiveTarget], forced: Collection[str]
) -> dict[str, Problem]:
    """Return the sets that would lose too many endpoints at once, each with its problem."""
    leaving: Counter[str] = Counter()
    staying: Counter[str] = Counter()
    for target in targets:
        found = live.get(target.identity)
        if target.group and found is not None and found.exists:
            (leaving if target.orphan and target.prune else staying)[target.group] += 1
    return {
        group: _too_many(group, number, staying[group])
        for group, number in leaving.items()
        if number > _limit(number, staying[group]) and not prune_forced(forced, group)
    }


def _limit(leaving: int, staying: int) -> int:
    return max(1, int((leaving + staying) * PRUNED_AT_ONCE)) if staying else 0


def _too_many(group: str, leaving: int, staying: int) -> Problem:
    return Problem(
        "prune-limit",
        f"This would delete {leaving:,} of {count(leaving + staying, 'endpoint')} of set {group}. "
        f"The limit is {_limit(leaving, staying):,} ({PRUNED_AT_ONCE:.0%}, and none when no item is left)",
        f"If items were truncated by mistake, restore them. To delete the endpoints anyway: --force {PRUNE}:{group}",
        unsafe=True,
    )


def decide_absent(target: DesiredTarget, live: LiveTarget) -> TargetPlan:
    """Decide on a target that should be absent: nothing to do, or deleted because it has the ownership marker."""
    if not live.exists:
        return TargetPlan.of(target, live, TargetStatus.IN_SYNC, evidence=Evidence.LOCATION)
    reason = Reason(code="unwanted", text="The spec says state: absent, and the target has the ownership marker")
    return _deleted(target, live, reason)


def decide_orphan(target: DesiredTarget, live: LiveTarget, too_many: Problem | None) -> TargetPlan:
    """Decide on an orphan: left unchanged, deleted, or its deletion refused."""
    reason = Reason(code="orphaned", text=f"Removed from set {target.group}")
    problem = unowned(target, live) or too_many
    if target.prune and problem is None:
        return _deleted(target, live, reason)
    left = TargetPlan.of(
        target,
        live,
        TargetStatus.ORPHANED,
        shown=live.marked,
        evidence=Evidence.MARKER if live.marked else Evidence.LEDGER,
        reasons=(reason,),
        remedy="Delete it by hand, or set prune: true in the set",
    )
    return left.stopped((problem,)) if target.prune and problem is not None else left


def unowned(target: DesiredTarget, live: LiveTarget) -> Problem | None:
    """Return why a target is not deleted: it has no ownership marker (design 5.7). None if it has."""
    if not live.exists or live.markers or live.managed:
        return None
    if target.orphan:
        return Problem(
            "not-ours",
            "Refusing to delete: the ownership marker was removed from this endpoint of the set",
            f"Delete it by hand, or remove prune from set {target.group}",
            unsafe=True,
        )
    return Problem(
        "not-ours",
        "Refusing to delete: no ownership marker, so reconciler may not have created or managed the target",
        "Delete it by hand, or remove state: absent from the spec",
        unsafe=True,
    )


def _deleted(target: DesiredTarget, live: LiveTarget, reason: Reason) -> TargetPlan:
    required = steps.RequiredChanges(target=target, evidence=Evidence.MARKER, delete=True, move_reasons=(reason,))
    return TargetPlan.of(
        target,
        live,
        TargetStatus.CHANGE,
        shown=live.marked,
        evidence=Evidence.MARKER,
        reasons=(reason,),
        steps=steps.target_steps(required),
    )

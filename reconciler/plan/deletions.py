"""What becomes of endpoints that a set made and has no item for any more.

An orphan is shown and left alone. It is deleted if its set says ``prune: true`` and it carries our note (design 5.7).
So many at once that the items were more likely cut short than taken out are refused, until a person forces it.
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
    """The sets that would lose too many endpoints at once, each with what to say of it."""
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
        f"{leaving:,} of the {count(leaving + staying, 'endpoint')} of set {group} would be deleted at once; "
        f"at most {_limit(leaving, staying):,} are ({PRUNED_AT_ONCE:.0%}, and none when no item is left)",
        f"see whether its items were cut short by mistake; if all these are meant to go: --force {PRUNE}:{group}",
        unsafe=True,
    )


def decide_absent(target: DesiredTarget, live: LiveTarget) -> TargetPlan:
    """Decide on a target that is to be absent and, if it is not, carries our marker."""
    if not live.exists:
        return TargetPlan.of(target, live, TargetStatus.IN_SYNC, evidence=Evidence.LOCATION)
    reason = Reason(code="unwanted", text="the spec wants it to be absent, and it carries our note")
    return _deleted(target, live, reason)


def decide_orphan(target: DesiredTarget, live: LiveTarget, too_many: Problem | None) -> TargetPlan:
    """Decide on an orphan: it is left, deleted, or refused to be deleted."""
    told = Reason(code="orphaned", text=f"set {target.group} has no item for it any more")
    problem = unowned(target, live) or too_many
    if target.prune and problem is None:
        return _deleted(target, live, told)
    left = TargetPlan.of(
        target,
        live,
        TargetStatus.ORPHANED,
        shown=live.marked,
        evidence=Evidence.MARKER if live.marked else Evidence.LEDGER,
        reasons=(told,),
        remedy="delete it by hand, or with prune: true in its set",
    )
    return left.stopped((problem,)) if target.prune and problem is not None else left


def unowned(target: DesiredTarget, live: LiveTarget) -> Problem | None:
    """Why a target is not deleted: nothing is that does not carry our marker (design 5.7)."""
    if not live.exists or live.markers or live.managed:
        return None
    if target.orphan:
        return Problem(
            "not-ours",
            "it is remembered as one of the set's, but does not carry our note any more, so it is not deleted",
            f"delete it by hand if it is meant, or take prune out of set {target.group}",
            unsafe=True,
        )
    return Problem(
        "not-ours",
        "it is to be deleted, but does not carry our note, which all have that we pointed to a model: it may be"
        " somebody else's",
        "delete it by hand if it is meant, or take state: absent out of the spec",
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

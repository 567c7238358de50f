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


def decide_orphan(target: DesiredTarget, live: LiveTarget, too_many: Problem | None) -> TargetPlan:
    """Decide on an orphan: it is left, deleted, or refused to be deleted."""
    told = Reason(code="orphaned", text=f"set {target.group} has no item for it any more")
    served = ", ".join(str(marker.version) for marker in live.markers) or None
    planned = TargetPlan(
        name=target.name,
        kind=target.kind,
        identity=target.identity,
        status=TargetStatus.ORPHANED,
        desired="not managed any more",
        live=served,
        evidence=Evidence.MARKER if served else Evidence.LEDGER,
        observed_fingerprint=live.fingerprint,
        reasons=(told,),
        group=target.group,
    )
    if not target.prune:
        return planned.model_copy(update={"remedy": "delete it by hand, or with prune: true in its set"})
    problem = too_many if live.markers or live.ours else _not_ours(target)
    if problem is not None:
        stopped = Reason(code=problem.code, text=problem.message)
        update = {"status": TargetStatus.REFUSED, "desired": "absent", "reasons": (told, stopped)}
        return planned.model_copy(update={**update, "remedy": problem.remedy})
    required = steps.RequiredChanges(target=target, evidence=Evidence.MARKER, delete=True, move_reasons=(told,))
    update = {"status": TargetStatus.CHANGE, "desired": "absent", "steps": steps.target_steps(required)}
    return planned.model_copy(update=update)


def _not_ours(target: DesiredTarget) -> Problem:
    return Problem(
        "not-ours",
        "it is remembered as one of the set's, but does not carry our note any more, so it is not deleted",
        f"delete it by hand if it is meant, or take prune out of set {target.group}",
        unsafe=True,
    )

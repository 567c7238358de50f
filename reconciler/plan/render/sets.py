"""Shows each set in one line, unless a person unfolds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from reconciler.plan.document import Action, Plan, Step, TargetPlan, TargetStatus, VersionPlan
from reconciler.plan.render.grouping import MessageGroup, grouped
from reconciler.plan.render.phrases import action_names
from reconciler.plan.text import count, duration, printable
from reconciler.spec.diagnostics import join_names

_STATUS_WORDS = {
    TargetStatus.IN_SYNC: "in sync",
    TargetStatus.HELD: "held",
    TargetStatus.REFUSED: "refused",
    TargetStatus.BLOCKED: "blocked",
    TargetStatus.ORPHANED: "orphaned",
}
_VERBS = {
    "train": "retrain",
    Action.CREATE: "create",
    Action.REFRESH: "refresh",
    Action.REPOINT: "repoint",
    Action.SETTINGS: "write settings",
    Action.DELETE: "delete",
}
_FIRST_NAMES = 5


@dataclass(frozen=True, slots=True)
class FoldedSet:
    """A set as one line: its targets, and the versions that only they wait for."""

    name: str
    targets: tuple[TargetPlan, ...]
    training: tuple[VersionPlan, ...]

    @property
    def worst(self) -> TargetStatus:
        """The status that a person looks at first."""
        return next(iter(self.targets)).status

    @property
    def line(self) -> str:
        """Its counts: ``1,000 endpoints: 990 in sync, 10 to retrain and repoint``."""
        counted = Counter(map(_state_of, self.targets))
        parts = sorted(counted.items(), key=lambda part: (part[0] != "in sync", -part[1], part[0]))
        return f"{count(len(self.targets), 'endpoint')}: " + ", ".join(f"{number:,} {words}" for words, number in parts)

    @property
    def jobs(self) -> str:
        """What its retrains cost; empty if there are none."""
        steps: list[Step] = [step for version in self.training for step in version.steps]
        if not steps:
            return ""
        known = [step.estimate_seconds for step in steps if step.estimate_seconds is not None]
        timed = f"; median of earlier jobs: at most {duration(max(known))}" if known else ""
        services = sorted({version.training for version in self.training if version.training})
        where = f" at {join_names(services, limit=3)}" if services else ""
        return f"{count(len(steps), 'batch job')}{where}{timed}"

    @property
    def messages(self) -> Iterator[tuple[str, str]]:
        """What people have to know about targets that need attention: (status, sentence).

        Targets to delete are named too: a count does not show whether they are the right ones.
        """
        for status in (
            TargetStatus.BLOCKED,
            TargetStatus.REFUSED,
            TargetStatus.HELD,
            TargetStatus.DRIFT,
            TargetStatus.ORPHANED,
        ):
            those = [target for target in self.targets if target.status is status]
            for alike in grouped((target, _why(target)) for target in those):
                yield str(status), with_names(alike)
        leaving = [target for target in self.targets if any(step.action is Action.DELETE for step in target.steps)]
        for alike in grouped((target, _why(target)) for target in leaving):
            yield str(Action.DELETE), with_names(alike)


def with_names(alike: MessageGroup) -> str:
    """Return a sentence with the number of its targets and the first of their names."""
    names = join_names([printable(name) for name in alike.names], limit=_FIRST_NAMES)
    return (
        f"{names}: {printable(alike.text)}"
        if len(alike.names) == 1
        else f"{len(alike.names):,} ({names}): {printable(alike.text)}"
    )


def fold(plan: Plan, unfolded: Collection[str]) -> tuple[Plan, tuple[FoldedSet, ...]]:
    """Return the plan without the folded targets, and the folded sets."""
    members: dict[str, list[TargetPlan]] = {}
    alone: list[TargetPlan] = []
    for target in plan.targets:
        if target.group and target.group not in unfolded:
            members.setdefault(target.group, []).append(target)
        else:
            alone.append(target)
    if not members:
        return plan, ()
    elsewhere = set(_wanted(alone))
    kept = tuple(version for version in plan.versions if version.name in elsewhere)
    trained = {version.name: version for version in plan.versions if version.steps}
    folded: list[FoldedSet] = []
    for name, targets in sorted(members.items()):
        wanted = set(_wanted(targets)) - elsewhere
        training = tuple(trained[wish] for wish in sorted(wanted) if wish in trained)
        folded.append(FoldedSet(name, tuple(targets), training))
    return plan.model_copy(update={"targets": tuple(alone), "versions": kept}), tuple(folded)


def _wanted(targets: Collection[TargetPlan]) -> Iterator[str]:
    return (model.desired for target in targets for model in target.models)


def _state_of(target: TargetPlan) -> str:
    if target.status is TargetStatus.IN_SYNC and target.steps:
        return "in sync and to adopt"
    if target.status in _STATUS_WORDS:
        return _STATUS_WORDS[target.status]
    verbs = [_VERBS[action] for action in action_names(target) if action in _VERBS]
    required = "to " + (" and ".join(filter(None, (", ".join(verbs[:-1]), verbs[-1]))) if verbs else "verify")
    return f"drifted, {required}" if target.status is TargetStatus.DRIFT else required


def _why(target: TargetPlan) -> str:
    text = "; ".join(reason.text for reason in target.reasons)
    return f"{text} ({target.remedy})" if target.remedy else text

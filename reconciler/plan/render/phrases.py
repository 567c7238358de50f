"""The phrases that every rendering shares."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from reconciler.plan.checks.result import Check, CheckOutcome, Estimate, Preflight
from reconciler.plan.document import Action, Plan, Reason, Step, TargetPlan, TargetStatus
from reconciler.plan.states import Evidence
from reconciler.plan.text import count, duration, printable

EVIDENCE = {
    Evidence.LOCATION: "reported by the service",
    Evidence.PROBE: "according to its answers to the probe",
    Evidence.MARKER: "according to the ownership marker",
    Evidence.LEDGER: "only the state store says so",
    Evidence.UNKNOWN: "the service does not report it",
}

MANY_IN_SYNC = 20
"""In-sync targets beyond this number are counted, not listed: they are what one does not look for."""

_IN_SUMMARY = (
    (Action.TRAIN, "to retrain"),
    (Action.CREATE, "to create"),
    (Action.DELETE, "to delete"),
    (Action.REFRESH, "to refresh"),
    (Action.REPOINT, "to repoint"),
    (Action.SETTINGS, "with new settings"),
    (Action.ADOPT, "to adopt"),
)

_COUNTED = {
    TargetStatus.CHANGE: "to change",
    TargetStatus.DRIFT: "drifted",
    TargetStatus.HELD: "held",
    TargetStatus.REFUSED: "refused",
    TargetStatus.BLOCKED: "blocked",
    TargetStatus.IN_SYNC: "in sync",
    TargetStatus.ORPHANED: "orphaned",
}


def kind_in_words(kind: str) -> str:
    """Return a kind of document in words: ``OnlineEndpoint`` is an Online endpoint."""
    first, *rest = re.findall(r"[A-Z][^A-Z]*|^[^A-Z]+", kind) or [kind]
    return " ".join([first, *(word.lower() for word in rest)])


def summary(plan: Plan) -> str:
    """Return the plan's result in one sentence, without its digest.

    It begins with *in sync* when nothing is left to do and nothing stands in the way.
    """
    in_sync = f"{len(plan.in_sync):,} in sync"
    stopped = [
        f"{len(group):,} {word}"
        for group, word in ((plan.held, "held"), (plan.refused, "refused"), (plan.blocked, "blocked"))
        if group
    ]
    left = f", {len(plan.orphaned):,} orphaned" if plan.orphaned else ""
    if plan.pending:
        actions = Counter(step.action for step in plan.steps)
        required = [f"{actions[action]:,} {words}" for action, words in _IN_SUMMARY if actions[action]]
        return ", ".join((*required, *stopped, in_sync) if plan.in_sync else (*required, *stopped)) + left
    if stopped and plan.adopted:
        return f"{len(plan.adopted):,} to adopt, {', '.join((*stopped, in_sync))}{left}"
    if stopped:
        return f"nothing to apply: {', '.join((*stopped, in_sync))}{left}"
    scope = "selected target" if plan.partial else "target"
    if not plan.in_sync:
        return f"in sync: no {scope}s{left}"
    marked = f", {len(plan.adopted):,} to adopt" if plan.adopted else ""
    verb = "matches" if len(plan.in_sync) == 1 else "match"
    return f"in sync: {count(len(plan.in_sync), scope)} {verb} the specs{marked}{left}"


def header_counts(plan: Plan) -> str:
    """Return how many targets there are, by status."""
    counted = Counter(target.status for target in plan.targets)
    parts = ", ".join(f"{counted[status]:,} {words}" for status, words in _COUNTED.items() if counted[status])
    return f"{count(len(plan.targets), 'target')}: {parts}" if parts else "no targets"


def wanted_by(plan: Plan) -> Mapping[str, list[str]]:
    """Return the names of the targets that wait for each train step, by its id."""
    found: dict[str, list[str]] = {}
    for target in plan.targets:
        for step in target.steps[:1]:
            for after in step.after:
                found.setdefault(after, []).append(printable(target.name))
    return found


def cost_of_training(step: Step) -> str:
    """Return how long a retrain takes, as far as known."""
    if step.estimate_seconds is None:
        return "no earlier job to estimate from"
    return f"median of earlier jobs: {duration(step.estimate_seconds)}"


def action_names(target: TargetPlan) -> Iterator[str]:
    """Yield the names of all actions that converge a target, in their order."""
    for index, step in enumerate(target.steps):
        if index == 0 and step.after:
            yield "train"
        yield str(step.action)


def rules_to_judge(target: TargetPlan) -> tuple[str, ...]:
    """Return the gates that are judged once the version has been trained."""
    return tuple(reason.text for step in target.steps if step.action is Action.GATE for reason in step.reasons)


def shown_reasons(target: TargetPlan) -> tuple[Reason, ...]:
    """Return the reasons that nothing else in a rendering says: gates and settings are shown with their values."""
    shown_elsewhere = {"settings", "definition", "gate-fail", "gate-inconclusive"}
    return tuple(reason for reason in target.reasons if reason.code not in shown_elsewhere)


def definition_reasons(step: Step) -> tuple[Reason, ...]:
    """How a definition differs from its file, in words."""
    return tuple(reason for reason in step.reasons if reason.code == "definition")


def basis(target: TargetPlan) -> str:
    """Return the evidence for what is live on a target; empty if nothing is said about it."""
    if target.status in {TargetStatus.BLOCKED, TargetStatus.REFUSED} or _absent(target):
        return ""
    return f"{target.evidence}: {EVIDENCE[target.evidence]}"


def evidence_counts(targets: Sequence[TargetPlan]) -> Iterator[str]:
    """Yield how many of the targets rest on each kind of evidence, strongest first."""
    counted = Counter(target.evidence for target in targets)
    for kind, words in EVIDENCE.items():
        if counted[kind]:
            yield f"{counted[kind]:,} by {kind}: {words}"


def live_words(target: TargetPlan) -> str:
    """Return what is live: a version, or unmanaged, unknown or absent; the reasons name an unmanaged uri."""
    if target.live is not None:
        return "(unmanaged artifact)" if "://" in target.live else printable(target.live)
    return "absent" if _absent(target) else "unknown"


def _absent(target: TargetPlan) -> bool:
    return any(reason.code == "absent" for reason in target.reasons)


_TOLD = frozenset({CheckOutcome.WARNING, CheckOutcome.UNKNOWN})


def shown_checks(preflight: Preflight) -> tuple[Check, ...]:
    """Return the checks that are shown beneath the plan; a failed one is shown with the targets that it stops."""
    return tuple(check for check in preflight.checks if check.outcome in _TOLD)


def estimate_words(estimate: Estimate) -> str:
    """Return what the retrains take, in one sentence without its basis."""
    retrains = count(estimate.retrains, "retrain")
    pace = f"{estimate.at_once} at a time" + (f", in {estimate.waves:,} waves" if estimate.waves > 1 else "")
    if estimate.seconds is None:
        return f"{retrains}, {pace}; no earlier job to estimate from"
    whole = estimate.timed == estimate.retrains
    least = "about" if whole else "at least"
    time = f"{least} {duration(estimate.seconds)}"
    money = "" if estimate.dollars is None else f" and {dollars(estimate.dollars, least)}"
    part = "" if whole else f" for the {estimate.timed:,} with earlier jobs"
    return f"{retrains}, {pace}: {time}{money}{part}"


def dollars(amount: float, least: str = "about") -> str:
    """Return an amount of money: ``about $1.20``, ``less than $0.01``."""
    return "less than $0.01" if amount < 0.01 else f"{least} ${amount:,.2f}"

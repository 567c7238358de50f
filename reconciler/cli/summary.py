"""The summary of a run in lines: one for each single target, and for a set one for each thing that happened to many."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.apply.report import Outcome, Report, Result, Verdict
from reconciler.plan.document import Plan, TargetPlan
from reconciler.plan.render.grouping import grouped
from reconciler.plan.text import count, printable
from reconciler.spec.diagnostics import join_names

_FIRST_NAMES = 5
_ONE_BY_ONE = 20
_FAILED_FIRST = (Result.FAILED, Result.REFUSED, Result.HELD, Result.ORPHANED, Result.CONVERGED, Result.ADOPTED)
_VERDICTS = {
    Verdict.CONVERGED: "Done",
    Verdict.HELD: "Held",
    Verdict.REFUSED: "Refused",
    Verdict.PARTLY: "Partly converged",
    Verdict.FAILED: "Failed",
}


def summary(plan: Plan, report: Report) -> str:
    """Return one line for each thing that happened; the last is the verdict with its counts."""
    targets = {(target.name, target.kind): target for target in plan.targets}
    lines: list[str] = []
    of_sets: dict[str, list[tuple[TargetPlan, Outcome]]] = {}
    adopted: list[Outcome] = []
    for outcome in report.outcomes:
        target = targets.get((outcome.name, outcome.kind))
        if target is not None and target.group:
            of_sets.setdefault(target.group, []).append((target, outcome))
        elif outcome.result is Result.ADOPTED:
            adopted.append(outcome)
        elif outcome.result is not Result.IN_SYNC:
            lines.append(_line(outcome))
    lines.extend(_adopted(adopted))
    for name, ended in sorted(of_sets.items()):
        lines.extend(_of_set(name, ended))
    return "\n".join([*lines, _verdict(report)])


def _verdict(report: Report) -> str:
    if report.verdict is Verdict.IN_SYNC and not report.count(Result.ORPHANED):
        number = len(report.outcomes)
        return f"No changes: {count(number, 'target')} {'is' if number == 1 else 'are'} in sync"
    counts = [f"{report.count(result):,} {in_words(result)}" for result in Result if report.count(result)]
    return f"{_VERDICTS.get(report.verdict, 'No changes')}: {', '.join(counts)}"


def in_words(result: Result) -> str:
    """Return a result as people read it."""
    return result.value.replace("-", " ")


def _line(outcome: Outcome) -> str:
    return f"{outcome.name}: {outcome.result.value}: {printable(outcome.text)}"


def _adopted(outcomes: list[Outcome]) -> Iterator[str]:
    """Yield a line for each; after the adoption of a whole fleet one for all."""
    if len(outcomes) <= _ONE_BY_ONE:
        yield from map(_line, outcomes)
    else:
        names = join_names([outcome.name for outcome in outcomes], limit=_FIRST_NAMES)
        yield f"{len(outcomes):,} {Result.ADOPTED.value}: the ownership marker was added ({names})"


def _of_set(name: str, ended: list[tuple[TargetPlan, Outcome]]) -> Iterator[str]:
    """Yield the lines of a set: failures first, and one line for the same reason of many items."""
    for result in _FAILED_FIRST:
        texts = [(target, printable(outcome.text)) for target, outcome in ended if outcome.result is result]
        for alike in grouped(texts):
            number = len(alike.names)
            if number == 1:
                yield f"{alike.names[0]}: {result.value}: {alike.text}"
            else:
                yield f"{name}: {number:,} {result.value}: {alike.text} ({join_names(alike.names, limit=_FIRST_NAMES)})"

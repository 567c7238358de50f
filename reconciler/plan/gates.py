"""Whether a version is good enough to be promoted: its metrics against the rules of its model.

A rule passes, fails, or is inconclusive when a number that it needs is missing or is not a number;
inconclusive holds a target as a failure does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.plan.document import GateOutcome, GateResult
from reconciler.plan.states import Ledger, VersionKey
from reconciler.plan.text import number
from reconciler.spec.documents import Gate

# Of Evaluate Model's metrics these say how wrong a model is, so that more is worse. Others that end in the
# same words are taken likewise, whatever an experiment calls its own.
_LOWER_IS_BETTER = frozenset(
    {
        "mean absolute error",
        "root mean squared error",
        "relative absolute error",
        "relative squared error",
        "average log loss",
        "negative log likelihood",
        "mae",
        "rmse",
    }
)
_ERROR_ENDINGS = ("error", "loss", "error rate")
# Its name misleads: Studio reports the advantage over a random guess, in percent.
_HIGHER_IN_SPITE_OF_ITS_NAME = frozenset({"training log loss"})


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The version that is live on a target, with its recorded metrics."""

    version: VersionKey
    metrics: Mapping[str, float] = field(default_factory=dict)


def find_incumbent(version: VersionKey | None, ledger: Ledger) -> Incumbent | None:
    """Return the incumbent that a plan names with its recorded metrics; None for None."""
    if version is None:
        return None
    known = ledger.versions.get(version)
    return Incumbent(version, known.metrics if known is not None else {})


def lower_is_better(metric: str) -> bool:
    """Return whether a rise of this metric means a worse model."""
    name = metric.strip().casefold()
    if name in _HIGHER_IN_SPITE_OF_ITS_NAME:
        return False
    return name in _LOWER_IS_BETTER or name.endswith(_ERROR_ENDINGS)


def rule_text(gate: Gate) -> str:
    """Return a gate's rule for people: ``AUC >= 0.95``."""
    if gate.min is not None:
        return f"{gate.metric} >= {number(gate.min)}"
    if gate.max is not None:
        return f"{gate.metric} <= {number(gate.max)}"
    moves = "may rise" if lower_is_better(gate.metric) else "may drop"
    return f"{gate.metric} {moves} by at most {number(gate.max_drop or 0.0)}"


def judge_gates(
    gates: Sequence[Gate],
    metrics: Mapping[str, float],
    incumbent: Incumbent | None,
    candidate: VersionKey | None = None,
) -> tuple[GateResult, ...]:
    """Judge a version, one result for each rule, in their order.

    Args:
        gates: The model's rules.
        metrics: The candidate's, by the names of the evaluation.
        incumbent: The live version that ``maxDrop`` compares with; None if none of this model is known to be live,
            in which case the rule passes.
        candidate: The version judged. ``maxDrop`` passes if it is the incumbent itself.
    """
    return tuple(_judge(gate, metrics, incumbent, candidate) for gate in gates)


def overall(results: Iterable[GateResult]) -> GateOutcome:
    """Return the verdict on all rules: a failure wins over an inconclusive rule, and that over a pass."""
    outcomes = {result.outcome for result in results}
    for outcome in (GateOutcome.FAIL, GateOutcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return GateOutcome.PASS


def _judge(
    gate: Gate, metrics: Mapping[str, float], incumbent: Incumbent | None, candidate: VersionKey | None
) -> GateResult:
    value, missing = _metric(gate.metric, metrics)
    if gate.max_drop is not None:
        return _judge_drop(gate, value, missing, incumbent, candidate)
    if value is None:
        return _result(gate, GateOutcome.INCONCLUSIVE, missing)
    if gate.min is not None:
        outcome = GateOutcome.PASS if value >= gate.min else GateOutcome.FAIL
        comparison = "is at least" if outcome is GateOutcome.PASS else "is below"
        return _result(gate, outcome, f"{number(value)} {comparison} {number(gate.min)}", value)
    limit = gate.max if gate.max is not None else math.inf
    outcome = GateOutcome.PASS if value <= limit else GateOutcome.FAIL
    comparison = "is at most" if outcome is GateOutcome.PASS else "is above"
    return _result(gate, outcome, f"{number(value)} {comparison} {number(limit)}", value)


def _judge_drop(
    gate: Gate, value: float | None, missing: str, incumbent: Incumbent | None, candidate: VersionKey | None
) -> GateResult:
    if incumbent is None:
        text = "skipped: no live version to compare with"
        return _result(gate, GateOutcome.PASS, text, value)
    before, before_missing = _metric(gate.metric, incumbent.metrics)
    if incumbent.version == candidate:
        return _result(gate, GateOutcome.PASS, f"{candidate} is the live version", value, before)
    if value is None:
        return _result(gate, GateOutcome.INCONCLUSIVE, missing, value, before)
    if before is None:
        text = f"live version {incumbent.version}: {before_missing}"
        return _result(gate, GateOutcome.INCONCLUSIVE, text, value)
    limit = gate.max_drop or 0.0
    rises = lower_is_better(gate.metric)
    worse = value - before if rises else before - value
    # Metrics are printed decimals: 0.95 to 0.94 is a drop of 0.01, whatever binary fractions make of it.
    within = worse <= limit or math.isclose(worse, limit, rel_tol=1e-9, abs_tol=1e-12)
    moved = "no worse" if worse <= 0 else f"{'up' if rises else 'down'} by {number(worse)}"
    text = f"{number(before)} ({incumbent.version}) to {number(value)}: {moved}"
    if not within:
        text += f", more than {number(limit)}"
    return _result(gate, GateOutcome.PASS if within else GateOutcome.FAIL, text, value, before)


def _metric(name: str, metrics: Mapping[str, float]) -> tuple[float | None, str]:
    """Return a metric by its exact name, else by the only one that differs in case, or None and why there is none."""
    found = [name] if name in metrics else [other for other in metrics if other.casefold() == name.casefold()]
    if len(found) > 1:
        return None, f"{name} is ambiguous: the evaluation has {', '.join(sorted(found))}"
    if not found:
        known = f"the evaluation has {', '.join(sorted(metrics))}" if metrics else "the version has no evaluation"
        return None, f"{name} is missing; {known}"
    value = float(metrics[found[0]])
    if not math.isfinite(value):
        return None, f"{name} is {value}, which is not a finite number"
    return value, ""


def _result(
    gate: Gate, outcome: GateOutcome, text: str, value: float | None = None, incumbent: float | None = None
) -> GateResult:
    return GateResult(
        metric=gate.metric, rule=rule_text(gate), outcome=outcome, value=value, incumbent=incumbent, text=text
    )

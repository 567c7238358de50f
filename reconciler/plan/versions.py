"""Decides on a wanted version: it can be used, has to be trained, or can't be had."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from reconciler.plan import steps
from reconciler.plan.document import Reason, VersionPlan
from reconciler.plan.states import DesiredVersion, KnownVersion, Ledger, Problem, VersionState
from reconciler.plan.text import short_fingerprint

Estimate = Callable[[str], float | None]
"""How long a retrain of the model of this name takes, in seconds; None if none was ever finished."""


def plan_version(version: DesiredVersion, problem: Problem | None) -> VersionPlan:
    """Where a version stands. It comes without its train step: whether one is needed, the targets decide."""
    notes: tuple[Reason, ...] = ()
    if version.recorded and version.problem is not None and problem is None:
        text = f"its recipe can't be compared with the one on record: {version.problem.message}"
        notes = (Reason(code="recipe-unverified", text=text),)
    location = version.expected_location
    return VersionPlan(
        model=version.key.model,
        label=version.key.label,
        fingerprint=version.expected_fingerprint,
        location=None if location is None else location.uri,
        usable=problem is None and version.usable,
        training=version.training,
        inputs=dict(sorted(version.inputs.items())),
        attempt=_attempt(version.record),
        problem=None if problem is None else Reason.of(problem),
        remedy="" if problem is None else problem.remedy,
        reasons=notes,
    )


def with_training(plan: VersionPlan, version: DesiredVersion, estimate: Estimate) -> VersionPlan:
    """The same plan with the step that trains the version."""
    step = steps.train(version.key, _training_reason(version.record), estimate(version.key.model))
    return plan.model_copy(update={"steps": (step,)})


def estimates(ledger: Ledger) -> Estimate:
    """Looks up the median of the finished trainings of each model."""
    taken: dict[str, list[float]] = {}
    for known in ledger.versions.values():
        if known.trained_in is not None:
            taken.setdefault(known.key.model, []).append(known.trained_in.total_seconds())
    return {model: median(seconds) for model, seconds in taken.items()}.get


def version_problem(version: DesiredVersion) -> Problem | None:
    """What stands in the way of a version; None if nothing does."""
    known = version.record
    if known is not None and known.state is not VersionState.FAILED and _recipe_changed(version, known):
        state = "made" if version.recorded else "in training"
        return Problem(
            "recipe-changed",
            f"the recipe changed under the same label: {version.key} was {state} from recipe"
            f" {short_fingerprint(known.fingerprint)}, the spec now describes {short_fingerprint(version.fingerprint)}",
            "give the changed recipe a new label, or take the change back: a version never changes",
        )
    # A version that is usable already does not mind a recipe that cannot be read.
    if version.recorded and version.expected_location and (version.fingerprint is None or version.problem is None):
        return None
    if version.problem is not None:
        return version.problem
    if version.fingerprint is None:
        return Problem("no-recipe", f"the recipe of {version.key} can't be identified")
    if version.location is None and version.usable:
        return Problem("no-location", f"it is not known where the artifact of {version.key} lies")
    return None


def _recipe_changed(version: DesiredVersion, known: KnownVersion) -> bool:
    return version.fingerprint is not None and version.fingerprint != known.fingerprint


def _attempt(known: KnownVersion | None) -> int:
    if known is None:
        return 1
    return known.attempt + 1 if known.state is VersionState.FAILED else known.attempt


def _training_reason(known: KnownVersion | None) -> Reason:
    if known is None:
        return Reason(code="never-trained", text="no artifact of this label exists yet")
    if known.state is VersionState.TRAINING:
        text = f"attempt {known.attempt} is under way: it is taken up where it stands, not started again"
        return Reason(code="resume", text=text)
    why = f": {known.message}" if known.message else ""
    return Reason(
        code="failed-before", text=f"attempt {known.attempt} failed{why}; this is attempt {known.attempt + 1}"
    )

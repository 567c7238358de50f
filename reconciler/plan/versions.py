"""Decides on a desired version: it is usable, has to be trained, or cannot be had."""

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
    """Return the plan of a version without its train step: whether one is needed depends on the targets."""
    notes: tuple[Reason, ...] = ()
    if version.recorded and version.problem is not None and problem is None:
        text = f"The recipe cannot be compared with the recorded one: {version.problem.message}"
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
    """Return the same plan with the step that trains the version."""
    step = steps.train(version.key, _training_reason(version.record), estimate(version.key.model))
    return plan.model_copy(update={"steps": (step,)})


def estimates(ledger: Ledger) -> Estimate:
    """Return a look-up of the median time of each model's finished trainings."""
    taken: dict[str, list[float]] = {}
    for known in ledger.versions.values():
        if known.trained_in is not None:
            taken.setdefault(known.key.model, []).append(known.trained_in.total_seconds())
    return {model: median(seconds) for model, seconds in taken.items()}.get


def version_problem(version: DesiredVersion) -> Problem | None:
    """Return why a version cannot be had; None if it can."""
    known = version.record
    if known is not None and known.state is not VersionState.FAILED and _recipe_changed(version, known):
        state = "trained" if version.recorded else "started"
        return Problem(
            "recipe-changed",
            f"The recipe of version {version.key} changed: it was {state} from recipe"
            f" {short_fingerprint(known.fingerprint)}, the spec now describes {short_fingerprint(version.fingerprint)}",
            "Versions are immutable: use a new version label, or undo the change",
        )
    # A version that is usable already does not mind a recipe that cannot be read.
    if version.recorded and version.expected_location and (version.fingerprint is None or version.problem is None):
        return None
    if version.problem is not None:
        return version.problem
    if version.fingerprint is None:
        return Problem("no-recipe", f"The recipe of version {version.key} cannot be identified")
    if version.location is None and version.usable:
        return Problem("no-location", f"The location of the artifact of version {version.key} is unknown")
    return None


def _recipe_changed(version: DesiredVersion, known: KnownVersion) -> bool:
    return version.fingerprint is not None and version.fingerprint != known.fingerprint


def _attempt(known: KnownVersion | None) -> int:
    if known is None:
        return 1
    return known.attempt + 1 if known.state is VersionState.FAILED else known.attempt


def _training_reason(known: KnownVersion | None) -> Reason:
    if known is None:
        return Reason(code="never-trained", text="This version has not been trained yet")
    if known.state is VersionState.TRAINING:
        text = f"Attempt {known.attempt} is in progress and will be resumed, not started again"
        return Reason(code="resume", text=text)
    why = f": {known.message}" if known.message else ""
    return Reason(
        code="failed-before", text=f"Attempt {known.attempt} failed{why}. The next one is attempt {known.attempt + 1}"
    )

"""Decides on a wanted version: it can be used, has to be trained, or can't be had."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from reconciler.plan import steps
from reconciler.plan.document import Reason, VersionPlan
from reconciler.plan.live import wanted_version
from reconciler.plan.states import DesiredVersion, KnownVersion, Ledger, Problem, VersionState
from reconciler.plan.text import short_fingerprint

Estimate = Callable[[str], float | None]
"""How long a retrain of the model of this name takes, in seconds; None if none was ever finished."""


def plan_version(desired: DesiredVersion, ledger: Ledger) -> VersionPlan:
    """Where a version stands. It comes without its train step: whether one is needed, the targets decide."""
    known = ledger.versions.get(desired.key)
    usable = known is not None and known.state is VersionState.USABLE
    wanted = wanted_version(desired, ledger)
    problem = _problem(desired, known)
    notes: tuple[Reason, ...] = ()
    if usable and desired.problem is not None and problem is None:
        text = f"its recipe can't be compared with the one on record: {desired.problem.message}"
        notes = (Reason(code="recipe-unverified", text=text),)
    return VersionPlan(
        model=desired.key.model,
        label=desired.key.label,
        fingerprint=wanted.fingerprint,
        location=wanted.location.uri if wanted.location is not None else None,
        usable=problem is None and (usable or desired.ready_made),
        training=desired.training,
        inputs=dict(sorted(desired.inputs.items())),
        attempt=_attempt(known),
        problem=None if problem is None else Reason(code=problem.code, text=problem.message),
        remedy="" if problem is None else problem.remedy,
        reasons=notes,
    )


def with_training(version: VersionPlan, desired: DesiredVersion, ledger: Ledger, estimate: Estimate) -> VersionPlan:
    """The same version with the step that trains it."""
    reason = _training_reason(ledger.versions.get(desired.key))
    step = steps.train(desired.key, reason, estimate(desired.key.model))
    return version.model_copy(update={"steps": (step,)})


def estimates(ledger: Ledger) -> Estimate:
    """Looks up the median of the finished trainings of each model."""
    taken: dict[str, list[float]] = {}
    for known in ledger.versions.values():
        if known.trained_in is not None:
            taken.setdefault(known.key.model, []).append(known.trained_in.total_seconds())
    return {model: median(seconds) for model, seconds in taken.items()}.get


def _problem(desired: DesiredVersion, known: KnownVersion | None) -> Problem | None:
    if known is not None and known.state is not VersionState.FAILED and _recipe_changed(desired, known):
        state = "made" if known.state is VersionState.USABLE else "in training"
        return Problem(
            "recipe-changed",
            f"the recipe changed under the same label: {desired.key} was {state} from recipe"
            f" {short_fingerprint(known.fingerprint)}, the spec now describes {short_fingerprint(desired.fingerprint)}",
            "give the changed recipe a new label, or take the change back: a version never changes",
        )
    unreadable = desired.fingerprint is None  # which a version that is usable already does not mind
    if (
        known is not None
        and known.state is VersionState.USABLE
        and (known.location or desired.location)
        and (unreadable or desired.problem is None)
    ):
        return None
    if desired.problem is not None:
        return desired.problem
    if desired.fingerprint is None:
        return Problem("no-recipe", f"the recipe of {desired.key} can't be identified")
    if desired.location is None and (desired.ready_made or (known is not None and known.state is VersionState.USABLE)):
        return Problem("no-location", f"it is not known where the artifact of {desired.key} lies")
    return None


def _recipe_changed(desired: DesiredVersion, known: KnownVersion) -> bool:
    return desired.fingerprint is not None and desired.fingerprint != known.fingerprint


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

"""Why a target cannot be planned. Each problem has a remedy, and stops no other target."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.plan.deletions import unowned
from reconciler.plan.states import DesiredTarget, LiveTarget, Problem, VersionKey
from reconciler.spec.diagnostics import join_names, nearest

NOT_OBSERVED = Problem("not-observed", "The target was not observed", "Plan again")
READ_ONLY = Problem(
    "read-only",
    "The web service is read-only (readOnly: true) and can only be deleted",
    "Make the spec match the service, or delete the service and create another one under a new name",
    unsafe=True,
)


def blocker(
    target: DesiredTarget,
    live: LiveTarget,
    problems: Mapping[VersionKey, Problem | None],
    claims: Mapping[str, int],
) -> Problem | None:
    """Return the first problem that keeps a target from being planned; None if there is none.

    Args:
        target: What the spec says of it.
        live: What was observed.
        problems: The problem of each known version; None for a version that has none.
        claims: How many documents name each identity.
    """
    if claims.get(target.identity, 0) > 1:
        return Problem(
            "claimed-twice",
            f"{claims[target.identity]} documents manage {target.identity}",
            "Keep one of them: they would undo each other's changes",
        )
    if live.problem is not None:
        return live.problem
    if target.absent:
        return unowned(target, live)
    unavailable = (_unavailable(use.version, problems) for use in target.bindings)
    return next(filter(None, unavailable), None) or _unfit(target, live.resources)


def _unavailable(key: VersionKey, problems: Mapping[VersionKey, Problem | None]) -> Problem | None:
    if key in problems:
        return problems[key]
    return Problem("version-unknown", f"Version {key} is unknown", "Name a version that the model has or can train")


def _unfit(target: DesiredTarget, offered: tuple[str, ...] | None) -> Problem | None:
    # A target that does not exist can be created unless its driver reports a problem. It will have the resources of
    # its service's other endpoints, so a wrong name is found before anything is created.
    if offered is None:
        return None
    missing = next((use.resource for use in target.bindings if use.resource not in offered), None)
    return None if missing is None else _unknown_resource(missing, offered)


def _unknown_resource(name: str, offered: tuple[str, ...]) -> Problem:
    if not offered:
        return Problem(
            "no-resources",
            f'The target has no updatable resource, so "{name}" cannot be updated',
            "Name an endpoint of a predictive service: a training service has no updatable resource",
        )
    return Problem(
        "unknown-resource",
        f'The target has no resource "{name}". It has {join_names(offered, quoted=True)}',
        f'Write model.resource: "{nearest(name, offered) or offered[0]}"',
    )

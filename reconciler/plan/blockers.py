"""Why a target can't be planned. Each problem says what to do about it, and stops no other target."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.plan.deletions import unowned
from reconciler.plan.states import DesiredTarget, LiveTarget, Problem, VersionKey
from reconciler.spec.diagnostics import join_names, nearest

NOT_OBSERVED = Problem("not-observed", "it was not observed", "plan again")
READ_ONLY = Problem(
    "read-only",
    "it is read-only for ever (readOnly: true): its service takes no change of it any more, only its deletion",
    "make the spec say what it is, or delete it and create it again under another name",
    unsafe=True,
)


def blocker(
    target: DesiredTarget,
    live: LiveTarget,
    problems: Mapping[VersionKey, Problem | None],
    claims: Mapping[str, int],
) -> Problem | None:
    """The first thing that stands in the way of planning a target; None if nothing does.

    Args:
        target: What the spec says of it.
        live: What was observed.
        problems: What stands in the way of each version that somebody described.
        claims: How many documents name each identity.
    """
    if claims.get(target.identity, 0) > 1:
        return Problem(
            "claimed-twice",
            f"{claims[target.identity]} documents manage {target.identity}",
            "leave one of them: they would undo each other's work for ever",
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
    return Problem("version-unknown", f"nothing is known of {key}", "name a version that its model has or can train")


def _unfit(target: DesiredTarget, offered: tuple[str, ...] | None) -> Problem | None:
    # A target that is absent and has no problem can be created: its driver says so by saying nothing. It will offer
    # what the others of its service do, so a name that is wrong is known before something is made.
    if offered is None:
        return None
    missing = next((use.resource for use in target.bindings if use.resource not in offered), None)
    return None if missing is None else _unknown_resource(missing, offered)


def _unknown_resource(name: str, offered: tuple[str, ...]) -> Problem:
    if not offered:
        return Problem(
            "no-resources",
            f'it has no updatable resource, so "{name}" can\'t be updated',
            "name an endpoint of a predictive service: a training service has none",
        )
    return Problem(
        "unknown-resource",
        f'it has no resource "{name}"; it offers {join_names(offered, quoted=True)}',
        f'write model.resource: "{nearest(name, offered) or offered[0]}"',
    )

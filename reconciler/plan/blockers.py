"""Why a target can't be planned. Each problem says what to do about it, and stops no other target."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from reconciler.plan.document import VersionPlan
from reconciler.plan.states import DesiredTarget, LiveTarget, Problem, VersionKey
from reconciler.plan.text import quoted

READ_ONLY = Problem(
    "read-only",
    "it is read-only for ever (readOnly: true): its service takes no change of it any more, only its deletion",
    "make the spec say what it is, or delete it and create it again under another name",
    unsafe=True,
)


def blocker(
    target: DesiredTarget,
    live: LiveTarget | None,
    versions: Mapping[VersionKey, VersionPlan],
    claims: Mapping[str, int],
) -> Problem | None:
    """The first thing that stands in the way of planning a target; None if nothing does.

    Args:
        target: What the spec says of it.
        live: What was observed; None if it was not.
        versions: The plans of the versions that it wants, as far as somebody described them.
        claims: How many documents name each identity.
    """
    if claims.get(target.identity, 0) > 1:
        return Problem(
            "claimed-twice",
            f"{claims[target.identity]} documents manage {target.identity}",
            "leave one of them: they would undo each other's work for ever",
        )
    if live is None:
        return Problem("not-observed", "it was not observed", "plan again")
    if live.problem is not None:
        return live.problem
    if target.absent:
        return _not_ours(live)
    for use in target.bindings:
        problem = _unavailable(use.version, versions.get(use.version))
        if problem is not None:
            return problem
    # A target that is absent and has no problem can be created: its driver says so by saying nothing. It will offer
    # what the others of its service do, so a name that is wrong is known before something is made.
    return next(filter(None, (_unfit(use.resource, live) for use in target.bindings)), None)


def _not_ours(live: LiveTarget) -> Problem | None:
    """Nothing is deleted that does not carry our marker (design 5.7)."""
    if not live.exists or live.markers or live.ours:
        return None
    return Problem(
        "not-ours",
        "it is to be deleted, but does not carry our note, which all have that we pointed to a model: it may be"
        " somebody else's",
        "delete it by hand if it is meant, or take state: absent out of the spec",
        unsafe=True,
    )


def _unavailable(key: VersionKey, version: VersionPlan | None) -> Problem | None:
    if version is None:
        return Problem(
            "version-unknown", f"nothing is known of {key}", "name a version that its model has or can train"
        )
    if version.problem is not None:
        return Problem(version.problem.code, version.problem.text, version.remedy)
    return None


def _unfit(resource: str, live: LiveTarget) -> Problem | None:
    if live.resources is not None and resource not in live.resources:
        return _unknown_resource(resource, live.resources)
    return None


def _unknown_resource(name: str, offered: tuple[str, ...]) -> Problem:
    if not offered:
        return Problem(
            "no-resources",
            f'it has no updatable resource, so "{name}" can\'t be updated',
            "name an endpoint of a predictive service: a training service has none",
        )
    near = get_close_matches(name, offered, n=1) or list(offered[:1])
    return Problem(
        "unknown-resource",
        f'it has no resource "{name}"; it offers {quoted(offered)}',
        f'write model.resource: "{near[0]}"',
    )

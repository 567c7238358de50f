"""Why a target can't be planned. Each problem says what to do about it, and stops no other target."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from reconciler.plan.document import VersionPlan
from reconciler.plan.states import DesiredTarget, LiveTarget, Problem, TargetKind
from reconciler.plan.wording import quoted

_CREATABLE = frozenset({TargetKind.CLASSIC_ENDPOINT})
# A New service's model moves by a patch of its definition, so the place in the definition has to be known.
_MOVED_BY_PATCH = frozenset({TargetKind.NEW_WEB_SERVICE})


def blocker(
    target: DesiredTarget, live: LiveTarget | None, version: VersionPlan | None, claims: Mapping[str, int]
) -> Problem | None:
    """The first thing that stands in the way of planning a target; None if nothing does.

    Args:
        target: What the spec says of it.
        live: What was observed; None if it was not.
        version: The version that it wants; None if nobody described it.
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
    if version is None:
        return Problem(
            "version-unknown",
            f"nothing is known of {target.version}",
            "name a version that its model has or can train",
        )
    if version.problem is not None:
        return Problem(version.problem.code, version.problem.text, version.remedy)
    return _absent(target) if not live.exists else _unfit(target, live)


def _absent(target: DesiredTarget) -> Problem | None:
    if target.kind in _CREATABLE:
        return None
    return Problem(
        "create-unsupported",
        "it does not exist, and New web services are not created by this version",
        "deploy it once from Studio, or correct its resourceId",
    )


def _unfit(target: DesiredTarget, live: LiveTarget) -> Problem | None:
    if live.resources is not None and target.resource not in live.resources:
        return _unknown_resource(target.resource, live.resources)
    if target.kind in _MOVED_BY_PATCH and live.pointer is None:
        return Problem(
            "no-pointer",
            f'the place of "{target.resource}" in its definition is not known',
            "look at its definition: it needs exactly one trained-model asset of that name",
        )
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

"""Finds the Classic endpoints that a set made and has no item for any more. Pure.

Nothing on the service says which set an endpoint is of, and what is found here may be deleted, so it takes more than
one sign. An endpoint of the set's web service, not ``default``, that no document names and that the store, if it knows
it, called ``<set>-…``, is the set's orphan if

* the marker on it names a Model that the set makes now (its endpoint was renamed), or
* its name is one that the set's template can give, and the store knows it, or
* its name is one that the template can give, and the marker names ``<set>-…``, no document being a Model of that
  name, or the Model that all of the set's endpoints share.

Of two sets whose names begin alike the longer one has it. What a set left behind that is no more in the specs, or that
lies in a web service which it does not name any more, is nobody's orphan: no document speaks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reconciler.azure.classic import Endpoint
from reconciler.plan.states import DesiredTarget, LiveTarget
from reconciler.spec.fleet import Fleet
from reconciler.spec.sets.expansion import ExpandedSet
from reconciler.targets.classic import state as classic_state
from reconciler.targets.classic.state import DEFAULT_ENDPOINT, Service
from reconciler.targets.ownership import split_description


@dataclass(frozen=True, slots=True)
class Orphan:
    """An endpoint without an item, and where it is."""

    target: DesiredTarget
    live: LiveTarget
    service: Service
    endpoint: str


def places(fleet: Fleet) -> set[tuple[str, str]]:
    """Where sets have endpoints, also those that no item names any more; nowhere for a selection of a fleet."""
    found = {place for one in fleet.sets.values() for place in one.services} if fleet.whole else set()
    return {place for place in found if place[0] in fleet.workspaces}


def find(
    fleet: Fleet, services: Mapping[tuple[str, str], Service], managed: Collection[str], names: Mapping[str, str]
) -> tuple[Orphan, ...]:
    """Return the orphans of a fleet's sets; none for a selection, which does not say what the other documents name.

    Args:
        fleet: All documents.
        services: The web services as listed, by workspace document and name.
        managed: The identities that documents name.
        names: What the store called each target, by identity.
    """
    if not fleet.whole:
        return ()
    taken = {target.name for target in fleet.targets}
    found: dict[str, Orphan] = {}
    longest_first = sorted(fleet.sets.values(), key=lambda one: (-len(one.name), one.name))
    for one in longest_first:
        for place in sorted(one.services):
            service = services.get(place)
            if service is None or service.problem is not None:
                continue
            workspace = fleet.workspaces[place[0]].spec.id.lower()
            for endpoint in service.endpoints.values():
                identity = f"{workspace}/{service.id}/{endpoint.name}"
                if endpoint.name == DEFAULT_ENDPOINT or identity in managed or identity in found:
                    continue
                recorded = names.get(identity, "")
                if _belongs(one, fleet, endpoint, recorded):
                    live = classic_state.live_endpoint(identity, endpoint, service)
                    name = _name(one, endpoint, live, recorded, taken)
                    found[identity] = Orphan(_target(one, name, identity), live, service, endpoint.name)
    return tuple(found[identity] for identity in sorted(found))


def _belongs(one: ExpandedSet, fleet: Fleet, endpoint: Endpoint, recorded: str) -> bool:
    models = {marker.version.model for marker in split_description(endpoint.description).markers}
    if recorded and not _named_by(one, fleet, recorded):
        return False
    if models & one.models:
        return True
    if not one.endpoint_names.fullmatch(endpoint.name):
        return False
    return (
        bool(recorded)
        or bool(models & one.shared)
        or any(_named_by(one, fleet, model) for model in models if model not in fleet.models)
    )


def _named_by(one: ExpandedSet, fleet: Fleet, name: str) -> bool:
    """Whether a name is one that this set gives, and no other whose name is longer."""
    begins = [other for other in fleet.sets if name.startswith(f"{other}-")]
    return max(begins, key=len, default="") == one.name


def _name(one: ExpandedSet, endpoint: Endpoint, live: LiveTarget, recorded: str, taken: set[str]) -> str:
    """Return what the set called it, as far as that can be told; a name that nothing else has."""
    own = [marker.version.model for marker in live.markers if marker.version.model not in one.shared]
    proposed = (recorded, *own, f"{one.name}-{endpoint.name}", live.identity)
    name = next(
        name for name in proposed if name not in taken and (name.startswith(f"{one.name}-") or name == live.identity)
    )
    taken.add(name)
    return name


def _target(one: ExpandedSet, name: str, identity: str) -> DesiredTarget:
    return DesiredTarget(name, classic_state.KIND, identity, absent=True, group=one.name, orphan=True, prune=one.prune)

"""Which version a resource of a live target serves, so that a spec can say it and the plan over it is empty.

Three things tell, in this order:

1. the ownership marker on the target, with a version of that name and fingerprint in the store, if the store
   recorded that move, or the service shows that place;
2. the place that the service shows. The version is called as the marker says, if nothing else is called so; else
   ``imported-`` and a few digits of the place;
3. nothing. Then a spec names no model, and manages the settings alone: any version that it named would be a guess, and
   the plan would have to point the target there to be sure.

What a version is made of is not known of most; it is written down as ready-made, with the place of its artifact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from reconciler.apply.training.recipes import ready_fingerprint
from reconciler.plan.states import Ledger, LiveTarget, Location, Marker, Served, VersionKey, VersionState
from reconciler.spec.documents import Model, ReadyLocation, rules
from reconciler.spec.documents.rules import MODEL_NAME_LIMIT
from reconciler.spec.naming import digest, slug
from reconciler.spec.secret_detection import looks_secret

_PLACE_DIGITS = 8
_PART = 20
"""How much of a workspace's name goes into that of a model."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource of a live target, and what tells about it."""

    identity: str
    resource: str
    workspace: str
    """The name of the document of the workspace whose storage its models lie in."""
    marker: Marker | None
    shown: Location | None
    served: Served | None
    """What the store remembers of it."""


def seen_resources(live: LiveTarget, resources: Sequence[str], workspace: str, ledger: Ledger) -> list[Seen]:
    """Return the resources of a target with their traces. ``resources`` are in the order of their names."""
    converged = ledger.converged.get(live.identity)
    seen = []
    for index, resource in enumerate(resources):
        served = converged.served(resource) if converged is not None else None
        bound = live.bound.get(resource)
        seen.append(
            Seen(
                live.identity,
                resource,
                workspace,
                _marker(live.markers, index, len(resources), served),
                bound.location if bound is not None else None,
                served,
            )
        )
    return seen


def _marker(markers: Sequence[Marker], index: int, count: int, served: Served | None) -> Marker | None:
    """Return the part of the marker that is about one resource; the store decides where there are fewer parts."""
    if len(markers) == count:
        return markers[index]
    return next((marker for marker in markers if served is not None and marker.version == served.version), None)


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """A version to be written into a model. ``workspace`` is the one in whose storage its artifact seems to lie."""

    key: VersionKey
    location: Location
    workspace: str


@dataclass(frozen=True, slots=True)
class Versions:
    """What was made out.

    Attributes:
        of: The version of each resource, by identity and resource; without those of which nothing is known.
        ready: The versions that have to be written down, by model and label.
    """

    of: Mapping[tuple[str, str], VersionKey]
    ready: tuple[ReadyMade, ...]


def make_out(seen: Sequence[Seen], ledger: Ledger, models: Mapping[str, Model]) -> Versions:
    """Return the versions that resources serve.

    Args:
        seen: The resources.
        ledger: What the store remembers.
        models: The models that have documents already: no other document may have their names.
    """
    return _Judge(seen, ledger, models).judged()


class _Judge:
    def __init__(self, seen: Sequence[Seen], ledger: Ledger, models: Mapping[str, Model]) -> None:
        self._seen = seen
        self._ledger = ledger
        self._models = models
        self._places = self._places_of_notes()
        self._ready: dict[VersionKey, ReadyMade] = {}
        self._home: dict[str, str] = {}
        """The workspace of each model that is named after its resource."""

    def judged(self) -> Versions:
        found = {(one.identity, one.resource): key for one in self._seen if (key := self._version(one)) is not None}
        return Versions(found, tuple(ready for _, ready in sorted(self._ready.items())))

    def _places_of_notes(self) -> dict[VersionKey, Location]:
        """Return the one place at which the version of a note lies, where several targets carry that note.

        A patch of the model outside reconciler leaves the marker as it was, so it may name another version.
        """
        candidates: dict[VersionKey, list[tuple[bool, str, Location]]] = defaultdict(list)
        for one in self._seen:
            if one.marker is not None and one.shown is not None:
                key = one.marker.version
                foreign = not ready_fingerprint(key, one.shown).startswith(one.marker.fingerprint)
                candidates[key].append((foreign, one.shown.uri, one.shown))
        return {key: min(places, key=lambda place: place[:2])[2] for key, places in candidates.items()}

    def _version(self, one: Seen) -> VersionKey | None:
        remembered = self._remembered(one)
        if remembered is not None:
            return self._added(remembered, one)
        if one.shown is None or not sayable(one.shown):
            return None
        for place in self._names_of(one, one.shown):
            key = self._added(place, one)
            if key is not None:
                return key
        return None

    def _remembered(self, one: Seen) -> tuple[VersionKey, Location] | None:
        """Return the version of the note, if the store and the service agree that it is there."""
        if one.marker is None:
            return None
        known = self._ledger.versions.get(one.marker.version)
        if known is None or known.state is not VersionState.USABLE or known.location is None:
            return None
        if not known.fingerprint.startswith(one.marker.fingerprint):
            return None
        here = one.served is not None and (one.served.version, one.served.fingerprint) == (known.key, known.fingerprint)
        if one.shown is None:
            return (known.key, known.location) if here else None
        # A service may show a copy of its own, which the store has seen when the target was converged.
        copied = here and one.served is not None and one.served.location == one.shown
        return (known.key, known.location) if copied or one.shown == known.location else None

    def _names_of(self, one: Seen, shown: Location) -> Iterator[tuple[VersionKey, Location]]:
        """Return what the version at the place that is shown may be called, the best name first."""
        label = f"imported-{digest(shown.uri, _PLACE_DIGITS)}"
        model = slug(one.resource, MODEL_NAME_LIMIT, otherwise="model")
        if one.marker is not None:
            if self._places[one.marker.version] == shown:
                yield one.marker.version, shown
            yield VersionKey(one.marker.version.model, label), shown
        elif self._home.setdefault(model, one.workspace) == one.workspace:
            yield VersionKey(model, label), shown
        # The name belongs to a document that is there already, or to a model of another workspace.
        ending = "-imported" if model in self._models else f"-{slug(one.workspace, _PART, otherwise='imported')}"
        yield VersionKey(model[: MODEL_NAME_LIMIT - len(ending)] + ending, label), shown

    def _added(self, place: tuple[VersionKey, Location], one: Seen) -> VersionKey | None:
        """Return the key, if the version at this place can be called so; it is among those to be written then."""
        key, location = place
        document = self._models.get(key.model)
        if document is not None:
            return key if _has(document, key.label, location, self._ledger) else None
        known = self._ledger.versions.get(key)
        if known is not None and known.fingerprint != ready_fingerprint(key, location):
            return None  # The store would take the version of that name for another one.
        if not _nameable(key) or not sayable(location):
            return None
        ready = self._ready.setdefault(key, ReadyMade(key, location, one.workspace))
        return key if ready.location == location else None


def _nameable(key: VersionKey) -> bool:
    """Whether a document may say these names: a note that somebody wrote by hand can hold others."""
    try:
        rules.model_name(key.model), rules.version_label(key.label)
    except PydanticCustomError:
        return False
    return True


def _has(document: Model, label: str, location: Location, ledger: Ledger) -> bool:
    """Whether a model that has a document has the version that lies at a place."""
    ready = document.spec.versions.get(label)
    if ready is not None:
        return Location(ready.location.base_location, ready.location.relative_location) == location
    known = ledger.versions.get(VersionKey(document.name, label))
    return document.spec.training is not None and known is not None and known.location == location


def sayable(location: Location) -> bool:
    """Whether a ready-made version's location may be this one: https, an ``.ilearner``, nothing that looks secret."""
    try:
        ReadyLocation(base_location=location.base, relative_location=location.relative)
    except ValidationError:
        return False
    return not looks_secret(location.base) and not looks_secret(location.relative)

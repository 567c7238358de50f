"""Documents for what is live, with what has to be said about them in comments.

A document says every setting that the live side has and a spec can say. What it cannot say (a description that looks
like a secret, a number beyond the rules) is left out, so it is not managed, and a comment names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.importing.known import Known
from reconciler.importing.versions import ReadyMade, make_out, seen_resources
from reconciler.plan.states import LiveTarget
from reconciler.spec.documents import (
    Document,
    Metadata,
    Model,
    ModelMetadata,
    ModelSpec,
    ModelUse,
    ReadyLocation,
    ReadyVersion,
)
from reconciler.spec.documents.rules import NAME_LIMIT
from reconciler.spec.naming import in_full, told_apart, unique
from reconciler.spec.secret_detection import looks_secret
from reconciler.targets.inventory import FoundGroup, FoundService, Inventory


@dataclass(frozen=True, slots=True)
class Draft:
    """A document to be written, and the comment lines above it."""

    document: Document
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupDrafts:
    """The targets of one group. ``unsaid`` are those that no document can be written for."""

    group: FoundGroup
    targets: tuple[Draft, ...]
    unsaid: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drafts:
    """All that is written, and what was found and needs no writing."""

    workspaces: tuple[Draft, ...]
    models: tuple[Draft, ...]
    groups: tuple[GroupDrafts, ...]
    idle: tuple[FoundService, ...] = ()
    """Training services that no document refers to, and other services without targets."""
    managed: int = 0
    """How many targets have documents already."""
    problems: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def unsaid(self) -> int:
        """How many targets no document can be written for."""
        return sum(len(part.unsaid) for part in self.groups)

    @property
    def counts(self) -> Counter[str]:
        """How many documents of targets there are, by kind."""
        return Counter(draft.document.kind for part in self.groups for draft in part.targets)


def draft(inventory: Inventory, known: Known) -> Drafts:
    """Return documents for all of an inventory that has none yet. Pure."""
    return _Drafter(inventory, known).drafted()


class _Drafter:
    def __init__(self, inventory: Inventory, known: Known) -> None:
        self._inventory = inventory
        self._known = known
        taken = known.documented | known.training
        self._targets = {
            target.live.identity: (group, target)
            for group in inventory.groups
            for target in group.targets
            if not target.identities & taken
        }
        self._names = self._named()
        seen = [
            one
            for _, target in self._targets.values()
            for one in seen_resources(
                target.live, target.resources, target.workspace or next(iter(known.workspaces)), known.ledger
            )
        ]
        self._versions = make_out(seen, known.ledger, known.models)

    def _named(self) -> dict[str, str]:
        wanted = {identity: target.name for identity, (_, target) in self._targets.items()}
        homes = {identity: group.workspace for identity, (group, _) in self._targets.items() if group.workspace}
        told = told_apart(wanted, homes, NAME_LIMIT)
        return unique(told, {identity: identity for identity in wanted}, self._known.names, NAME_LIMIT)

    def drafted(self) -> Drafts:
        groups = [self._group(group) for group in self._inventory.groups]
        return Drafts(
            workspaces=tuple(Draft(self._known.workspaces[name]) for name in sorted(self._known.written)),
            models=tuple(_models(self._versions.ready)),
            groups=tuple(each for each in groups if each.targets or each.unsaid),
            idle=tuple(each for each in self._inventory.services if not each.services & self._known.training),
            managed=sum(len(group.targets) for group in self._inventory.groups) - len(self._targets),
            problems=self._inventory.problems,
        )

    def _group(self, group: FoundGroup) -> GroupDrafts:
        drafts: list[Draft] = []
        unsaid: list[str] = []
        for target in group.targets:
            if target.live.identity not in self._targets:
                continue
            comments: list[str] = []
            serves = self._serving(target.live, target.resources, comments)
            document = target.document(Metadata(name=self._names[target.live.identity]), serves, comments)
            if document is None:
                unsaid.append(in_full(target.title))
            else:
                drafts.append(Draft(document, tuple(comments)))
        return GroupDrafts(group, tuple(drafts), tuple(unsaid))

    def _serving(self, live: LiveTarget, resources: Sequence[str], comments: list[str]) -> dict[str, Any]:
        """Return what a spec says of a target's models, as far as it is known."""
        bindings = [
            ModelUse(resource=resource, name=key.model, version=key.label)
            for resource in resources
            if (key := self._versions.of.get((live.identity, resource))) is not None and not looks_secret(resource)
        ]
        if not bindings and live.markers:
            noted = ", ".join(str(marker.version) for marker in live.markers)
            comments.append(f"The ownership marker names {noted}, whose location is unknown: no model is managed.")
        if len(bindings) > 1:
            return {"models": tuple(bindings)}
        return {"model": bindings[0]} if bindings else {}


def _models(ready: Sequence[ReadyMade]) -> Iterator[Draft]:
    """Return the models that versions have to be written into."""
    by_model: dict[str, list[ReadyMade]] = {}
    for each in ready:
        by_model.setdefault(each.key.model, []).append(each)
    for name, versions in sorted(by_model.items()):
        locations = {each.key.label: each.location for each in versions}
        spec = ModelSpec(
            workspace=versions[0].workspace,
            versions={
                label: ReadyVersion(location=ReadyLocation(base_location=place.base, relative_location=place.relative))
                for label, place in locations.items()
            },
        )
        yield Draft(Model(metadata=ModelMetadata(name=name), spec=spec))

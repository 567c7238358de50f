"""All documents of a spec tree, with their references resolved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from reconciler.spec.diagnostics import Diagnostic, Position, SpecError, SpecErrors, did_you_mean, join_names
from reconciler.spec.documents import (
    SET_LABEL,
    Document,
    EndpointSet,
    Kinds,
    Model,
    Target,
    Workspace,
)
from reconciler.spec.loading.loader import Tree, read_tree
from reconciler.spec.references import check
from reconciler.spec.sets.expansion import ExpandedSet, expand_sets

_D = TypeVar("_D", bound=Document)
_T = TypeVar("_T", bound=Target)
_REVISION_LENGTH = 16
_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class Fleet:
    """The documents of a spec tree by name, each kind in the order of names.

    ``revision`` is a digest (16 hex digits) of what the whole tree says: it does not depend on comments, on the order
    of documents, or on how they are spread over files, and `select` keeps it.
    """

    workspaces: Mapping[str, Workspace]
    models: Mapping[str, Model]
    target_documents: Mapping[str, Target]
    """Targets of all kinds by their names, which are unique among them."""
    revision: str
    positions: Mapping[tuple[str, str], Position] = field(repr=False, compare=False)
    """Where each document's name stands, by kind and name; of what a set made, where its item stands."""
    sets: Mapping[str, ExpandedSet] = field(default_factory=dict)
    """The sets by name. What they were expanded into is among the models and the targets."""
    whole: bool = True
    """Whether it has all targets of its tree; a selection does not tell which of the others there are."""
    homes: Mapping[tuple[str, str], Path] = field(default_factory=dict, repr=False, compare=False)
    """The file that a document's paths are relative to, where that is not the one that its name stands in."""
    unselected: Mapping[str, Target] = field(default_factory=dict, repr=False, compare=False)
    """The targets that `select` left out: others may refer to them."""

    @classmethod
    def empty(cls) -> Fleet:
        """Return a fleet without documents."""
        return cls({}, {}, {}, revision=_revision(()), positions={})

    def position_of(self, kind: str, name: str) -> Position:
        """Where the name of a document stands. Raises KeyError when there is no such document."""
        return self.positions[kind, name]

    def base_dir_of(self, kind: str, name: str) -> Path:
        """Return the directory of a document's file, to which its ``file`` paths are relative."""
        return (self.homes.get((kind, name)) or self.positions[kind, name].file).parent

    @cached_property
    def set_of(self) -> Mapping[str, str]:
        """The name of the set that made a target, by the target's name; none for a target of its own."""
        return {endpoint: one.name for one in self.sets.values() for endpoint in one.endpoints}

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The targets of all kinds in the order of their names, which are unique among them."""
        return tuple(self.target_documents.values())

    def of(self, kind: type[_T]) -> Mapping[str, _T]:
        """Return the targets of one kind by name."""
        return {name: target for name, target in self.target_documents.items() if isinstance(target, kind)}

    @cached_property
    def workspaces_of_targets(self) -> frozenset[str]:
        """The names of the workspaces that targets live in."""
        return frozenset(
            str(target.at(field))
            for target in self.targets
            for field, reference in target.REFERENCES.items()
            if reference.kind == "Workspace"
        )

    def wanted_versions(self) -> dict[tuple[str, str], list[str]]:
        """Return the (model, label) pairs that targets want, in order, each with the names of those targets."""
        wanted: dict[tuple[str, str], list[str]] = {}
        for target in self.targets:
            for use in target.spec.bindings:
                wanted.setdefault((use.name, use.version), []).append(target.name)
        return dict(sorted(wanted.items()))

    def select(self, selectors: Sequence[str]) -> Fleet:
        """Return the fleet with only those targets that a selector picks; all of them when there is no selector.

        A selector is a name, a glob over names, or ``label=value`` where the value may be a glob.

        Raises:
            SpecError: a selector picks nothing; the message names the nearest names.
        """
        if not selectors:
            return self
        chosen: set[str] = set()
        unmatched: list[str] = []
        for selector in selectors:
            names = {target.name for target in self.targets if _picks(selector, target)}
            chosen |= names
            if not names:
                unmatched.append(self._nothing_for(selector))
        if unmatched:
            raise SpecError("\n".join(unmatched))
        return replace(
            self,
            whole=False,
            target_documents=_only(self.target_documents, chosen.__contains__),
            unselected={**self.unselected, **_only(self.target_documents, lambda name: name not in chosen)},
        )

    def used_workspaces(self) -> Fleet:
        """Return the fleet with only those workspaces that its targets live in or are trained in."""
        models = {name for name, _ in self.wanted_versions()}
        used = {self.models[name].spec.workspace for name in models & self.models.keys()}
        used |= self.workspaces_of_targets
        return replace(self, workspaces=_only(self.workspaces, used.__contains__))

    def _nothing_for(self, selector: str) -> str:
        names = [target.name for target in self.targets]
        if "=" in selector:
            pairs = sorted({f"{key}={value}" for each in self.targets for key, value in each.metadata.labels.items()})
            guess = did_you_mean(selector, pairs)
            known = f"labels in use: {join_names(pairs)}" if pairs else "no target has a label"
        else:
            of_set = f"{SET_LABEL}={selector}"
            guess = f"the endpoints of a set are {of_set}" if selector in self.sets else did_you_mean(selector, names)
            known = f"targets: {join_names(names)}" if names else "the specs have no targets"
        return f"--select {selector!r} matches no target" + (f"; {guess}" if guess else "") + f" ({known})"


Rule: TypeAlias = Callable[[Tree], Iterable[Diagnostic]]
"""Finds errors in a tree that its documents alone do not show."""


def load_fleet(paths: Sequence[Path], kinds: Kinds, *rules: Rule) -> Fleet:
    """Read files and directories of documents into a fleet.

    Args:
        paths: Those files and directories.
        kinds: The kinds of document that there are; see `reconciler.targets.kinds`.
        rules: What the tree has to meet beside the rules of this package.

    Raises:
        SpecErrors: there are errors; it holds all of them.
    """
    tree = read_tree(paths, kinds)
    sets = expand_sets(tree)
    diagnostics = _errors(tree, rules)
    if diagnostics:
        raise SpecErrors(diagnostics)
    return _fleet(tree, [found.document for found in tree.found if found.document is not None], sets)


def _errors(tree: Tree, rules: Iterable[Rule]) -> Collection[Diagnostic]:
    # What is wrong with a set's template is found once for each of its items.
    return dict.fromkeys([*tree.diagnostics, *(error for rule in (check, *rules) for error in rule(tree))])


def load_sound(paths: Sequence[Path], kinds: Kinds, *rules: Rule) -> tuple[Fleet, tuple[Diagnostic, ...]]:
    """Return the valid part of a spec tree and all of its errors, to look at one half while the other is broken.

    Left out are documents with errors of their own, and those that refer to one that is not there. ``rules`` are as
    for `load_fleet`, and what breaks one is not left out.
    """
    tree = read_tree(paths, kinds)
    sets = expand_sets(tree)
    errors = SpecErrors(_errors(tree, rules)).diagnostics
    documents = [found.document for found in tree.found if found.document is not None]
    workspaces = {each.name for each in documents if isinstance(each, Workspace)}
    models = {each.name for each in documents if isinstance(each, Model) and each.spec.workspace in workspaces}

    def refers_to_what_is_there(target: Target) -> bool:
        in_workspaces = (field for field, each in target.REFERENCES.items() if each.kind == "Workspace")
        return all(target.at(field) in workspaces for field in in_workspaces) and all(
            use.name in models for use in target.spec.bindings
        )

    sound = [
        each
        for each in documents
        if isinstance(each, Workspace)
        or (isinstance(each, Model) and each.name in models)
        or (isinstance(each, Target) and refers_to_what_is_there(each))
    ]
    return replace(_fleet(tree, sound, sets), whole=not errors), errors


def _fleet(tree: Tree, documents: Sequence[Document], sets: Mapping[str, ExpandedSet]) -> Fleet:
    return Fleet(
        workspaces=_of(Workspace, documents),
        models=_of(Model, documents),
        target_documents=_of(Target, documents),
        revision=_revision(documents),
        positions=_positions(tree),
        sets=MappingProxyType(dict(sorted(sets.items()))),
        homes=MappingProxyType({(each.kind, each.name): each.home for each in tree.found if each.name and each.home}),
    )


def _of(kind: type[_D], documents: Iterable[Document]) -> Mapping[str, _D]:
    chosen = sorted((each for each in documents if isinstance(each, kind)), key=lambda each: each.name)
    return MappingProxyType({each.name: each for each in chosen})


def _only(documents: Mapping[str, _D], wanted: Callable[[str], bool]) -> Mapping[str, _D]:
    return MappingProxyType({name: document for name, document in documents.items() if wanted(name)})


def _positions(tree: Tree) -> Mapping[tuple[str, str], Position]:
    return MappingProxyType(
        {(found.kind, found.name): found.mentions["metadata.name"].position for found in tree.found if found.name}
    )


def _revision(documents: Iterable[Document]) -> str:
    """Return a digest of what documents say. What is left out and what is null say the same.

    A set says what the documents say that it was expanded into, and whether it prunes.
    """
    ordered = sorted(documents, key=lambda each: (each.kind, each.name))
    content = [
        [each.kind, each.name, each.spec.prune]
        if isinstance(each, EndpointSet)
        else each.model_dump(mode="json", by_alias=True, exclude_none=True)
        for each in ordered
    ]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:_REVISION_LENGTH]


def _picks(selector: str, target: Target) -> bool:
    key, equals, value = selector.partition("=")
    if equals:
        found = target.metadata.labels.get(key)
        return found is not None and (found == value or fnmatchcase(found, value))
    return selector == target.name or (bool(_GLOB & set(selector)) and fnmatchcase(target.name, selector))

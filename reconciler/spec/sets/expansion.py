"""Expands EndpointSets into the Models and endpoints of their items (design 3.1).

Everything below sees ordinary documents. What a set made stands, for messages, in the line of its item; what is wrong
with the template is said once, at its place in the set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.spec.diagnostics import Diagnostic, Position, did_you_mean, join_names
from reconciler.spec.documents import API_VERSION, SET_LABEL, Document, EndpointSet, Model, Target
from reconciler.spec.documents.rules import VERSION_PLACEHOLDER
from reconciler.spec.loading.loader import Found, Mention, MentionedUse, Tree
from reconciler.spec.loading.nodes import Entry, Node, TreeBuilder
from reconciler.spec.loading.validation_errors import explain
from reconciler.spec.secret_detection import shown
from reconciler.spec.sets.items import Item, ItemReader, Table
from reconciler.spec.sets.templates import Template, Unfit, merged

_MOST_TOLD = 20
"""So many items are named that have an error in one field; the others are counted."""
_ENDPOINT = EndpointSet.ENDPOINT


@dataclass(frozen=True, slots=True)
class ExpandedSet:
    """A set and what it was expanded into.

    Attributes:
        name: Its name.
        prune: Whether endpoints are deleted whose item was taken out.
        endpoints: The names of the targets that it made.
        models: The names of the Models that it made.
        shared: The names of other Models that its endpoints serve.
        services: Where its endpoints are: workspace documents and web services, also when it has no item.
        endpoint_names: What the names of its endpoints look like on the service, whatever its items are.
    """

    name: str
    prune: bool
    endpoints: frozenset[str]
    models: frozenset[str]
    shared: frozenset[str]
    services: frozenset[tuple[str, str]]
    endpoint_names: re.Pattern[str]


def expand_sets(tree: Tree) -> Mapping[str, ExpandedSet]:
    """Add what the sets of a tree make to it, and give the sets by name. Errors are added to the tree's."""
    expanded: dict[str, ExpandedSet] = {}
    for found in [each for each in tree.found if each.root is not None]:
        document = found.document
        if isinstance(document, EndpointSet) and found.root is not None and document.name not in expanded:
            expanded[document.name] = _Expansion(document, found.root, found.file, tree).expand()
    return expanded


@dataclass(frozen=True, slots=True)
class _Part:
    """The model or the endpoint of a set: its kind of document, its field, its template, and those of overrides."""

    kind: type[Model | Target]
    field: str
    template: Template
    overridden: Mapping[str, Template]

    def of(self, item: Item) -> Template:
        """Return the template for an item."""
        return self.overridden.get(item.key, self.template)


@dataclass(slots=True)
class _Expansion:
    """One set on its way to documents."""

    document: EndpointSet
    root: Node
    file: Path
    tree: Tree
    wrong: Counter[str] = field(default_factory=Counter)
    """How many items have an error in a field."""
    names: dict[type[Document], set[str]] = field(default_factory=lambda: {Model: set(), _ENDPOINT: set()})
    shared: set[str] = field(default_factory=set)
    services: set[tuple[str, str]] = field(default_factory=set)
    places: dict[tuple[str, ...], Position | None] = field(default_factory=dict)
    """Where the template has what is the same for all items, by field and path; None for what is not."""

    def expand(self) -> ExpandedSet:
        """Add the documents to the tree."""
        before = len(self.tree.diagnostics)
        table = ItemReader(self.document, self.root, self.file, self.tree.diagnostics).read()
        if table.columns:
            self._check_overrides([item.key for item in table.items])
        parts = [part for part in (self._part(Model, "model", table.columns), self._endpoint(table.columns)) if part]
        endpoint = parts[-1]
        fixed = endpoint.template.fixed("workspace"), endpoint.template.fixed("webService")
        if fixed[0] is not None and fixed[1] is not None:
            self.services.add((fixed[0], fixed[1]))
        self.shared.update(_fixed_models(endpoint.template) if len(parts) == 1 else ())
        self._check_endpoint(endpoint, table, fixed, own_model=len(parts) > 1)
        if table.columns and len(self.tree.diagnostics) == before:
            # An error of the set itself would only be repeated by each item.
            own_model = len(parts) > 1
            for part in parts:
                self._check_places(part, table.items)
                for item in table.items:
                    self._make(part, item, own_model=own_model)
            self._tell_how_many()
        else:
            # What others say of them is not called dangling.
            self.tree.lost_names.update(f"{self.document.name}-{item.key}" for item in table.items)
        return ExpandedSet(
            name=self.document.name,
            prune=self.document.spec.prune,
            endpoints=frozenset(self.names[_ENDPOINT]),
            models=frozenset(self.names[Model]),
            shared=frozenset(self.shared),
            services=frozenset(self.services),
            endpoint_names=endpoint.template.pattern("endpoint"),
        )

    # -- the templates

    def _endpoint(self, columns: tuple[str, ...]) -> _Part:
        part = self._part(_ENDPOINT, "endpoint", columns)
        if part is None:
            raise AssertionError("a set without an endpoint has not been validated")
        return part

    def _part(self, kind: type[Model | Target], name: str, columns: tuple[str, ...]) -> _Part | None:
        base = self.root.at(("spec", name))
        if base is None or base.entries is None:
            return None
        own = (VERSION_PLACEHOLDER,) if kind is Model else ()
        builder = TreeBuilder(self.file)
        template = Template(base, columns, builder, ("spec", name), own)
        overridden: dict[str, Template] = {}
        for key in self.document.spec.overrides:
            over = self.root.at(("spec", "overrides", key, name))
            if over is not None and over.entries is not None:
                path = ("spec", "overrides", key, name)
                overridden[key] = Template(merged(base, over), columns, builder, path, own)
        if columns:  # without them each placeholder would seem wrong
            self.tree.diagnostics.extend(dict.fromkeys(builder.diagnostics))
        return _Part(kind, name, template, overridden)

    def _check_overrides(self, keys: list[str]) -> None:
        known = frozenset(keys)
        for key in self.document.spec.overrides:
            node = self.root.at(("spec", "overrides", key))
            if key not in known and node is not None:
                self.tree.diagnostics.append(
                    Diagnostic(
                        f"unknown item {shown(key)} in overrides",
                        Position(self.file, node.line, node.column),
                        f"spec.overrides.{key}",
                        f"items: {join_names(keys)}" if keys else "the set has no items",
                        did_you_mean(key, keys),
                    )
                )

    def _check_endpoint(
        self, endpoint: _Part, table: Table, service: tuple[str | None, str | None], *, own_model: bool
    ) -> None:
        """Report the template's errors once for all items."""
        root = self.root.at(("spec", "endpoint")) or self.root
        place = Position(self.file, root.line, root.column)
        if own_model and not {"model", "models", "state"} & set(root.entries or ()):
            self.tree.diagnostics.append(
                Diagnostic(
                    "the set makes a model of each item, but its endpoints serve no model",
                    place,
                    "spec.endpoint",
                    "allowed: model: {resource: …, version: …} in it, or no spec.model",
                    "add model with the trained model of the web service",
                )
            )
        name = endpoint.template.fixed("endpoint")
        alike = [item for item in table.items if item.key not in endpoint.overridden]
        if name is not None and None not in service and len(alike) > 1:
            node = root.at(("endpoint",)) or root
            self.tree.diagnostics.append(
                Diagnostic(
                    f"every item has the same endpoint {shown(name)}",
                    Position(self.file, node.line, node.column),
                    "spec.endpoint.endpoint",
                    f"columns: {join_names(table.columns)}",
                    f"make the name depend on the item, as in {name}-{{{table.columns[0]}}}",
                )
            )

    def _check_places(self, part: _Part, items: tuple[Item, ...]) -> None:
        """Ready-made artifacts of two items must not be one file: each model's are its own."""
        if part.kind is not Model or self.root.at(("spec", "model", "versions")) is None:
            return
        first: dict[tuple[str, str], Position] = {}
        for item in items:
            try:
                spec = part.of(item).filled(item)
            except Unfit:
                continue  # which is told when its document is made
            for place in _ready_places(spec):
                earlier = first.setdefault(place, item.position)
                if earlier is not item.position:
                    self.tree.diagnostics.append(
                        Diagnostic(
                            f"two items have the same artifact {shown(place[1])}",
                            item.position,
                            "spec.model.versions",
                            f"the first is at {earlier}",
                            "make the path depend on the item",
                        )
                    )

    # -- an item's documents

    def _make(self, part: _Part, item: Item, *, own_model: bool) -> None:
        """Add an item's document of one kind to the tree, or what is wrong with it to the errors."""
        name = f"{self.document.name}-{item.key}"
        template = part.of(item)
        try:
            spec = template.filled(item)
        except Unfit as error:
            self.tree.lost_names.add(name)
            at = f"spec.{part.field}"
            if not self._is_enough(at):
                self._wrong(at, [Diagnostic(str(error), item.position, at)])
            return
        if own_model and part.kind is _ENDPOINT:
            spec = _with_model_name(spec, name)
        labels = {**self.document.metadata.labels, SET_LABEL: self.document.name}
        value = {
            "apiVersion": API_VERSION,
            "kind": part.kind.kind_name(),
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
        }
        try:
            made = part.kind.model_validate(value, by_alias=True, by_name=False)
        except ValidationError as error:
            self.tree.lost_names.add(name)
            self._explain(part, template, item, error)
            return
        self.names[part.kind].add(name)
        self.tree.found.append(self._found(part, template, item, made))
        if isinstance(made, _ENDPOINT):
            self.services.add((made.spec.workspace, made.spec.web_service))
            self.shared.update(use.name for use in made.spec.bindings if use.name not in self.names[Model])

    def _found(self, part: _Part, template: Template, item: Item, made: Model | Target) -> Found:
        """Return the document as the checks between documents want it."""
        mentions = {"metadata.name": Mention(made.name, item.position)}
        for name in made.FIELDS:
            value = made.at(name)
            if isinstance(value, str):
                path = tuple(name.split(".")[1:])
                mentions[name] = Mention(value, self._place_of(part, template, path, item))
        common = {"kind": made.kind, "file": self.file, "position": item.position, "document": made, "home": self.file}
        if isinstance(made, Model):
            return Found(
                mentions=mentions,
                trains=made.spec.training is not None,
                ready=frozenset(made.spec.versions),
                **common,  # type: ignore[arg-type] # the fields of both kinds, spelt once
            )
        # Of several models each would have to be looked for in the list.
        place = self._place_of(part, template, ("model", "name"), item) if made.spec.model else item.position
        uses = tuple(
            MentionedUse("spec.model", Mention(use.name, place), Mention(use.version, item.position))
            for use in made.spec.bindings
        )
        return Found(mentions=mentions, uses=uses, **common)  # type: ignore[arg-type] # as above

    def _place_of(self, part: _Part, template: Template, path: tuple[str, ...], item: Item) -> Position:
        """Where a value stands: in the template if it is the same for all items, else in the item."""
        if template is not part.template:
            return item.position
        key = (part.field, *path)
        if key not in self.places:
            node = self.root.at(("spec", *key))
            fixed = node is not None and template.fixed(*path) is not None
            self.places[key] = Position(self.file, node.line, node.column) if node is not None and fixed else None
        return self.places[key] or item.position

    # -- errors

    def _explain(self, part: _Part, template: Template, item: Item, error: ValidationError) -> None:
        first = error.errors(include_url=False, include_input=False)[0]["loc"]
        if self._is_enough(_field_of(part, first)):
            return
        root = Node({}, self.root.line, self.root.column)
        spec = template.node(item)
        name = Node(f"{self.document.name}-{item.key}", -1, 1)
        metadata = Node({}, self.root.line, self.root.column)
        metadata.entries = {"name": Entry(-1, 1, name)}
        root.entries = {"metadata": Entry(1, 1, metadata), "spec": Entry(spec.line, spec.column, spec)}
        told = list(explain(error, root, part.kind, self.file))
        self._wrong(_field_of(part, first), [self._at_item(part, item, each) for each in told])

    def _at_item(self, part: _Part, item: Item, told: Diagnostic) -> Diagnostic:
        """Return what pydantic found, at the item if the item's value is to blame, else at the template."""
        field_ = told.field
        if field_.startswith("spec"):
            field_ = f"spec.{part.field}{field_[len('spec') :]}"
        if told.position.line >= 0:
            return Diagnostic(told.summary, told.position, field_, told.detail, told.remedy)
        if told.field == "metadata.name":
            node = self.root.at(("metadata", "name")) or self.root
            detail = (
                f"{told.detail}; it is the name of the set at {Position(self.file, node.line, node.column)}, a hyphen, "
            )
            return Diagnostic(told.summary, item.position, field_, detail + "and the item", told.remedy)
        template = Position(self.file, -told.position.line, told.position.column)
        return Diagnostic(
            told.summary, item.position, field_, f"{told.detail}\nthe template is at {template}", told.remedy
        )

    def _is_enough(self, name: str) -> bool:
        """Whether a field's errors have been told for enough items; if so, this one is counted."""
        enough = self.wrong[name] >= _MOST_TOLD
        self.wrong[name] += enough
        return enough

    def _wrong(self, name: str, told: list[Diagnostic]) -> None:
        known = self.tree.diagnostics
        # An error of the template is the same for every item.
        fresh = [each for each in told if each not in known[-_MOST_TOLD * 4 :]]
        if fresh:
            self.wrong[name] += 1
        known.extend(fresh)

    def _tell_how_many(self) -> None:
        for name, times in self.wrong.items():
            if times > _MOST_TOLD:
                more = times - _MOST_TOLD
                place = Position(self.file, self.root.line, self.root.column)
                self.tree.diagnostics.append(Diagnostic(f"{more:,} more items have an error here", place, name))


def _field_of(part: _Part, loc: tuple[str | int, ...]) -> str:
    if loc[:1] != ("spec",):
        return ".".join(map(str, loc[:2]))
    return ".".join(("spec", part.field, *map(str, loc[1:2])))


def _with_model_name(spec: Any, name: str) -> Any:
    """Return the endpoint's spec with its model named, where the template leaves it to the set."""

    def named(use: Any) -> Any:
        return {"name": name, **use} if isinstance(use, dict) and use.get("name") is None else use

    made = dict(spec)
    if "model" in made:
        made["model"] = named(made["model"])
    if isinstance(made.get("models"), list):
        made["models"] = [named(use) for use in made["models"]]
    return made


def _fixed_models(endpoint: Template) -> Iterator[str]:
    """Return the Models that a template names for whichever item."""
    name = endpoint.fixed("model", "name")
    if name is not None:
        yield name
    for index in range(endpoint.length("models")):
        name = endpoint.fixed("models", index, "name")
        if name is not None:
            yield name


def _ready_places(spec: Any) -> Iterator[tuple[str, str]]:
    versions = spec.get("versions")
    for version in versions.values() if isinstance(versions, dict) else ():
        location = version.get("location") if isinstance(version, dict) else None
        if isinstance(location, dict):
            yield str(location.get("baseLocation")), str(location.get("relativeLocation"))

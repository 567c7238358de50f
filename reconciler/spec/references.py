"""Rules between documents: names, references, and what two targets must not share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.spec.diagnostics import Diagnostic, did_you_mean, join_names
from reconciler.spec.documents import Document, Target
from reconciler.spec.documents.model import trainer_of
from reconciler.spec.loading.loader import Found, Mention, MentionedUse, Tree
from reconciler.spec.secret_detection import shown

_MOST_GUESSES = 100


def check(tree: Tree) -> Iterator[Diagnostic]:
    """Every error between the documents of a tree, those with errors of their own included."""
    by_kind: dict[str, dict[str, Found]] = {}
    for found in tree.found:
        if found.name is not None:
            by_kind.setdefault(found.kind, {}).setdefault(found.name, found)
    dangling = _Dangling(by_kind, tree)
    targets = [(found, kind) for found in tree.found if issubclass(kind := tree.kinds[found.kind], Target)]
    yield from _duplicate_names(tree)
    yield from _shared_identities(targets, by_kind.get("Workspace", {}))
    for found in tree.found:
        for field, reference in tree.kinds[found.kind].REFERENCES.items():
            mention = found.mentions.get(field)
            if mention is None:
                continue
            if reference.kind == found.kind:
                yield from _refers_to_itself(found, tree.kinds[found.kind], mention, field)
            if not (reference.or_id and mention.value.startswith("/")):
                yield from dangling.check(mention, field, reference.kind)
        for use in found.uses:
            yield from dangling.check(use.name, f"{use.field}.name", "Model")
            yield from _underivable(use, by_kind.get("Model", {}))
    yield from _training_services_as_targets(tree.found, targets)


def _refers_to_itself(found: Found, kind: type[Document], mention: Mention, field: str) -> Iterator[Diagnostic]:
    noun = kind.NOUN if issubclass(kind, Target) else "document"
    own = kind.identity_of(found.values, {}) if issubclass(kind, Target) else None
    if mention.value == found.name or (own is not None and mention.value.lower() in own):
        yield Diagnostic(f"names the document's own {noun}", mention.position, field, remedy=f"name another {noun}")


def _duplicate_names(tree: Tree) -> Iterator[Diagnostic]:
    first: dict[tuple[str, str], Found] = {}
    for found in tree.found:
        mention = found.mentions.get("metadata.name")
        if mention is None:
            continue
        space = "target" if issubclass(tree.kinds[found.kind], Target) else found.kind
        earlier = first.setdefault((space, mention.value), found)
        if earlier is found:
            continue
        where = earlier.mentions["metadata.name"].position
        same = earlier.kind == found.kind
        yield Diagnostic(
            f"duplicate name: two {found.kind} documents are named {shown(mention.value)}"
            if same
            else f"duplicate name: a {earlier.kind} is named {shown(mention.value)} too",
            mention.position,
            "metadata.name",
            f"the first is at {where}" + ("" if same else "; targets of all kinds share one space of names"),
            "rename one of them, or remove it",
        )


def _shared_identities(
    targets: Sequence[tuple[Found, type[Target]]], workspaces: Mapping[str, Found]
) -> Iterator[Diagnostic]:
    ids = {name: found.mentions["spec.id"].value for name, found in workspaces.items() if "spec.id" in found.mentions}
    first: dict[tuple[str, ...], Found] = {}
    for found, kind in targets:
        identity = kind.identity_of(found.values, ids)
        if identity is None:
            continue
        # Targets of two kinds are never the same.
        earlier = first.setdefault((found.kind, *identity), found)
        if earlier is found:
            continue
        field = kind.IDENTITY[-1]
        yield Diagnostic(
            f"two targets manage the same {kind.NOUN}: {shown(earlier.name or '?')} and {shown(found.name or '?')}",
            found.mentions[field].position,
            field,
            f"the first is at {earlier.mentions[field].position}",
            "keep one of them: two would undo each other's changes",
        )


class _Dangling:
    """Finds references to documents that do not exist. A name that a text which cannot be read may hold is let pass."""

    def __init__(self, by_kind: Mapping[str, Mapping[str, Found]], tree: Tree) -> None:
        self._names = {kind: sorted(by_kind.get(kind, {})) for kind in tree.kinds}
        self._known = {kind: frozenset(names) | tree.lost_names for kind, names in self._names.items()}
        self._guesses: dict[tuple[str, str], str] = {}

    def check(self, mention: Mention | None, field: str, kind: str) -> Iterator[Diagnostic]:
        """Return the diagnostic of a reference that leads nowhere."""
        if mention is None or mention.value in self._known[kind]:
            return
        names = self._names[kind]
        yield Diagnostic(
            f"no {kind} is named {shown(mention.value)}",
            mention.position,
            field,
            f"found: {join_names(names)}" if names else f"the specs have no {kind}",
            self._guess(kind, mention.value) or f"add a document of kind {kind}, or correct the name",
        )

    def _guess(self, kind: str, name: str) -> str:
        # Each guess looks at every name; a tree with thousands of wrong references must not take minutes for them.
        if (kind, name) not in self._guesses and len(self._guesses) < _MOST_GUESSES:
            self._guesses[kind, name] = did_you_mean(name, self._names[kind])
        return self._guesses.get((kind, name), "")


def _underivable(use: MentionedUse, models: Mapping[str, Found]) -> Iterator[Diagnostic]:
    name, version = use.name, use.version
    model = models.get(name.value) if name else None
    if model is None or version is None or model.trains or version.value in model.ready:
        return
    ready = join_names(sorted(model.ready)) if model.ready else "none"
    yield Diagnostic(
        f"version {shown(version.value)} of model {shown(model.name or '?')} does not exist: "
        "the model has no training and no ready-made version with this label",
        version.position,
        f"{use.field}.version",
        f"its ready-made versions: {ready}; the model is at {model.position}",
        did_you_mean(version.value, model.ready) or "add the version or a training to the model",
    )


def _training_services_as_targets(
    documents: Sequence[Found], targets: Sequence[tuple[Found, type[Target]]]
) -> Iterator[Diagnostic]:
    """Refuse training services as targets: they have no updatable resources (classic-protocol 5.1, 5.2)."""
    trained_by: dict[tuple[str, ...], Found] = {}
    for found in documents:
        trainer = trainer_of(found.values) if found.kind == "Model" else None
        if trainer is not None:
            trained_by.setdefault(trainer, found)
    for found, kind in targets:
        service = kind.service_of(found.values)
        model = trained_by.get(service) if service is not None else None
        if model is not None:
            field = kind.SERVICE[-1]
            what = (
                "which cannot be a target" if kind.SERVICE == kind.IDENTITY else f"whose {kind.NOUN}s cannot be targets"
            )
            yield Diagnostic(
                f"{shown(found.mentions[field].value)} is a training web service, {what}",
                found.mentions[field].position,
                field,
                f"it trains model {shown(model.name or '?')} at {model.position}",
                "name the predictive web service",
            )

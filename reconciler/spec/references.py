"""Rules between documents: names, references, and what two targets must not share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from reconciler.spec.diagnostics import Diagnostic, did_you_mean, join_names
from reconciler.spec.loading.loader import Found, Mention, MentionedUse, Tree
from reconciler.spec.secret_detection import shown

TARGET_KINDS = frozenset({"ClassicEndpoint", "NewWebService"})
_MOST_GUESSES = 100


def check(tree: Tree) -> Iterator[Diagnostic]:
    """Every mistake between the documents of a tree, those with mistakes of their own included."""
    by_kind: dict[str, dict[str, Found]] = {}
    for found in tree.found:
        if found.name is not None:
            by_kind.setdefault(found.kind, {}).setdefault(found.name, found)
    dangling = _Dangling(by_kind, tree.lost_names)
    yield from _duplicate_names(tree.found)
    yield from _shared_identities(tree.found, by_kind.get("Workspace", {}))
    for found in tree.found:
        yield from dangling.check(found.mentions.get("spec.workspace"), "spec.workspace", "Workspace")
        copied = found.mentions.get("spec.copyOf")
        if copied is not None:
            yield from _copy_of_itself(found, copied)
        if copied is not None and not copied.value.startswith("/"):
            yield from dangling.check(copied, "spec.copyOf", "NewWebService")
        for use in found.uses:
            yield from dangling.check(use.name, f"{use.field}.name", "Model")
            yield from _underivable(use, by_kind.get("Model", {}))
    yield from _training_services_as_targets(tree.found)


def _copy_of_itself(found: Found, copied: Mention) -> Iterator[Diagnostic]:
    own = found.mentions.get("spec.resourceId")
    if copied.value == found.name or (own is not None and copied.value.lower() == own.value.lower()):
        remedy = "name the web service that it is to be a copy of"
        yield Diagnostic("names the document's own web service", copied.position, "spec.copyOf", remedy=remedy)


def _duplicate_names(documents: Sequence[Found]) -> Iterator[Diagnostic]:
    first: dict[tuple[str, str], Found] = {}
    for found in documents:
        mention = found.mentions.get("metadata.name")
        if mention is None:
            continue
        space = "target" if found.kind in TARGET_KINDS else found.kind
        earlier = first.setdefault((space, mention.value), found)
        if earlier is found:
            continue
        where = earlier.mentions["metadata.name"].position
        same = earlier.kind == found.kind
        yield Diagnostic(
            f"duplicate name: there are two {found.kind} documents named {shown(mention.value)}"
            if same
            else f"duplicate name: a {earlier.kind} is named {shown(mention.value)} too",
            mention.position,
            "metadata.name",
            f"the first is at {where}" + ("" if same else "; targets of all kinds share one space of names"),
            "rename one of them, or take it out",
        )


def _identity(found: Found, workspaces: Mapping[str, Found]) -> tuple[str, ...] | None:
    """Return what a target is on the wire, as far as that is known offline: a service may be named by name or by id."""
    mentions = found.mentions
    if found.kind == "NewWebService":
        resource = mentions.get("spec.resourceId")
        return (resource.value.lower(),) if resource else None
    parts = [mentions.get(f"spec.{name}") for name in ("workspace", "webService", "endpoint")]
    if found.kind != "ClassicEndpoint" or None in parts:
        return None
    workspace, service, endpoint = (part.value for part in parts if part is not None)
    home = workspaces.get(workspace)
    studio_id = home.mentions.get("spec.id") if home else None
    return (studio_id.value.lower() if studio_id else workspace, service, endpoint)


def _shared_identities(documents: Sequence[Found], workspaces: Mapping[str, Found]) -> Iterator[Diagnostic]:
    first: dict[tuple[str, ...], Found] = {}
    for found in documents:
        identity = _identity(found, workspaces)
        if identity is None:
            continue
        earlier = first.setdefault(identity, found)
        if earlier is found:
            continue
        field = "spec.resourceId" if found.kind == "NewWebService" else "spec.endpoint"
        what = "the same web service" if found.kind == "NewWebService" else "the same endpoint"
        yield Diagnostic(
            f"two targets manage {what}: {shown(earlier.name or '?')} and {shown(found.name or '?')}",
            found.mentions[field].position,
            field,
            f"the first is at {earlier.mentions[field].position}",
            "keep one of them: two would undo each other's changes for ever",
        )


class _Dangling:
    """Finds references to documents that do not exist. A name that a text which cannot be read may hold is let pass."""

    def __init__(self, by_kind: Mapping[str, Mapping[str, Found]], lost: AbstractSet[str]) -> None:
        self._names = {kind: sorted(by_kind.get(kind, {})) for kind in ("Workspace", "Model", "NewWebService")}
        self._known = {kind: frozenset(names) | lost for kind, names in self._names.items()}
        self._guesses: dict[tuple[str, str], str] = {}

    def check(self, mention: Mention | None, field: str, kind: str) -> Iterator[Diagnostic]:
        """Return the diagnostic of a reference that leads nowhere."""
        if mention is None or mention.value in self._known[kind]:
            return
        names = self._names[kind]
        yield Diagnostic(
            f"there is no {kind} named {shown(mention.value)}",
            mention.position,
            field,
            f"there are: {join_names(names)}" if names else f"there is no {kind} at all",
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
        f"version {shown(version.value)} of model {shown(model.name or '?')} cannot be had: "
        "the model has no training, and no ready-made version of this label",
        version.position,
        f"{use.field}.version",
        f"its ready-made versions: {ready}; the model is at {model.position}",
        did_you_mean(version.value, model.ready) or "add the version or a training to the model",
    )


def _training_services_as_targets(documents: Sequence[Found]) -> Iterator[Diagnostic]:
    """Return a training service has no updatable resources and is never patched (classic-protocol 5.1, 5.2)."""
    trained_by: dict[tuple[str, ...], Found] = {}
    for found in documents:
        trainer = _called(found, "spec.training.classic.webService", "spec.training.new.resourceId")
        if found.kind == "Model" and trainer is not None:
            trained_by.setdefault(trainer[0], found)
    for found in documents:
        target = _called(found, "spec.webService", "spec.resourceId") if found.kind in TARGET_KINDS else None
        model = trained_by.get(target[0]) if target else None
        if model is not None and target is not None:
            _, field = target
            what = "its endpoints cannot be targets" if field == "spec.webService" else "it cannot be a target"
            yield Diagnostic(
                f"{shown(found.mentions[field].value)} is a training web service; {what}",
                found.mentions[field].position,
                field,
                f"model {shown(model.name or '?')} at {model.position} is trained by it",
                "name the predictive web service",
            )


def _called(found: Found, classic: str, new: str) -> tuple[tuple[str, ...], str] | None:
    """Return the web service that a document names, as something to compare by, and the field that names it."""
    workspace, service, resource = (found.mentions.get(field) for field in ("spec.workspace", classic, new))
    if resource is not None:
        return (resource.value.lower(),), new
    return ((workspace.value, service.value), classic) if workspace and service else None

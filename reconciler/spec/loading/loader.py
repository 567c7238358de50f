"""Reads a spec tree: every document that can be made out, and every error of every file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler.spec.diagnostics import Diagnostic, Position, did_you_mean, field_path, join_names, nearest
from reconciler.spec.documents import API_VERSION, Document, EndpointSet, Kinds, Model, Target
from reconciler.spec.loading.files import is_definition, read, spec_files
from reconciler.spec.loading.json_reader import JsonReader
from reconciler.spec.loading.nodes import Node, TreeBuilder
from reconciler.spec.loading.validation_errors import describe, explain
from reconciler.spec.loading.yaml_reader import YamlReader

# Names in a text that could not be read: a reference to one of them is not called dangling.
_NAME_IN_TEXT = re.compile(r"""["']?\bname["']?[ \t]*:[ \t]*["']?([A-Za-z0-9._-]+)""")


@dataclass(frozen=True, slots=True)
class Mention:
    """A name or id as it stands in a document, for checks between documents."""

    value: str
    position: Position


@dataclass(frozen=True, slots=True)
class MentionedUse:
    """A model that a target names, as it stands there.

    Attributes:
        field: The path of the use, such as ``spec.model``.
        name: The model.
        version: The label.
        resource: The resource that is to serve it.
    """

    field: str
    name: Mention | None
    version: Mention | None
    resource: Mention | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A document of a known kind. ``document`` is None when it has errors of its own, which are reported."""

    kind: str
    file: Path
    position: Position
    mentions: Mapping[str, Mention]
    document: Document | None = None
    uses: tuple[MentionedUse, ...] = ()
    """A target: the models that it names."""
    trains: bool = False
    """A model: whether it says how it is trained."""
    ready: frozenset[str] = frozenset()
    """A model: the labels of its ready-made versions."""
    root: Node | None = None
    """A set: the document as it stands, for expanding it."""
    home: Path | None = None
    """What a set made: the file of the set, to which its paths are relative. Its position is the item's."""

    @property
    def name(self) -> str | None:
        """``metadata.name``, if there is one."""
        mention = self.mentions.get("metadata.name")
        return mention.value if mention else None

    @property
    def values(self) -> dict[str, str]:
        """What its fields say, of those that are kept (`Document.FIELDS`)."""
        return {field: mention.value for field, mention in self.mentions.items()}


@dataclass(slots=True)
class Tree:
    """What a spec tree holds."""

    kinds: Kinds
    found: list[Found] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    lost_names: set[str] = field(default_factory=set)
    """Names in texts that could not be read, which may or may not be those of documents."""


def read_tree(paths: Sequence[Path], kinds: Kinds) -> Tree:
    """Read files and directories of documents of these kinds. Errors between documents are not looked for here."""
    tree = Tree(kinds)
    documents = 0
    files = 0
    for file in spec_files(paths, tree.diagnostics):
        files += 1
        documents += read_file(file, tree)
    if not paths:
        tree.diagnostics.append(Diagnostic("no spec files were given", Position(Path())))
    elif files and not documents and not tree.diagnostics:
        where = paths[0]
        tree.diagnostics.append(Diagnostic("the file has no documents", Position(where)))
    return tree


def read_file(file: Path, tree: Tree) -> int:
    """Read one file into the tree; gives the number of documents that are not empty."""
    source = read(file, tree.diagnostics)
    if source.text is None:
        tree.lost_names.update(_NAME_IN_TEXT.findall(source.rest))
        return 0
    if file.suffix.lower() == ".json" and is_definition(source.text):
        return 0  # It may lie in the tree, beside the document that names it.
    builder = TreeBuilder(file)
    reader = JsonReader(builder) if file.suffix.lower() == ".json" else YamlReader(builder)
    count = 0
    for root in reader.documents(source.text):
        if root.value is None and not root.entries:
            continue
        count += 1
        found = _document(root, file, builder, tree.kinds)
        if found is not None:
            tree.found.append(found)
    for text in reader.lost:
        tree.lost_names.update(_NAME_IN_TEXT.findall(text))
    tree.diagnostics.extend(builder.diagnostics)
    return count


def _document(root: Node, file: Path, builder: TreeBuilder, kinds: Kinds) -> Found | None:
    builder.path.clear()
    if root.entries is None:
        builder.report(
            root.line,
            root.column,
            f"a document must be a mapping, found {describe(root)}",
            "allowed: one object with apiVersion, kind, metadata and spec",
            "write the documents one after the other, with '---' between them" if root.items is not None else "",
        )
        return None
    if "apiVersion" not in root.entries:
        builder.path.append("apiVersion")
        builder.report(root.line, root.column, "missing field 'apiVersion'", f"allowed: {API_VERSION}")
        builder.path.pop()
    name = _kind(root, builder, kinds)
    if name is None:
        return None
    kind = kinds[name]
    return _found(root, kind, file, _validated(root, kind, builder))


def _kind(root: Node, builder: TreeBuilder, kinds: Kinds) -> str | None:
    """Return the kind of a document; the one that was probably meant, after it has been reported."""
    entries = root.entries or {}
    builder.path.append("kind")
    if "kind" not in entries:
        builder.report(root.line, root.column, "missing field 'kind'", f"allowed: {join_names(kinds)}")
        return None
    node = entries["kind"].node
    if isinstance(node.value, str) and node.value in kinds:
        return node.value
    meant = nearest(node.value, kinds) if isinstance(node.value, str) else None
    builder.report(
        node.line,
        node.column,
        f"unknown kind {describe(node)}",
        f"allowed: {join_names(kinds)}",
        did_you_mean(meant, kinds) if meant else "",
    )
    return meant


def _validated(root: Node, kind: type[Document], builder: TreeBuilder) -> Document | None:
    name = kind.kind_name()
    value: Any = root.value if root.value["kind"] == name else {**root.value, "kind": name}
    try:
        return kind.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        builder.diagnostics.extend(explain(error, root, kind, builder.file))
        return None


def _found(root: Node, kind: type[Document], file: Path, document: Document | None) -> Found:
    position = Position(file, root.line, root.column)
    name = kind.kind_name()
    mentions = {
        field: mention for field, path in _paths(kind) if (mention := _mention(root.at(path), file)) is not None
    }
    if issubclass(kind, EndpointSet):
        return Found(name, file, position, mentions, document, root=root)
    if issubclass(kind, Target):
        return Found(name, file, position, mentions, document, tuple(_uses(root, file)))
    if not issubclass(kind, Model):
        return Found(name, file, position, mentions, document)
    versions = root.at(("spec", "versions"))
    return Found(
        name,
        file,
        position,
        mentions,
        document,
        trains=root.at(("spec", "training")) is not None,
        ready=frozenset(versions.entries or ()) if versions is not None else frozenset(),
    )


@cache
def _paths(kind: type[Document]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((field, tuple(field.split("."))) for field in ("metadata.name", *kind.FIELDS))


def _mention(node: Node | None, file: Path) -> Mention | None:
    if node is None or not isinstance(node.value, str) or node.secret:
        return None
    return Mention(node.value, Position(file, node.line, node.column))


def _uses(root: Node, file: Path) -> Iterator[MentionedUse]:
    one, several = root.at(("spec", "model")), root.at(("spec", "models"))
    uses = {} if one is None else {"spec.model": one}
    if several is not None:
        uses |= {field_path(("spec", "models", index)): use for index, use in enumerate(several.items or ())}
    for place, use in uses.items():
        yield MentionedUse(place, *(_mention(use.child(part), file) for part in ("name", "version", "resource")))

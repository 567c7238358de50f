"""Drafts as files: one for the workspaces, one for the models, one for each web service, one for each resource group.

The text is that which `reconcile fmt` would make of it.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.importing.drafts import Draft, Drafts, GroupDrafts
from reconciler.plan.text import printable
from reconciler.spec.documents import Target
from reconciler.spec.formatting.comments import BLANK, Collection, CommentedDocument, Item, Scalar, Value
from reconciler.spec.formatting.formatter import formatted
from reconciler.spec.formatting.writer import WIDTH, quoted, written
from reconciler.spec.naming import told_apart, unique
from reconciler.targets import kinds

WORKSPACES = "workspaces.yaml"
MODELS = "models.yaml"

_FILE_NAME = 70
_SAMPLE, _ENTRY = "    ", "- "
"""Begin lines of a comment that are not wrapped: a piece of a spec, an entry of a list."""
_NOT_MANAGED = "Fields that are left out are not managed."
_BLOCKS = frozenset({"spec", "storage", "versions", "models"})
"""The fields whose mappings and lists are written on lines of their own; others stand in braces where they fit."""


def files_of(drafts: Drafts) -> dict[str, str]:
    """Return the text of each file, by its name; none if all that was found has documents."""
    if not (drafts.workspaces or drafts.models or drafts.groups):
        return {}
    files = {WORKSPACES: _file(_WORKSPACES_HEAD, drafts.workspaces)} if drafts.workspaces else {}
    models = _models_head(drafts)
    if models or drafts.models:
        files[MODELS] = _file(models, drafts.models)
    groups = {part.group.identity: part for part in drafts.groups}
    wanted = {identity: part.group.file_name for identity, part in groups.items()}
    homes = {identity: part.group.workspace for identity, part in groups.items() if part.group.workspace}
    names = unique(told_apart(wanted, homes, _FILE_NAME), {each: each for each in wanted}, (), _FILE_NAME)
    for identity, part in groups.items():
        files[f"{names[identity]}.yaml"] = _file(_head(part), part.targets)
    return dict(sorted(files.items()))


_WORKSPACES_HEAD = ("Workspaces of `reconcile import`. The secrets are references; no secret is in this file.",)


def _head(part: GroupDrafts) -> Iterator[str]:
    group = part.group
    yield f"{group.heading}, as `reconcile import` found them. {_NOT_MANAGED}"
    yield from _unknown_models(part)
    if part.unsaid:
        names = ", ".join(part.unsaid)
        yield f"No document can be written for these {group.noun}, whose names the rules do not allow: {names}"


def _unknown_models(part: GroupDrafts) -> Iterator[str]:
    documents = [draft.document for draft in part.targets]
    if all(document.spec.bindings for document in documents if isinstance(document, Target)):
        return
    noun = part.group.noun
    yield (
        f"{noun[0].upper()}{noun[1:]} without model: are managed for their settings only: the service does not report "
        "which model they serve, and no ownership marker names one. Once a document names a model, the next run points "
        "its target there:"
    )
    resource = next((target.resources[0] for target in part.group.targets if target.resources), "NAME [trained model]")
    yield f'{_SAMPLE}model: {{resource: {quoted(resource)}, name: MODEL, version: "LABEL"}}'


def _models_head(drafts: Drafts) -> list[str]:
    lines = []
    if drafts.models:
        lines.append(
            "Models whose versions were found live. They are ready-made versions, because their training is unknown. "
            "A version in another storage account than the workspace's needs a sasToken before targets can serve it."
        )
    training = [service for service in drafts.idle if not service.heading]
    if training:
        lines.append(
            "Training services that no model here uses. To train the versions of a model with one, add to the model:"
        )
        lines.append(
            f"{_SAMPLE}training: {{classic: {{webService: NAME}}, inputs: …, outputs: …}}  # or new: {{resourceId: ID}}"
        )
        lines += [f"{_ENTRY}{service.title}" for service in training]
    for heading in dict.fromkeys(service.heading for service in drafts.idle if service.heading):
        lines.append(heading)
        lines += [f"{_ENTRY}{service.title}" for service in drafts.idle if service.heading == heading]
    return lines


def _file(head: Iterable[str], drafts: Sequence[Draft]) -> str:
    lines: list[str] = []
    for paragraph in head:
        apart = lines and not paragraph.startswith((_SAMPLE, _ENTRY))
        lines += [*(["#"] if apart else []), *_comment(paragraph)]
    documents = [CommentedDocument(_tree(_content(draft)), _comments(draft.comments)) for draft in drafts]
    if documents:
        documents[0].head[:0] = [*lines, BLANK]
    return formatted(written(documents, lines), kinds.documents(), as_json=False)


def _comments(paragraphs: Iterable[str]) -> list[str]:
    return [line for paragraph in paragraphs for line in _comment(paragraph)]


def _comment(paragraph: str) -> list[str]:
    text = printable(paragraph)
    if paragraph.startswith((_SAMPLE, _ENTRY)):
        return [f"# {text}"]
    wrapped = textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in wrapped]


def _content(draft: Draft) -> Mapping[str, Any]:
    """Return what a document says, without what it would say anyway."""
    document = draft.document
    said = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"apiVersion": document.api_version, "kind": document.kind, **said}


def _tree(content: Mapping[str, Any]) -> Collection:
    return Collection(
        mapping=True, items=[Item(_value(value, block=key in _BLOCKS), key) for key, value in content.items()]
    )


def _value(value: Any, *, block: bool = False) -> Value:
    if isinstance(value, Mapping):
        items = [Item(_value(each, block=key in _BLOCKS), key) for key, each in value.items()]
        return Collection(mapping=True, items=items, flow=not block)
    if isinstance(value, list):
        return Collection(mapping=False, items=[Item(_value(each)) for each in value], flow=not block)
    return Scalar(value) if isinstance(value, str) else Scalar("", json.dumps(value))

"""Definitions as files: what is read from one, and what is exported into one. No network.

A file holds JSON as Resource Manager has it, without what only the service writes and without secrets. Where a secret
belongs, ``{"$secret": {"env": "NAME"}}`` stands: a reference as in a spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.azure.arm.definition import member, spelling
from reconciler.plan.text import count
from reconciler.spec.secret_detection import looks_secret
from reconciler.targets.driver import Exported
from reconciler.targets.new_service.definition.diff import HANDED_OVER, SERVER_SET
from reconciler.targets.new_service.definition.form import (
    SECRET,
    Definition,
    current_form,
    is_credential,
    is_placeholder,
    pointer,
    without_query,
)
from reconciler.targets.new_service.definition.validation import examine, named, variable_for
from reconciler.targets.ownership import without_ours

_NOT_EXPORTED = SERVER_SET | HANDED_OVER | {"keys", "commitmentplan"}


class DefinitionFileError(Exception):
    """A definition file cannot be used. The message names the file and the place, and no secret."""


@dataclass(frozen=True, slots=True)
class Written:
    """A definition as a file has it.

    Attributes:
        content: ``location``, ``tags`` and ``properties``, as far as the file has them; the members of the properties
            that everybody has are in the service's own spelling.
    """

    content: Mapping[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        """The definition itself."""
        found: dict[str, Any] = self.content["properties"]
        return found

    @property
    def location(self) -> str | None:
        """The region that it names."""
        found = self.content.get("location")
        return found if isinstance(found, str) and found else None

    @property
    def tags(self) -> dict[str, str]:
        """The tags that it names, without those of the marker, which may have been exported with the definition."""
        return without_ours(self.content.get("tags") or {})


def read_definition(path: Path) -> Written:
    """Read a definition file.

    Raises:
        DefinitionFileError: it cannot be read, is no definition, or holds a secret.
    """
    content, errors = examine(path)
    if content is None:
        first = errors[0]
        text = (
            f"{first.position}: {first.field}: {first.summary}" if first.field else f"{first.position}: {first.summary}"
        )
        more = f"{count(len(errors) - 1, 'more error')}: `reconcile validate` lists them"
        told = [text, first.detail, first.remedy, more if len(errors) > 1 else ""]
        raise DefinitionFileError("; ".join(part for part in told if part))
    return usable(content)


def usable(content: Mapping[str, Any]) -> Written:
    """Return what `examine` found of a file without errors, but for what the service alone writes."""
    given = content["properties"]
    kept = {name: value for name, value in given.items() if name.casefold() not in SERVER_SET | HANDED_OVER}
    return Written({**content, "properties": {**kept, "packageType": "Graph"}})


def export_definition(definition: Definition) -> Exported:
    """Return a live definition, its payload inline, without server-set members, signatures and secrets.

    Args:
        definition: As Resource Manager shows it.
    """
    name = str(member(definition, "name") or "service")
    shown = current_form(named(member(definition, "properties") or {}))
    properties = {key: value for key, value in shown.items() if key.casefold() not in _NOT_EXPORTED}
    all_tags = without_ours(member(definition, "tags") or {})
    tags = {tag: value for tag, value in all_tags.items() if not looks_secret(tag) and not looks_secret(value)}
    notes: list[str] = []
    content: dict[str, Any] = {"location": member(definition, "location")}
    if tags:
        content["tags"] = tags
    content["properties"] = _without_secrets(properties, ("properties",), name, notes)
    if withheld := len(all_tags) - len(tags):
        notes.append(f"left out: {count(withheld, 'tag')} that might hold a secret")
    account = member(properties, "storageAccount", "name")
    notes.append(
        f"a spec that creates this service needs storage: {{account: {account or 'NAME'}, key: …}} and commitmentPlan, "
        "which the service does not report"
    )
    return Exported(content, tuple(notes))


def _without_secrets(value: Any, path: tuple[str, ...], name: str, notes: list[str]) -> Any:
    if isinstance(value, str) and looks_secret(value) and path[-1].casefold() != "uri":
        return _reference(path, name, notes)  # As an example request or a default may hold one.
    if isinstance(value, list):
        return [_without_secrets(inner, (*path, str(index)), name, notes) for index, inner in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    in_parameters = "parameters" in {part.casefold() for part in path}
    credential = in_parameters and (is_credential(value) or looks_secret(str(member(value, "value") or "")))
    result: dict[str, Any] = {}
    for key, inner in value.items():
        place = (*path, key)
        secret = isinstance(inner, str) and inner != ""
        if secret and ((credential and key.casefold() == "value") or key.casefold() == "credentials"):
            result[key] = _reference(place, name, notes)
        elif secret and key.casefold() == "uri" and "?" in inner:
            result[key] = without_query(inner)
            notes.append(f"{pointer(place)} has a signature on the service, which is left out")
        else:
            result[key] = _without_secrets(inner, place, name, notes)
    return result


def _reference(path: tuple[str, ...], name: str, notes: list[str]) -> dict[str, Any]:
    variable = variable_for(name, path)
    notes.append(f"{pointer(path)} is a secret: set the environment variable {variable}, or change the reference")
    return {SECRET: {"env": variable}}


def resolved(value: Any, secrets: Mapping[str, str], path: tuple[str, ...] = ()) -> Any:
    """Return a definition with every placeholder replaced by its secret, by JSON Pointer.

    Raises:
        KeyError: a placeholder has no secret.
    """
    if is_placeholder(value):
        return secrets[pointer(path)]
    if isinstance(value, Mapping):
        return {name: resolved(inner, secrets, (*path, str(name))) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, secrets, (*path, str(index))) for index, inner in enumerate(value)]
    return value


def set_member(members: dict[str, Any], name: str, value: Any) -> None:
    """Set a member under the spelling that it has already."""
    members[spelling(members, name) or name] = value


def with_placeholders(shown: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition as shown, with the file's placeholders for envelopes, which PUT may not open."""
    result = dict(shown)
    for name, value in file.items():
        key = spelling(result, name)
        if key is None:
            continue
        if is_placeholder(value):
            result[key] = value
        elif isinstance(value, Mapping) and isinstance(result[key], Mapping):
            result[key] = with_placeholders(result[key], value)
    return result

"""Finds in a New web service's definition its trained models, and where it is called (new-protocol 2, 4). Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.azure.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class TrainedModelAsset:
    """The one asset of a definition that is the trained model.

    Attributes:
        pointer: JSON Pointer (RFC 6901) of its uri, in the definition's own letter case.
        uri: The uri as it stands.
        key: The asset's key, a positional label such as ``asset3``.
        name: The asset's name, in its own letter case.
    """

    pointer: str
    uri: str
    key: str
    name: str


def trained_models(definition: Mapping[str, Any]) -> list[str]:
    """Return the names by which `find_trained_model` finds a trained model in a definition.

    A definition has other assets of type ``Resource``, such as data sets; a trained model's uri ends in ``.ilearner``
    (new-protocol 2).

    Raises:
        DefinitionError: the definition shows no assets.
    """
    resources = _resources(definition)
    names = Counter(name.casefold() for _, _, name in resources)
    return [
        name
        for _, asset, name in resources
        if names[name.casefold()] == 1
        and str(member(asset, "locationInfo", "uri") or "").partition("?")[0].lower().endswith(".ilearner")
    ]


def studio_of(definition: Mapping[str, Any]) -> str | None:
    """Return the id of the Studio workspace that a service was deployed from, if it is shown (new-protocol 1)."""
    found = member(definition, "properties", "machineLearningWorkspace", "id")
    return found if isinstance(found, str) and found else None


def find_trained_model(definition: Mapping[str, Any], name: str) -> TrainedModelAsset:
    """Return the one asset of type ``Resource`` that is called ``name`` (new-protocol 2).

    Members are found whatever their letter case (new-protocol 1); the name too, if that leaves only one.

    Raises:
        DefinitionError: there is none, or more than one; the message names the resources that are there.
    """
    resources = _resources(definition)
    found = [entry for entry in resources if entry[2] == name]
    found = found or [entry for entry in resources if entry[2].casefold() == name.casefold()]
    if len(found) != 1:
        raise DefinitionError(_not_one(name, found, [entry[2] for entry in resources]))
    key, asset, own_name = found[0]
    uri = member(asset, "locationInfo", "uri")
    if not isinstance(uri, str) or not uri:
        raise DefinitionError(f"the asset {own_name!r} has no locationInfo.uri")
    path = spelt(definition, "properties", "assets", key, "locationInfo", "uri")
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return TrainedModelAsset(pointer, uri, key, own_name)


def _resources(definition: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Return the assets of type ``Resource``: key, asset, name."""
    properties = member(definition, "properties")
    assets = member(properties, "assets")
    if not isinstance(assets, Mapping):
        in_blob = member(properties, "payloadsInBlobStorage") is True
        reason = "keeps its assets in a blob (payloadsInBlobStorage), where" if in_blob else "shows no assets, so"
        raise DefinitionError(f"the definition {reason} no trained model can be found")
    return [
        (str(key), asset, str(member(asset, "name") or ""))
        for key, asset in assets.items()
        if str(member(asset, "type") or "").lower() == "resource"
    ]


def _not_one(name: str, found: list[tuple[str, Any, str]], there: list[str]) -> str:
    if found:
        keys = ", ".join(entry[0] for entry in found)
        return f"the definition has {len(found)} resources named {name!r} ({keys}), so the name is ambiguous"
    if not there:
        return f"the definition has no trained model {name!r}, nor any other resource"
    near = difflib.get_close_matches(name, there, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ";"
    return f"the definition has no trained model {name!r}{hint} it has {', '.join(map(repr, sorted(there)))}"


def api_location(definition: Mapping[str, Any]) -> str | None:
    """Return the base URL for jobs and scoring, from ``swaggerLocation`` (new-protocol 4); None if it is not shown."""
    location = member(definition, "properties", "swaggerLocation")
    if not isinstance(location, str) or not location:
        return None
    return location.split("?")[0].rstrip("/").removesuffix("/swagger.json")


def spelling(members: object, name: str) -> str | None:
    """How a mapping spells a member; an exact match wins; None if it has none."""
    if not isinstance(members, Mapping):
        return None
    if name in members:
        return name
    return next((str(key) for key in members if str(key).casefold() == name.casefold()), None)


def member(value: Any, *path: str) -> Any:
    """Return what lies at these member names, whatever their casing; None where there is nothing."""
    for name in path:
        key = spelling(value, name)
        value = None if key is None else value[key]
    return value


def spelt(value: Any, *path: str) -> tuple[str, ...]:
    """Return these member names in the spelling of the mapping; an unknown name stays as given."""
    names: list[str] = []
    for name in path:
        key = spelling(value, name)
        names.append(name if key is None else key)
        value = None if key is None else value[key]
    return tuple(names)

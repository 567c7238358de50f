"""What a web service definition is made of: members in any casing, parameters in two forms, secrets. Pure.

A definition that Resource Manager shows mixes letter cases (new-protocol 1), so every member is looked up without
regard to it and keeps the spelling that it has.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from reconciler.azure.arm.definition import member, spelling

Definition: TypeAlias = Mapping[str, Any]

PREVIEW = "2016-05-01-preview"
PAYLOAD = ("assets", "input", "output", "exampleRequest", "parameters", "package")
"""The members that lie in a blob when they are too large (new-protocol 1)."""
INLINE_LIMIT = 3 * 1024 * 1024
"""Bytes of payload beyond which it has to be handed over as a blob (new-protocol 1)."""
SECRET = "$secret"  # noqa: S105 - the name of a member
"""A member of this name stands for a secret: its value is a reference, as a spec has them."""

_ENVELOPED_DATA = bytes.fromhex("06092a864886f70d010703")
_SHORTEST_ENVELOPE = 200


def without_query(uri: str) -> str:
    """Return a uri without its query, which may hold a signature."""
    return uri.partition("?")[0]


def same_place(one: str, other: str) -> bool:
    """Whether two spellings mean one region: ``South Central US`` is ``southcentralus`` (new-protocol 1)."""
    return one.replace(" ", "").casefold() == other.replace(" ", "").casefold()


def is_envelope(value: object) -> bool:
    """Whether a value is what a Credential parameter is shown as: the base64 of a CMS message (new-protocol 1)."""
    if not isinstance(value, str) or len(value) < _SHORTEST_ENVELOPE:
        return False
    try:
        return _ENVELOPED_DATA in base64.b64decode(value[:64], validate=True)
    except (binascii.Error, ValueError):
        return False


def is_credential(parameter: object) -> bool:
    """Whether a parameter is a Credential: it names a certificate, or shows an envelope."""
    if is_envelope(parameter):
        return True
    return bool(member(parameter, "certificateThumbprint")) or is_envelope(member(parameter, "value"))


def is_placeholder(value: object) -> bool:
    """Whether a value stands for a secret."""
    return isinstance(value, Mapping) and set(value) == {SECRET}


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a JSON document with its path, outermost first; nothing inside of a placeholder."""
    yield path, value
    if is_placeholder(value):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from walk(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, str(index)))


def pointer(path: tuple[str, ...]) -> str:
    """Return a path as a JSON Pointer (RFC 6901)."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def path_of(text: str) -> tuple[str, ...]:
    """Return a JSON Pointer as a path."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


# -- parameters in two forms (new-protocol 1, "2016-05-01-preview vs 2017-01-01") -------------------------------------


def current_form(properties: Definition) -> dict[str, Any]:
    """Properties with every parameter as an object, as 2017-01-01 has them."""

    def changed(parameter: Any) -> Any:
        return parameter if isinstance(parameter, Mapping) else {"value": parameter}

    return _over_parameters(properties, changed)


def preview_form(properties: Definition) -> dict[str, Any]:
    """Properties with every parameter as a plain string, as 2016-05-01-preview has them."""

    def changed(parameter: Any) -> Any:
        return member(parameter, "value") if isinstance(parameter, Mapping) else parameter

    return _over_parameters(properties, changed)


def _over_parameters(properties: Definition, change: Callable[[Any], Any]) -> dict[str, Any]:
    def changed(parameters: Any) -> Any:
        if not isinstance(parameters, Mapping):
            return parameters
        return {name: change(value) for name, value in parameters.items()}

    result = dict(properties)
    if (key := spelling(result, "parameters")) is not None:
        result[key] = changed(result[key])
    package_key = spelling(result, "package")
    nodes_key = spelling(result[package_key], "nodes") if package_key is not None else None
    if package_key is not None and nodes_key is not None and isinstance(result[package_key][nodes_key], Mapping):
        nodes = {}
        for node_id, node in result[package_key][nodes_key].items():
            key = spelling(node, "parameters")
            nodes[node_id] = node if key is None else {**node, key: changed(node[key])}
        result[package_key] = {**result[package_key], nodes_key: nodes}
    return result

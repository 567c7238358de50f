"""Web service parameters in the two versions of the contract (new-protocol 1, "2016-05-01-preview vs 2017-01-01").

A parameter is an object with ``value`` and ``certificateThumbprint`` in 2017-01-01, and a plain string in
2016-05-01-preview; that holds for the global ones and for those of the nodes. What is kept is always the newer form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.emulator.arm.definition import Json
from reconciler.emulator.arm.errors import bad_request
from reconciler.emulator.execution.wire_format import member, spelling

PREVIEW = "2016-05-01-preview"
CURRENT = "2017-01-01"
WEB_SERVICE_VERSIONS = (PREVIEW, CURRENT)


def has_payload_members(version: str) -> bool:
    """Return whether the contract knows ``payloadsInBlobStorage`` and ``payloadsLocation``."""
    return version != PREVIEW


def has_regions(version: str) -> bool:
    """Return whether the contract knows ``CreateRegionalBlob`` and the query parameter ``region``."""
    return version != PREVIEW


def current_form(written: Json, version: str, live: Json | None) -> Json:
    """Return the properties that a request has in `version`, in the form that is kept.

    Args:
        written: what `written_properties` gives.
        version: of the request.
        live: the definition as GET shows it. An envelope that comes back as a string is a Credential parameter still.

    Raises:
        ArmError: 400 for a parameter in the form of the other version [I].
    """
    if version != PREVIEW:
        _over_parameters(written, _checked)
        return written
    thumbprints = dict(_envelopes(live or {}))

    def wrapped(name: str, value: Any) -> Json:
        if not isinstance(value, str):
            raise bad_request("InvalidParameter", f"The parameter '{name}' must be a string in this api-version.")
        return {"value": value, "certificateThumbprint": thumbprints.get(value, "")}

    shown = {
        name: value for name, value in written.items() if name not in ("payloadsInBlobStorage", "payloadsLocation")
    }
    return _over_parameters(shown, wrapped)


def shown_form(properties: Json, version: str) -> Json:
    """Return the properties of a definition as a client of `version` gets them."""
    if version != PREVIEW:
        return properties
    return _over_parameters(properties, lambda _, parameter: str(member(parameter, "value") or ""))


def _checked(name: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise bad_request("InvalidParameter", f"The parameter '{name}' must be an object with a value.")
    return value


def _over_parameters(properties: Json, change: Callable[[str, Any], Any]) -> Json:
    """Return `properties` with every parameter changed; everything else keeps its place and its casing."""

    def changed(parameters: Any) -> Any:
        if not isinstance(parameters, Mapping):
            return parameters
        return {name: change(name, value) for name, value in parameters.items()}

    result = dict(properties)
    if "parameters" in result:
        result["parameters"] = changed(result["parameters"])
    package = result.get("package")
    if isinstance(package, Mapping):
        nodes_key = spelling(package, "nodes")
        if nodes_key is not None and isinstance(package[nodes_key], Mapping):
            nodes = {}
            for node_id, node in package[nodes_key].items():
                key = spelling(node, "parameters") if isinstance(node, Mapping) else None
                nodes[node_id] = node if key is None else {**node, key: changed(node[key])}
            result["package"] = {**package, nodes_key: nodes}
    return result


def _envelopes(properties: Json) -> Iterator[tuple[str, str]]:
    """Return the value and the thumbprint of each Credential parameter of a definition."""
    holders = [properties.get("parameters"), *(member(node, "parameters") for node in _nodes(properties))]
    for parameters in holders:
        for parameter in parameters.values() if isinstance(parameters, Mapping) else ():
            if member(parameter, "certificateThumbprint"):
                yield str(member(parameter, "value")), str(member(parameter, "certificateThumbprint"))


def _nodes(properties: Json) -> Iterator[Any]:
    nodes = member(properties, "package", "nodes")
    yield from nodes.values() if isinstance(nodes, Mapping) else ()

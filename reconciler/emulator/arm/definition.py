"""The shape of a web service definition: reading it whatever its casing, checking, merging and sealing it.

Pure functions over JSON values. Member names are case-insensitive on the way in (new-protocol 1, "Normalisation"). The
members of ``properties`` themselves, and those of its small fixed objects, come back in camelCase whatever was written;
what lies deeper in ``assets``, ``input``, ``output``, ``exampleRequest``, ``parameters`` and ``package`` comes back in
the casing in which it was written. A member that is ``null`` is a member that is absent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from reconciler.emulator.arm.errors import bad_request
from reconciler.emulator.execution.wire_format import member, spelling

Json: TypeAlias = dict[str, Any]
AssetsMerge: TypeAlias = Literal["merge", "replace"]

# The fixed objects of `properties`, with their members.
_SMALL_OBJECTS: Mapping[str, tuple[str, ...]] = {
    "keys": ("primary", "secondary"),
    "realtimeConfiguration": ("maxConcurrentCalls",),
    "diagnostics": ("level", "expiry"),
    "storageAccount": ("name", "key"),
    "machineLearningWorkspace": ("id",),
    "commitmentPlan": ("id",),
}
PAYLOAD = ("assets", "input", "output", "exampleRequest", "parameters", "package")
_SCALARS = ("title", "description", "readOnly", "exposeSampleData", "packageType")
_KNOWN = {
    name.lower(): name for name in (*_SMALL_OBJECTS, *PAYLOAD, *_SCALARS, "payloadsInBlobStorage", "payloadsLocation")
}
_DIAGNOSTIC_LEVELS = {"none": "None", "error": "Error", "all": "All"}
TRAINED_MODEL_SUFFIX = "[trained model]"

# A CMS "enveloped data" message begins with these bytes: a sequence, and the identifier 1.2.840.113549.1.7.3.
ENVELOPE_PREFIX = bytes.fromhex("3082026406092a864886f70d010703a082025530820251")
ENVELOPE_START = base64.b64encode(ENVELOPE_PREFIX[:21]).decode()
"""With what every envelope begins; base64 is cut where a group of it ends."""
ENVELOPE_RANDOM_BYTES = 592


# -- reading -----------------------------------------------------------------------------------------------------------


def without_nulls(value: Any) -> Any:
    """Return `value` without null members; nulls in arrays are values (cells of a row) and stay."""
    if isinstance(value, Mapping):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


def written_properties(body: Mapping[str, Any]) -> Json:
    """Return the writable members of the ``properties`` of a request, by their canonical names, nulls dropped.

    Unknown members are dropped, as a provider with a typed contract does [I]; those that only the provider writes are
    ignored.

    Raises:
        ArmError: 400, if there are no properties, or ``packageType`` is missing or is not ``Graph``.
    """
    given = member(body, "properties")
    if not isinstance(given, Mapping):
        raise bad_request("PropertiesRequired", "The request has no properties.")
    written: Json = {}
    for key, value in without_nulls(given).items():
        name = _KNOWN.get(key.lower())
        if name is None:
            continue
        if name in _SMALL_OBJECTS:
            _require_object(name, value)
            written[name] = {
                inner: found for inner in _SMALL_OBJECTS[name] if (found := member(value, inner)) is not None
            }
        else:
            if name in PAYLOAD:
                _require_object(name, value)
            written[name] = value
    package_type = written.get("packageType")
    if not isinstance(package_type, str) or package_type.lower() != "graph":
        raise bad_request("InvalidPackageType", "The property packageType is required; its only value is 'Graph'.")
    written["packageType"] = "Graph"
    return written


def payload_members(content: Mapping[str, Any]) -> Json:
    """Return the members of a payload that was kept in a blob, by their canonical names.

    Below them nothing is touched: a blob comes back with its own casing and with its nulls (new-protocol 1,
    "Normalisation").

    Raises:
        ArmError: 400, if one of them is not an object, or there is none.
    """
    payload: Json = {}
    for key, value in content.items():
        name = _KNOWN.get(key.lower())
        if name in PAYLOAD and value is not None:
            _require_object(name, value)
            payload[name] = value
    if not payload:
        raise bad_request("InvalidPayload", f"The payload has none of the members {', '.join(PAYLOAD)}.")
    return payload


def payload_size(properties: Json) -> int:
    """Return the size of a payload in bytes: that of its members as JSON, added up (new-protocol 1)."""
    return sum(len(json.dumps(properties[name], separators=(",", ":"))) for name in PAYLOAD if name in properties)


def _require_object(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise bad_request("InvalidProperty", f"The property {name} must be an object.")


# -- checking ----------------------------------------------------------------------------------------------------------


def check(properties: Json) -> None:
    """Check a whole definition, and put the level of its diagnostics into the service's own casing.

    Raises:
        ArmError: 400 with what is wrong. No recording shows these, so their inner codes are [I].
    """
    for flag in ("readOnly", "exposeSampleData"):
        if flag in properties:
            properties[flag] = _boolean(flag, properties[flag])
    calls = member(properties, "realtimeConfiguration", "maxConcurrentCalls")
    if calls is not None and (not isinstance(calls, int) or isinstance(calls, bool) or not 4 <= calls <= 200):
        raise bad_request("InvalidRealtimeConfiguration", "maxConcurrentCalls must be an integer from 4 to 200.")
    if "diagnostics" in properties:
        level = _DIAGNOSTIC_LEVELS.get(str(properties["diagnostics"].get("level")).lower())
        if level is None:
            raise bad_request("InvalidDiagnostics", "diagnostics.level must be one of None, Error, All.")
        properties["diagnostics"]["level"] = level
    for key, asset in properties.get("assets", {}).items():
        _check_asset(key, asset)
    _check_graph(properties)


def _boolean(name: str, value: Any) -> bool:
    # Microsoft's own test data of 2016 have them as strings.
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise bad_request("InvalidProperty", f"The property {name} must be a boolean.")
    return value


def payload_source(written: Json) -> Json | None:
    """Return uri and credentials of the blob that holds a request's payload; None if the request itself holds it.

    Raises:
        ArmError: 400 if it does not say where [I].
    """
    if not _boolean("payloadsInBlobStorage", written.get("payloadsInBlobStorage", False)):
        return None
    uri = member(written, "payloadsLocation", "uri")
    if not isinstance(uri, str) or not uri:
        raise bad_request("PayloadsLocationRequired", "payloadsLocation.uri is required with payloadsInBlobStorage.")
    return {"uri": uri, "credentials": str(member(written, "payloadsLocation", "credentials") or "")}


def _check_asset(key: str, asset: Any) -> None:
    for path in (("name",), ("type",), ("locationInfo", "uri")):
        if not isinstance(member(asset, *path), str):
            raise bad_request("InvalidAsset", f"The asset '{key}' has no {'.'.join(path)}.")
    if str(member(asset, "type")).lower() not in ("module", "resource"):
        raise bad_request("InvalidAsset", f"The type of the asset '{key}' must be Module or Resource.")


def _check_graph(properties: Json) -> None:
    """Check that every node of the graph stands for an asset, input or output of the definition."""
    nodes = member(properties, "package", "nodes") or {}
    known = {
        "assetId": properties.get("assets", {}),
        "inputId": member(properties, "input", "properties") or {},
        "outputId": member(properties, "output", "properties") or {},
    }
    for node_id, node in nodes.items():
        for reference, names in known.items():
            name = member(node, reference)
            if name is not None and spelling(names, str(name)) is None:
                raise bad_request(
                    "InvalidGraph", f"The {reference} '{name}' of the node '{node_id}' is not in the definition."
                )


# -- merging -----------------------------------------------------------------------------------------------------------


def merged(current: Json, patch: Json, *, assets: AssetsMerge) -> Json:
    """Return `current` after a PATCH with the properties `patch`, both as `written_properties` gives them.

    Objects merge one level down, as recorded for ``keys`` (new-protocol 3, "PATCH body rules"); arrays and deeper
    objects are replaced. What happens inside ``assets`` is not confirmed, so it is a setting: ``merge`` goes all the
    way down, ``replace`` takes the map as it was sent. Parameters that are empty after a PATCH that named them are
    gone [O].
    """
    result = dict(current)
    for name, value in patch.items():
        before = result.get(name)
        if not isinstance(before, Mapping) or not isinstance(value, Mapping):
            result[name] = value
        elif name == "assets":
            result[name] = value if assets == "replace" else _merged_objects(before, value, depth=None)
        else:
            result[name] = _merged_objects(before, value, depth=1)
    if "parameters" in patch and not result["parameters"]:
        del result["parameters"]
    return result


def _merged_objects(before: Mapping[str, Any], patch: Mapping[str, Any], *, depth: int | None) -> Json:
    """Merge `depth` levels, or all for None; a member keeps its place and takes the casing of the last write."""
    result = dict(before)
    for key, value in patch.items():
        old_key = spelling(result, key)
        if old_key is None or (old_key != key and old_key in patch):
            result[key] = value
            continue
        old = result[old_key]
        deeper = depth is None or depth > 1
        if deeper and isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merged_objects(old, value, depth=None if depth is None else depth - 1)  # noqa: PLW2901 - the merge
        result = {key if name == old_key else name: inner for name, inner in result.items()}
        result[key] = value
    return result


# -- sealing -----------------------------------------------------------------------------------------------------------


class Sealed(NamedTuple):
    """A definition as the outside sees it, and what its envelopes hold."""

    properties: Json
    contents: dict[str, str]


def seal(properties: Json, random_bytes: Callable[[int], bytes]) -> Sealed:
    """Put every secret of a definition into a new envelope.

    These are the Credential parameters, which have a ``certificateThumbprint`` (new-protocol 1), and the
    ``credentials`` of assets, which may be an account's connection string [I]. An envelope looks like the base64 of a
    CMS message and is new at each write, as observed.
    """
    contents: dict[str, str] = {}

    def enveloped(plain: str) -> str:
        envelope = base64.b64encode(ENVELOPE_PREFIX + random_bytes(ENVELOPE_RANDOM_BYTES)).decode()
        contents[envelope] = plain
        return envelope

    def sealed(value: Any, parent: Mapping[str, Any] | None, key: str) -> Any:
        if isinstance(value, Mapping):
            return {name: sealed(inner, value, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [sealed(inner, None, "") for inner in value]
        if not isinstance(value, str) or not value or parent is None:
            return value
        is_parameter = key.lower() == "value" and bool(member(parent, "certificateThumbprint"))
        is_credentials = key.lower() == "credentials" and member(parent, "uri") is not None
        return enveloped(value) if is_parameter or is_credentials else value

    holders = ("assets", "parameters", "package")
    result = {name: sealed(value, None, name) if name in holders else value for name, value in properties.items()}
    return Sealed(result, contents)


def unsealed(value: Any, contents: Mapping[str, str]) -> Any:
    """Return `value` with every envelope of `contents` opened, so that what was read may be written back."""
    if isinstance(value, Mapping):
        return {key: unsealed(inner, contents) for key, inner in value.items()}
    if isinstance(value, list):
        return [unsealed(inner, contents) for inner in value]
    return contents.get(value, value) if isinstance(value, str) else value


# -- trained models ----------------------------------------------------------------------------------------------------


class TrainedModelAsset(NamedTuple):
    """A trained model in a definition: the positional key of its asset, its name, and where its blob is."""

    key: str
    name: str
    uri: str
    credentials: str


def trained_models(properties: Json) -> Iterator[TrainedModelAsset]:
    """Return the trained models among the assets of an unsealed definition.

    A trained model is a Resource whose blob ends in ``.ilearner`` or whose name ends in ``[trained model]``; other
    Resources (transforms, datasets) are not (new-protocol 2).
    """
    for key, asset in properties.get("assets", {}).items():
        if str(member(asset, "type")).lower() != "resource":
            continue
        name, uri = str(member(asset, "name")), str(member(asset, "locationInfo", "uri"))
        if urlsplit(uri).path.lower().endswith(".ilearner") or name.lower().endswith(TRAINED_MODEL_SUFFIX):
            yield TrainedModelAsset(key, name, uri, str(member(asset, "locationInfo", "credentials") or ""))

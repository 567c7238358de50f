"""How Azure Resource Manager words a definition and a failed operation, where sources leave more than one way.

(new-protocol 3 and 1, "Normalisation"; what is a setting is in `reconciler.emulator.config.behaviour`.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.emulator.arm.definition import Json
from reconciler.emulator.config.behaviour import Behaviour
from reconciler.emulator.execution.wire_format import member, spelling

_Reword = Callable[[Any], Any]


def worded(view: Json, behaviour: Behaviour) -> Json:
    """Return what GET by name shows, in this emulator's casing and with its nulls."""
    if behaviour.definition_nulls == "null":
        view = _with_nulls(view)
    if behaviour.definition_casing == "pascal":
        properties = view["properties"]
        recased = {name: _PAYLOAD[name](value) if name in _PAYLOAD else value for name, value in properties.items()}
        view = {**view, "properties": recased}
    return view


def worded_poll(body: Json, behaviour: Behaviour) -> Json:
    """Return the poll of an operation; how it names a failure was never recorded."""
    if "error" not in body or behaviour.operation_failure == "error":
        return body
    rest = {name: value for name, value in body.items() if name != "error"}
    return rest if behaviour.operation_failure == "bare" else {**rest, "errorInfo": body["error"]}


# -- nulls -------------------------------------------------------------------------------------------------------------


def _with_nulls(view: Json) -> Json:
    """Add a ``null`` for members that GET does not show, as in a recording of ``GlobalParameters``."""
    properties = {"keys": None, "commitmentPlan": None, "diagnostics": None, **view["properties"]}
    for name, inner in (("diagnostics", "expiry"), ("storageAccount", "key"), ("exampleRequest", "globalParameters")):
        value = properties.get(name)
        if isinstance(value, Mapping) and spelling(value, inner) is None:
            properties[name] = {**value, inner: None}
    return {"tags": None, **view, "properties": properties}


# -- casing ------------------------------------------------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


def _object(**children: _Reword) -> _Reword:
    """Return an object whose members begin with a capital; members of a schema's own (``x-ms-…``) stay."""
    lowered = {name.lower(): reword for name, reword in children.items()}

    def reword(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {
            name if name.startswith("x-") else name[:1].upper() + name[1:]: lowered.get(name.lower(), _same)(inner)
            for name, inner in value.items()
        }

    return reword


def _named(child: _Reword) -> _Reword:
    """Return the form of a map whose keys are names that people gave."""
    return lambda value: {key: child(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value


def _listed(child: _Reword) -> _Reword:
    return lambda value: [child(inner) for inner in value] if isinstance(value, list) else value


def _package(value: Any) -> Any:
    """Return a package whose nodes keep their camelCase and whose edges do not, as recorded."""
    parameters = _named(_object(links=_listed(_object())))
    return _object(edges=_listed(_object()), graphParameters=parameters)(value)


_TABLES = _object(properties=_named(_object(properties=_named(_object()))))
_PAYLOAD: Mapping[str, _Reword] = {
    "assets": _named(
        _object(
            locationInfo=_object(),
            inputPorts=_named(_object()),
            outputPorts=_named(_object()),
            parameters=_listed(_object()),
        )
    ),
    "input": _TABLES,
    "output": _TABLES,
    "exampleRequest": _object(),
    "package": _package,
}


# -- what a PATCH leaves out -------------------------------------------------------------------------------------------


def tags_to_write(current: Mapping[str, str] | None, body: Json, behaviour: Behaviour) -> Json:
    """Return a PATCH body that names every tag, because tags that a PATCH leaves out may stay.

    Azure takes no notice of the casing of a tag's name (Azure documentation, "Tag resources").
    """
    key, given = spelling(body, "tags"), member(body, "tags")
    if key is None or not isinstance(given, Mapping) or behaviour.patch_tags == "replace":
        return body
    named = {str(name).casefold() for name in given}
    kept = {name: value for name, value in (current or {}).items() if name.casefold() not in named}
    return {**body, key: {**kept, **given}}


def properties_to_merge(properties: Json | None, body: Json, behaviour: Behaviour) -> Json | None:
    """Return the properties that a PATCH is merged into: without the objects that it replaces as a whole."""
    given = member(body, "properties")
    if properties is None or behaviour.patch_package == "merge" or not isinstance(given, Mapping):
        return properties
    replaced = {"package", "input", "output", "exampleRequest", "parameters"} & {
        name for name in properties if member(given, name) is not None
    }
    return {name: value for name, value in properties.items() if name not in replaced}

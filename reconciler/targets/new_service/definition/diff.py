"""How a live definition differs from the one in a file, once all is left out that means nothing. Pure.

What the service does to a definition by itself (new-protocol 1, "Normalisation seen on GET") is data here: which
members are never compared, which are absent when they are empty, and which texts are compared without a part of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.azure.arm.definition import find_trained_model, member, spelling
from reconciler.azure.errors import DefinitionError
from reconciler.plan.diff import explain_difference
from reconciler.plan.states import DefinitionChange, DefinitionDifference
from reconciler.targets.new_service.definition.form import (
    Definition,
    is_credential,
    is_placeholder,
    path_of,
    pointer,
    without_query,
)

SERVER_SET = frozenset({"createdon", "modifiedon", "provisioningstate", "swaggerlocation"})
"""Only the service writes these."""
HANDED_OVER = frozenset({"payloadsinblobstorage", "payloadslocation"})
"""How a definition travels, and nothing of what it is."""
MANAGED_ELSEWHERE = frozenset({"keys", "storageaccount", "commitmentplan", "machinelearningworkspace"})
"""Not shown, or not as they were written; the spec has fields of its own for them."""
EMPTY_IS_ABSENT = frozenset(
    {"parameters", "graphparameters", "inputports", "outputports", "metadata", "credentials", "certificatethumbprint"}
)
"""Left out where they are empty: ``parameters: {}`` does not come back after a PATCH that had it."""
ENCRYPTED_ANEW = frozenset({"credentials"})
"""Encrypted anew at each write, as the value of a Credential parameter is: never compared."""
PLACES = frozenset({"uri"})
"""Compared without a query: it is a signature."""
DEFAULTS: Mapping[str, Any] = {"readonly": False, "exposesampledata": True}
"""What a member is that the service leaves out."""


def definition_difference(
    file: Definition,
    live: Definition,
    *,
    models: Iterable[str] = (),
    settings: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> DefinitionDifference:
    """How a live definition differs from a file's: in words, and as operations in the live one's own spelling.

    Args:
        file: The definition in the file. A member of its properties that it leaves out is not managed.
        live: The whole definition as the service shows it, its payload inline.
        models: Trained models whose place is a version's and not the file's, by name.
        settings: Members of the properties that the spec's settings manage, by their path's first name.
        ignore: JSON Pointers of what may differ.
    """
    left_out = SERVER_SET | HANDED_OVER | MANAGED_ELSEWHERE | {name.casefold() for name in settings}
    given = {
        name: value for name, value in (member(file, "properties") or {}).items() if name.casefold() not in left_out
    }
    properties_key = spelling(live, "properties") or "properties"
    shown = dict(live.get(properties_key) or {})
    for name, default in DEFAULTS.items():
        if spelling(shown, name) is None and (own := spelling(given, name)) is not None:
            shown[own] = default
    managed = {name: value for name, value in shown.items() if spelling(given, name) is not None}
    skipped = [*map(path_of, ignore), *_places(file, models), *_places(live, models)]
    wanted, found = _pair(given, managed, ("properties",), frozenset(_folded(path) for path in skipped))
    if wanted == found:
        return DefinitionDifference()
    return DefinitionDifference(
        tuple(explain_difference({"properties": found}, {"properties": wanted})),
        tuple(_changes(found, wanted, (properties_key,))),
    )


def _places(definition: Definition, models: Iterable[str]) -> Iterable[tuple[str, ...]]:
    """Where the models lie in a definition; what is not there is told of elsewhere."""
    for name in models:
        try:
            path = path_of(find_trained_model(definition, name).pointer)
        except DefinitionError:
            continue
        yield path
        yield (*path[:-1], "credentials")


def _folded(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.casefold() for part in path)


def _pair(file: Any, live: Any, path: tuple[str, ...], skipped: frozenset[tuple[str, ...]]) -> tuple[Any, Any]:
    """Both sides without what is not compared; the file's members are spelt as the live side spells them."""
    if isinstance(file, Mapping) and isinstance(live, Mapping):
        return _paired_members(file, live, path, skipped)
    if isinstance(file, list) and isinstance(live, list) and len(file) == len(live):
        pairs = [
            _pair(one, other, (*path, str(index)), skipped)
            for index, (one, other) in enumerate(zip(file, live, strict=True))
        ]
        return [one for one, _ in pairs], [other for _, other in pairs]
    if path[-1].casefold() in PLACES and isinstance(file, str) and isinstance(live, str):
        return without_query(file), without_query(live)
    return _bare(file, path[-1]), _bare(live, path[-1])


def _paired_members(
    file: Mapping[str, Any], live: Mapping[str, Any], path: tuple[str, ...], skipped: frozenset[tuple[str, ...]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    wanted: dict[str, Any] = {}
    found: dict[str, Any] = {}
    own = {key: spelling(live, key) for key in file}
    for key, value in file.items():
        name = own[key]
        if _folded((*path, key)) in skipped or _is_absent(key, value) or key.casefold() in ENCRYPTED_ANEW:
            continue
        if name is None or _is_absent(name, live[name]):
            wanted[name or key] = _bare(value, key)
        elif not any(map(_is_secret, (value, live[name]))):
            wanted[name], found[name] = _pair(value, live[name], (*path, name), skipped)
    taken = {name for key, name in own.items() if not _is_absent(key, file[key])}
    for name, value in live.items():
        if name in taken or _is_absent(name, value) or name.casefold() in ENCRYPTED_ANEW:
            continue
        if _folded((*path, name)) not in skipped:
            found[name] = _bare(value, name)
    return wanted, found


def _is_secret(value: Any) -> bool:
    """Whether a value cannot be compared: it is encrypted, or stands for a secret."""
    return is_credential(value) or is_placeholder(value)


def _is_absent(name: str, value: Any) -> bool:
    return value is None or (name.casefold() in EMPTY_IS_ABSENT and value in ("", {}, []))


def _bare(value: Any, name: str) -> Any:
    """Return a value that has no counterpart, without its absent members."""
    if isinstance(value, Mapping):
        return {key: _bare(inner, key) for key, inner in value.items() if not _is_absent(key, inner)}
    if name.casefold() in PLACES and isinstance(value, str):
        return without_query(value)
    return value


def _changes(live: Any, file: Any, path: tuple[str, ...]) -> Iterable[DefinitionChange]:
    """Return the operations that make ``live`` into ``file``.

    A list is replaced as a whole, unless objects stand in it one for one: of those something may have been left out of
    the comparison, which is not to be lost.
    """
    if live == file:
        return
    if _one_for_one(live, file):
        for index, (one, other) in enumerate(zip(live, file, strict=True)):
            yield from _changes(one, other, (*path, str(index)))
        return
    if not isinstance(live, Mapping) or not isinstance(file, Mapping):
        yield DefinitionChange("replace", pointer(path), file, live)
        return
    for name in sorted(live.keys() | file.keys()):
        if name not in file:
            yield DefinitionChange("remove", pointer((*path, name)), was=_without_envelopes(live[name]))
        elif name not in live:
            yield DefinitionChange("add", pointer((*path, name)), file[name])
        else:
            yield from _changes(live[name], file[name], (*path, name))


def _one_for_one(live: Any, file: Any) -> bool:
    lists = isinstance(live, list) and isinstance(file, list) and len(live) == len(file)
    return lists and all(isinstance(value, Mapping) for value in (*live, *file))


def _without_envelopes(value: Any) -> Any:
    """Return what is removed, without values that are encrypted again at each write: these always differ."""
    if isinstance(value, Mapping):
        return {
            name: None if is_credential(inner) or name.casefold() in ENCRYPTED_ANEW else _without_envelopes(inner)
            for name, inner in value.items()
        }
    return value

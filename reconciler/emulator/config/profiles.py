"""Profiles: one answer for each question that no source settles, as a set.

``documented`` is what the sources make most likely, ``terse`` says as little as they allow, ``hostile`` has everything
at its most awkward, and ``random:SEED`` draws each setting. A setting says beside its default what it is in the other
profiles, and one that names none is the same in all of them.
"""

import difflib
import random
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

DOCUMENTED = "documented"
PROFILES = (DOCUMENTED, "terse", "hostile")
_RANDOM = "random:"
_UNSAID: Any = object()


class UnknownProfile(ValueError):
    """A name that is not a profile's; the message suggests the nearest one."""


def setting(documented: Any, why: str, *, terse: Any = _UNSAID, hostile: Any = _UNSAID) -> Any:
    """Return a field of a model of settings.

    Args:
        documented: its default, which the sources make most likely.
        why: one sentence on why it is a setting, for the README.
        terse: what it is in the profile that says as little as it may; the default if left out.
        hostile: what it is where that is most awkward for a client; the default if left out.
    """
    given = {"terse": terse, "hostile": hostile}
    differing = {profile: value for profile, value in given.items() if value is not _UNSAID}
    return Field(default=documented, description=why, json_schema_extra={"profiles": differing})


def values_of(model: type[BaseModel], profile: str) -> dict[str, Any]:
    """Return the settings of a profile that a file need not say itself, by their names in the file.

    A drawn setting depends on the seed and its own name alone, so that a new one leaves the others as they were.

    Raises:
        UnknownProfile: the name is not a profile's.
    """
    check_profile(profile)
    return {
        field.alias or name: _value(field.alias or name, field, profile)
        for name, field in model.model_fields.items()
        if has_profiles(field)
    }


def check_profile(name: str) -> None:
    """Raise `UnknownProfile` unless there is a profile of that name."""
    if name in PROFILES or (name.startswith(_RANDOM) and name != _RANDOM):
        return
    near = difflib.get_close_matches(name, [*PROFILES, f"{_RANDOM}SEED"], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UnknownProfile(f"unknown profile {name!r}: {hint}Allowed are {', '.join(PROFILES)} and {_RANDOM}SEED")


def has_profiles(field: FieldInfo) -> bool:
    """Return whether a field was made by `setting`."""
    return isinstance(field.json_schema_extra, Mapping) and "profiles" in field.json_schema_extra


def allowed(field: FieldInfo) -> tuple[Any, ...]:
    """Return what a setting may be drawn from: all that its type lists, else what the profiles have."""
    if field.annotation is bool:
        return (False, True)
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)
    return tuple(dict.fromkeys(_of_profile(field, profile) for profile in PROFILES))


def table(models: Mapping[str, type[BaseModel]]) -> str:
    """Return the settings of some models as a Markdown table, with their values in each profile.

    Args:
        models: by the section of the studio file in which they are written.
    """
    rows: list[Iterable[str]] = [("setting", "values", *PROFILES, "why it is a setting"), ("---",) * 6]
    for section, model in models.items():
        for name, field in model.model_fields.items():
            if has_profiles(field):
                values = " ".join(_shown(value) for value in allowed(field))
                shown = (_shown(_of_profile(field, profile)) for profile in PROFILES)
                rows.append((f"`{section}.{field.alias or name}`", values, *shown, field.description or ""))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _value(name: str, field: FieldInfo, profile: str) -> Any:
    if profile.startswith(_RANDOM):
        drawn = random.Random(f"{profile}/{name}")  # noqa: S311 - not a secret, and the same at every start
        return drawn.choice(allowed(field))
    return _of_profile(field, profile)


def _of_profile(field: FieldInfo, profile: str) -> Any:
    extra = field.json_schema_extra
    given = extra["profiles"] if isinstance(extra, Mapping) else {}
    return given.get(profile, field.default) if isinstance(given, Mapping) else field.default


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        hours, rest = divmod(value.total_seconds(), 3600)
        return f"`{hours:.0f}h`" if hours and not rest else f"`{value.total_seconds():g}s`"
    return f"`{value}`"

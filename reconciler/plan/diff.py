"""Says in words how two JSON values differ.

Asked only where they do: DeepDiff takes 11 ms where ``==`` takes less than a microsecond.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from reconciler.plan.text import printable
from reconciler.spec.secret_detection import NOT_SHOWN, looks_secret

HIDDEN = "***"
_LONGEST = 80
# What a New definition may carry of secrets, by member name in any casing (new-protocol 1, 2).
_SECRET_MEMBERS = frozenset({"keys", "primary", "secondary", "key", "credentials", "certificatethumbprint"})


def explain_difference(old: object, new: object) -> list[str]:
    """One sentence for each place where ``new`` differs from ``old``, by place; none if they are equal.

    Args:
        old: A JSON value.
        new: Another one.
    """
    if old == new:
        return []
    # DeepDiff brings in numpy if it is there, so it is imported by those who need it.
    from deepdiff import DeepDiff  # noqa: PLC0415 - see above

    found = DeepDiff(old, new, view="tree", verbose_level=2)
    sentences = {
        _sentence(change.path(output_format="list"), kind, change.t1, change.t2)
        for kind, changes in found.items()
        for change in changes
    }
    return sorted(sentences)


def _sentence(path: Sequence[object], kind: str, old: object, new: object) -> str:
    place = printable("/".join(map(str, path))) or "the whole"
    if any(str(part).casefold() in _SECRET_MEMBERS for part in path):
        return f"{place} differs"
    if kind.endswith("_added"):
        return f"{place} was added: {_shown(new)}"
    if kind.endswith("_removed"):
        return f"{place} was removed: {_shown(old)}"
    return f"{place} was {_shown(old)}, is now {_shown(new)}"


def _shown(value: object) -> str:
    text = printable(json.dumps(_without_secrets(value), ensure_ascii=False, default=str, sort_keys=True))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _without_secrets(value: object) -> object:
    """The same without what stands in a member that may hold a secret, if that is a text."""
    if isinstance(value, Mapping):
        return {
            name: HIDDEN
            if isinstance(inner, str) and inner and str(name).casefold() in _SECRET_MEMBERS
            else _without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return NOT_SHOWN if isinstance(value, str) and looks_secret(value) else value

"""Names for documents and files, made of the names that services have: valid, unique, and the same at every import."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

from reconciler.spec.secret_detection import NOT_SHOWN, looks_secret

_K = TypeVar("_K", bound=Hashable)

_KIND = re.compile(r"\s*\[[^\[\]]*\]\s*\Z")
"""What Studio adds to names: ``[predictive exp.]``, ``[trained model]``."""
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_DIGEST = 6


def slug(text: str, limit: int, *, otherwise: str) -> str:
    """Return a document's name: ``Breast Cancer [predictive exp.]`` and ``BreastCancer`` give ``breast-cancer``.

    Args:
        text: Any name.
        limit: How long it may be.
        otherwise: What to call it when nothing of ``text`` can be kept.
    """
    if looks_secret(text):
        return otherwise
    plain = unicodedata.normalize("NFKD", _KIND.sub("", text)).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", _HUMP.sub("-", plain).lower()).strip("-")
    return words[:limit].strip("-") or otherwise


def told_apart(wanted: Mapping[_K, str], homes: Mapping[_K, str], limit: int) -> dict[_K, str]:
    """Return the names, with that of its workspace before each that things of several workspaces want.

    Args:
        wanted: The names.
        homes: The names of their workspaces; what has none stays as it is.
        limit: How long a name may be.
    """
    of: dict[str, set[str]] = {}
    for key, home in homes.items():
        of.setdefault(wanted[key], set()).add(home)
    return {
        key: f"{homes[key]}-{name}"[:limit].strip("-") if len(of.get(name, ())) > 1 and key in homes else name
        for key, name in wanted.items()
    }


def in_full(text: str) -> str:
    """Return a name as a comment quotes it, withheld when it looks secret."""
    return NOT_SHOWN if looks_secret(text) else repr(text)


def digest(text: str, length: int = _DIGEST) -> str:
    """Return a few digits that tell one thing from others."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def unique(wanted: Mapping[_K, str], identities: Mapping[_K, str], taken: Collection[str], limit: int) -> dict[_K, str]:
    """Return a name for each, none of them twice and none that is taken.

    Of several that want one name each gets a few digits made of its identity, so no order decides who has it.
    """
    often = Counter(wanted.values())
    given: dict[_K, str] = {}
    used = set(taken)
    for key in sorted(wanted, key=lambda key: identities[key]):
        name = wanted[key]
        if often[name] > 1 or name in used:
            name = _with_digits(name, identities[key], limit)
        length = _DIGEST
        while name in used:
            length += 1
            name = _with_digits(wanted[key], identities[key], limit, length)
        used.add(name)
        given[key] = name
    return given


def _with_digits(name: str, identity: str, limit: int, length: int = _DIGEST) -> str:
    return f"{name[: limit - length - 1].rstrip('-')}-{digest(identity, length)}"

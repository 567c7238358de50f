"""Recognises secrets that were written into a spec, and decides what of a value a message may show."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

NOT_SHOWN = "(not shown: it looks like a secret)"

_SHOWN = 60
_SHORTEST = 8

_NAMED = re.compile(
    r"""(?ix)
    \b(?: account_?key | shared_?access_?(?:key|signature) | client_?secret | api_?key | password | pwd | sig )
        \s*[=:]\s*[^\s;&"']
    | \bBearer\s+[A-Za-z0-9._~+/=-]{16}
    | ://[^/\s:@]*:[^/\s@]+@
    | \beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]
    """
)
_PADDED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,}={1,2}(?![A-Za-z0-9+/=])")
_LONG = re.compile(r"[A-Za-z0-9+_]{40,}")
_CLASSES = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "A" * 26 + "a" * 26 + "0" * 10
)
_LEAST_DIGITS = 3
_LEAST_CHANGES = 0.4


@lru_cache(maxsize=8192)
def looks_secret(text: str) -> bool:
    """Whether a text holds what looks like a key, token, SAS or password.

    Long runs count when they mix upper case, lower case and digits as random characters do (a change of class
    at about 60 % of the places); words written together change far less often, and hexadecimal ids have one case.
    """
    if len(text) < _SHORTEST:
        return False
    if _NAMED.search(text) or _PADDED.search(text):
        return True
    return len(text) >= 40 and any(_random(run) for run in _LONG.findall(text))


def _random(run: str) -> bool:
    classes = run.translate(_CLASSES)
    if not {"A", "a"} <= set(classes) or classes.count("0") < _LEAST_DIGITS:
        return False
    changes = sum(left != right for left, right in pairwise(classes))
    return changes / len(classes) >= _LEAST_CHANGES


def shown(text: str) -> str:
    """Return the text as a message may quote it: shortened, on one line, and withheld when it looks secret."""
    if looks_secret(text):
        return NOT_SHOWN
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")

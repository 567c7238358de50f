"""How values are said to people: numbers, times, places, and text that others wrote."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from reconciler.plan.states import Scalar

# Control characters would move the cursor or recolour a terminal, format characters show a name in another order than
# it has, the two Unicode separators break a line in two, and a lone surrogate cannot be encoded at all.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """``text`` with everything that a terminal would obey, or could not show, made visible as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if category(character) not in _OBEYED:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def bare_uri(uri: str) -> str:
    """Return a uri without its query and fragment: a shared access signature is a secret."""
    return re.split(r"[?#]", uri, maxsplit=1)[0]


def short_fingerprint(fingerprint: str | None) -> str:
    """Return the first twelve digits of a fingerprint, as markers have them."""
    return fingerprint[:12] if fingerprint else "unknown"


def number(value: float) -> str:
    """Return a metric with at most six significant digits: ``0.9731``, ``152``."""
    return f"{value:.6g}"


def scalar(value: Scalar) -> str:
    """Return a setting's value as JSON has it, so that the text ``20`` is not the number 20; None is *not set*."""
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def duration(seconds: float) -> str:
    """Return a time span in its two biggest units: ``45s``, ``2m10s``, ``1h05m``, ``3d04h``."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02d}h"
    if hours:
        return f"{hours}h{minute:02d}m"
    return f"{minutes}m{rest:02d}s" if minutes else f"{rest}s"


def proof_in_words(proof: str | None) -> str:
    """Return a `Proof` as people read it; a value that a later release wrote as it is."""
    return {"proven": "verified", "accepted": "not confirmed"}.get(proof or "", proof or "not confirmed")


def count(amount: int, one: str, many: str | None = None) -> str:
    """``1 target``, ``2 targets``, ``10,000 targets``."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"

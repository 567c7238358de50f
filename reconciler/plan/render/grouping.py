"""Says once what is the same for many targets of a set, though each says it in its own names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.plan.document import TargetPlan

OWN = "…"
"""Stands for what each of them has otherwise."""
_IDS = re.compile(r"\b[0-9a-f]{8,}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_SHORTEST_KEY = 2


@dataclass(frozen=True, slots=True)
class MessageGroup:
    """A message about several targets: the only target's own text, or one with `OWN` in the places that differ."""

    text: str
    names: tuple[str, ...]


def grouped(messages: Iterable[tuple[TargetPlan, str]]) -> tuple[MessageGroup, ...]:
    """Sentences by what they have in common, each with its targets' names; the most frequent ones first."""
    texts: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for target, text in messages:
        shape = _without_own(text, target)
        texts.setdefault(shape, text)
        names.setdefault(shape, []).append(target.name)
    ordered = sorted(names.items(), key=lambda entry: -len(entry[1]))
    return tuple(
        MessageGroup(texts[shape] if len(of_them) == 1 else shape, tuple(of_them)) for shape, of_them in ordered
    )


def _without_own(text: str, target: TargetPlan) -> str:
    """Return the sentence with everything of the target's own taken out: its names, its item, ids and fingerprints."""
    endpoint = target.identity.rpartition("/")[2]
    own = {target.identity, target.name, target.desired, endpoint, *_versions(target)} - {"", "absent"}
    for words in sorted(own, key=len, reverse=True):
        text = text.replace(words, OWN)
    key = target.name.removeprefix(f"{target.group}-")
    if len(key) >= _SHORTEST_KEY:
        # 07 is an item in BikeRental07.csv, and none in 2007.
        beside = r"\d" if key.isdigit() else r"\w"
        text = re.sub(f"(?<!{beside}){re.escape(key)}(?!{beside})", OWN, text)
    return _IDS.sub(OWN, text)


def _versions(target: TargetPlan) -> Sequence[str]:
    return [words for model in target.models for words in (model.desired, model.desired.partition("@")[0])]

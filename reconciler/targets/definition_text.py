"""What the standard library's decoder lets through in a definition file, and slips in the names of members. No network.

It keeps the last of two members of one name, takes NaN for a number, and lets through halves of characters: each
would be found out by the service, or by nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from reconciler.azure.definition_members import spelling
from reconciler.spec.diagnostics import Diagnostic
from reconciler.spec.json_reader import JsonReader
from reconciler.spec.nodes import LITERAL_SECRET, TreeBuilder

_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


def misread(text: str, file: Path) -> list[Diagnostic]:
    """What is wrong with a text that the decoder takes for JSON, as a spec file would be told of it."""
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
        if _HALF_CHARACTER.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except ValueError:
        builder = TreeBuilder(file)
        for _ in JsonReader(builder).documents(text):
            pass
        return [each for each in builder.diagnostics if not each.summary.startswith(LITERAL_SECRET)]
    return []


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)


def slips(properties: Mapping[str, Any], known: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Members of a definition's properties that were hardly meant so: name, summary, remedy.

    Two that differ by casing alone are one to the service, and it takes no notice of a name that it does not know.
    """
    folded = {name.casefold(): name for name in known}
    others = dict.fromkeys(properties)
    for name in properties:
        del others[name]
        first = spelling(others, name)
        if first is not None:
            yield name, f"is there twice, as {first} too", "keep one of them"
        near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.8)
        if near and near[0] != name.casefold():
            yield name, f"there is no such member; did you mean {folded[near[0]]}?", ""

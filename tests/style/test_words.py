"""Words and phrases that must not come back, over the package and the README.

They are this project's own for things that have a name in the field, or sentences whose subject is missing.
CONTRIBUTING.md says what to write.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RETIRED = {
    r"\b([Oo]ur|[Oo]urs|[Ww]e|us)\b": "reconciler, or the real subject",
    r"\b([Cc]an|[Cc]ould)n?'t\b": "cannot, could not",
    r"behind \w+ back": "changed outside reconciler",
    r"[Nn]othing tells": "unknown",
    r"\b(can|can)not be told\b": "unknown",
    r"\bour note\b|\bnote on it\b": "the ownership marker",
    r"\b(is|are) taken over; it\b|it is taken over": "adopted",
    r"\b(brought|comes?|came|bring it|way) home\b": "converged",
    r"\bput right\b": "updated",
    r"\blets? be\b": "left unchanged",
    r"\bworld moved\b": "the saved plan is stale",
    r"\b[Aa]rtefacts?\b": "artifact",
    r"\bis no (plan|file|spec|version|key|endpoint|service|list|object|text|number|name|table|JSON)\b": "not a …",
    r"\bno longer fits\b": "the saved plan is stale",
    r"as they were left|nobody can be asked|[Cc]arry (this|the) plan out": "approve, apply",
    r"held by its gates|stays where it is": "gate not passed, left unchanged",
    r"looked up again it": "its value has not changed; refused: …",
    r"(mistake|mistakes) of (this program|reconcile)\b": "a bug of reconciler",
    r"\ba local Studio\b|\bthe local Studio\b": "the local emulator",
}

ALLOWED = [
    "we're working to restore all services",  # A page that a gateway answered with, byte for byte.
    "our services aren't available right now",
    "other-artefact",  # Reason codes of the plan document stay as they are.
    "artefact-elsewhere",
    "not-ours",
    "there is no",
]

FILES = sorted(
    path
    for path in [ROOT / "README.md", *(ROOT / "reconciler").rglob("*")]
    if path.suffix in {".py", ".md", ".html", ".yaml"}
)


@pytest.mark.parametrize("phrase", RETIRED)
def test_a_retired_phrase_stays_away(phrase: str) -> None:
    found = []
    for path in FILES:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            text = line
            for allowed in ALLOWED:
                text = re.sub(re.escape(allowed), "", text, flags=re.IGNORECASE)
            if re.search(phrase, text):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")

    assert [] == found, f"write instead: {RETIRED[phrase]}"
